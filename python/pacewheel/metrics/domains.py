"""The domains a process holds: how many there are, and how long they ask one to wait."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import CollectorRegistry


class DomainReading(NamedTuple):
    """A domain held here: its gap, whether it has something to do, and whether it is blocked."""

    gap_ms: float
    is_working: bool
    is_blocked: bool


class DomainCollector(Collector):
    """Reads the domains at each scrape; `read` returns them, and is none before there is an engine."""

    STATES = (
        ("held", "leased by this process"),
        ("working", "with something to do"),
        ("blocked", "that asked for a pause, or whose circuit is open"),
    )

    def __init__(self) -> None:
        self.read: Callable[[], Iterable[DomainReading]] = tuple

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the numbers and the delays as they are now."""
        readings = list(self.read())
        meanings = ", ".join(f"{state} ({text})" for state, text in self.STATES)
        domains = GaugeMetricFamily(
            "pacewheel_domains", f"Domains of this process: {meanings}", labels=["state"]
        )
        working = [reading for reading in readings if reading.is_working]
        numbers = (len(readings), len(working), sum(each.is_blocked for each in readings))
        for (state, _), number in zip(self.STATES, numbers, strict=True):
            domains.add_metric([state], number)
        yield domains
        delays = GaugeMetricFamily(
            "pacewheel_domain_delay_seconds",
            "Gap between two requests that the working domains of this process ask for now, by"
            " nearest rank",
            labels=["statistic"],
        )
        gaps_s = sorted(reading.gap_ms / 1000 for reading in working)
        for statistic, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
            if gaps_s:
                delays.add_metric([statistic], gaps_s[ceil(share * len(gaps_s)) - 1])
        yield delays


class DomainMetrics:
    """Domains held."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.domains = DomainCollector()
        registry.register(self.domains)

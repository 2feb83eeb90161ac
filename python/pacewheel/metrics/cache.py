"""The cache of job infos, and the jobs it is asked for most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from pacewheel.metrics.hot_jobs import HotJobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import CollectorRegistry, Metric


class CacheMetrics:
    """Hits, misses, joins, loads, invalidations and sizes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.job_cache = JobCacheCollector()
        """Reads the flight table's own counters at each scrape, so a hit costs no Python."""
        registry.register(self.job_cache)
        self.job_cache_invalidations = Counter(
            "pacewheel_job_cache_invalidations",
            "Jobs forgotten by the cache, or all of them at once, by reason",
            ["reason"],
            registry=registry,
        )
        self.job_cache_load_seconds = Histogram(
            "pacewheel_job_cache_load_seconds",
            "Time of one load of the cache of jobs, whatever came of it",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 10),
            registry=registry,
        )
        self.hot_jobs = HotJobs()
        registry.register(self.hot_jobs)


class JobCacheCollector(Collector):
    """The counters that the cache of jobs keeps in Rust, as metrics.

    `read` returns them; none are shown before there is a cache.
    """

    COUNTERS = (
        ("hits", "Questions answered by a fresh value"),
        ("stale_hits", "Questions answered by a value past its time"),
        ("joins", "Questions that joined a load under way"),
        ("evictions", "Jobs dropped for space"),
    )
    BY_LABEL = (
        (
            "misses",
            "Questions that led a load, by what had become of the value",
            "reason",
            ("absent", "expired", "invalidated", "evicted"),
        ),
        (
            "loads",
            "Loads by result; superseded: not stored, as the job was invalidated meanwhile",
            "result",
            ("ok", "absent", "error", "timeout", "superseded"),
        ),
    )
    GAUGES = (
        ("entries", "Jobs that have a place in the cache"),
        ("in_flight", "Jobs being loaded"),
    )

    def __init__(self) -> None:
        self.read: Callable[[], Mapping[str, int]] | None = None

    def collect(self) -> Iterator[Metric]:
        """Return all of them as they are now."""
        if self.read is None:
            return
        stats = self.read()
        for name, text in self.COUNTERS:
            yield CounterMetricFamily(f"pacewheel_job_cache_{name}", text, value=stats[name])
        for name, text, label, values in self.BY_LABEL:
            family = CounterMetricFamily(f"pacewheel_job_cache_{name}", text, labels=[label])
            for value in values:
                family.add_metric([value], stats[f"{name}_{value}"])
            yield family
        for name, text in self.GAUGES:
            yield GaugeMetricFamily(f"pacewheel_job_cache_{name}", text, value=stats[name])

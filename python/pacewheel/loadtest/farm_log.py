"""The farm's arrival log: what really reached each site, and the checks that judge a crawler.

Owns the record of every request, in memory and, if asked, as JSON lines. A line is written (one
unbuffered ``write``) the moment the request's head is parsed, before it is answered, so the log
outlives a killed crawler and a killed farm. ``ArrivalLog.load`` rebuilds the log from the file
with the same queries. Times are the farm's ``time.monotonic_ns()``: comparable within one boot of
one machine, across processes and farm restarts.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import orjson

from pacewheel.errors import ConfigInvalid

if TYPE_CHECKING:
    from pathlib import Path

ARRIVALS_MAX = 2_000_000
NS_PER_MS = 1_000_000


@dataclass(slots=True)
class Arrival:
    """One request. ``status`` is what the site decided to answer, 0 for no answer at all.

    ``in_flight`` counts the site's unanswered requests at the arrival, this one included.
    ``early`` marks a request below the site's ``strict_gap_ms``.
    """

    ns: int
    site: str
    method: str
    path: str
    status: int
    in_flight: int
    connection: int
    user_agent: str
    latency_ms: int
    retry_after_s: int
    early: bool


@dataclass(frozen=True, slots=True)
class Violation:
    """Two consecutive arrivals at one site that were closer than permitted."""

    before: Arrival
    after: Arrival
    gap_ms: float


class ArrivalLog:
    """Every arrival by site, oldest first, and the questions tests ask of it.

    Bounded by ``arrivals_max``: beyond it arrivals are counted in ``overflowed`` and every query
    raises ConfigInvalid, for a check on half a log would prove nothing.
    """

    def __init__(self, file: Path | None = None, *, arrivals_max: int = ARRIVALS_MAX) -> None:
        """Keep arrivals in memory and append them to ``file``, if given."""
        self.overflowed = 0
        self._arrivals_max = arrivals_max
        self._count = 0
        self._by_site: defaultdict[str, list[Arrival]] = defaultdict(list)
        self._file = file.open("ab", buffering=0) if file else None

    @classmethod
    def load(cls, file: Path) -> ArrivalLog:
        """The log that a farm wrote to ``file``, also while it still runs or after it was killed.

        A last line without its end (the farm was killed while writing it) is left out. Raises
        ConfigInvalid if a complete line is not an arrival, OSError if the file cannot be read.
        """
        log = cls()
        complete = file.read_bytes().rpartition(b"\n")[0]
        try:
            arrivals = [Arrival(**orjson.loads(line)) for line in complete.splitlines()]
        except (orjson.JSONDecodeError, TypeError) as error:
            message = f"{file} is no arrival log ({error}); give the file a farm wrote"
            raise ConfigInvalid(message) from error
        for arrival in sorted(arrivals, key=lambda arrival: arrival.ns):
            log.record(arrival)
        return log

    def record(self, arrival: Arrival) -> None:
        """Append one arrival; they must come in the order of their time."""
        if self._file is not None:
            self._file.write(orjson.dumps(asdict(arrival)) + b"\n")
        if self._count >= self._arrivals_max:
            self.overflowed += 1
            return
        self._count += 1
        self._by_site[arrival.site].append(arrival)

    def close(self) -> None:
        """Close the file; the queries go on working."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def sites(self) -> list[str]:
        """The names of the sites that had at least one arrival."""
        return sorted(self._by_site)

    def arrivals(self, site: str) -> list[Arrival]:
        """All arrivals at a site, oldest first."""
        if self.overflowed:
            message = f"the arrival log is full ({self.overflowed} lost); raise arrivals_max"
            raise ConfigInvalid(message)
        return self._by_site.get(site, [])

    def smallest_gap_ms(self, site: str) -> float | None:
        """The smallest time between two consecutive arrivals, None with fewer than two."""
        gaps = (after.ns - before.ns for before, after in pairwise(self.arrivals(site)))
        smallest = min(gaps, default=None)
        return None if smallest is None else smallest / NS_PER_MS

    def violations(self, site: str, gap_ms: float, tolerance_ms: float = 0.0) -> list[Violation]:
        """Consecutive arrivals closer than ``gap_ms`` by more than ``tolerance_ms``.

        Every request counts: robots.txt, sitemaps, redirect hops, repeats of a library.
        """
        pairs = pairwise(self.arrivals(site))
        found = [Violation(a, b, (b.ns - a.ns) / NS_PER_MS) for a, b in pairs]
        return [violation for violation in found if violation.gap_ms < gap_ms - tolerance_ms]

    def max_in_flight(self, site: str) -> int:
        """The most requests that were unanswered at once, 0 without any arrival."""
        return max((arrival.in_flight for arrival in self.arrivals(site)), default=0)

    def early_arrivals(self, site: str) -> list[Arrival]:
        """The requests that the site itself counted as too early and answered 429."""
        return [arrival for arrival in self.arrivals(site) if arrival.early]

    def retry_after_violations(self, site: str, grace_ms: float = 50.0) -> list[Arrival]:
        """Requests that came while the site had asked for none.

        A Retry-After of n seconds counts from the instant its answer was sent. A request within
        ``grace_ms`` of that instant is not blamed: it may have been under way already.
        """
        blamed, closed_ns, open_ns = [], 0, 0
        for arrival in self.arrivals(site):
            if closed_ns + grace_ms * NS_PER_MS < arrival.ns < open_ns:
                blamed.append(arrival)
            if arrival.retry_after_s:
                answered_ns = arrival.ns + arrival.latency_ms * NS_PER_MS
                if answered_ns >= open_ns:
                    closed_ns = answered_ns
                open_ns = max(open_ns, answered_ns + arrival.retry_after_s * 1_000 * NS_PER_MS)
        return blamed

    def pages_served(self, site: str) -> frozenset[str]:
        """The paths answered with 200, robots.txt and sitemaps included; compare with ``truth``."""
        return frozenset(arrival.path for arrival in self.arrivals(site) if arrival.status == 200)

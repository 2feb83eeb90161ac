"""The naive twin of `pacewheel._core.FlightCache`: dicts and lists, same surface, same answers.

Owns what the cache promises in the plainest form that would still be good enough to ship. It
differs in one permitted way: `invalidate_all` walks through everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pacewheel._core import FlightUnknown

HIT, STALE, JOIN, LEAD, FULL = range(5)
COUNTERS = (
    "hits stale_hits joins refused misses_absent misses_expired misses_invalidated misses_evicted"
    " refreshes loads_ok loads_absent loads_error loads_timeout loads_superseded evictions"
).split()


@dataclass(slots=True)
class Entry:
    """What is known of one key; dead when it has neither an answer nor a flight."""

    key: int
    lost: str
    is_known: bool = False
    value: Any = None
    fresh_until: int = 0
    usable_until: int = 0
    refresh_at: int = 0
    flight: int = 0
    referenced: bool = False


class NaiveFlightCache:
    """See the stub of the extension for the contract."""

    def __init__(
        self,
        *,
        capacity: int,
        flights_max: int,
        ttl_ms: int,
        stale_ms: int,
        absent_ttl_ms: int,
        retry_ms: int,
    ) -> None:
        self._capacity = capacity
        self._flights_max = flights_max
        self._ttl_ms = ttl_ms
        self._stale_ms = stale_ms
        self._absent_ttl_ms = absent_ttl_ms
        self._retry_ms = retry_ms
        self._entries: dict[int, Entry] = {}
        self._places: list[Entry] = []
        self._hand = 0
        self._flights: dict[int, int] = {}
        self._last_flight = 0
        self._evicted: set[int] = set()
        self._counts = dict.fromkeys(COUNTERS, 0)

    def peek(self, key: int, now_ms: int, default: Any) -> Any:
        """Return the answer if there is nothing to do but use it."""
        entry = self._entries.get(key)
        if entry is None or not entry.is_known:
            return default
        if now_ms < entry.fresh_until:
            self._counts["hits"] += 1
        elif now_ms < entry.usable_until and (entry.flight or now_ms < entry.refresh_at):
            self._counts["stale_hits"] += 1
        else:
            return default
        entry.referenced = True
        return entry.value

    def lookup(self, key: int, now_ms: int) -> tuple[int, Any, int]:
        """Return what was found, the value and the flight."""
        entry = self._entries.get(key)
        has_room = len(self._flights) < self._flights_max
        if entry is None:
            if not has_room:
                self._counts["refused"] += 1
                return FULL, None, 0
            entry = self._place(key)
            if entry is None:
                raise AssertionError
        else:
            entry.referenced = True
        if entry.is_known and now_ms < entry.fresh_until:
            self._counts["hits"] += 1
            return HIT, entry.value, 0
        if entry.is_known and now_ms < entry.usable_until:
            self._counts["stale_hits"] += 1
            if entry.flight or now_ms < entry.refresh_at or not has_room:
                return STALE, entry.value, 0
            self._counts["refreshes"] += 1
            return STALE, entry.value, self._start(entry)
        if entry.flight:
            self._counts["joins"] += 1
            return JOIN, None, entry.flight
        if not has_room:
            self._counts["refused"] += 1
            return FULL, None, 0
        if entry.is_known:
            entry.is_known, entry.value, entry.lost = False, None, "expired"
        self._counts[f"misses_{entry.lost}"] += 1
        return LEAD, None, self._start(entry)

    def finish(self, flight: int, value: Any, now_ms: int, jitter: int) -> bool:
        """End a flight with a value."""
        entry = self._land(flight)
        if entry is None:
            self._counts["loads_superseded"] += 1
            return False
        self._counts["loads_ok"] += 1
        self._store(entry, value, now_ms, (self._ttl_ms, self._stale_ms), jitter)
        return True

    def finish_absent(self, flight: int, now_ms: int, jitter: int) -> bool:
        """End a flight with the knowledge that there is no value."""
        entry = self._land(flight)
        if entry is None:
            self._counts["loads_superseded"] += 1
            return False
        self._counts["loads_absent"] += 1
        self._store(entry, None, now_ms, (self._absent_ttl_ms, 0), jitter)
        return True

    def fail(self, flight: int, now_ms: int, timed_out: bool) -> None:  # noqa: FBT001 - positional, as the extension's
        """End a flight without an answer."""
        entry = self._land(flight)
        self._counts["loads_timeout" if timed_out else "loads_error"] += 1
        if entry is not None:
            entry.refresh_at = now_ms + self._retry_ms

    def put(self, key: int, value: Any, now_ms: int, jitter: int) -> bool:
        """Store a value that came by another way."""
        entry = self._entries.get(key) or self._place(key)
        if entry is None:
            return False
        entry.flight = 0
        self._store(entry, value, now_ms, (self._ttl_ms, self._stale_ms), jitter)
        return True

    def invalidate(self, key: int) -> bool:
        """Forget the key's value and supersede its flight."""
        entry = self._entries.get(key)
        if entry is None or not (entry.is_known or entry.flight):
            return False
        entry.is_known, entry.value, entry.flight, entry.lost = False, None, 0, "invalidated"
        return True

    def invalidate_all(self) -> None:
        """Forget everything and supersede every flight."""
        for key in self._entries:
            self.invalidate(key)

    def __len__(self) -> int:
        """Keys that have a place."""
        return len(self._entries)

    def stats(self) -> dict[str, int]:
        """Counters and gauges."""
        return {**self._counts, "entries": len(self._entries), "in_flight": len(self._flights)}

    def _start(self, entry: Entry) -> int:
        self._last_flight += 1
        entry.flight = self._last_flight
        self._flights[entry.flight] = entry.key
        return entry.flight

    def _land(self, flight: int) -> Entry | None:
        if flight not in self._flights:
            raise FlightUnknown(f"flight {flight}")
        entry = self._entries.get(self._flights.pop(flight))
        if entry is None or entry.flight != flight:
            return None
        entry.flight = 0
        return entry

    @staticmethod
    def _store(
        entry: Entry, value: Any, now_ms: int, ages_ms: tuple[int, int], jitter: int
    ) -> None:
        ttl_ms, stale_ms = ages_ms
        entry.is_known, entry.value = True, value
        entry.fresh_until = now_ms + ttl_ms + ttl_ms * jitter // 1000
        entry.usable_until = entry.fresh_until + stale_ms
        entry.refresh_at = entry.fresh_until

    def _place(self, key: int) -> Entry | None:
        entry = Entry(key, "evicted" if key in self._evicted else "absent")
        if len(self._places) < self._capacity:
            self._places.append(entry)
        else:
            place = self._evict()
            if place is None:
                return None
            del self._entries[self._places[place].key]
            self._places[place] = entry
        self._evicted.discard(key)
        self._entries[key] = entry
        return entry

    def _evict(self) -> int | None:
        for _ in range(2 * self._capacity):
            place, self._hand = self._hand, (self._hand + 1) % self._capacity
            entry = self._places[place]
            if not entry.is_known and not entry.flight:
                return place
            if entry.flight:
                continue
            if entry.referenced:
                entry.referenced = False
                continue
            if len(self._evicted) == self._capacity:
                self._evicted.clear()
            self._evicted.add(entry.key)
            self._counts["evictions"] += 1
            return place
        return None

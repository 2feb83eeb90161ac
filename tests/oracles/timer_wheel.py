"""The naive twin of `pacewheel._core.TimerWheel`: a heap and a dict, same surface, same answers.

Owns what the wheel promises in the plainest form. Cancelled and moved timers stay in the heap until
they come to its top. It differs from the wheel in one permitted way: its `next_deadline` is always
exact, while the wheel's may be early after a cancel.
"""

from __future__ import annotations

import heapq

from pacewheel._core import BeyondHorizon, WheelFull

REACH_MS = 1024 * 512
KINDS = 4


class NaiveTimerWheel:
    """Timers keyed by (kind, id); see the stub of the extension for the contract."""

    def __init__(self, now_ms: int, capacity: int) -> None:
        self._now_ms = now_ms
        self._capacity = capacity
        self._heap: list[tuple[int, int, int, int]] = []
        self._live: dict[tuple[int, int], tuple[int, int]] = {}
        self._sequence = 0

    def schedule(self, kind: int, timer_id: int, deadline_ms: int) -> int | None:
        """Set the timer of (kind, id); return the earliest deadline."""
        return self.schedule_many(kind, [timer_id], [deadline_ms])

    def schedule_many(self, kind: int, ids: list[int], deadlines_ms: list[int]) -> int | None:
        """Set all timers or none; return the earliest deadline."""
        if not 0 <= kind < KINDS or len(ids) != len(deadlines_ms):
            raise ValueError(f"kind {kind}, {len(ids)} ids, {len(deadlines_ms)} deadlines")
        latest_ms = self._now_ms + REACH_MS
        for deadline_ms in deadlines_ms:
            if deadline_ms > latest_ms:
                raise BeyondHorizon(f"{deadline_ms} is after {latest_ms}")
        if len(self._live) + len(ids) > self._capacity:
            new = {(kind, timer_id) for timer_id in ids} - self._live.keys()
            if len(self._live) + len(new) > self._capacity:
                raise WheelFull(f"capacity {self._capacity}")
        for timer_id, deadline_ms in zip(ids, deadlines_ms, strict=True):
            self._sequence += 1
            place = (max(deadline_ms, self._now_ms), self._sequence)
            self._live[kind, timer_id] = place
            heapq.heappush(self._heap, (*place, kind, timer_id))
        return self.next_deadline()

    def cancel(self, kind: int, timer_id: int) -> bool:
        """Take a timer out; False if there is none."""
        return self._live.pop((kind, timer_id), None) is not None

    def cancel_many(self, kind: int, ids: list[int]) -> int:
        """Take timers out; return how many there were."""
        return sum(self.cancel(kind, timer_id) for timer_id in ids)

    def advance(self, now_ms: int, limit: int) -> tuple[list[int], list[int], int | None]:
        """Hand over at most `limit` timers whose deadline has passed, and the next deadline."""
        if limit < 1:
            raise ValueError(f"limit {limit}")
        now_ms = max(now_ms, self._now_ms)
        kinds: list[int] = []
        ids: list[int] = []
        next_ms = self.next_deadline()
        while next_ms is not None and next_ms <= now_ms and len(ids) < limit:
            _, _, kind, timer_id = heapq.heappop(self._heap)
            del self._live[kind, timer_id]
            kinds.append(kind)
            ids.append(timer_id)
            next_ms = self.next_deadline()
        self._now_ms = now_ms if next_ms is None else min(now_ms, next_ms)
        return kinds, ids, next_ms

    def next_deadline(self) -> int | None:
        """Return the earliest deadline, or None."""
        while self._heap:
            deadline_ms, sequence, kind, timer_id = self._heap[0]
            if self._live.get((kind, timer_id)) == (deadline_ms, sequence):
                return deadline_ms
            heapq.heappop(self._heap)
        return None

    def count(self, kind: int) -> int:
        """Live timers of one kind."""
        return sum(key[0] == kind for key in self._live)

    def __len__(self) -> int:
        """Live timers."""
        return len(self._live)

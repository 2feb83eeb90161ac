"""The naive twin of `pacewheel._core.DebounceBuffer`: a dict a tier, same surface, same answers.

Owns what the buffer promises in the plainest form: an ordered dict keeps the order of arrival, so
each is its tier's queue. (A plain dict finds its first key ever later, the more were deleted before
it.)
"""

from __future__ import annotations

import math
from collections import OrderedDict

from pacewheel._core import BufferFull

MANDATORY, SOFT, DRAIN = range(3)
TIERS = ("hot", "warm", "cold")


class Entry:
    """What is known of one task."""

    __slots__ = ("deadline_ms", "first_ms", "job_id", "priority")

    def __init__(self, job_id: int, priority: float, first_ms: int, deadline_ms: int) -> None:
        self.job_id = job_id
        self.priority = priority
        self.first_ms = first_ms
        self.deadline_ms = deadline_ms


Key = tuple[int, int]
Taken = tuple[int, int, list[int], list[int], list[int], list[float], list[int | None]]


class NaiveDebounceBuffer:
    """Raises keyed by (domain, task); see the stub of the extension for the contract."""

    def __init__(
        self,
        *,
        capacity: int,
        soft_mark: int,
        hot: tuple[float, int, int],
        warm: tuple[float, int, int],
        cold: tuple[int, int],
    ) -> None:
        self._capacity = capacity
        self._soft_mark = soft_mark
        self._from = (hot[0], warm[0])
        self._max_ms = (hot[2], warm[2], cold[1])
        self._span_ms = (hot[2] - hot[1], warm[2] - warm[1], cold[1] - cold[0])
        self._tiers: tuple[OrderedDict[Key, Entry], ...] = tuple(OrderedDict() for _ in TIERS)
        self._tier_of: dict[Key, int] = {}
        self._batches: dict[int, dict[Key, Entry]] = {}
        self._numbers = 0
        self._taken = 0
        self._now_ms = -(2**63)
        self._is_draining = False

    def raise_many(
        self,
        now_ms: int,
        domain_ids: list[int],
        task_ids: list[int],
        job_ids: list[int],
        priorities: list[float],
    ) -> int | None:
        """Take all raises in, or none."""
        if any(map(math.isnan, priorities)):
            raise ValueError("NaN")
        keys = list(zip(domain_ids, task_ids, strict=True))
        room = self._capacity - len(self._tier_of) - self._taken
        if len(keys) > room and len({key for key in keys if key not in self._tier_of}) > room:
            raise BufferFull(f"capacity {self._capacity}")
        self._now_ms = max(now_ms, self._now_ms)
        for key, job_id, priority in zip(keys, job_ids, priorities, strict=True):
            self._merge(key, job_id, priority)
        return self.next_deadline()

    def _tier(self, priority: float) -> int:
        hot_from, warm_from = self._from
        return 0 if priority >= hot_from else 1 if priority >= warm_from else 2

    def _merge(self, key: Key, job_id: int, priority: float) -> None:
        tier = self._tier(priority)
        deadline_ms = self._now_ms + self._max_ms[tier]
        old_tier = self._tier_of.get(key)
        if old_tier is None:
            self._tiers[tier][key] = Entry(job_id, priority, self._now_ms, deadline_ms)
            self._tier_of[key] = tier
            return
        entry = self._tiers[old_tier][key]
        if priority <= entry.priority:
            return
        entry.priority = priority
        if tier < old_tier and deadline_ms < entry.deadline_ms:
            entry.deadline_ms = deadline_ms
            del self._tiers[old_tier][key]
            self._tiers[tier][key] = entry
            self._tier_of[key] = tier

    def take_due(self, now_ms: int, rows_max: int) -> Taken | None:
        """Hand over what is due, to be confirmed or restored."""
        self._now_ms = now_ms = max(now_ms, self._now_ms)
        is_pressed = len(self) >= self._soft_mark
        batch: dict[Key, Entry] = {}
        oldest_ms: list[int | None] = [None, None, None]

        def take(tier: int, key: Key) -> None:
            entry = batch[key] = self._tiers[tier].pop(key)
            del self._tier_of[key]
            oldest_ms[tier] = max(oldest_ms[tier] or 0, now_ms - entry.first_ms)

        for tier, queue in enumerate(self._tiers):
            while queue and len(batch) < rows_max:
                key = next(iter(queue))
                if queue[key].deadline_ms > now_ms and not self._is_draining:
                    break
                take(tier, key)
        cause = DRAIN if self._is_draining else MANDATORY if batch else SOFT
        jobs = {entry.job_id for entry in batch.values()}
        looks_left = len(self) if is_pressed else rows_max if batch else 0
        for tier, queue in enumerate(self._tiers):
            along: list[Key] = []
            for key, entry in queue.items():
                is_eligible = entry.deadline_ms - self._span_ms[tier] <= now_ms
                if not is_eligible or len(batch) + len(along) >= rows_max or looks_left == 0:
                    break
                looks_left -= 1
                if is_pressed or entry.job_id in jobs:
                    along.append(key)
            for key in along:
                take(tier, key)
        return self._hand_over(batch, cause, oldest_ms) if batch else None

    def _hand_over(self, batch: dict[Key, Entry], cause: int, oldest_ms: list[int | None]) -> Taken:
        number = self._numbers
        self._numbers += 1
        self._batches[number] = batch
        self._taken += len(batch)
        return (
            number,
            cause,
            [key[0] for key in batch],
            [key[1] for key in batch],
            [entry.job_id for entry in batch.values()],
            [entry.priority for entry in batch.values()],
            oldest_ms,
        )

    def confirm(self, batch: int) -> int:
        """Forget a batch that was written."""
        return len(self._close(batch))

    def restore(self, batch: int) -> int:
        """Put a batch back before all others, merged with what came since."""
        taken = self._close(batch)
        for key, entry in reversed(taken.items()):
            old_tier = self._tier_of.pop(key, None)
            if old_tier is not None:
                newer = self._tiers[old_tier].pop(key)
                entry.priority = max(entry.priority, newer.priority)
                entry.deadline_ms = min(entry.deadline_ms, newer.deadline_ms)
            tier = self._tier_of[key] = self._tier(entry.priority)
            queue = self._tiers[tier]
            head = next(iter(queue.values()), entry)
            entry.deadline_ms = min(entry.deadline_ms, head.deadline_ms)
            queue[key] = entry
            queue.move_to_end(key, last=False)
        return len(taken)

    def _close(self, batch: int) -> dict[Key, Entry]:
        if batch not in self._batches:
            raise ValueError(f"batch {batch}")
        self._taken -= len(self._batches[batch])
        return self._batches.pop(batch)

    def discard_job(self, job_id: int) -> int:
        """Forget all raises of a job."""
        return self._discard(lambda _, entry: entry.job_id == job_id)

    def discard_domains(self, domain_ids: list[int]) -> int:
        """Forget all raises of these domains."""
        unwanted = set(domain_ids)
        return self._discard(lambda key, _: key[0] in unwanted)

    def _discard(self, is_unwanted: object) -> int:
        assert callable(is_unwanted)
        count = 0
        for held in (*self._tiers, *self._batches.values()):
            gone = [key for key, entry in held.items() if is_unwanted(key, entry)]
            count += len(gone)
            for key in gone:
                del held[key]
        self._taken = sum(map(len, self._batches.values()))
        self._tier_of = {key: tier for tier, queue in enumerate(self._tiers) for key in queue}
        return count

    def drain(self) -> None:
        """Make everything due at once."""
        self._is_draining = True

    def next_deadline(self) -> int | None:
        """Return when to call `take_due` next, or None."""
        is_pressed = len(self) >= self._soft_mark
        times_ms = [
            self._now_ms
            if self._is_draining
            else next(iter(queue.values())).deadline_ms - (self._span_ms[tier] * is_pressed)
            for tier, queue in enumerate(self._tiers)
            if queue
        ]
        return min(times_ms, default=None)

    def __len__(self) -> int:
        """Tasks that wait."""
        return len(self._tier_of)

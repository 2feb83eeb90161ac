"""The Rust core of pacewheel: structures that take and give whole batches of plain ints.

This stub is the reference. Times are whole milliseconds of one monotonic clock of the caller's; the
core reads no clock itself. Ids fit in 64 signed bits (OverflowError otherwise).
"""

from typing import Final, final

__all__ = ["BeyondHorizon", "TimerWheel", "WheelFull", "build_info"]

build_info: dict[str, str]
"""What was compiled: `profile` ("release" or "debug"), `target` (the triple), `version`."""

class BeyondHorizon(ValueError):
    """The deadline lies further ahead than the wheel reaches; nothing was scheduled."""

class WheelFull(RuntimeError):
    """The wheel holds as many timers as it may; nothing was scheduled."""

@final
class TimerWheel:
    """A timer wheel keyed by (kind, id), for timers that nearly always expire.

    `kind` is a small int from 0 to 3 whose meaning is the caller's; the same id under two kinds is
    two timers. A timer is a hint: the row in the database decides. What is lost with a wheel is
    loaded again from the tasks whose `ready_at` lies within the horizon and from the domains' slots.

    Order: by deadline; timers of one millisecond in the order in which they were scheduled.

    Time: the wheel's time is the largest `now_ms` it has got, or, when a limit cut a batch, the
    millisecond at which it was cut; it never decreases. A deadline that has passed counts as that
    time and is due at once. A `now_ms` before the wheel's time (a clock that stalls or steps back)
    counts as that time too.

    Reach: a deadline may lie at most `REACH_MS` after the wheel's time. Scheduling does not move
    time, so a driver with a horizon of h ms must advance at least every `REACH_MS - h` ms, even
    when no timer is due.

    Safe to use from several threads; each call is atomic. Memory for `capacity` timers, about 43
    bytes each, is reserved at the start and becomes resident as it is used.
    """

    REACH_MS: Final[int]
    """524,288: how far ahead of the wheel's time a deadline may lie."""

    def __new__(cls, now_ms: int, capacity: int) -> TimerWheel:
        """Make an empty wheel whose time is `now_ms`, for at most `capacity` live timers.

        ValueError: capacity is not 1 to 67,108,864. MemoryError: it can't be reserved.
        """

    def schedule(self, kind: int, timer_id: int, deadline_ms: int, /) -> int:
        """Set the timer of (kind, timer_id), new or live; return `next_deadline()`.

        A live timer that is scheduled again goes to the end of its new millisecond.
        BeyondHorizon, WheelFull: nothing has changed, a live timer keeps its deadline.
        """

    def schedule_many(self, kind: int, ids: list[int], deadlines_ms: list[int], /) -> int | None:
        """Schedule all pairs in order, or none; return `next_deadline()`.

        An id that occurs twice keeps its last deadline. None: the lists and the wheel are empty.
        BeyondHorizon, WheelFull: nothing has changed. ValueError: the lists differ in length.
        """

    def cancel(self, kind: int, timer_id: int, /) -> bool:
        """Take the timer of (kind, timer_id) out; False if there is none."""

    def cancel_many(self, kind: int, ids: list[int], /) -> int:
        """Take the timers of these ids out; return how many there were."""

    def advance(self, now_ms: int, limit: int, /) -> tuple[list[int], list[int], int | None]:
        """Move time to `now_ms` and hand over timers whose deadline has passed, at most `limit`.

        Returns (kinds, ids, next_deadline_ms), the lists side by side in deadline order. When the
        limit cut the batch, the next deadline is not after `now_ms`, and the next call goes on
        there; otherwise it lies after `now_ms`, or is None when the wheel is empty.
        ValueError: the limit is less than 1.
        """

    def next_deadline(self) -> int | None:
        """When to advance next, in milliseconds; None if no timer is live.

        Never after the earliest deadline. Exactly then, unless timers that are more than a second
        ahead were cancelled or moved: then it may be up to 1,023 ms early, once.
        """

    def __len__(self) -> int:
        """Live timers."""

    def count(self, kind: int, /) -> int:
        """Live timers of one kind."""

    def stats(self) -> dict[str, int]:
        """Counters since the start, and two gauges.

        `scheduled` (new timers), `rescheduled` (live ones moved), `cancelled`, `expired`, `spread`
        (moves from the far to the near wheel); `live`, `capacity`.
        scheduled == cancelled + expired + live, always.
        """

    def memory_bytes(self) -> int:
        """Bytes reserved for timers, table and slots."""

    def validate(self) -> None:
        """Check all invariants, for tests: O(live timers). AssertionError: one is broken."""

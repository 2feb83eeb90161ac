"""The Rust core of pacewheel: structures that take and give whole batches of plain ints.

This stub is the reference. Times are whole milliseconds of one monotonic clock of the caller's; the
core reads no clock itself. Ids fit in 64 signed bits (OverflowError otherwise).
"""

from types import GenericAlias
from typing import Any, Final, Generic, TypeVar, final

__all__ = [
    "BeyondHorizon",
    "BufferFull",
    "DebounceBuffer",
    "FlightCache",
    "FlightUnknown",
    "TimerWheel",
    "WheelFull",
    "build_info",
]

_V = TypeVar("_V")
_D = TypeVar("_D")

build_info: dict[str, str]
"""What was compiled: `profile` ("release" or "debug"), `target` (the triple), `version`."""

class BeyondHorizon(ValueError):
    """The deadline lies further ahead than the wheel reaches; nothing was scheduled."""

class WheelFull(RuntimeError):
    """The wheel holds as many timers as it may; nothing was scheduled."""

class BufferFull(RuntimeError):
    """The buffer holds as many raises as it may; none was taken in."""

class FlightUnknown(ValueError):
    """No such flight is in the air; nothing was changed."""

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

@final
class FlightCache(Generic[_V]):
    """A bounded cache of values by int, each loaded once, whoever asks meanwhile.

    The state machine without the waiting: it says who is to load (who *leads* the key's *flight*)
    and who only waits for it. Waiting, loading and waking are the caller's. A cached value is a
    hint: what is lost with a cache is loaded again when it is asked for.

    Ages: a value is fresh for `ttl_ms`, less or more by the jitter it is finished with, then stale
    for `stale_ms`, then gone. "There is no value" is an answer too: fresh for `absent_ttl_ms` (with
    jitter), never stale. A failure is no answer; after one a stale value is not loaded anew for
    `retry_ms`.

    Generations: a key has at most one flight that may store. `invalidate` and `put` supersede it:
    who waits for it still gets its answer, having asked before, but it is not stored, and whoever
    asks later leads another. `invalidate_all` does so for every key, in O(1).

    Bounds: `capacity` keys and `flights_max` flights. For a new key in a full cache CLOCK drops
    another; keys in flight stay.

    Safe to use from several threads; each call is atomic. Takes part in garbage collection.
    """

    HIT: Final[int]
    """0: a fresh answer."""
    STALE: Final[int]
    """1: an answer past its time that may still be used."""
    JOIN: Final[int]
    """2: somebody else loads."""
    LEAD: Final[int]
    """3: the caller is to load."""
    FULL: Final[int]
    """4: as many flights as may be are in the air; nothing was started."""

    def __new__(
        cls,
        *,
        capacity: int,
        flights_max: int,
        ttl_ms: int,
        stale_ms: int,
        absent_ttl_ms: int,
        retry_ms: int,
    ) -> FlightCache[Any]:
        """Make an empty cache.

        ValueError: capacity is not 1 to 16,777,216, flights_max not 1 to capacity, a duration
        negative or above 10^12, or ttl_ms zero. MemoryError: it can't be reserved.
        """

    @classmethod
    def __class_getitem__(cls, key: Any) -> GenericAlias:
        """FlightCache[V], for annotations."""

    def peek(self, key: int, now_ms: int, default: _D, /) -> _V | _D | None:
        """Return the answer if nothing is to be done but use it: fresh, or stale and being renewed.

        None: it is known that there is no value. `default`: call `lookup`, which counts the miss.
        """

    def lookup(self, key: int, now_ms: int, /) -> tuple[int, _V | None, int]:
        """Return (what was found, value, flight); 0 is no flight.

        HIT and STALE come with the value, or None when it is known that there is none. STALE may
        come with a flight: then the caller is to load the value anew, too. JOIN and LEAD come with
        a flight; whoever got one by LEAD or STALE must finish it or fail it, whatever happens.
        """

    def finish(self, flight: int, value: _V, now_ms: int, jitter: int, /) -> bool:
        """End a flight with a value; False if it was superseded, and the value not stored.

        `jitter`: thousandths of the time to live, -1000 to 1000, by which this value lives longer.
        FlightUnknown: it is not in the air.
        """

    def finish_absent(self, flight: int, now_ms: int, jitter: int, /) -> bool:
        """End a flight with the knowledge that there is no value; else as `finish`."""

    def fail(self, flight: int, now_ms: int, timed_out: bool, /) -> None:
        """End a flight without an answer. FlightUnknown: it is not in the air."""

    def put(self, key: int, value: _V, now_ms: int, jitter: int, /) -> bool:
        """Store a value that came by another way; False if every key is in flight.

        A flight of the key is superseded.
        """

    def invalidate(self, key: int, /) -> bool:
        """Forget the key's value and supersede its flight; False if there was neither."""

    def invalidate_all(self) -> None:
        """Forget everything and supersede every flight, in O(1).

        Each value is dropped when its key is next asked for, or its place used.
        """

    def __len__(self) -> int:
        """Keys that have a place, those of which nothing is known any more too."""

    def stats(self) -> dict[str, int]:
        """Counters since the start, and two gauges.

        `hits`, `stale_hits`, `joins`, `refused` (FULL), `misses_absent`, `misses_expired`,
        `misses_invalidated`, `misses_evicted`, `refreshes` (flights of stale values), `loads_ok`,
        `loads_absent`, `loads_error`, `loads_timeout`, `loads_superseded`, `evictions`; `entries`,
        `in_flight`. Misses and refreshes together are loads and flights in the air, always.
        """

    def validate(self) -> None:
        """Check all invariants, for tests: O(entries). AssertionError: one is broken."""

@final
class DebounceBuffer:
    """Raises of priorities, merged by maximum and given out in batches; keyed by (domain, task).

    Three tiers by the priority asked for, each with a least and a longest delay. Set by a task's
    first raise, the moment by which it must go only ever moves earlier: a hotter raise moves it to
    the hotter tier if that brings it out sooner. What must go takes along what may go of the same
    jobs. Nothing is ever dropped but by the two discards. What is lost with a buffer is loaded
    again from the outbox, `priority_updates`.

    Order: hotter tiers first, then by deadline. Time: the largest `now_ms` that was seen.

    Safe to use from several threads; each call is atomic. Memory for `capacity` tasks, about 74
    bytes each, is reserved at the start and becomes resident as it is used.
    """

    MANDATORY: Final[int]
    """Cause 0: a raise had waited as long as its tier allows."""
    SOFT: Final[int]
    """Cause 1: the buffer was filled to its soft mark."""
    DRAIN: Final[int]
    """Cause 2: the buffer is being drained."""

    def __new__(
        cls,
        *,
        capacity: int,
        soft_mark: int,
        hot: tuple[float, int, int],
        warm: tuple[float, int, int],
        cold: tuple[int, int],
    ) -> DebounceBuffer:
        """Make an empty buffer for at most `capacity` tasks, those in flight included.

        `hot` and `warm` are the least priority of the tier and its least and longest delay in ms;
        `cold` has delays only. ValueError: they can't work. MemoryError: no room for the capacity.
        """

    def raise_many(
        self,
        now_ms: int,
        domain_ids: list[int],
        task_ids: list[int],
        job_ids: list[int],
        priorities: list[float],
        /,
    ) -> int | None:
        """Take all raises in, or none; return `next_deadline()`.

        BufferFull: they don't all fit; nothing has changed. ValueError: a priority is NaN, or the
        lists differ in length.
        """

    def take_due(
        self, now_ms: int, rows_max: int, /
    ) -> (
        tuple[
            int,
            int,
            list[int],
            list[int],
            list[int],
            list[float],
            list[int | None],
        ]
        | None
    ):
        """Hand over what is due, at most `rows_max`, to be confirmed or restored; None: nothing is.

        Returns (batch, cause, domain_ids, task_ids, job_ids, priorities, oldest_ms): the lists side
        by side, the longest wait of each tier (hot, warm, cold) in ms, None where it gave nothing.
        Raises that come meanwhile for the same tasks are kept apart.
        ValueError: rows_max is below 1.
        """

    def confirm(self, batch: int, /) -> int:
        """Forget a batch that was written; return how many tasks. ValueError: it is not out."""

    def restore(self, batch: int, /) -> int:
        """Put a batch back before all others, merged with what came since; return how many tasks.

        ValueError: it is not out.
        """

    def discard_job(self, job_id: int, /) -> int:
        """Forget all raises of a job, in flight too; return how many tasks: O(tasks)."""

    def discard_domains(self, domain_ids: list[int], /) -> int:
        """Forget all raises of these domains, in flight too; return how many tasks: O(tasks)."""

    def drain(self) -> None:
        """Make everything due at once, from now on."""

    def next_deadline(self) -> int | None:
        """When to call `take_due` next; None if nothing waits. Never after a raise must go."""

    def __len__(self) -> int:
        """Tasks that wait; those in flight are not among them."""

    def stats(self) -> dict[str, int]:
        """Counters since the start, and some gauges.

        `raised_hot`, `raised_warm`, `raised_cold` (raises taken in, by their own tier), which
        became `added`, `merged` or `suppressed` (no higher than known); of entries: `confirmed`,
        `restored`, `discarded`, `rejoined` (met their restored twin); `waiting_hot`,
        `waiting_warm`, `waiting_cold`, `taken` (in flight), `capacity`.
        added == waiting + taken + confirmed + discarded + rejoined, always.
        """

    def memory_bytes(self) -> int:
        """Bytes reserved for tasks and table."""

    def validate(self) -> None:
        """Check all invariants, for tests: O(tasks). AssertionError: one is broken."""

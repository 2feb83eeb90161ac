"""The debounce buffer against its oracle, in the batches in which the engine calls it.

While 10,000 or a million other tasks wait, in nanoseconds a raise, for batches of 1,000:

- *add*: raises of new tasks, then all taken, 1,000 at a time, and confirmed (nanoseconds a task);
- *merge*: raises of tasks that are known, each higher than the one before;
- *no-op*: raises no higher than what is known.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from oracles.debounce_buffer import NaiveDebounceBuffer
from pacewheel._core import DebounceBuffer

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 1_000
MEASURED = 10_000
ROUNDS = 5
FLUSH_ROWS = 5_000
SIZES = {"10k": 10_000, "1M": 1_000_000}
BUFFERS: dict[str, Callable[..., Any]] = {"buffer": DebounceBuffer, "oracle": NaiveDebounceBuffer}
TIERS: dict[str, Any] = {"hot": (0.8, 0, 0), "warm": (0.4, 5_000, 10_000), "cold": (30_000, 60_000)}


class Costs(NamedTuple):
    """The shortest time of some rounds, in nanoseconds a raise."""

    add: float
    merge: float
    no_op: float


def batches_of(first: int, count: int, priority: float) -> list[tuple[list[Any], ...]]:
    """Return raises of so many tasks as the statements return them, scattered over 50 jobs."""
    return [
        (
            [task_id % 50 for task_id in ids],
            [task_id * 2_654_435_761 for task_id in ids],
            [task_id % 50 for task_id in ids],
            [priority] * BATCH,
        )
        for start in range(first, first + count, BATCH)
        if (ids := range(start, start + BATCH))
    ]


def fill(buffer: Any, batches: list[tuple[list[Any], ...]], now_ms: int) -> int:
    """Raise all of them; return nanoseconds."""
    started = time.perf_counter_ns()
    for columns in batches:
        buffer.raise_many(now_ms, *columns)
    return time.perf_counter_ns() - started


@functools.cache
def costs_of(name: str, size: str) -> Costs:
    """Measure once a session; all ratios use it."""
    standing = SIZES[size]
    capacity = standing + MEASURED
    buffer = BUFFERS[name](capacity=capacity, soft_mark=capacity, **TIERS)
    fill(buffer, batches_of(MEASURED, standing, 0.1), 0)
    add_ns, merge_ns, no_op_ns = [], [], []
    for _ in range(ROUNDS):
        new, higher = batches_of(0, MEASURED, 0.81), batches_of(0, MEASURED, 0.9)
        added_ns = fill(buffer, new, 0)
        merge_ns.append(fill(buffer, higher, 0))
        no_op_ns.append(fill(buffer, new, 0))
        assert standing + MEASURED == len(buffer)
        started = time.perf_counter_ns()
        taken = 0
        while due := buffer.take_due(0, BATCH):
            taken += buffer.confirm(due[0])
        add_ns.append(added_ns + time.perf_counter_ns() - started)
        assert (MEASURED, standing) == (taken, len(buffer))
    return Costs(min(add_ns) / MEASURED, min(merge_ns) / MEASURED, min(no_op_ns) / MEASURED)


@pytest.mark.usefixtures("gc_off")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("workload", ["add", "merge", "no_op"])
def test_the_buffer_against_its_oracle(
    budget: Callable[[str, float], None], workload: str, size: str
) -> None:
    """The ratio of the oracle's cost to the buffer's, in the same process."""
    ours_ns = getattr(costs_of("buffer", size), workload)
    theirs_ns = getattr(costs_of("oracle", size), workload)
    print(f"\n{workload} {size}: buffer {ours_ns:.0f} ns, oracle {theirs_ns:.0f} ns a raise")
    budget(f"buffer: {workload}, {size}, over oracle", theirs_ns / ours_ns)


def test_a_million_raises_fit_their_memory(budget: Callable[[str, float], None]) -> None:
    """All that the buffer reserved, divided by its tasks."""
    count = SIZES["1M"]
    buffer = DebounceBuffer(capacity=count, soft_mark=count, **TIERS)
    fill(buffer, batches_of(0, count, 0.5), 0)
    assert count == len(buffer)
    budget("buffer: memory a task at 1M", buffer.memory_bytes() / count)


@pytest.mark.usefixtures("gc_off")
def test_one_flush_of_5000(budget: Callable[[str, float], None]) -> None:
    """The longest that a flush holds the event loop, besides the statement it then waits for."""
    count = SIZES["10k"]
    times_ns = []
    for _ in range(50):
        buffer = DebounceBuffer(capacity=count, soft_mark=count, **TIERS)
        fill(buffer, batches_of(0, count, 0.9), 0)
        started = time.perf_counter_ns()
        due = buffer.take_due(0, FLUSH_ROWS)
        times_ns.append(time.perf_counter_ns() - started)
        assert due is not None
        assert FLUSH_ROWS == len(due[3])
    budget("buffer: one flush of 5,000", sorted(times_ns)[25] / 1_000)

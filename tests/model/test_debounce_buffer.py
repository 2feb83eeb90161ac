"""The built extension's DebounceBuffer against its naive twin, its refusals, and several threads.

The core has its own model test in Rust; this one covers the glue as well.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from oracles.debounce_buffer import NaiveDebounceBuffer
from pacewheel._core import BufferFull, DebounceBuffer

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS: dict[str, Any] = {"hot": (0.8, 0, 0), "warm": (0.4, 5, 10), "cold": (30, 60)}
JOBS = 3

# The powers are as they come: 0.9 ** 4 is 0.6561 and a bit.
numbers = st.one_of(
    st.sampled_from([0.1, 0.39999, 0.4, 0.8, 1.0, -1.0, float("inf")]),
    st.integers(0, 30).map(lambda n: 0.9**n),
)
ids = st.one_of(st.integers(0, 5), st.sampled_from([-(2**63), -1, 2**63 - 1]))
raises = st.lists(st.tuples(st.integers(1, 3), ids, numbers), max_size=6)
steps = st.one_of(st.integers(0, 3), st.integers(0, 35), st.integers(60, 70), st.integers(-5, -1))


def columns(many: list[tuple[int, int, float]]) -> tuple[list[Any], ...]:
    """Return raises as parallel lists; a task's job follows from its id."""
    return (
        [domain_id for domain_id, _, _ in many],
        [task_id for _, task_id, _ in many],
        [task_id % JOBS for _, task_id, _ in many],
        [priority for _, _, priority in many],
    )


class BufferMachine(RuleBasedStateMachine):
    """Every operation on both; all that can be seen must agree after each, and no raise is lost."""

    @initialize(capacity=st.sampled_from([2, 20, 1_000]), soft_part=st.sampled_from([1, 2, 4]))
    def start(self, capacity: int, soft_part: int) -> None:
        """Make both."""
        limits = {**LIMITS, "capacity": capacity, "soft_mark": max(1, capacity // soft_part)}
        self.now_ms = 0
        self.buffer = DebounceBuffer(**limits)
        self.oracle = NaiveDebounceBuffer(**limits)
        self.buffer.raise_many(0, [], [], [], [])
        self.oracle.raise_many(0, [], [], [], [])
        self.batches: list[int] = []
        self.wanted: dict[tuple[int, int], float] = {}
        self.written: dict[tuple[int, int], float] = {}
        self.taken: dict[int, list[tuple[tuple[int, int], float]]] = {}

    @rule(step_ms=steps, many=raises)
    def raise_many(self, step_ms: int, many: list[tuple[int, int, float]]) -> None:
        """Raise some tasks, or be refused by both."""
        now_ms = self.now_ms + step_ms
        try:
            expected = self.oracle.raise_many(now_ms, *columns(many))
        except BufferFull:
            with pytest.raises(BufferFull):
                self.buffer.raise_many(now_ms, *columns(many))
            return
        assert expected == self.buffer.raise_many(now_ms, *columns(many))
        self.now_ms = max(self.now_ms, now_ms)
        for domain_id, task_id, priority in many:
            key = (domain_id, task_id)
            self.wanted[key] = max(priority, self.wanted.get(key, priority))

    @rule(step_ms=steps, rows_max=st.sampled_from([1, 2, 1_000]))
    def take_due(self, step_ms: int, rows_max: int) -> None:
        """Take what is due, now and then at an earlier time."""
        now_ms = self.now_ms + step_ms
        expected = self.oracle.take_due(now_ms, rows_max)
        got = self.buffer.take_due(now_ms, rows_max)
        self.now_ms = max(self.now_ms, now_ms)
        assert expected == got
        if got is not None:
            batch, _, domain_ids, task_ids, _, priorities, _ = got
            keys = zip(domain_ids, task_ids, strict=True)
            self.batches.append(batch)
            self.taken[batch] = list(zip(keys, priorities, strict=True))

    @rule()
    def confirm(self) -> None:
        """The oldest batch was written."""
        if self.batches:
            batch = self.batches.pop(0)
            assert self.oracle.confirm(batch) == self.buffer.confirm(batch)
            for key, priority in self.taken[batch]:
                self.written[key] = max(priority, self.written.get(key, priority))

    @rule()
    def restore(self) -> None:
        """The newest batch was not written."""
        if self.batches:
            batch = self.batches.pop()
            assert self.oracle.restore(batch) == self.buffer.restore(batch)
            with pytest.raises(ValueError, match=f"no batch {batch} is out"):
                self.buffer.confirm(batch)

    @rule(job_id=st.integers(0, JOBS - 1))
    def discard_job(self, job_id: int) -> None:
        """A job was cancelled."""
        assert self.oracle.discard_job(job_id) == self.buffer.discard_job(job_id)
        self.wanted = {key: of for key, of in self.wanted.items() if key[1] % JOBS != job_id}

    @rule(domain_ids=st.lists(st.integers(1, 3), max_size=2))
    def discard_domains(self, domain_ids: list[int]) -> None:
        """Domains were lost."""
        gone = self.oracle.discard_domains(domain_ids)
        assert gone == self.buffer.discard_domains(domain_ids)
        self.wanted = {key: of for key, of in self.wanted.items() if key[0] not in domain_ids}

    @invariant()
    def agree(self) -> None:
        """Sizes and times agree, and the buffer is sound."""
        if not hasattr(self, "buffer"):
            return
        self.buffer.validate()
        assert len(self.oracle) == len(self.buffer)
        assert self.oracle.next_deadline() == self.buffer.next_deadline()

    def teardown(self) -> None:
        """Whatever was raised and not discarded comes out in the end, at its highest."""
        if not hasattr(self, "buffer"):
            return
        self.buffer.drain()
        self.oracle.drain()
        while self.batches or len(self.buffer):
            self.restore()
            self.take_due(0, 1_000)
            self.confirm()
        for key, priority in self.wanted.items():
            assert priority <= self.written[key]


TestBufferMachine = BufferMachine.TestCase


def make(**changes: Any) -> DebounceBuffer:
    """Return a buffer with small limits."""
    return DebounceBuffer(**{**LIMITS, "capacity": 10, "soft_mark": 10, **changes})


def test_a_mandatory_raise_takes_eligible_ones_of_its_job_along() -> None:
    """Not those of other jobs, and not those that came only just now."""
    buffer = make()
    buffer.raise_many(0, [1, 1], [1, 2], [7, 8], [0.1, 0.1])
    buffer.raise_many(31, [1], [3], [7], [0.2])
    assert 31 == buffer.raise_many(31, [1], [4], [7], [0.9])
    due = buffer.take_due(31, 10)
    assert (0, DebounceBuffer.MANDATORY, [1, 1], [4, 1], [7, 7], [0.9, 0.1], [0, None, 31]) == due
    assert 60 == buffer.next_deadline()


def test_from_the_soft_mark_on_eligible_raises_go_early() -> None:
    """Of any job, the oldest first; the next deadline says when the next of them may."""
    buffer = make(soft_mark=2)
    assert 60 == buffer.raise_many(0, [1], [1], [7], [0.1])
    assert 30 == buffer.raise_many(5, [1], [2], [8], [0.1])
    assert buffer.take_due(29, 10) is None
    due = buffer.take_due(30, 10)
    assert (0, DebounceBuffer.SOFT, [1], [1], [7], [0.1], [None, None, 30]) == due
    assert 65 == buffer.next_deadline()


def test_what_arrives_in_flight_is_kept_apart_and_joined_by_a_restore() -> None:
    """The higher of both wins, and it goes at once."""
    buffer = make()
    buffer.raise_many(0, [1], [1], [7], [0.8])
    assert buffer.take_due(0, 10) is not None
    assert 61 == buffer.raise_many(1, [1], [1], [7], [0.2])
    assert 1 == buffer.restore(0)
    assert 1 == len(buffer) == buffer.stats()["rejoined"]
    due = buffer.take_due(1, 10)
    assert (1, DebounceBuffer.MANDATORY, [1], [1], [7], [0.8], [1, None, None]) == due


def test_one_task_id_in_two_domains_is_two_tasks() -> None:
    """Ids are hashes, unique in their domain only."""
    buffer = make()
    buffer.raise_many(0, [1, 2], [5, 5], [7, 8], [0.9, 1.0])
    due = buffer.take_due(0, 10)
    assert due is not None
    assert ([1, 2], [5, 5], [0.9, 1.0]) == (due[2], due[3], due[5])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda buffer: buffer.raise_many(0, [1], [1], [1], [float("nan")]), ValueError, "NaN"),
        (lambda buffer: buffer.raise_many(0, [1], [1], [], [1.0]), ValueError, "differ in length"),
        (lambda buffer: buffer.raise_many(0, (1,), [1], [1], [1.0]), TypeError, "list"),
        (lambda buffer: buffer.raise_many(0, [1], [1], [1], ["x"]), TypeError, "real number"),
        (lambda buffer: buffer.raise_many(0, [2**63], [1], [1], [1.0]), OverflowError, "too large"),
        (lambda buffer: buffer.take_due(0, 0), ValueError, "at least 1"),
        (lambda buffer: buffer.confirm(3), ValueError, "no batch 3 is out"),
        (lambda _: make(capacity=0), ValueError, "limits can't work"),
        (lambda _: make(soft_mark=11), ValueError, "limits can't work"),
        (lambda _: make(cold=(5, 9)), ValueError, "no less than in the hotter one"),
    ],
)
def test_bad_arguments_are_refused_and_change_nothing(
    call: Callable[[Any], object], error: type[Exception], message: str
) -> None:
    """Each with what would be right in the message."""
    buffer = make()
    with pytest.raises(error, match=message):
        call(buffer)
    assert 0 == len(buffer)
    buffer.validate()


def test_a_full_buffer_takes_all_or_nothing_and_still_merges() -> None:
    """What is in flight counts; a task that is known needs no room."""
    buffer = make(capacity=2, soft_mark=2)
    buffer.raise_many(0, [1], [1], [7], [0.9])
    assert buffer.take_due(0, 10) is not None
    with pytest.raises(BufferFull, match="holds its 2 raises: write the new ones through"):
        buffer.raise_many(0, [1, 1], [2, 3], [7, 7], [0.5, 0.5])
    assert 0 == len(buffer)
    buffer.raise_many(0, [1, 1, 1], [2, 2, 2], [7, 7, 7], [0.5, 0.6, 0.55])
    assert 1 == len(buffer)
    assert {"merged": 1, "suppressed": 1}.items() <= buffer.stats().items()
    assert issubclass(BufferFull, RuntimeError)


def test_no_raise_is_lost_when_threads_share_a_buffer() -> None:
    """Four threads raise and take at once: every task comes out at its highest."""
    per_thread, threads_count = 5_000, 4
    buffer = make(capacity=per_thread * threads_count, soft_mark=1)
    received: list[dict[int, float]] = [{} for _ in range(threads_count)]
    barrier = threading.Barrier(threads_count)

    def work(number: int) -> None:
        barrier.wait()
        mine = received[number]
        for start in range(0, per_thread, 100):
            ids_ = list(range(start, start + 100))
            high = [0.9 + number / 100] * 100
            buffer.raise_many(start, [1] * 100, ids_, [number] * 100, high)
            if (due := buffer.take_due(start, 70)) is not None:
                for task_id, priority in zip(due[3], due[5], strict=True):
                    mine[task_id] = max(priority, mine.get(task_id, priority))
                buffer.confirm(due[0])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(threads_count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    buffer.validate()
    due = buffer.take_due(per_thread, per_thread * threads_count)
    rest = dict(zip(due[3], due[5], strict=True)) if due is not None else {}
    highest = 0.9 + (threads_count - 1) / 100
    for task_id in range(per_thread):
        assert highest == max(part.get(task_id, 0.0) for part in (*received, rest))

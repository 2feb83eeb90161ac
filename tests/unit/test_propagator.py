"""The propagator on a clock of the test's own, before a store that notes, fails and answers."""

from __future__ import annotations

import asyncio

import pytest

from pacewheel.errors import StoreUnavailable
from pacewheel.metrics import Metrics
from pacewheel.ports import Propagated, Raises
from pacewheel.services.propagator import (
    FLUSH_ROWS_MAX,
    LOAD_PAUSE_S,
    Propagator,
)
from tests.conftest import until


class Outbox:
    """A store whose outbox is a list of pages, and which can be away."""

    def __init__(self) -> None:
        self.writes: list[dict[int, float]] = []
        self.loads: list[list[int]] = []
        self.rows: dict[int, float] = {}
        self.is_away = False
        self.prunes = 0

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailable("away on purpose")

    async def raise_priorities(self, raises: Raises) -> Propagated:
        """Note what is written."""
        self._answer()
        self.writes.append(dict(zip(raises.task_ids, raises.priorities, strict=True)))
        return Propagated(len(raises), 0, 0, sorted(set(raises.domain_ids)))

    async def load_raises(
        self, domain_ids: list[int], after: tuple[int, int], limit: int
    ) -> Raises:
        """Give the rows behind `after`, all of domain 1."""
        self._answer()
        self.loads.append(domain_ids)
        rows = [(task_id, of) for task_id, of in self.rows.items() if (1, task_id) > after][:limit]
        return of_domain(1, dict(rows))

    async def prune_raises(self, _limit: int) -> int:
        """Note the call."""
        self._answer()
        self.prunes += 1
        return 0


def of_domain(domain_id: int, priorities: dict[int, float]) -> Raises:
    """Return raises of tasks of job 1 of this domain."""
    count = len(priorities)
    return Raises([domain_id] * count, list(priorities), [1] * count, list(priorities.values()))


class Bench:
    """A propagator with its store, its metrics and its time."""

    def __init__(self, *, entries_max: int = 100) -> None:
        self.now_ms = 0.0
        self.outbox = Outbox()
        self.metrics = Metrics()
        self.due: list[int] = []
        self.propagator = Propagator(
            store=self.outbox,
            mark_due=self.due.append,
            metrics=self.metrics,
            entries_max=entries_max,
            warm_ms=10_000,
            cold_ms=60_000,
            now_ms=lambda: self.now_ms,
        )


async def test_each_tier_is_written_when_it_is_due_and_takes_company_along() -> None:
    """Hot at once; warm within ten seconds, a cold one that may go with it; domains marked due."""
    bench = Bench()
    bench.propagator.add(of_domain(1, {1: 0.9, 2: 0.5, 3: 0.1}))
    assert 1 == await bench.propagator.run_once()
    bench.now_ms = 9_999
    assert 0 == await bench.propagator.run_once()
    bench.now_ms = 30_000
    assert 2 == await bench.propagator.run_once()
    assert [{1: 0.9}, {2: 0.5, 3: 0.1}] == bench.outbox.writes
    assert [1, 1] == bench.due
    assert 3 == bench.metrics.value("pacewheel_raise_outcomes_total", outcome="written")


async def test_raises_merge_by_maximum_while_they_wait() -> None:
    """One statement for many offers of the same task; what was merged and suppressed is counted."""
    bench = Bench()
    for priority in (0.1, 0.3, 0.2, 0.3):
        bench.propagator.add(of_domain(1, {1: priority}))
    bench.now_ms = 60_000
    await bench.propagator.run_once()
    assert [{1: 0.3}] == bench.outbox.writes
    value = bench.metrics.value
    assert 4 == value("pacewheel_raises_total", tier="cold")
    assert 1 == value("pacewheel_raise_outcomes_total", outcome="merged")
    assert 2 == value("pacewheel_raise_outcomes_total", outcome="suppressed_buffer")


async def test_a_failed_flush_is_restored_and_written_later() -> None:
    """With what came meanwhile, the higher of both; a load that failed is made again."""
    bench = Bench()
    bench.outbox.rows = {7: 1.0}
    bench.propagator.add(of_domain(1, {1: 0.9}))
    bench.outbox.is_away = True
    with pytest.raises(StoreUnavailable):
        await bench.propagator.run_once()
    bench.propagator.add(of_domain(1, {1: 0.95}))
    bench.propagator.load([1])
    with pytest.raises(StoreUnavailable):
        await bench.propagator.run_once()
    bench.outbox.is_away = False
    bench.now_ms = LOAD_PAUSE_S * 1000
    await bench.propagator.run_once()
    assert [{1: 0.95, 7: 1.0}] == bench.outbox.writes
    assert 1 == bench.metrics.value("pacewheel_raise_outcomes_total", outcome="restored")


async def test_the_running_service_waits_while_the_database_is_away() -> None:
    """It neither crashes nor writes before the database is back."""
    bench = Bench()
    bench.outbox.is_away = True
    await bench.propagator.start()
    bench.propagator.add(of_domain(1, {1: 0.9}))
    value = bench.metrics.value
    await until(lambda: value("pacewheel_raise_outcomes_total", outcome="restored") > 1)
    assert [] == bench.outbox.writes
    bench.outbox.is_away = False
    assert 0 == await bench.propagator.drain(10.0)
    assert [{1: 0.9}] == bench.outbox.writes
    await bench.propagator.stop()


async def test_bells_that_ring_together_are_answered_together() -> None:
    """The first at once, those of the next five seconds by one more statement."""
    bench = Bench()
    bench.propagator.load([1])
    await bench.propagator.run_once()
    for domain_id in (2, 3, 2):
        bench.propagator.load([domain_id])
        await bench.propagator.run_once()
    assert [[1]] == bench.outbox.loads
    bench.now_ms = LOAD_PAUSE_S * 1000
    await bench.propagator.run_once()
    assert [[1], [2, 3]] == bench.outbox.loads


async def test_an_outbox_of_many_pages_is_read_to_its_end_whatever_fits() -> None:
    """Pages that don't fit the buffer are written through, none is left out."""
    bench = Bench(entries_max=1_500)
    bench.outbox.rows = dict.fromkeys(range(-1000, 2500), 0.1)
    bench.propagator.load([1])
    await bench.propagator.run_once()
    bench.propagator.hurry()
    await bench.propagator.run_once()
    written = [task_id for batch in bench.outbox.writes for task_id in batch]
    assert sorted(bench.outbox.rows) == sorted(written)
    assert max(map(len, bench.outbox.writes)) <= FLUSH_ROWS_MAX


async def test_what_is_too_much_even_to_write_through_is_loaded_again() -> None:
    """Memory stays bounded, and no raise is dropped: the outbox has them all."""
    bench = Bench(entries_max=10)
    many = dict.fromkeys(range(10001), 0.1)
    bench.outbox.rows = many
    bench.propagator.add(of_domain(1, many))
    bench.propagator.hurry()
    await bench.propagator.run_once()
    assert many == {task_id: of for batch in bench.outbox.writes for task_id, of in batch.items()}


async def test_a_lost_domain_is_forgotten_unless_the_process_stops() -> None:
    """Its next owner loads the outbox; a process that stops writes what it has."""
    bench = Bench()
    bench.propagator.add(of_domain(1, {1: 0.1}))
    bench.propagator.add(of_domain(2, {2: 0.1}))
    bench.propagator.forget(1)
    await bench.propagator.run_once()
    bench.propagator.hurry()
    bench.propagator.forget(2)
    await bench.propagator.run_once()
    assert [{2: 0.1}] == bench.outbox.writes


async def test_a_cancelled_job_is_forgotten_at_once() -> None:
    """Nothing of it is written any more."""
    bench = Bench()
    bench.propagator.add(of_domain(1, {1: 0.9}))
    bench.propagator.forget_job(1)
    await bench.propagator.run_once()
    assert [] == bench.outbox.writes


async def test_a_drain_ends_with_its_grace_when_the_database_stays_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is left is said, with its count; it stays in the outbox."""
    bench = Bench()
    bench.outbox.is_away = True
    bench.propagator.add(of_domain(1, {1: 0.9, 2: 0.1}))
    await bench.propagator.start()
    bench.propagator.hurry()
    assert 2 == await asyncio.wait_for(bench.propagator.drain(0.05), 60)
    assert "2 raises of priorities stay in the outbox" in caplog.text
    await bench.propagator.stop()


async def test_a_drain_without_grace_says_nothing_where_nothing_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No raise, no word."""
    assert 0 == await Bench().propagator.drain(0.0)
    assert "" == caplog.text


async def test_nothing_to_do_is_nothing_done() -> None:
    """Without raises and bells no statement is made; a sweep makes a load and a prune."""
    bench = Bench()
    await bench.propagator.run_once()
    assert ([], [], 0) == (bench.outbox.writes, bench.outbox.loads, bench.outbox.prunes)
    bench.propagator.look_at_all([1, 2])
    await bench.propagator.run_once()
    assert ([], [[1, 2]], 1) == (bench.outbox.writes, bench.outbox.loads, bench.outbox.prunes)

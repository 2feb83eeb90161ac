"""Which tasks wait for a worker, and which stand behind those: by task, by job and in the totals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pacewheel import TaskState, WaitingReason
from tests.conftest import execute

if TYPE_CHECKING:
    from tests.integration.world import World
TOLERANCE_MS = 5000


@pytest.mark.parametrize(
    ("gap_ms", "startable", "behind", "behind_in_ms"),
    [
        (60_000, 1, WaitingReason.DOMAIN_DELAY, 60_000),
        (0, 2, WaitingReason.CONCURRENCY_LIMIT, None),
    ],
    ids=["paced", "limited"],
)
async def test_only_what_may_start_now_waits_for_a_worker(
    world: World, gap_ms: int, startable: int, behind: WaitingReason, behind_in_ms: int | None
) -> None:
    """The first in line; what stands behind them waits for the pace, or for the job's limit."""
    job = await world.create("a.example", *(f"t{n}" for n in range(6)))
    await world.claim("a.example")
    await execute(
        world.dsn,
        f"UPDATE pacewheel.domains SET base_delay_ms = {gap_ms}",
        "UPDATE pacewheel.jobs SET concurrency = 3",
    )
    found = {each.reason: (each.tasks, each.expected_in_ms) for each in await job.explain()}
    assert {
        WaitingReason.WORKER_CAPACITY: (startable, 0),
        behind: (5 - startable, behind_in_ms),
    } == found
    reasons = [(await job.explain_task(f"t{n}")).reason for n in range(6)]
    capacity = WaitingReason.WORKER_CAPACITY
    assert [None, *[capacity] * startable, *[behind] * (5 - startable)] == reasons
    page = await world.engine.store.overview.list_tasks(job.id, state=TaskState.PENDING)
    assert reasons[1:] == [row.reason for row in page.tasks]
    totals = await world.engine.store.overview.count_totals()
    assert (startable, 5 - startable) == (
        totals.waiting_by_reason[capacity],
        totals.waiting_by_reason[behind],
    )
    assert (capacity, 0) == ((info := await job.info()).waiting_reason, info.next_start_in_ms)


async def test_slow_answers_hold_a_domain_back_without_a_gap_of_its_own(world: World) -> None:
    """The gap that its owner keeps stands in no row, the next slot does."""
    job = await world.create("a.example", "it", "other")
    await execute(world.dsn, "UPDATE pacewheel.domains SET next_slot_at = now() + interval '40 s'")
    (waiting,) = await job.explain()
    assert (WaitingReason.DOMAIN_DELAY, 2, "domain a.example answers slowly") == (
        waiting.reason,
        waiting.tasks,
        waiting.holder,
    )
    assert 40_000 - TOLERANCE_MS < (waiting.expected_in_ms or 0) <= 40_000
    info = await world.engine.store.overview.get_domain("a.example")
    assert 40_000 - TOLERANCE_MS < info.next_slot_in_ms <= 40_000


async def test_where_nobody_works_all_tasks_wait_for_a_worker(world: World) -> None:
    """Its lease has run out, and nobody is there to say so: no gate lets anything through."""
    job = await world.create("a.example", "it", "other", "third")
    await execute(
        world.dsn,
        "UPDATE pacewheel.domains SET base_delay_ms = 1000",
        "UPDATE pacewheel.workers SET lease_until = now() - interval '1 s'",
    )
    (waiting,) = await job.explain()
    assert (WaitingReason.WORKER_CAPACITY, 3, None) == (
        waiting.reason,
        waiting.tasks,
        waiting.expected_in_ms,
    )
    assert "no worker that knows handler note holds domain a.example yet" == waiting.holder
    info = await job.info()
    assert (WaitingReason.WORKER_CAPACITY, 0) == (info.waiting_reason, info.workers_alive)

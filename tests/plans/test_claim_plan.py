"""The claim reads what it gives and what is in flight, however large the backlog and whatever its shape.

Each shape is explained under the plan that was cached while the tables were empty and had no
statistics (the idle start), at two sizes of the backlog, and again right after ANALYZE.
"""

from __future__ import annotations

import pytest

from tests.conftest import execute
from tests.plans.explain import Explainer, Plan, explainer
from tests.plans.shapes import (
    DOMAINS,
    IN_FLIGHT_A_DOMAIN,
    PREPARE,
    SHAPES,
    TASKS_A_DOMAIN,
    Shape,
    claim_of,
    fill,
)

SMALL_ROWS = 6_000
LARGE_ROWS = 60_000
# Pages touched; measured: 4 to 5 a task and 20 a domain, its row's update counted twice.
BUFFERS_A_TASK = 8
BUFFERS_A_DOMAIN = 25


async def claim_plan(explain: Explainer, dsn: str, shape: Shape, *, reads_on: bool = False) -> Plan:
    """Return the plan of a claim over all domains of the shape."""
    request = await claim_of(dsn, shape, reads_on=reads_on)
    return await explain.plan("claim_tasks", lambda: explain.tasks.claim_tasks(1, ["h"], request))


def check(plan: Plan, shape: Shape, *, reads_on: bool = False) -> None:
    """Assert that the plan reads no task but what it gives, what is in flight and the next to wake."""
    claimed = (DOMAINS - len(shape.shut)) * TASKS_A_DOMAIN
    in_flight = 0 if reads_on else (DOMAINS - len(shape.shut)) * IN_FLIGHT_A_DOMAIN
    assert {"tasks_claim"} == plan.indexes_of("tasks") - {"tasks_wake"}, str(plan)
    # Of each domain the next to wake and, before PostgreSQL 15, the task behind the last one taken.
    assert claimed <= plan.rows_read_of("tasks") <= claimed + in_flight + 2 * DOMAINS, str(plan)
    assert plan.rows_sorted() <= claimed + in_flight, str(plan)
    limit = BUFFERS_A_TASK * (claimed + in_flight) + BUFFERS_A_DOMAIN * DOMAINS
    assert plan.buffers() <= limit, str(plan)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
async def test_a_claim_reads_no_more_than_it_gives(dsn: str, shape: Shape) -> None:
    """By tasks_claim, in its order, at a cost that the backlog does not change, with and without statistics."""
    await execute(dsn, *PREPARE)
    async with explainer(dsn) as explain:
        # The idle start: the plan is made and kept while the tables are empty.
        await claim_plan(explain, dsn, shape)
        await fill(dsn, shape, SMALL_ROWS, seed=1)
        small = await claim_plan(explain, dsn, shape)
        check(small, shape)
        await fill(dsn, shape, LARGE_ROWS - SMALL_ROWS, seed=2)
        large = await claim_plan(explain, dsn, shape)
        check(large, shape)
        check(await claim_plan(explain, dsn, shape, reads_on=True), shape, reads_on=True)
        assert large.buffers() <= 1.3 * small.buffers() + 100, f"{small}\n{large}"
        await execute(dsn, "ANALYZE pacewheel.domains, pacewheel.jobs, pacewheel.tasks")
        analyzed = await claim_plan(explain, dsn, shape)
        check(analyzed, shape)
        assert analyzed.buffers() <= 1.3 * small.buffers() + 100, f"{small}\n{analyzed}"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
async def test_a_burst_does_not_meet_a_plan_for_a_few_tasks(dsn: str, shape: Shape) -> None:
    """A plan made of statistics that know hardly a pending task holds when thousands are enqueued."""
    await execute(dsn, *PREPARE)
    await fill(dsn, shape, 0, seed=1)
    finished = Shape("finished", status="3")
    await fill(dsn, finished, LARGE_ROWS // 2, seed=2)
    await execute(dsn, "ANALYZE pacewheel.domains, pacewheel.jobs, pacewheel.tasks")
    async with explainer(dsn) as explain:
        before = await claim_plan(explain, dsn, shape)
        await fill(dsn, shape, LARGE_ROWS // 2, seed=3)
        burst = await claim_plan(explain, dsn, shape)
        check(burst, shape)
        check(await claim_plan(explain, dsn, shape, reads_on=True), shape, reads_on=True)
        assert burst.buffers() <= 1.3 * before.buffers() + 100, f"{before}\n{burst}"

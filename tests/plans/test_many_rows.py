"""Statements over many domains or jobs touch each row a few times, not once for each of the others."""

from __future__ import annotations

import pytest

from tests.conftest import execute
from tests.plans.explain import explainer

DOMAINS = 200
DUE_A_DOMAIN = 5
FINAL_JOBS = 5_000
HELD = (2_000, 20_000)
FAILED = (2_000, 20_000)
# A statement reads a temporary result once to lock, once to write, once to count, once to answer.
READS_OF_A_ROW_MAX = 10

MANY = (
    f"INSERT INTO pacewheel.domains (name) SELECT 'd' || n FROM generate_series(1, {DOMAINS}) AS n",
    (
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, waiting, total)"
        f" SELECT id, 'h', 8, {DUE_A_DOMAIN}, {DUE_A_DOMAIN} FROM pacewheel.domains"
    ),
    (
        "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, ready_at,"
        " waiting_reason, target)"
        " SELECT j.domain_id, pacewheel.first_task_id(j.id) + n, j.id, 0, now(), 1, now() - interval '1 s', 1, 't' || n"
        f" FROM pacewheel.jobs j CROSS JOIN generate_series(1, {DUE_A_DOMAIN}) AS n"
    ),
)
HELD_BY_ONE = (
    (
        "INSERT INTO pacewheel.workers (host, pid, version, capacity, lease_until)"
        " VALUES ('test', 1, '0', 100, now() + interval '1 hour')"
    ),
    f"INSERT INTO pacewheel.domains (name, owner) SELECT 'd' || n, 1 FROM generate_series(1, {HELD[1]}) n",
    (
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, pending)"
        " SELECT id, 'h', 8, 1 FROM pacewheel.domains"
    ),
    "ANALYZE",
)
FAILED_OF_ONE = (
    "INSERT INTO pacewheel.domains (name) VALUES ('d')",
    (
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, failed, total)"
        f" VALUES (1, 'h', 8, {FAILED[1]}, {FAILED[1]})"
    ),
    (
        "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, target)"
        f" SELECT 1, pacewheel.first_task_id(1) + n, 1, 0, now(), 4, 't' || n FROM generate_series(1, {FAILED[1]}) AS n"
    ),
    "VACUUM ANALYZE",
)
MANY_JOBS = (
    f"INSERT INTO pacewheel.domains (name) SELECT 'd' || n FROM generate_series(1, {DOMAINS}) AS n",
    (
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, status, finished_at)"
        f" SELECT 1 + n % {DOMAINS}, 'h', 8, 3, now() FROM generate_series(1, {FINAL_JOBS}) AS n"
    ),
)


async def test_a_wake_of_many_domains_reads_what_it_woke_a_few_times(dsn: str) -> None:
    """The answer of each domain is counted in one pass over all that were woken."""
    async with explainer(dsn) as explain:
        await explain.warm("wake_tasks")
        await execute(dsn, *MANY)
        domain_ids = list(range(1, DOMAINS + 1))
        plan = await explain.plan("wake_tasks", lambda: explain.tasks.wake_tasks(domain_ids, 10))
    woken = DOMAINS * DUE_A_DOMAIN
    assert woken < plan.rows_read_of_ctes() <= READS_OF_A_ROW_MAX * woken, str(plan)


@pytest.mark.parametrize("afterwards", [(), ("ANALYZE",)], ids=["no statistics", "statistics"])
async def test_a_job_is_read_by_its_id_however_many_there_were(
    dsn: str, afterwards: tuple[str, ...]
) -> None:
    """The oldest of all, which a scan of the newest would meet last."""
    async with explainer(dsn) as explain:
        await explain.warm("list_jobs")
        await execute(dsn, *MANY_JOBS, *afterwards)
        plan = await explain.plan("list_jobs", lambda: explain.jobs.get_job(1))
    assert 0 < plan.rows_read_of("jobs") <= READS_OF_A_ROW_MAX, str(plan)
    assert 0 < plan.rows_read_of("domains") <= READS_OF_A_ROW_MAX, str(plan)


@pytest.mark.parametrize("before", [None, FINAL_JOBS // 2, 11], ids=["newest", "middle", "oldest"])
async def test_a_page_of_jobs_costs_the_same_wherever_it_begins(
    dsn: str, before: int | None
) -> None:
    """Reading on behind the last page finds its place by the key."""
    async with explainer(dsn) as explain:
        await explain.warm("list_jobs")
        await execute(dsn, *MANY_JOBS)
        plan = await explain.plan(
            "list_jobs",
            lambda: explain.jobs.list_jobs(
                ids=None, domain=None, live_only=False, limit=10, before=before
            ),
        )
    assert 10 == plan.root["Actual Rows"]
    assert 10 <= plan.rows_read_of("jobs") <= 10 * READS_OF_A_ROW_MAX, str(plan)


async def test_a_domain_is_found_by_its_name_to_set_its_delay(dsn: str) -> None:
    """One row of all, by the index of names."""
    async with explainer(dsn) as explain:
        await explain.warm("set_domain_delay")
        await execute(dsn, *MANY)
        plan = await explain.plan(
            "set_domain_delay", lambda: explain.changes.set_domain_delay("d7", 5)
        )
    assert {"domains_name_key"} == plan.indexes_of("domains")
    assert 1 == plan.rows_read_of("domains"), str(plan)


async def test_looking_for_domains_costs_the_same_for_each_that_is_held(dsn: str) -> None:
    """Ten times as many take some ten times as long, and not a hundred."""
    await execute(dsn, *HELD_BY_ONE)

    async def cost_ms(held: int) -> float:
        others = f"UPDATE pacewheel.jobs SET pending = (domain_id <= {held})::integer"
        await execute(dsn, others, "VACUUM pacewheel.jobs")
        ids = list(range(1, held + 1))
        plans = [
            await explain.plan(
                "find_leasable", lambda: explain.leases.lease_domains(1, ["h"], 1000, 10, ids)
            )
            for _ in range(5)
        ]
        assert [0] * 5 == [plan.root["Actual Rows"] for plan in plans]
        return min(float(plan.root["Actual Total Time"]) for plan in plans)

    async with explainer(dsn) as explain:
        few, many = [await cost_ms(held) for held in HELD]
    assert many < 50 * few


@pytest.mark.parametrize("name", ["retry_tasks", "read_failed_tasks"])
async def test_a_page_of_failed_tasks_reads_no_others(dsn: str, name: str) -> None:
    """Or the pages of a job with a million of them would read them all a thousand times."""
    await execute(dsn, *FAILED_OF_ONE)
    after = FAILED[1] // 2
    page = (10, after) if name == "retry_tasks" else (after, 10)
    async with explainer(dsn) as explain:
        plan = await explain.plan(
            name, lambda: explain.fetch(explain.queries[name], 1, None, *page)
        )
    assert 10 <= plan.rows_read_of("tasks") <= 10 * READS_OF_A_ROW_MAX + 10, str(plan)


@pytest.mark.parametrize("name", ["retry_tasks", "read_failed_tasks"])
async def test_failed_tasks_are_found_among_given_ids_at_the_same_cost_each(
    dsn: str, name: str
) -> None:
    """None of those asked for has failed, so all that have are looked at."""
    await execute(dsn, *FAILED_OF_ONE)

    async def cost_ms(failed: int) -> float:
        ids = list(range(-failed, 0))
        await execute(
            dsn,
            f"UPDATE pacewheel.tasks SET status = CASE WHEN id <= {failed} THEN 4 ELSE 3 END",
            "VACUUM pacewheel.tasks",
        )
        page = (10, None) if name == "retry_tasks" else (None, 10)

        async def call() -> object:
            return await explain.fetch(explain.queries[name], 1, ids, *page)

        plans = [await explain.plan(name, call) for _ in range(5)]
        return min(float(plan.root["Actual Total Time"]) for plan in plans)

    async with explainer(dsn) as explain:
        few, many = [await cost_ms(failed) for failed in FAILED]
    assert many < 50 * few

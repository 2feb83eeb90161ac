"""What a report reads grows with the job and not with its square, whatever the planner expects.

Every page of two jobs is broken in both, links to ten others and stands in a sitemap; some redirect
to the next. The statements run as a report runs them, without statistics and with them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel.store.pool import connect
from pacewheel.store.queries import load_queries
from tests.conftest import execute
from tests.plans.explain import Plan

if TYPE_CHECKING:
    import asyncpg

PAGES = 2_000
LINKS = 10
LISTED = 20
# The sums take most: a temporary result is read for each of the figures that it is in.
READS_OF_A_PAGE_MAX = 30

# A page redirects, or is broken, or was fetched.
KIND = "n % 4"
FILL = (
    "INSERT INTO pacewheel.domains (name) VALUES ('d')",
    (
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, status, finished_at, total)"
        f" SELECT 1, 'warm', 8, 3, now(), {PAGES} FROM generate_series(1, 2)"
    ),
    (
        "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, attempt, target,"
        f" key, payload) SELECT 1, pacewheel.first_task_id(j) + n, j, 0, now(),"
        f" CASE WHEN {KIND} > 1 THEN 3 ELSE 4 END, 1,"
        " 'https://d/s' || n % 50 || '/' || n, 'k' || n,"
        " jsonb_build_object('kind', 'page', 'from', pacewheel.first_task_id(j) + 1)"
        f" FROM generate_series(1, {PAGES}) n, generate_series(1, 2) j"
    ),
    (
        "INSERT INTO pacewheel.results (finished_at, domain_id, job_id, task_id, worker_id, duration_ms,"
        " http_status, attempt, outcome, error, cache, departed_at, apart_ms, gap_ms, pause_ms, link_lists)"
        f" SELECT now(), 1, j, pacewheel.first_task_id(j) + n, 1, 10, CASE WHEN {KIND} = 2 THEN 301 ELSE 200 END, 1, 3,"
        f" CASE WHEN {KIND} < 2 THEN 'gone' END, 'miss', now() + n * interval '1 s', 1000, 1000,"
        f" CASE WHEN {KIND} = 0 THEN 10 END, ARRAY[n, -n] FROM generate_series(1, {PAGES}) n,"
        " generate_series(1, 2) j"
    ),
    (
        "INSERT INTO pacewheel.link_lists (domain_id, job_id, id, name, targets)"
        f" SELECT 1, 1, l * n, CASE WHEN l < 0 THEN 'redirect' WHEN n <= {LISTED} THEN 'sitemap' ELSE 'main' END,"
        " (SELECT array_agg(pacewheel.first_task_id(1) + CASE WHEN l < 0 THEN n + 4 ELSE 1 + n * k * 7 % "
        f"{PAGES} END) FROM generate_series(1, CASE WHEN l < 0 THEN 1 ELSE {LINKS} END) k)"
        f" FROM generate_series(1, {PAGES}) n, unnest(ARRAY[1, -1]) l WHERE l > 0 OR n % 4 = 2"
    ),
)
ASKED: dict[str, tuple[Any, ...]] = {
    "report_broken": (1, 100),
    "report_changes": (1, 2, 100),
    "report_disallowed": (1, 100),
    "report_flow": (1,),
    "report_heavy": (1, 100),
    "report_linkers": (1, 1, [2**48 + n for n in range(1, 101)], 20),
    "report_pace": (1,),
    "report_redirects": (1, 100),
    "report_sections": (1, 100),
    "report_slow": (1, 100),
    "report_sums": (1,),
    "report_uncacheable": (1, 5),
    "report_unlinked": (1, 1, 100),
}


async def explained(connection: asyncpg.Connection, queries: dict[str, str], name: str) -> Plan:
    """The plan of a report's statement, run."""
    async with connection.transaction(isolation="read_committed", readonly=True):
        await connection.execute(queries["plan_for_reading"])
        query = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {queries[name]}"
        text = await connection.fetchval(query, *ASKED[name])
    return Plan(json.loads(text)[0])


@pytest.mark.parametrize("afterwards", [(), ("ANALYZE",)], ids=["no statistics", "statistics"])
async def test_each_row_is_read_a_few_times(dsn: str, afterwards: tuple[str, ...]) -> None:
    """Of tables and of temporary results: for each page no more than there are figures of it."""
    await execute(dsn, *FILL, *afterwards)
    queries = dict(load_queries())
    assert sorted(name for name in queries if name.startswith("report_")) == sorted(ASKED)
    connection = await connect(dsn)
    for name in ASKED:
        plan = await explained(connection, queries, name)
        rows = plan.rows_read_of_ctes() + sum(
            plan.rows_read_of(table)
            for table in {node.get("Relation Name", "") for node in plan.nodes}
        )
        assert 0 < rows <= READS_OF_A_PAGE_MAX * PAGES, f"{name}: {rows}\n{plan}"
    await connection.close()

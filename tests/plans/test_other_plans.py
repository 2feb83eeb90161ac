"""The other statements that touch tasks read what they change, however many tasks there are.

Each is explained under a plan that was cached while the tables were empty, at two sizes of the
table, and again with statistics.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from pacewheel import NewTask, Outcome, TaskState
from pacewheel.ports import Raises, Settlement
from pacewheel.states import JobVerb
from tests.conftest import execute, fetch
from tests.plans.explain import Explainer, Plan, explainer
from tests.plans.shapes import DOMAINS, PREPARE, Shape, fill

SMALL_ROWS = 6_000
LARGE_ROWS = 60_000
BATCH_ROWS = 200
DUE_A_DOMAIN = 10
PAGE_ROWS = 20
HOUR_MS = 3_600_000
# Of every kind a part: pending and waiting tasks, and finished ones.
MIXED = Shape("mixed", status="(ARRAY[0, 1, 3, 3, 4])[1 + n % 7 % 5]")
ALL = list(range(1, DOMAINS + 1))


async def pending(dsn: str) -> list[tuple[int, int]]:
    """Return domain and id of a batch of pending tasks of all domains."""
    rows = await fetch(
        dsn,
        "SELECT d.id AS domain_id, t.id FROM pacewheel.domains d CROSS JOIN LATERAL ("
        " SELECT t.id FROM pacewheel.tasks t WHERE t.domain_id = d.id AND t.status = 0"
        f" ORDER BY t.id LIMIT {BATCH_ROWS // DOMAINS}) t ORDER BY 1, 2",
    )
    return [(row["domain_id"], row["id"]) for row in rows]


async def settle(explain: Explainer, dsn: str) -> Any:
    """Settle a batch: half completed, half to be retried."""
    batch = [
        Settlement(
            domain_id=domain_id,
            task_id=task_id,
            job_id=domain_id,
            status=TaskState.WAITING if number % 2 else TaskState.COMPLETED,
            attempt=1,
            duration_ms=10,
            retry_in_ms=1000 if number % 2 else None,
            outcome=Outcome.retry("busy") if number % 2 else Outcome.completed(),
        )
        for number, (domain_id, task_id) in enumerate(await pending(dsn))
    ]
    return await explain.tasks.settle_tasks(1, dict.fromkeys(ALL, 1), batch)


async def find_earlier(explain: Explainer, dsn: str) -> Any:
    """Look up what the task of one key left in another job."""
    domain_id, task_id = (await pending(dsn))[0]
    return await explain.tasks.find_earlier(domain_id, task_id, domain_id)


async def enqueue(explain: Explainer, _dsn: str) -> Any:
    """Offer a batch of new tasks to a job."""
    return await explain.tasks.enqueue_tasks(1, [NewTask(f"new {n}") for n in range(BATCH_ROWS)])


async def rediscover(explain: Explainer, dsn: str) -> Any:
    """Offer a batch of known tasks with a higher priority."""
    rows = await fetch(
        dsn,
        "SELECT target FROM pacewheel.tasks WHERE domain_id = 1 AND target LIKE 'known %' ORDER BY 1",
    )
    tasks = [NewTask(row["target"], priority=2.0) for row in rows]
    return await explain.tasks.enqueue_tasks(1, tasks)


async def offer(explain: Explainer, dsn: str) -> Any:
    """Offer raises of a batch of known tasks by key."""
    rows = await fetch(
        dsn,
        "SELECT target FROM pacewheel.tasks WHERE domain_id = 1 AND target LIKE 'known %' ORDER BY 1",
    )
    return await explain.raises.offer_raises(1, {row["target"]: 2.0 for row in rows})


async def raise_priorities(explain: Explainer, dsn: str) -> Any:
    """Raise a batch of pending tasks of all domains."""
    batch = await pending(dsn)
    raises = Raises(
        [domain_id for domain_id, _ in batch],
        [task_id for _, task_id in batch],
        [domain_id for domain_id, _ in batch],
        [2.0] * len(batch),
    )
    return await explain.raises.raise_priorities(raises)


async def wake(explain: Explainer, _dsn: str) -> Any:
    """Wake what is due in all domains."""
    return await explain.tasks.wake_tasks(ALL, 1000)


async def lease(explain: Explainer, _dsn: str) -> Any:
    """Find and lease all domains."""
    return await explain.leases.lease_domains(2, ["h"], HOUR_MS, DOMAINS)


async def take_over(explain: Explainer, dsn: str) -> Any:
    """Read what a dead owner of all domains left in flight."""
    in_flight: dict[int, list[int]] = {}
    for domain_id, task_id in await pending(dsn):
        in_flight.setdefault(domain_id, []).append(task_id)
    return await explain.leases.load_tasks(in_flight)


async def cancel(explain: Explainer, _dsn: str) -> Any:
    """Cancel a job of few tasks beside all the others; of its domain's waiting tasks it reads all."""
    return await explain.changes.end_job(DOMAINS + 1, JobVerb.CANCEL)


async def cancel_tasks(explain: Explainer, _dsn: str) -> Any:
    """Cancel tasks by their keys."""
    return await explain.changes.cancel_tasks(DOMAINS + 1, KEYS)


async def reprioritise_tasks(explain: Explainer, _dsn: str) -> Any:
    """Give tasks other priorities."""
    return await explain.changes.reprioritise_tasks(DOMAINS + 1, dict.fromkeys(KEYS, 0.5))


async def retry_tasks(explain: Explainer, _dsn: str) -> Any:
    """Run all failed tasks of a job again."""
    return await explain.changes.retry_tasks(DOMAINS + 1, None)


async def retry_final(explain: Explainer, _dsn: str) -> Any:
    """Run the failed tasks of a final job again, in a new one."""
    await explain.connection.execute(
        f"UPDATE pacewheel.jobs SET status = 3, failed = 1 WHERE id = {DOMAINS + 1}"
    )
    return await explain.changes.retry_tasks(DOMAINS + 1, None)


async def explain_waiting(explain: Explainer, _dsn: str) -> Any:
    """Say why the tasks of all jobs wait."""
    return await explain.explanations.explain_waiting(None, None)


async def explain_task(explain: Explainer, _dsn: str) -> Any:
    """Say why one task waits."""
    return await explain.explanations.explain_task(DOMAINS + 1, KEYS[0])


async def find_stuck(explain: Explainer, _dsn: str) -> Any:
    """Find jobs without progress."""
    return await explain.explanations.find_stuck_jobs(0.0)


async def find_ended(explain: Explainer, dsn: str) -> Any:
    """Look up a batch of tasks that run."""
    return await explain.tasks.find_ended(await pending(dsn))


async def list_jobs(explain: Explainer, _dsn: str) -> Any:
    """Read all jobs with what runs of them."""
    return await explain.jobs.list_jobs(ids=None, domain=None, live_only=True, limit=1000)


async def put_expiring(explain: Explainer, _dsn: str) -> Any:
    """Leave a job the pages of the job before it that expire: as many as that has results."""
    query = explain.queries["put_expiring"]
    return await explain.fetch(query, 2, 1, "expiring", 2 * BATCH_ROWS, BATCH_ROWS)


async def list_failed(explain: Explainer, _dsn: str) -> Any:
    """Read a page of one job's failed tasks, from somewhere in the middle."""
    return await explain.jobs.list_failed(1, limit=PAGE_ROWS, after=0)


@dataclass(frozen=True)
class Case:
    """A statement, a use of it, and what it may read of tasks, by which index."""

    name: str
    call: Callable[[Explainer, str], Awaitable[Any]]
    indexes: frozenset[str]
    rows_max: int
    buffers_max: int
    setup: tuple[str, ...] = ()
    title: str = ""

    def __str__(self) -> str:
        return self.title or self.name


DUE = (
    # The tasks to wake, the same ones as the update finds them, and the next of each domain.
    (
        "UPDATE pacewheel.tasks t SET ready_at = now() - interval '1 s' FROM ("
        " SELECT domain_id, id, row_number() OVER (PARTITION BY domain_id ORDER BY id) AS n"
        f" FROM pacewheel.tasks WHERE status = 1) w WHERE w.n <= {DUE_A_DOMAIN}"
        " AND t.domain_id = w.domain_id AND t.id = w.id"
        " AND NOT EXISTS (SELECT FROM pacewheel.tasks d WHERE d.status = 1 AND d.ready_at < now())"
    ),
)
ORPHANS = (
    "UPDATE pacewheel.domains SET owner = NULL",
    (
        "INSERT INTO pacewheel.workers (host, pid, version, capacity, lease_until)"
        " SELECT 'test', 2, '0', 100, now() + interval '1 hour'"
        " WHERE NOT EXISTS (SELECT FROM pacewheel.workers WHERE id = 2)"
    ),
    "UPDATE pacewheel.jobs SET pending = 0 WHERE id % 2 = 0",
)
SMALL_JOB = (
    "INSERT INTO pacewheel.domains (name, owner, epoch) VALUES ('small', 1, 1) ON CONFLICT DO NOTHING",
    (
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, pending, waiting, failed)"
        f" SELECT {DOMAINS + 1}, 'h', 8, 20, 10, 20"
        f" WHERE NOT EXISTS (SELECT FROM pacewheel.jobs WHERE id = {DOMAINS + 1})"
    ),
    (
        "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, ready_at,"
        " waiting_reason, target)"
        f" SELECT {DOMAINS + 1}, pacewheel.task_id({DOMAINS + 1}, 'small ' || n), {DOMAINS + 1}, 0, now(),"
        " s, CASE WHEN s = 1 THEN now() + interval '1 hour' END, CASE WHEN s = 1 THEN 1 END, 'small ' || n"
        " FROM (SELECT n, (ARRAY[0, 0, 1, 4, 4])[1 + n % 5] AS s FROM generate_series(1, 50) AS n) x"
        " ON CONFLICT DO NOTHING"
    ),
)
KEYS = [f"small {n}" for n in range(1, 21)]
KNOWN = (
    (
        "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, target)"
        " SELECT 1, pacewheel.task_id(1, 'known ' || n), 1, 0, now(), 0, 'known ' || n"
        f" FROM generate_series(1, {BATCH_ROWS}) AS n ON CONFLICT DO NOTHING"
    ),
)
RESULTS = (
    (
        "INSERT INTO pacewheel.results (finished_at, domain_id, job_id, task_id, worker_id, duration_ms,"
        " attempt, outcome, detail)"
        " SELECT now(), t.domain_id, t.job_id, t.id, 1, 1, 1, 3, '{\"ttl_s\": 60}' FROM pacewheel.tasks t"
        f" WHERE t.job_id > 1 OR t.id IN (SELECT id FROM pacewheel.tasks WHERE job_id = 1 LIMIT {BATCH_ROWS})"
        " AND NOT EXISTS (SELECT FROM pacewheel.results)"
    ),
    """UPDATE pacewheel.tasks SET payload = '{"kind": "page", "depth": 1}' WHERE job_id = 1""",
)
OUTBOX = (
    (
        "INSERT INTO pacewheel.priority_updates (domain_id, task_id, job_id, priority)"
        " SELECT domain_id, id, job_id, 1.5 FROM pacewheel.tasks WHERE status = 0 ON CONFLICT DO NOTHING"
    ),
)
RUNNING = (
    (
        "UPDATE pacewheel.domains d SET in_flight = ARRAY(SELECT t.id FROM pacewheel.tasks t"
        " WHERE t.domain_id = d.id AND t.status = 0 ORDER BY t.id LIMIT 5)"
    ),
    # One job has nothing but waiting tasks, so that its next start is looked up.
    "UPDATE pacewheel.jobs SET pending = 0 WHERE id = 1",
    "UPDATE pacewheel.domains SET in_flight = '{}' WHERE id = 1",
)
PKEY = frozenset({"tasks_pkey"})
CASES = [
    Case("settle_tasks", settle, frozenset({"tasks_pkey"}), BATCH_ROWS, 24 * BATCH_ROWS),
    Case("enqueue_tasks", enqueue, frozenset({"tasks_pkey"}), 0, 16 * BATCH_ROWS),
    Case(
        "enqueue_tasks",
        rediscover,
        frozenset({"tasks_pkey"}),
        BATCH_ROWS,
        20 * BATCH_ROWS,
        KNOWN,
        "enqueue_tasks of known ones",
    ),
    Case("offer_raises", offer, frozenset({"tasks_pkey"}), BATCH_ROWS, 20 * BATCH_ROWS, KNOWN),
    Case(
        "raise_priorities",
        raise_priorities,
        frozenset({"tasks_pkey"}),
        2 * BATCH_ROWS,
        40 * BATCH_ROWS,
        OUTBOX,
    ),
    Case(
        "wake_tasks",
        wake,
        frozenset({"tasks_wake", "tasks_pkey"}),
        (3 * DUE_A_DOMAIN + 1) * DOMAINS,
        30 * DUE_A_DOMAIN * DOMAINS,
        DUE,
    ),
    Case("put_expiring", put_expiring, PKEY, BATCH_ROWS, 6 * BATCH_ROWS, RESULTS),
    Case("find_ended", find_ended, frozenset({"tasks_pkey"}), BATCH_ROWS, 6 * BATCH_ROWS),
    Case("find_earlier", find_earlier, PKEY, 1, 100),
    Case("find_leasable", lease, frozenset({"tasks_wake"}), DOMAINS, 300, ORPHANS),
    Case("lease_domains", lease, frozenset({"tasks_wake"}), DOMAINS, 600, ORPHANS),
    Case("load_tasks", take_over, PKEY, BATCH_ROWS, 16 * BATCH_ROWS),
    Case(
        "end_job",
        cancel,
        frozenset({"tasks_claim", "tasks_wake", "tasks_pkey"}),
        100,
        1500,
        SMALL_JOB,
    ),
    Case("find_tasks", cancel_tasks, PKEY, len(KEYS), 16 * 5 * len(KEYS), SMALL_JOB),
    Case("cancel_tasks", cancel_tasks, PKEY, 2 * len(KEYS), 1500, SMALL_JOB),
    Case("reprioritise_tasks", reprioritise_tasks, PKEY, 2 * len(KEYS), 1500, SMALL_JOB),
    Case("retry_tasks", retry_tasks, PKEY | {"tasks_failed"}, 50, 1500, SMALL_JOB),
    Case("read_failed_tasks", retry_final, frozenset({"tasks_failed"}), 25, 300, SMALL_JOB),
    Case("explain_waiting", explain_waiting, PKEY | {"tasks_wake"}, 7 * DOMAINS, 900, RUNNING),
    Case("explain_task", explain_task, PKEY | {"tasks_wake", "tasks_claim"}, 20, 300, SMALL_JOB),
    Case(
        "find_stuck_jobs",
        find_stuck,
        PKEY | {"tasks_wake", "tasks_claim"},
        7 * DOMAINS,
        900,
        RUNNING,
    ),
    Case(
        "list_failed_tasks",
        list_failed,
        frozenset({"tasks_failed"}),
        PAGE_ROWS,
        16 * PAGE_ROWS,
    ),
    Case(
        "list_jobs", list_jobs, frozenset({"tasks_pkey", "tasks_wake"}), 6 * DOMAINS, 700, RUNNING
    ),
]


def check(plan: Plan, case: Case) -> None:
    """Assert that tasks are read by the right index, and no more of them than there is work."""
    assert plan.indexes_of("tasks") <= case.indexes, str(plan)
    assert plan.rows_read_of("tasks") <= case.rows_max, str(plan)
    assert plan.buffers() <= case.buffers_max, str(plan)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_statement_reads_no_more_than_its_work(dsn: str, case: Case) -> None:
    """By index, at a cost that the table's size does not change, with and without statistics."""
    await execute(dsn, *PREPARE)
    async with explainer(dsn) as explain:

        async def explained() -> Plan:
            plan = await explain.plan(case.name, lambda: case.call(explain, dsn))
            check(plan, case)
            return plan

        await explain.warm(case.name)
        await fill(dsn, MIXED, SMALL_ROWS, seed=1)
        await execute(dsn, *case.setup)
        small = await explained()
        assert plan_is_used(small), str(small)
        await fill(dsn, MIXED, LARGE_ROWS - SMALL_ROWS, seed=2)
        await execute(dsn, *case.setup)
        large = await explained()
        # Ten times the rows may add a level to each index, never a scan.
        assert large.buffers() <= 1.6 * small.buffers() + 100, f"{small}\n{large}"
        await execute(dsn, "ANALYZE pacewheel.domains, pacewheel.jobs, pacewheel.tasks")
        await explained()


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_burst_does_not_meet_a_plan_for_a_small_table(dsn: str, case: Case) -> None:
    """A plan made of statistics of a few hundred tasks holds when there are a hundred times as many."""
    await execute(dsn, *PREPARE)
    await fill(dsn, MIXED, 100, seed=1)
    await execute(dsn, *case.setup)
    await execute(dsn, "ANALYZE pacewheel.domains, pacewheel.jobs, pacewheel.tasks")
    async with explainer(dsn) as explain:
        await explain.warm(case.name)
        await fill(dsn, MIXED, LARGE_ROWS, seed=2)
        await execute(dsn, *case.setup)
        check(await explain.plan(case.name, lambda: case.call(explain, dsn)), case)


def plan_is_used(plan: Plan) -> bool:
    """Tell whether the plan met any task, so that what it reads says something."""
    return any(scan["Actual Loops"] > 0 for scan in plan.scans_of("tasks"))

"""Jobs whose tasks are in every state, for the tests of reconciling."""

from __future__ import annotations

from pacewheel import Engine, NewTask
from pacewheel.counters import COUNTERS, Reconciled
from pacewheel.engine import Job
from pacewheel.services.reconciler import reconcile
from tests.conftest import execute, fetch

# Ten tasks in every state a row can have, counters as they should be: total, pending, waiting and
# backoff, then the final ones.
TRUE = (10, 1, 3, 2, 1, 1, 2, 2)
HANDLER = "none"


async def mixed_job(engine: Engine, dsn: str, domain: str = "a.example") -> Job:
    """A live job with tasks in every state, and counters that say so."""
    tasks = [NewTask(f"t{number}") for number in range(10)]
    job = await engine.create_job(domain=domain, handler=HANDLER, tasks=tasks)
    columns = ", ".join(f"{name} = {number}" for name, number in zip(COUNTERS, TRUE, strict=True))
    await execute(
        dsn,
        "UPDATE pacewheel.tasks t SET status = (ARRAY[0,1,1,1,3,4,5,5,6,6])[1 + substr(target, 2)::int],"
        " ready_at = CASE WHEN target IN ('t1', 't2', 't3') THEN now() + interval '1 hour' END,"
        " waiting_reason = CASE target WHEN 't1' THEN 0 WHEN 't2' THEN 0 WHEN 't3' THEN 1 END"
        f" WHERE job_id = {job.id}",
        f"UPDATE pacewheel.jobs SET status = 1, {columns} WHERE id = {job.id}",
    )
    return job


async def counters(dsn: str, job_id: int) -> tuple[int, ...]:
    """A job's counters as they are kept."""
    query = f"SELECT {', '.join(COUNTERS)} FROM pacewheel.jobs WHERE id = $1"
    return tuple((await fetch(dsn, query, job_id))[0])


def is_clean(found: Reconciled) -> bool:
    """Whether nothing was found."""
    return found.drifts == [] and found.orphans == {}


async def reconciled(
    engine: Engine, job_id: int | None = None, *, dry_run: bool = False
) -> Reconciled:
    """Reconcile one job or all of them, and return what was found."""
    return await reconcile(engine.store.counters, job_id, dry_run=dry_run)

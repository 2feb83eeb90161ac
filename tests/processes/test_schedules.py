"""An occurrence is fired by one process, whoever dies when."""

from __future__ import annotations

import signal
from datetime import timedelta
from itertools import pairwise
from typing import Any

import asyncpg

from pacewheel import Engine, NewTask
from tests.conftest import execute, fetch, until
from tests.processes.fleet import Fleet, count, send

JOBS = "SELECT count(*) FROM pacewheel.jobs"
SCHEDULES = 3
# Each change of a schedule, as its row records it: which occurrence it saw to, and how.
RECORD = (
    "CREATE TABLE public.seen_to (id bigint, occurrence timestamptz, next_at timestamptz, fired int, skipped int)",
    """
CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.seen_to VALUES (
        NEW.id, OLD.next_at, NEW.next_at, NEW.fired - OLD.fired,
        NEW.skipped_overlap - OLD.skipped_overlap
    );
    RETURN NULL;
END $$
""",
    (
        "CREATE TRIGGER note AFTER UPDATE OF next_at ON pacewheel.schedules"
        " FOR EACH ROW EXECUTE FUNCTION public.note()"
    ),
)


async def schedule(dsn: str, name: str, **values: Any) -> None:
    """Create a schedule of one task that takes no time, in a domain of its own."""
    engine = Engine(dsn)
    await engine.connect()
    await engine.schedules.create(
        name, domain=f"{name}.example", handler="work", tasks=[NewTask("t")], **values
    )
    await engine.close()


async def test_processes_fire_each_occurrence_once_while_one_is_killed(
    dsn: str, fleet: Fleet
) -> None:
    """Three processes, three occurrences a second; a kill costs none and doubles none."""
    await execute(dsn, *RECORD)
    for number in range(SCHEDULES):
        await schedule(dsn, f"often-{number}", every_s=1.0)
    processes = [fleet.start() for _ in range(3)]

    async def have_fired(number: int) -> None:
        async def so_many() -> bool:
            return await count(dsn, JOBS) >= number

        await until(so_many)

    await have_fired(2 * SCHEDULES)
    send(processes[0], signal.SIGKILL)
    await have_fired(5 * SCHEDULES)
    await execute(dsn, "UPDATE pacewheel.schedules SET paused = true")
    seen_to = await fetch(dsn, "SELECT * FROM public.seen_to ORDER BY id, occurrence, next_at")
    assert {(1, 0), (0, 1)} >= {(row["fired"], row["skipped"]) for row in seen_to}
    assert sum(row["fired"] for row in seen_to) == await count(dsn, JOBS)
    # Who fires one that was fired already finds the next in the row, and leaves it there: it would
    # be seen to twice.
    assert len(seen_to) == len({(row["id"], row["occurrence"]) for row in seen_to})
    for before, after in pairwise(seen_to):
        if before["id"] == after["id"]:
            assert before["next_at"] == after["occurrence"]
        assert timedelta(seconds=1) <= before["next_at"] - before["occurrence"]


async def test_a_process_killed_within_a_firing_leaves_it_to_another(
    dsn: str, fleet: Fleet
) -> None:
    """It had the schedule and had not committed the job: the next process makes it, once."""
    await schedule(dsn, "rare", every_s=3600.0)
    overdue = "UPDATE pacewheel.schedules SET next_at = now() - interval '1 minute'"
    await execute(dsn, overdue)
    blocker = await asyncpg.connect(dsn)
    blocking = blocker.transaction()
    await blocking.start()
    # A job refers to its domain, so making one waits for this.
    await blocker.execute("SELECT FROM pacewheel.domains FOR UPDATE")
    first = fleet.start()

    async def is_within() -> bool:
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return await count(dsn, waits + " AND query LIKE '%INSERT INTO pacewheel.jobs%'") == 1

    await until(is_within)
    send(first, signal.SIGKILL)
    first.wait()
    fleet.start()
    await blocking.rollback()
    await blocker.close()
    await fleet.until_runs(lambda runs: len(runs) == 1)
    await fleet.until_all_settled()
    assert 1 == await count(dsn, JOBS)
    assert 1 == await count(dsn, "SELECT fired FROM pacewheel.schedules WHERE next_at > now()")

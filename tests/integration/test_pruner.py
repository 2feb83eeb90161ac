"""Retention: what is old goes, in pieces, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
import pytest

from pacewheel import Config, Engine, NewTask
from pacewheel.errors import JobPruned, JobUnknown
from pacewheel.retention import DAY_MS, Keep
from pacewheel.services import pruner as pruner_module
from pacewheel.services.pruner import prune
from pacewheel.store.jobs import insert_job
from pacewheel.store.pool import connect
from pacewheel.store.queries import load_queries
from tests.conftest import execute, fetch
from tests.integration.counted_jobs import reconciled
from tests.integration.old_rows import (
    KEEP,
    counts,
    make_older,
    partition,
    pruned,
    ran,
)

NOTHING = dict.fromkeys(("jobs", "tasks", "documents", "link_lists", "priority_updates"), 0)


async def test_an_old_job_goes_with_all_it_left_and_others_stay(past: Engine, dsn: str) -> None:
    """The last run of a domain and handler is kept, and what is young; results stay for their own time."""
    old, last, young = (
        (await ran(past, "a.example")),
        (await ran(past, "a.example")),
        (await ran(past, "b.example")),
    )
    await past.run_until_idle()
    await past.connect()
    await execute(
        dsn,
        "INSERT INTO pacewheel.priority_updates (domain_id, task_id, job_id, priority)"
        f" SELECT domain_id, id, job_id, 1 FROM pacewheel.tasks WHERE job_id = {old.id} LIMIT 1",
    )
    await make_older(dsn, 31, old.id, last.id)
    before = await counts(dsn, last.id, young.id)
    rehearsed = await past.store.retention.rehearse(KEEP)
    assert {"jobs": 1, "tasks": 5} == rehearsed.rows
    assert 1 == (await counts(dsn, old.id))["jobs"]

    done = await pruned(past)
    assert {"jobs": 1, "tasks": 5, "documents": 5, "link_lists": 5, "raises": 1} == done.rows
    assert {**NOTHING, "results": 5, "pruned_jobs": 1} == await counts(dsn, old.id)
    assert before == await counts(dsn, last.id, young.id)
    assert (await reconciled(past)).is_clean
    assert (await pruned(past)).is_nothing


async def test_a_pruned_job_is_told_from_one_that_never_was(past: Engine, dsn: str) -> None:
    """Its report, its export and whatever else asks for it."""
    old, _ = await ran(past, "a.example"), await ran(past, "a.example")
    await past.run_until_idle()
    await past.connect()
    handle = await past.get_job(old.id)
    await make_older(dsn, 31, old.id)
    await pruned(past)
    words = f"job {old.id} of a.example, which ended on .*, was removed on .*jobs_keep_days"
    for ask in (handle.info, handle.report, lambda: handle.export(lambda _rows: None)):
        with pytest.raises(JobPruned, match=words):
            await ask()
    with pytest.raises(JobUnknown, match="there is no job 4711"):
        await past.get_job(4711)


async def test_live_jobs_and_those_of_schedules_stay_however_old(past: Engine, dsn: str) -> None:
    """A live job is never looked at; the next run of a schedule asks for its last job."""
    made = await past.schedules.create(
        "daily", domain="s.example", handler="work", tasks=[NewTask("s")], every_s=86_400
    )
    fired = await past.schedules.fire(made.name)
    await past.run_until_idle()
    await past.connect()
    after = await ran(past, "s.example")
    live = await past.create_job(domain="l.example", handler="work", tasks=[NewTask("x")])
    await past.run_until_idle()
    await past.connect()
    ids = [job["id"] for job in await fetch(dsn, "SELECT id FROM pacewheel.jobs ORDER BY id")]
    assert {after.id, live.id} < set(ids)
    assert fired is not None
    await make_older(dsn, 1000, *ids)
    await execute(
        dsn, "UPDATE pacewheel.domains SET created_at = '-infinity', claimed_at = '-infinity'"
    )
    assert (await pruned(past, replace(KEEP, results_ms=None))).is_nothing
    assert ids == [
        job["id"] for job in await fetch(dsn, "SELECT id FROM pacewheel.jobs ORDER BY id")
    ]


async def test_a_failed_run_is_kept_only_until_a_completed_one_follows(
    past: Engine, dsn: str
) -> None:
    """What the next run is compared with is the last completed one, or the last there is."""
    jobs = [await ran(past, "a.example", 1) for _ in range(4)]
    other = await ran(past, "b.example", 1)
    await past.run_until_idle()
    await past.connect()
    await make_older(dsn, 31, *(job.id for job in jobs), other.id)
    await execute(
        dsn,
        f"UPDATE pacewheel.jobs SET status = 5 WHERE id IN ({jobs[3].id}, {jobs[0].id}, {other.id})",
    )
    await pruned(past)
    rows = await fetch(dsn, "SELECT id FROM pacewheel.jobs ORDER BY id")
    assert [jobs[2].id, jobs[3].id, other.id] == [row["id"] for row in rows]


async def test_tasks_without_results_go_too(past: Engine, dsn: str) -> None:
    """Cancelled before they ran: found among the tasks of their domain, whose others stay."""
    old = await past.create_job(
        domain="a.example",
        handler="work",
        tasks=[NewTask(f"later/{number}", ready_in_s=3600) for number in range(25)],
    )
    last = await ran(past, "a.example", 30)
    await old.cancel()
    await past.run_until_idle()
    await past.connect()
    await make_older(dsn, 31, old.id)
    assert {"jobs": 1, "tasks": 25} == (await pruned(past)).rows
    assert 30 == (await counts(dsn))["tasks"]
    assert 30 == (await counts(dsn, last.id))["tasks"]


async def test_partitions_of_old_days_are_dropped_and_old_strays_removed(
    past: Engine, dsn: str
) -> None:
    """The day that ended 35 days ago goes, the one before that is still running then stays."""
    old, older, kept = [await partition(dsn, days) for days in (37, 36, 35)]
    job = await ran(past, "a.example", 3)
    await past.run_until_idle()
    await past.connect()
    await execute(
        dsn,
        "UPDATE pacewheel.results SET finished_at = finished_at - interval '40 days'"
        f" WHERE job_id = {job.id}",
    )
    rehearsed = await past.store.retention.rehearse(KEEP)
    assert ([old, older], {"results": 3}) == (rehearsed.partitions, rehearsed.rows)
    done = await pruned(past)
    assert ([old, older], {"results": 3}) == (done.partitions, done.rows)
    assert done.is_whole
    rows = await fetch(dsn, "SELECT to_regclass('pacewheel.' || $1) IS NULL AS gone", kept)
    assert [(False,)] == rows
    report = await (await past.get_job(job.id)).report()
    assert not any("results_keep_days" in note for note in report.notes)
    await make_older(dsn, 40, job.id)
    (note,) = [
        each
        for each in (await (await past.get_job(job.id)).report()).notes
        if "results_keep_days" in each
    ]
    assert note.startswith(f"results of job {job.id} before ")
    rows = await fetch(
        dsn, "SELECT results_from < now() - interval '35 days' FROM pacewheel.retention"
    )
    assert [(True,)] == rows


async def test_a_partition_in_use_is_left_for_the_next_run(
    past: Engine, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report holds the table: nobody waits behind the pruner for longer than its lock timeout."""
    monkeypatch.setattr(pruner_module, "LOCK_TRIES", 3)
    name = await partition(dsn, 40)
    reader = await asyncpg.connect(dsn)
    async with reader.transaction():
        await reader.fetch("SELECT count(*) FROM pacewheel.results")
        done = await pruned(past)
        assert ([], False) == (done.partitions, done.is_whole)
    await reader.close()
    assert [name] == (await pruned(past)).partitions


async def test_unused_domains_and_dead_processes_go_after_their_time(
    past: Engine, dsn: str
) -> None:
    """With their last run; not a domain that was put just now, is scheduled, or has a job."""
    unused, scheduled, used = [
        await ran(past, domain, 2)
        for domain in ("unused.example", "scheduled.example", "used.example")
    ]
    await past.schedules.create(
        "daily", domain="scheduled.example", handler="work", tasks=[NewTask("s")], every_s=86_400
    )
    await past.run_until_idle()
    await past.connect()
    await make_older(dsn, 400, unused.id, scheduled.id)
    await make_older(dsn, 300, used.id)
    await execute(
        dsn,
        "UPDATE pacewheel.domains SET created_at = '-infinity', claimed_at = now() - interval '400 days'",
        "INSERT INTO pacewheel.domains (name) VALUES ('new.example')",
        "UPDATE pacewheel.workers SET dead_at = now() - interval '2 days'",
        "INSERT INTO pacewheel.workers (host, pid, version, capacity, lease_until, dead_at)"
        " VALUES ('young', 1, '0', 1, now(), now()), ('alive', 1, '0', 1, now() - interval '9 days', NULL)",
    )
    keep = replace(KEEP, results_ms=None)
    done = await pruned(past, keep)
    assert {"jobs": 1, "tasks": 2, "documents": 2, "link_lists": 2, "domains": 1} == {
        name: number for name, number in done.rows.items() if name != "workers"
    }
    rows = await fetch(dsn, "SELECT name FROM pacewheel.domains ORDER BY 1")
    assert ["new.example", "scheduled.example", "used.example"] == [row["name"] for row in rows]
    rows = await fetch(dsn, "SELECT host FROM pacewheel.workers ORDER BY 1")
    assert ["alive", "young"] == [row["host"] for row in rows]
    await execute(dsn, "UPDATE pacewheel.pruned_jobs SET cleared_at = now() - interval '2 years'")
    assert {"pruned_jobs": 1} == (await pruned(past, keep)).rows


async def test_a_domain_that_anything_rests_on_is_used(past: Engine, dsn: str) -> None:
    """An owner that lives, a pause, tasks of a pruned job that are still there, a claim, its youth."""
    await execute(
        dsn,
        "INSERT INTO pacewheel.workers (host, pid, version, capacity, lease_until)"
        " VALUES ('h', 1, '0', 1, now())",
        "INSERT INTO pacewheel.domains (name, created_at, claimed_at, blocked_until, owner)"
        " SELECT n, now() - CASE n WHEN 'young' THEN 1 ELSE 400 END * interval '1 day',"
        " now() - CASE n WHEN 'claimed' THEN 1 ELSE 400 END * interval '1 day',"
        " now() + CASE n WHEN 'paused' THEN 1 ELSE -1 END * interval '1 day',"
        " CASE n WHEN 'owned' THEN (SELECT id FROM pacewheel.workers) WHEN 'left' THEN 4711 END"
        " FROM unnest('{young,claimed,paused,owned,left,uncleared}'::text[]) AS n",
        "INSERT INTO pacewheel.pruned_jobs (job_id, domain_id, tasks_left, finished_at, domain)"
        " SELECT 7, id, 1, now(), name FROM pacewheel.domains WHERE name = 'uncleared'",
    )
    assert KEEP.domains_ms is not None
    _, removed = await past.store.retention.prune_domains(KEEP.domains_ms, 0, 100)
    assert 1 == removed
    rows = await fetch(dsn, "SELECT name FROM pacewheel.domains ORDER BY 1")
    assert ["claimed", "owned", "paused", "uncleared", "young"] == [row["name"] for row in rows]


async def test_nothing_is_removed_when_everything_is_kept_for_ever(past: Engine, dsn: str) -> None:
    """All times 0 in the settings."""
    never = dict.fromkeys(
        ("results_keep_days", "jobs_keep_days", "domains_keep_days", "workers_keep_days"), 0.0
    )
    jobs = [await ran(past, "a.example", 1) for _ in range(2)]
    await past.run_until_idle()
    await past.connect()
    await partition(dsn, 4000)
    await make_older(dsn, 4000, *(job.id for job in jobs))
    assert Keep() == Keep.of(Config(**never))
    assert (await pruned(past, Keep.of(Config(**never)))).is_nothing


async def test_a_domain_that_is_gone_is_put_again_for_a_job(dsn: str) -> None:
    """The pruner removed it, unused for a year, between two statements of a create_job."""
    connection = await connect(dsn)
    values = ("gone.example", "work", 0.0, 8, None, "{}")
    row = await insert_job(connection, load_queries(), 700, *values)
    await connection.close()
    rows = await fetch(dsn, "SELECT id, name, base_delay_ms FROM pacewheel.domains")
    assert [(row["domain_id"], "gone.example", 700)] == [tuple(each) for each in rows]


async def test_a_job_created_in_this_moment_keeps_its_domain(past: Engine, dsn: str) -> None:
    """Its transaction is open: the pruner passes over the domain, or is refused."""
    await execute(
        dsn,
        "INSERT INTO pacewheel.domains (name, created_at) VALUES ('old.example', now() - interval '2 years')",
    )
    creating = await asyncpg.connect(dsn)
    async with creating.transaction():
        await creating.execute(
            "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency)"
            " SELECT id, 'work', 1 FROM pacewheel.domains"
        )
        assert (await pruned(past)).is_nothing
    await creating.close()
    assert (await pruned(past)).is_nothing


class CutOff(BaseException):
    """The end of a run between two pieces; `tests/processes/test_prune.py` cuts whole processes."""


async def test_a_run_that_is_cut_off_after_any_piece_is_finished_by_the_next(
    past: Engine, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each a job is whole or gone; in the end nothing is left of it, and counters agree."""
    for name in ("TASKS_MAX", "ROWS_MAX", "JOBS_MAX"):
        monkeypatch.setattr(pruner_module, name, 2)
    old = [await ran(past, "a.example", 5) for _ in range(2)]
    cancelled = await past.create_job(
        domain="a.example",
        handler="work",
        tasks=[NewTask(str(number), ready_in_s=3600) for number in range(5)],
    )
    await cancelled.cancel()
    last = await ran(past, "a.example", 5)
    await past.run_until_idle()
    await past.connect()
    await make_older(dsn, 31, *(job.id for job in old), cancelled.id)
    cuts = 0
    while True:
        pieces = 0

        async def die(_pause_s: float) -> None:
            nonlocal pieces
            pieces += 1
            if pieces > 1:
                raise CutOff

        try:
            await prune(past.store.retention, KEEP, sleep=die)
            break
        except CutOff:
            cuts += 1
        if cuts == 2:
            # The dry run counts what was left behind.
            left = (await counts(dsn, *(job.id for job in (*old, cancelled))))["tasks"]
            assert 0 < left < 15
            assert left == (await past.store.retention.rehearse(KEEP)).rows["tasks"]
        for job in (*old, cancelled):
            found = await counts(dsn, job.id)
            assert 1 == found["jobs"] + found["pruned_jobs"]
            assert (0 == found["jobs"]) or 5 == found["tasks"]
        assert cuts < 100
    assert cuts > 5
    ids = [job.id for job in (*old, cancelled)]
    assert {**NOTHING, "results": 10, "pruned_jobs": 3} == await counts(dsn, *ids)
    assert 5 == (await counts(dsn, last.id))["tasks"]
    assert (await reconciled(past)).is_clean


def test_the_times_are_days() -> None:
    """0 is for ever; parts of a day count."""
    keep = Keep.of(Config(jobs_keep_days=0.5, results_keep_days=0))
    assert (DAY_MS // 2, None, 365 * DAY_MS) == (keep.jobs_ms, keep.results_ms, keep.domains_ms)

"""`pacewheel reconcile` as its users see it."""

from __future__ import annotations

import json

from pacewheel import Engine
from tests.commands import called
from tests.conftest import execute
from tests.integration.counted_jobs import mixed_job


def reconcile(dsn: str, *arguments: str) -> tuple[int, str, str]:
    """Run the command; return exit code, standard output and standard error."""
    done = called("reconcile", "--dsn", dsn, *arguments)
    return done.returncode, done.stdout, done.stderr


async def test_drift_is_shown_repaired_and_told_by_the_exit_code(dsn: str) -> None:
    """0 when all is in order, 1 when something was found; a dry run changes nothing; JSON says all."""
    engine = Engine(dsn)
    await engine.connect()
    job = await mixed_job(engine, dsn)
    other = await mixed_job(engine, dsn, "b.example")
    await engine.close()
    assert (0, "2 jobs compared: counters and tasks agree\n", "") == reconcile(dsn)

    await execute(
        dsn,
        f"UPDATE pacewheel.jobs SET failed = 3, total = 11 WHERE id = {job.id}",
        f"UPDATE pacewheel.jobs SET status = 5, finished_at = now() WHERE id = {other.id}",
    )
    drift = f"job {job.id}: total was 11, its tasks say 10\njob {job.id}: failed was 3, its tasks say 1\n"
    orphans = "left behind: 4 task_of_final_job\n"
    dry = reconcile(dsn, "--dry-run")
    assert (1, f"{drift}{orphans}2 jobs compared: nothing was changed\n", "") == dry
    only = reconcile(dsn, "--job", str(job.id), "--dry-run")
    assert (1, f"{drift}1 jobs compared: nothing was changed\n", "") == only
    code, out, _ = reconcile(dsn, "--json")
    assert 1 == code
    assert {
        "jobs": 2,
        "repaired": True,
        "drift": [
            {
                "job_id": job.id,
                "counters": {"total": {"kept": 11, "found": 10}, "failed": {"kept": 3, "found": 1}},
            }
        ],
        "orphans": {"task_of_final_job": 4},
    } == json.loads(out)
    assert 0 == reconcile(dsn)[0]


def test_an_unknown_job_is_refused(dsn: str) -> None:
    """With the exit code of bad input, and where to look."""
    code, out, error = reconcile(dsn, "--job", "77")
    assert (2, "") == (code, out)
    assert error.startswith("pacewheel: there is no job 77")

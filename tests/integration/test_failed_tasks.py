"""Dead letters: which tasks failed for good, and of what."""

from __future__ import annotations

import asyncio
import json

import pytest

from pacewheel import Engine, NewTask, Outcome, Task
from pacewheel.errors import JobUnknown
from tests.commands import pacewheel
from tests.conftest import fetch


async def fail_some(dsn: str) -> tuple[Engine, int]:
    """Run a job whose tasks fail in different ways; return a connected engine and the job's id."""
    engine = Engine(dsn)

    @engine.handler("odd", attempts=2, backoff_s=0.01, never_retry={"not_found"})
    async def odd(task: Task) -> Outcome:
        match task.target:
            case "gone":
                return Outcome.retry("not_found", http_status=404)
            case "flaky":
                raise RuntimeError(f"attempt {task.attempt}")
            case "refused":
                return Outcome.failed("refused")
        return Outcome.completed()

    await engine.connect()
    targets = ["gone", "flaky", "refused", "fine"]
    job = await engine.create_job(
        domain="a.example",
        handler="odd",
        tasks=[NewTask(target, key=f"{target} key") for target in targets],
        discovery_open=False,
    )
    await asyncio.wait_for(engine.run_until_idle(), 60)
    await engine.connect()
    return engine, job.id


async def test_failed_tasks_are_listed_with_their_last_attempt(dsn: str) -> None:
    """Each with its attempts, error, status and message; every attempt's result is kept."""
    engine, job_id = await fail_some(dsn)
    job = await engine.get_job(job_id)
    failed = await job.failed_tasks()
    said = {task.target: (task.attempt, task.error, task.http_status) for task in failed}
    expected = {"gone": (1, "not_found", 404), "flaky": (2, "exception", None)}
    assert {**expected, "refused": (1, "refused", None)} == said
    (flaky,) = [task for task in failed if task.target == "flaky"]
    assert ("flaky key", "RuntimeError: attempt 2") == (flaky.key, flaky.message)
    rows = await fetch(dsn, "SELECT attempt FROM pacewheel.results WHERE task_id = $1", flaky.id)
    assert [1, 2] == sorted(row["attempt"] for row in rows)
    with pytest.raises(JobUnknown):
        await engine.store.jobs.list_failed(job_id + 1, limit=1)
    await engine.close()


async def test_failed_tasks_are_read_page_by_page(dsn: str) -> None:
    """Each page goes on behind the last id of the one before; the end is an empty one."""
    engine, job_id = await fail_some(dsn)
    job = await engine.get_job(job_id)
    seen, after = [], None
    while page := await job.failed_tasks(limit=1, after=after):
        seen += page
        after = page[-1].id
    assert 3 == len(seen)
    assert seen == await job.failed_tasks()
    await engine.close()


async def test_the_command_line_lists_failed_tasks(dsn: str) -> None:
    """As a table, as JSON, and with a word when there are none."""
    engine, job_id = await fail_some(dsn)
    empty = await engine.create_job(domain="b.example", handler="odd")
    await engine.close()
    done = await asyncio.to_thread(pacewheel, "job", "failed", str(job_id), "--dsn", dsn)
    assert (0, "") == (done.returncode, done.stderr)
    lines = done.stdout.splitlines()
    assert ["attempts", "error", "target"] == lines[0].split()
    assert any(line.startswith("1         not_found 404 ") for line in lines)
    words = ("job", "failed", str(job_id), "--json", "--limit", "2", "--dsn", dsn)
    answer = json.loads((await asyncio.to_thread(pacewheel, *words)).stdout)
    assert (job_id, 2) == (answer["job_id"], len(answer["failed"]))
    done = await asyncio.to_thread(pacewheel, "job", "failed", str(empty.id), "--dsn", dsn)
    assert f"no task of job {empty.id} has failed\n" == done.stdout

"""Changes over HTTP: what they do, and the words, which are the command line's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from pacewheel import JobState, NewTask, TaskState
from tests.conftest import fetch, until

if TYPE_CHECKING:
    import pytest

    from pacewheel import Engine
    from pacewheel.job import Job
    from tests.integration.web.conftest import Client


async def test_pause_and_resume(client: Client, job: Job) -> None:
    """Each says whether it changed something."""
    url = f"/api/v1/jobs/{job.id}"
    words = f"job {job.id} is paused; what runs of it ends by itself"
    paused = {"job_id": job.id, "changed": True, "words": words}
    assert paused == await client.post(f"{url}/pause")
    again = await client.post(f"{url}/pause", {})
    assert (False, f"job {job.id} was paused already") == (again["changed"], again["words"])
    shown = await client.get(url)
    assert "paused" == shown["job"]["status"]
    assert "the job is paused" == shown["eta"]["basis"]
    assert f"job {job.id} goes on" == (await client.post(f"{url}/resume"))["words"]
    assert f"job {job.id} was not paused" == (await client.post(f"{url}/resume"))["words"]


async def test_cancel_tasks_and_jobs(client: Client, engine: Engine) -> None:
    """With keys only those tasks, running handlers too; without, the job and all that is left of it."""
    tasks = [NewTask(f"t{n}", key=f"k{n}") for n in range(4)]
    job = await engine.create_job(domain="a.example", handler="hold", concurrency=2, tasks=tasks)

    async def running() -> bool:
        return (await job.info()).running == 2

    await until(running)
    url = f"/api/v1/jobs/{job.id}"
    one = await client.post(f"{url}/cancel", {"keys": ["k0"]})
    assert {"job_id": job.id, "tasks_cancelled": 1, "words": "1 task cancelled"} == one
    rest = await client.post(f"{url}/cancel")
    assert f"job {job.id} is cancelled, and 3 tasks with it" == rest["words"]
    assert JobState.CANCELLED is (await job.info()).status
    for verb in ("cancel", "pause", "resume"):
        error = (await client.post(f"{url}/{verb}", {}, 409))["error"]
        assert "job_final" == error["code"]
        assert f"job {job.id} is cancelled and takes no more changes" in error["message"]
    await client.post(f"{url}/priority", {"priority": 1}, 409)


async def test_retry_failed_tasks(client: Client, engine: Engine, job: Job) -> None:
    """In the job itself while it lives, in a new one once it is final, and nothing where none failed."""
    url = f"/api/v1/jobs/{job.id}"
    failed = await client.get(f"{url}/failed")
    assert [("broken", "broken")] == [(t["key"], t["error"]) for t in failed["failed"]]
    nothing = await client.post(f"{url}/retry", {"keys": ["one"]})
    assert (0, "nothing of it failed") == (nothing["tasks_retried"], nothing["words"])
    again = await client.post(f"{url}/retry")
    assert {
        "job_id": job.id,
        "tasks_retried": 1,
        "retried_in_job_id": job.id,
        "words": f"1 task to run again in job {job.id}",
    } == again

    async def failed_again() -> bool:
        return (await job.info()).failed == 1

    await until(failed_again)
    await job.cancel()
    new = await client.post(f"{url}/retry", {"keys": ["broken"]})
    assert job.id != new["retried_in_job_id"]
    assert job.id == (await (await engine.get_job(new["retried_in_job_id"])).info()).retries_job_id


async def test_priorities(client: Client, job: Job) -> None:
    """Of a job, of tasks, and what is no priority."""
    url = f"/api/v1/jobs/{job.id}/priority"
    words = f"job {job.id} has priority 2.5 now"
    assert {"job_id": job.id, "words": words} == await client.post(url, {"priority": 2.5})
    assert 2.5 == (await job.info()).priority
    changed = await client.post(url, {"priority": 0.9, "keys": ["later"]})
    assert (1, "1 task at priority 0.9 now") == (changed["tasks_changed"], changed["words"])
    assert 0.9 == (await job.explain_task("later")).priority
    for wrong in ({}, {"priority": "much"}, {"priority": None}, {"priority": True}):
        error = (await client.post(url, wrong, 400))["error"]
        assert "is no number: give one like 0.5" in error["message"]
    error = (await client.post(url, {"priority": "inf"}, 400))["error"]
    assert "give a finite number" in error["message"]


async def test_what_is_not_there_is_refused_as_the_command_line_does(
    client: Client, job: Job
) -> None:
    """Jobs, tasks, domains, and keys that are none."""
    for verb in ("pause", "resume", "cancel", "retry"):
        error = (await client.post(f"/api/v1/jobs/99/{verb}", {}, 404))["error"]
        assert ("job_unknown", "there is no job 99: see 'pacewheel jobs --all'") == (
            error["code"],
            error["message"],
        )
    url = f"/api/v1/jobs/{job.id}/cancel"
    error = (await client.post(url, {"keys": ["nowhere"]}, 404))["error"]
    assert "task_unknown" == error["code"]
    assert f"job {job.id} has no task with key 'nowhere'" in error["message"]
    for keys in ([], "one", [1], ["k"] * 1001):
        await client.post(url, {"keys": keys}, 400)
    assert TaskState.WAITING is (await job.explain_task("later")).state
    error = (await client.post("/api/v1/domains/no.example/delay", {"delay_ms": 1}, 404))["error"]
    assert "there is no domain 'no.example': see 'pacewheel domains --all'" == error["message"]


async def test_a_shorter_delay_counts_at_once(client: Client, engine: Engine, dsn: str) -> None:
    """A domain whose next slot is an hour away goes on within moments, and keeps its new gap."""
    job = await engine.create_job(
        domain="slow.example",
        handler="note",
        domain_delay_ms=3_600_000,
        tasks=[NewTask(f"{n}") for n in range(3)],
    )

    async def done(number: int) -> bool:
        return (await job.info()).completed >= number

    await until(lambda: done(1))
    url = "/api/v1/domains/slow.example/delay"
    assert {
        "domain": "slow.example",
        "delay_ms": 100,
        "gap_ms": 100,
        "words": "domain slow.example asks for 100 ms between two requests now",
    } == await client.post(url, {"delay_ms": 100})
    await until(lambda: done(3))
    apart = await fetch(dsn, "SELECT apart_ms FROM pacewheel.results ORDER BY finished_at")
    assert all(row["apart_ms"] >= 100 for row in apart[1:])
    for wrong in (-1, 3_600_001, 1.5, "soon", None, True, "1_0", "٣"):
        error = (await client.post(url, {"delay_ms": wrong}, 400))["error"]
        assert "give a whole number from 0 to 3600000" in error["message"]
    await client.post(url, {}, 400)


async def test_what_robots_or_answers_ask_for_stays_in_force(
    client: Client, engine: Engine, dsn: str
) -> None:
    """The answer says that the gap is longer than what was asked for."""
    await engine.create_job(domain="robots.example", handler="note")
    await fetch(dsn, "UPDATE pacewheel.domains SET robots_delay_ms = 9000 RETURNING 1")
    answer = await client.post("/api/v1/domains/robots.example/delay", {"delay_ms": 5})
    assert 9000 == answer["gap_ms"]
    assert "9000 ms stay in force" in answer["words"]


async def test_a_change_that_takes_long_goes_on_and_says_so(
    client: Client, job: Job, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it for ever; once the row is free it is made."""
    monkeypatch.setattr("pacewheel.web.database.CHANGE_PATIENCE_S", 0.2)
    other = await asyncpg.connect(dsn)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("SELECT 1 FROM pacewheel.jobs FOR UPDATE")
    error = (await client.post(f"/api/v1/jobs/{job.id}/pause", {}, 503))["error"]
    assert "was not confirmed within 0.2 s: it may still be made" in error["message"]
    assert JobState.PAUSED is not (await job.info()).status
    await transaction.rollback()
    await other.close()

    async def paused() -> bool:
        return (await job.info()).status is JobState.PAUSED

    await until(paused)

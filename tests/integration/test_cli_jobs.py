"""`pacewheel job ...`: what it changes, what it says, and what it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel import Engine, JobState, NewTask, TaskState
from tests.commands import called, refused
from tests.conftest import execute, fetch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pacewheel.engine import Job


@pytest.fixture
async def job(dsn: str) -> AsyncIterator[Job]:
    """A job of five tasks, one of them failed, on a domain with a long gap."""
    engine = Engine(dsn)
    await engine.connect()
    created = await engine.create_job(
        domain="a.example",
        handler="note",
        domain_delay_ms=60_000,
        tasks=[NewTask(f"t{n}", key=f"k{n}") for n in range(5)],
    )
    await execute(
        dsn,
        "UPDATE pacewheel.tasks SET status = 4, finished_at = now() WHERE target = 't4'",
        "UPDATE pacewheel.jobs SET failed = 1, pending = 4",
        "UPDATE pacewheel.domains SET next_slot_at = now() + interval '90 s'",
    )
    yield created
    await engine.close()


def said(dsn: str, *arguments: str) -> str:
    """What a command that succeeds prints."""
    done = called(*arguments, "--dsn", dsn)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.strip()


def object_of(dsn: str, *arguments: str) -> dict[str, Any]:
    """The one JSON object that a command prints."""
    (line,) = said(dsn, *arguments, "--json").splitlines()
    values: dict[str, Any] = json.loads(line)
    return values


async def test_pause_and_resume(dsn: str, job: Job) -> None:
    """Each says whether it changed something."""
    assert "job 1 is paused; what runs of it ends by itself" == said(dsn, "job", "pause", "1")
    assert JobState.PAUSED is (await job.info()).status
    assert "job 1 was paused already" == said(dsn, "job", "pause", "1")
    assert {"job_id": 1, "changed": False} == object_of(dsn, "job", "pause", "1")
    assert said(dsn, "why", "1").endswith("job 1: 4 tasks wait, job_paused: job 1 is paused")
    assert "job 1 goes on" == said(dsn, "job", "resume", "1")
    assert "job 1 was not paused" == said(dsn, "job", "resume", "1")
    assert {"job_id": 1, "changed": False} == object_of(dsn, "job", "resume", "1")
    assert JobState.PENDING is (await job.info()).status


async def test_cancel_tasks_and_jobs(dsn: str, job: Job) -> None:
    """With keys only those tasks; without, the job and all that is left of it."""
    assert "2 tasks cancelled" == said(dsn, "job", "cancel", "1", "k0", "k1")
    assert {"job_id": 1, "tasks_cancelled": 0} == object_of(dsn, "job", "cancel", "1", "k0")
    assert "job 1 is cancelled, and 2 tasks with it" == said(dsn, "job", "cancel", "1")
    info = await job.info()
    assert (JobState.CANCELLED, 4, 1) == (info.status, info.cancelled, info.failed)
    for action in ("cancel", "pause", "resume"):
        assert "job 1 is cancelled and takes no more" in refused(
            2, "job", action, "1", "--dsn", dsn
        )
    assert "is cancelled" in refused(2, "job", "reprioritise", "1", "2", "--dsn", dsn)


async def test_retry_failed_tasks(dsn: str, job: Job) -> None:
    """In the job itself while it lives, in a new one once it is final, and nothing where none failed."""
    assert "nothing of it failed" == said(dsn, "job", "retry", "1", "k0")
    assert "1 task to run again in job 1" == said(dsn, "job", "retry", "1")
    assert TaskState.PENDING is (await job.explain_task("k4")).state
    await execute(
        dsn,
        "UPDATE pacewheel.tasks SET status = 4",
        "UPDATE pacewheel.jobs SET failed = 5, pending = 0, status = 3, discovery_open = false",
    )
    again = object_of(dsn, "job", "retry", "1", "k1", "k2")
    assert {"job_id": 1, "tasks_retried": 2, "retried_in_job_id": 2} == again
    assert "5 tasks to run again in job 3" == said(dsn, "job", "retry", "1")


async def test_reprioritise_jobs_and_tasks(dsn: str, job: Job) -> None:
    """A number first, then the keys of the tasks it is for, if any."""
    assert "job 1 has priority 2.5 now" == said(dsn, "job", "reprioritise", "1", "2.5")
    assert 2.5 == (await job.info()).priority
    assert {"job_id": 1} == object_of(dsn, "job", "reprioritise", "1", "-1")
    assert -1.0 == (await job.info()).priority
    words = said(dsn, "job", "reprioritise", "1", "0.9", "k0", "k1")
    assert "2 tasks at priority 0.9 now" == words
    changed = object_of(dsn, "job", "reprioritise", "1", "0.9", "k0", "k2")
    assert {"job_id": 1, "tasks_changed": 1} == changed
    rows = await fetch(dsn, "SELECT key FROM pacewheel.tasks WHERE priority = 0.9 ORDER BY key")
    assert ["k0", "k1", "k2"] == [row["key"] for row in rows]


async def test_a_domain_gets_another_delay(dsn: str, job: Job) -> None:
    """In seconds; what robots.txt asks for stays in force."""
    words = "domain a.example asks for 500 ms between two requests now"
    assert words == said(dsn, "domain", "delay", "a.example", "0.5")
    assert 500 == (await job.info()).gap_ms
    await execute(dsn, "UPDATE pacewheel.domains SET robots_delay_ms = 9000")
    changed = object_of(dsn, "domain", "delay", "a.example", "1")
    assert {"domain": "a.example", "delay_ms": 1000, "gap_ms": 9000} == changed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("domain", "delay", "b.example", "1"), "there is no domain 'b.example'"),
        (("domain", "delay", "a.example", "soon"), "delay 'soon' is refused; give seconds from 0"),
        (("job", "pause", "9"), "there is no job 9"),
        (("job", "resume", "9"), "there is no job 9"),
        (("job", "cancel", "9"), "there is no job 9"),
        (("job", "cancel", "9", "k0"), "there is no job 9"),
        (("job", "retry", "9"), "there is no job 9"),
        (("job", "reprioritise", "9", "1"), "there is no job 9"),
        (("job", "cancel", "1", "nowhere"), "job 1 has no task with key 'nowhere'"),
        (("job", "retry", "1", "nowhere"), "job 1 has no task with key 'nowhere'"),
        (("job", "reprioritise", "1", "1", "nowhere"), "job 1 has no task with key 'nowhere'"),
        (("job", "pause", "seven"), "job id 'seven'"),
        (("job", "retry", "0"), "job id '0'"),
        (("job", "reprioritise", "1", "high"), "priority 'high' is no number"),
        (("job", "reprioritise", "1", "nan"), "give a finite number"),
        (("job", "reprioritise", "1", "inf", "k0"), "give a finite number"),
        (("job", "reprioritise", "1"), "PRIORITY"),
    ],
)
async def test_what_does_not_exist_or_is_no_number_is_refused(
    dsn: str, job: Job, arguments: tuple[str, ...], words: str
) -> None:
    """One line, exit code 2, and nothing is changed."""
    before = await job.info()
    assert words in refused(2, *arguments, "--dsn", dsn)
    assert before.total == (await job.info()).total
    assert (before.status, before.pending, before.priority) == (
        (after := await job.info()).status,
        after.pending,
        after.priority,
    )

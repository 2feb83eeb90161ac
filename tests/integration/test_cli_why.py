"""`pacewheel why`: one word names a job, a task, a domain or a page; the answer names who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pacewheel import Config, Engine, NewTask, Outcome, Task
from pacewheel.cli.why import named
from pacewheel.crawl.warm import validate_options
from tests.commands import objects, ran, said
from tests.conftest import FAST, execute, fetch, until

if TYPE_CHECKING:
    from pacewheel.job import Job

HOLDER = "domain a.example permits a request every 60000 ms"


@pytest.fixture
async def job(dsn: str, engine: Engine) -> Job:
    """A job of five tasks, one of them failed, on a domain with a long gap."""
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
        "UPDATE pacewheel.domains SET next_slot_at = now() + interval '10 min'",
    )
    return created


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("7", ("job", "7")),
        ("0", ("job", "0")),
        ("999999999999", ("job", "999999999999")),
        ("1000000000000", ("task", "1000000000000")),
        ("-7", ("task", "-7")),
        ("9223372036854775807", ("task", "9223372036854775807")),
        ("job:7", ("job", "7")),
        ("task:7", ("task", "7")),
        ("domain:7", ("domain", "7")),
        ("domain:a.example:8080", ("domain", "a.example:8080")),
        ("a.example", ("domain", "a.example")),
        ("a.example:8080", ("domain", "a.example:8080")),
        ("localhost:8080", ("domain", "localhost:8080")),
        ("7.5", ("domain", "7.5")),
        ("9" * 5000, ("domain", "9" * 5000)),
        ("https://a.example/7", ("url", "https://a.example/7")),
        ("job://x", ("url", "job://x")),
    ],
)
def test_one_word_has_one_meaning(what: str, expected: tuple[str, str]) -> None:
    """Numbers by their size, prefixes whatever the size, URLs by their colon and slashes."""
    assert expected == named(what)


async def test_a_job_and_a_domain_say_who_holds_their_tasks(dsn: str, job: Job) -> None:
    """How the job or the domain is, then a line a reason, with the time."""
    held = f"job 1: 4 tasks wait, domain_delay: {HOLDER}; the first may start in"
    of_job = (await said(dsn, "why", "1")).splitlines()
    assert "job 1 of a.example is pending: 1/5+ done, 0 running" in of_job[0]
    assert of_job[1].startswith(held)
    of_domain = (await said(dsn, "why", "a.example")).splitlines()
    assert of_domain[0].startswith("a.example: a request every 60 s (set by user), the next slot ")
    assert of_domain[0].endswith("; 0 tasks running; no worker holds it")
    assert of_domain[1].startswith(held)
    (told,) = await objects(dsn, "why", "1")
    assert 500_000 < told.pop("expected_in_ms") <= 600_000
    assert {
        "job_id": 1,
        "domain": "a.example",
        "reason": "domain_delay",
        "tasks": 4,
        "holder": HOLDER,
    } == told
    assert [told] == [
        {name: value for name, value in each.items() if name != "expected_in_ms"}
        for each in await objects(dsn, "why", "domain:a.example")
    ]
    await job.cancel()
    assert "job 1 of a.example is cancelled: 0 of 5 tasks completed, 1 failed" == await said(
        dsn, "why", "1"
    )
    assert (await said(dsn, "why", "a.example")).endswith("it has no live job")


async def test_a_task_is_found_by_its_key_and_by_its_id(dsn: str, job: Job) -> None:
    """With its job, its domain and its key, and when it may start."""
    (row,) = await fetch(dsn, "SELECT id FROM pacewheel.tasks WHERE key = 'k0'")
    by_key = await said(dsn, "why", "1", "k0")
    first, *about = by_key.splitlines()
    assert first.startswith(f"t0 is pending, domain_delay: {HOLDER}; it may start in ")
    assert first.endswith(" at the earliest")
    assert [f"task {row['id']} of job 1, domain a.example", "key k0"] == about
    for what in (f"{row['id']}", f"task:{row['id']}"):
        assert about == (await said(dsn, "why", what)).splitlines()[1:]
    (told,) = await objects(dsn, "why", str(row["id"]))
    assert (str(row["id"]), "pending", "domain_delay", []) == (
        told["id"],
        told["state"],
        told["reason"],
        told["attempts"],
    )
    assert (await said(dsn, "why", "1", "k4")).startswith("t4 is failed\n")


async def test_a_url_is_a_page_of_the_newest_job_that_knows_it(dsn: str, engine: Engine) -> None:
    """By the rules of that job; the site itself where it is no page; else it is not known."""
    url = "https://a.example/b?z=1&utm_source=x&a=2"
    values: dict[str, Any] = {"domain": "a.example", "handler": "warm"}
    old = [NewTask(url, key="https://a.example/b?z=1&utm_source=x&a=2")]
    await engine.create_job(**values, options=validate_options({}), tasks=old)
    new = [NewTask(url, key="https://a.example/b?a=2&z=1")]
    options = validate_options({"drop_tracking": True, "sort_query": True})
    await engine.create_job(**values, options=options, tasks=new)
    assert " of job 2, " in await said(dsn, "why", url)
    assert " of job 2, " in await said(dsn, "why", "https://A.example:443/b?a=2&z=1#top")
    assert " of job 1, " in await said(dsn, "why", "1", "https://a.example/b?z=1&utm_source=x&a=2")
    assert (await said(dsn, "why", "https://a.example")).startswith("a.example: no gap")
    code, _, line = await ran("why", "https://a.example/c", "--dsn", dsn)
    assert 2 == code
    assert "no job of a.example has found the page https://a.example/c (the last 2" in line
    assert "see 'pacewheel job tasks 2'" in line


async def test_attempts_are_told_with_what_became_of_them(dsn: str) -> None:
    """The last one first; the word of an attempt that is repeated is its error."""
    engine = Engine(dsn, config=Config(**FAST))

    @engine.handler("h", backoff_s=0.01)
    async def handler(task: Task) -> Outcome:
        if task.attempt == 1:
            return Outcome.retry("busy", retry_in_s=0.01, http_status=503)
        return Outcome.completed(cache="hit")

    async with engine:
        job = await engine.create_job(
            domain="a.example", handler="h", tasks=[NewTask("t")], discovery_open=False
        )

        async def ended() -> bool:
            return (await job.info()).status.is_final

        await until(ended)
        lines = (await said(dsn, "why", "1", "t")).splitlines()
    assert ["t is completed", "2 attempts so far:"] == [lines[0], lines[2]]
    assert "attempt 2: completed after" in lines[3]
    assert lines[3].endswith("on worker 1, cache hit")
    assert "attempt 1: busy (HTTP 503) after" in lines[4]


REFUSED = [
    (("why", "9"), "there is no job 9"),
    (("why", "9", "k0"), "there is no job 9"),
    (("why", "1", "nowhere"), "job 1 has no task with key 'nowhere'"),
    (("why", "b.example"), "there is no domain 'b.example': see 'pacewheel domains --all'"),
    (("why", "https://b.example/"), "there is no domain 'b.example'"),
    (("why", "https://exa mple/"), "malformed"),
    (("why", "-5"), "there is no task -5: see 'pacewheel job tasks JOB' for ids"),
    (("why", "9223372036854775808"), "task id '9223372036854775808' is refused"),
    (("why", "task:x"), "task id 'x' is refused"),
    (("why", "job:x"), "job id 'x' is refused"),
    (("why", "0"), "job id '0'"),
    (("why", "a.example", "k0"), "job id 'a.example'"),
]


async def test_what_is_not_there_is_said(dsn: str, job: Job) -> None:
    """One line on standard error, and exit code 2."""
    for arguments, words in REFUSED:
        code, out, err = await ran(*arguments, "--dsn", dsn)
        assert (2, "") == (code, out), arguments
        assert words in err
        assert 1 == len(err.splitlines())
    assert 5 == (await job.info()).total

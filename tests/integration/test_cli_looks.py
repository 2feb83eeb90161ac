"""`pacewheel jobs`, `job show|tasks`, `domains`, `domain show`, `workers` and `top`: words and JSON."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import TYPE_CHECKING

import asyncpg
import pytest

from pacewheel import Engine, NewTask
from pacewheel.plain import domain_json, job_json, totals_json, worker_json
from tests.commands import environment, objects, ran, said
from tests.conftest import execute

if TYPE_CHECKING:
    from pacewheel.job import Job

WORKER = """
INSERT INTO pacewheel.workers
    (host, pid, version, capacity, held, connections, handlers, lease_until)
VALUES ('box', 42, '1.2', 64, 1, 10, '{h}', now() + interval '1 h')
"""
HELD = """
UPDATE pacewheel.domains
SET
    owner = 1, robots_delay_ms = 2000, next_slot_at = now() + interval '1 h',
    in_flight = ARRAY(SELECT id FROM pacewheel.tasks WHERE key = 'k1')
"""
FAILED = (
    "UPDATE pacewheel.tasks SET status = 4 WHERE key = 'k2'",
    "UPDATE pacewheel.jobs SET failed = 1, pending = 4",
)


@pytest.fixture
async def job(dsn: str, engine: Engine) -> Job:
    """A job of five tasks, one running, one failed, on a domain whose robots.txt asks for 2 s."""
    made = await engine.create_job(
        domain="a.example",
        handler="h",
        domain_delay_ms=500,
        tasks=[NewTask(f"t{n}", key=f"k{n}", priority=n / 10) for n in range(5)],
    )
    await execute(dsn, WORKER, HELD, *FAILED)
    return made


async def test_nothing_is_said_in_words(dsn: str) -> None:
    """An empty database has tables of nothing, and JSON of no line."""
    assert "no live jobs; --all shows the final ones" == await said(dsn, "jobs")
    assert "no jobs" == await said(dsn, "jobs", "--all")
    assert "no domain has a live job; --all shows the others too" == await said(dsn, "domains")
    assert "no domain's name contains 'x'" == await said(dsn, "domains", "--search", "x")
    assert "start one with 'pacewheel run'" in await said(dsn, "workers")
    for command in ("jobs", "domains", "workers"):
        assert [] == await objects(dsn, command)
    top = await said(dsn, "top", "--once")
    assert top.startswith("jobs 0   domains 0   workers 0   running 0 of 0 slots\n")
    assert top.endswith("waiting for: nothing")


async def test_the_lists_have_what_the_read_model_has(dsn: str, job: Job, engine: Engine) -> None:
    """As JSON exactly its forms, but for the milliseconds that pass between two looks."""
    read = engine.store.overview
    for found, expected in (
        (await objects(dsn, "jobs"), job_json(await job.info())),
        (await objects(dsn, "domains"), domain_json(await read.get_domain("a.example"))),
        (await objects(dsn, "workers"), worker_json((await read.list_workers())[0])),
    ):
        (values,) = found
        passing = [name for name in expected if name.endswith("_in_ms")]
        assert [*expected] == [*values]
        assert {name: expected[name] for name in expected if name not in passing} == {
            name: values[name] for name in values if name not in passing
        }
    header, row = (await said(dsn, "jobs")).splitlines()
    assert header.split() == [
        "id",
        "site",
        "state",
        "done",
        *"running failed rate ETA".split(),
        "waiting",
    ]
    assert row.split()[:6] == ["1", "a.example", "pending", "1/5+", "1", "1"]
    _, row = (await said(dsn, "domains")).splitlines()
    assert ["a.example", "2", "s", "robots.txt"] == row.split()[:4]
    assert ["1", "3", "-", "-", "1", "1", "-"] == row.split()[-7:]
    _, row = (await said(dsn, "workers")).splitlines()
    assert row.split()[:9] == ["1", "box", "42", "1.2", "alive", "1", "64", "1", "10"]


async def test_a_domain_is_shown_with_its_jobs_and_what_waits(dsn: str, job: Job) -> None:
    """The gap with its parts, a table of live jobs, and a line for each reason."""
    shown = await said(dsn, "domain", "show", "a.example")
    assert "2 s, the longest of: user 500 ms, robots.txt 2 s" in shown
    assert "1 running, 3 pending, 0 waiting" in shown
    assert "job 1: 3 tasks wait, domain_delay: domain a.example permits" in shown
    (values,) = await objects(dsn, "domain", "show", "a.example")
    assert ["a.example", job.id, 3] == [
        values["domain"]["name"],
        values["jobs"][0]["id"],
        values["waiting"][0]["tasks"],
    ]


async def test_tasks_are_listed_a_part_at_a_time(dsn: str, job: Job) -> None:
    """By state, in the order of their claim, and on from where the last list ended."""
    first = (
        await said(dsn, "job", "tasks", "1", "--state", "pending", "--limit", "2")
    ).splitlines()
    assert ["k4", "k3"] == [line.split()[-1] for line in first[1:3]]
    assert first[3].startswith("there are more: --after ")
    after = first[3].split()[-1]
    rest = await said(dsn, "job", "tasks", "1", "--state", "pending", f"--after={after}")
    assert ["k0"] == [line.split()[-1] for line in rest.splitlines()[1:]]
    (page,) = await objects(dsn, "job", "tasks", "1")
    assert (job.id, None, 5) == (page["job_id"], page["after"], len(page["tasks"]))
    assert "no task of job 1 is there and skipped" == await said(
        dsn, "job", "tasks", "1", "--state", "skipped"
    )


async def test_top_tells_everything_at_once(dsn: str, job: Job, engine: Engine) -> None:
    """As text with all lists, as JSON with the read model's forms and the rates."""
    text = await said(dsn, "top", "--once")
    assert text.startswith("jobs 1   domains 1   workers 1   running 1 of 64 slots\n")
    assert "tasks 3 pending, 0 waiting, 1 failed   0.0/s settled, 0.0/s new" in text
    assert "waiting for: domain_delay 3" in text
    assert ["job", "domain", "worker"] == [block.split()[0] for block in text.split("\n\n")[1:]]
    (values,) = await objects(dsn, "top", "--once")
    assert {"at", "totals", "rates", "jobs", "domains", "workers", "slow_statements"} == {*values}
    assert {"settled_per_s": 0.0, "enqueued_per_s": 0.0} == values["rates"]
    counted = totals_json(await engine.store.overview.count_totals())
    late = {"attempts", "enqueued"}
    assert {name: value for name, value in counted.items() if name not in late} == {
        name: value for name, value in values["totals"].items() if name not in late
    }
    assert {**job_json(await job.info())}.keys() < values["jobs"][0].keys()


async def test_a_statement_that_takes_long_is_named(dsn: str, engine: Engine) -> None:
    """By its file, with what it waits for and who holds that."""
    job = await engine.create_job(domain="a.example", handler="h", tasks=[NewTask("t")])
    other = await asyncpg.connect(dsn)
    async with other.transaction():
        await other.execute("SELECT FROM pacewheel.jobs FOR UPDATE")
        pausing = asyncio.ensure_future(job.pause())
        slow = []
        while not any(each.blocked_by for each in slow):
            slow = await engine.store.overview.list_slow(0.0)
    await pausing
    await other.close()
    assert ["move_job", "Lock: transactionid"] == [slow[0].statement, slow[0].waits_for]
    assert [other.get_server_pid()] == slow[0].blocked_by


REFUSED = [
    (("domains", "--sort", "size"), "--sort 'size' is refused; give one of name, live, gap"),
    (("domains", "--all", "--sort", "gap"), "listed by name, not by gap"),
    (("domains", "--limit", "0"), "--limit '0'"),
    (("domain", "show", "b.example"), "there is no domain 'b.example'"),
    (("job", "tasks", "1", "--state", "done"), "state 'done' is refused; give one of pending"),
    (("job", "tasks", "1", "--after", "x"), "after='x' is refused"),
    (("job", "tasks", "9"), "there is no job 9"),
    (("workers", "--ended=-1"), "--ended '-1'"),
]


async def test_what_can_not_be_shown_is_refused(dsn: str, job: Job) -> None:
    """One line, and exit code 2."""
    for arguments, words in REFUSED:
        code, out, err = await ran(*arguments, "--dsn", dsn)
        assert (2, "") == (code, out), arguments
        assert words in err
        assert 1 == len(err.splitlines())
    assert 5 == (await job.info()).total


async def test_a_watch_is_an_object_a_line_until_it_is_interrupted(dsn: str, job: Job) -> None:
    """About a second apart, and Ctrl-C is its proper end."""
    command = [sys.executable, "-m", "pacewheel", "jobs", "--watch", "--json", "--dsn", dsn]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env=environment(), limit=2**20
    )
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGINT)
    rest = await process.stdout.read()
    assert 0 == await process.wait()
    assert b"" == rest or rest.endswith(b"}\n")
    values = [json.loads(line) for line in lines]
    assert [[job.id]] * 2 == [[info["id"] for info in each["jobs"]] for each in values]
    assert values[0]["at"] < values[1]["at"]

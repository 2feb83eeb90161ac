"""Reports of jobs in every state, of other handlers than the crawler's, and what the command refuses."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from pacewheel import Engine, NewTask, Outcome, Task
from pacewheel.errors import JobUnknown
from pacewheel.report import as_csv, as_json, html, junit, text
from pacewheel.store.queries import load_queries
from pacewheel.store.reports import PostgresReports
from tests.commands import environment, pacewheel, ran, refused
from tests.conftest import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pacewheel.engine import Job
    from pacewheel.report import Report

FORMS = (html, as_json, as_csv, junit, text)


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[Engine]:
    """An engine whose handler fails what is called broken, and holds what is called hold."""
    made = Engine(dsn)

    @made.handler("story", attempts=2, backoff_s=0.01, timeout_s=600)
    async def story(task: Task) -> Outcome:
        if task.target.startswith("broken"):
            return Outcome.failed("refused", http_status=404, detail={"message": "no such <thing>"})
        if task.target == "flaky" and task.attempt == 1:
            return Outcome.retry("busy", http_status=500)
        if task.target == "hold":
            await asyncio.Event().wait()
        return Outcome.completed(http_status=200, bytes=1000, cache="hit")

    await made.connect()
    yield made
    await made.stop(0)


async def create(engine: Engine, *targets: str, open_: bool = False) -> Job:
    """Create a job of these tasks."""
    return await engine.create_job(
        domain="a.example",
        handler="story",
        tasks=[NewTask(target) for target in targets],
        discovery_open=open_,
    )


async def settled(job: Job, number: int) -> None:
    """Wait until so many tasks of the job are settled."""

    async def is_settled() -> bool:
        return (await job.info()).settled >= number

    await until(is_settled)


def read_one_byte(*arguments: str) -> tuple[int, bytes]:
    """Run a command, read a byte of its output and leave; return its exit code and what it says."""
    command = [sys.executable, "-m", "pacewheel", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.stdout.close()
        said = process.stderr.read()
        return process.wait(60), said


def is_rendered(report: Report) -> bool:
    """True when every form can be made of it."""
    return all(form.render([(report, ())]) for form in FORMS)


async def test_a_job_without_results(engine: Engine) -> None:
    """Created and never run: no figure, nothing wrong with its pace, and a note that says so."""
    report = await (await create(engine, "a", open_=True)).report()
    assert (0, 0, None) == tuple(report.figures[name] for name in ("pages", "requests", "p50_ms"))
    assert report.politeness.is_kept
    assert report.bottleneck.verdict is None
    assert report.eta is not None
    assert "nothing has run yet" in " ".join(report.notes)
    dsn = ("--dsn", str(engine._dsn))
    assert 6 == pacewheel("report", "1", "--fail-on", "broken>0", *dsn).returncode
    assert 1 == sum(each.tasks for each in report.facts.waiting)
    assert is_rendered(report)


async def test_an_empty_job(engine: Engine) -> None:
    """A job that never had a task."""
    job = await create(engine)
    report = await job.report(compared_with="previous")
    assert 0 == report.figures["pages"]
    assert report.eta is None
    assert is_rendered(report)
    handed: list[object] = []
    await job.export(handed.extend)
    assert [] == handed


async def test_a_running_job_is_reported_as_it_is_now(engine: Engine) -> None:
    """What is settled counts; what runs is said to run, in the export too."""
    job = await create(engine, "hold", "a", "b", "broken")
    await engine.start()
    await settled(job, 3)
    report = await job.report()
    assert (3, 2, 1) == tuple(report.figures[name] for name in ("pages", "ok", "broken"))
    assert "not at its end" in report.notes[0]
    assert 1 == report.facts.job.running
    assert is_rendered(report)
    states: dict[str, str] = {}
    await job.export(lambda rows: states.update({row["url"]: row["status"] for row in rows}))
    assert {"hold": "running", "a": "completed", "b": "completed", "broken": "failed"} == states


async def test_a_cancelled_job_keeps_what_it_came_to(engine: Engine) -> None:
    """Its settled pages count, its cancelled tasks are exported as that."""
    job = await create(engine, "hold", "a", open_=True)
    await engine.start()
    await settled(job, 1)
    await job.cancel()
    report = await job.report()
    assert (1, 1) == (report.figures["pages"], report.figures["ok"])
    assert "the job was cancelled: pages may be missing" in report.notes
    assert is_rendered(report)
    states: list[str] = []
    await job.export(lambda rows: states.extend(sorted(row["status"] for row in rows)))
    assert ["cancelled", "completed"] == states


async def test_any_handlers_job_is_compared_with_the_one_before(engine: Engine) -> None:
    """By keys: what broke since, what is broken no more; retries are no pages."""
    await engine.start()
    first = await create(engine, "a", "broken b", "flaky")
    await settled(first, 3)
    await create(engine, "live", "hold", open_=True)
    second = await create(engine, "a", "broken c", "broken d", "b", "flaky")
    await settled(second, 5)
    report = await second.report(compared_with="previous")
    changes = report.facts.changes
    assert changes is not None
    assert first.id == changes.job.id
    assert (["broken c", "broken d"], 2) == (
        list(changes.newly_broken.rows),
        changes.newly_broken.total,
    )
    # What was broken and was not looked at again may still be.
    assert 0 == changes.mended.total
    back = (await first.report(compared_with=second.id)).facts.changes
    assert back is not None
    assert ["broken b"] == list(back.newly_broken.rows)
    itself = (await second.report(compared_with=second.id)).facts.changes
    assert itself is not None
    assert (0, 0) == (itself.newly_broken.total, itself.mended.total)
    assert 2 == report.figures["new_broken"]
    assert (1.0, 2.0) == next((c.before, c.now) for c in report.changes if c.name == "broken")
    before = await first.report()
    assert (3, 1) == (before.figures["pages"], before.figures["retries"])
    assert 1.0 == before.figures["warm_share"]
    assert is_rendered(report)


async def test_lists_are_cut_and_totals_are_not(engine: Engine) -> None:
    """A short list says how long it is."""
    await engine.start()
    job = await create(engine, *(f"broken {n}" for n in range(9)))
    await settled(job, 9)
    report = await job.report(rows_max=4)
    assert (9, 4) == (report.figures["broken"], len(report.facts.broken))
    assert ["broken 0", "broken 1", "broken 2", "broken 3"] == [
        page.url for page in report.facts.broken
    ]
    assert "no such <thing>" == report.facts.broken[0].message


async def test_a_job_that_is_not_there(engine: Engine) -> None:
    """Neither itself nor the one to compare with."""
    job = await create(engine)
    with pytest.raises(JobUnknown, match="no job 99"):
        await job.report(compared_with=99)
    for said, *words in (
        ("there is no job 99", "report", "99"),
        ("there is no job 99", "export", "99"),
        ("job id 'x'", "report", "x"),
        ("--compare 'y'", "report", "1", "--compare", "y"),
        ("there is no folder", "report", "1", "-o", "none/r.html"),
        ("no form", "warm", "http://127.0.0.1/", "--report", "r.pdf"),
    ):
        code, out, err = await ran(*words, "--dsn", str(engine._dsn))
        assert (2, "", 1) == (code, out, len(err.splitlines())), err
        assert said in err


async def test_thresholds_decide_the_exit_code(engine: Engine, tmp_path: Path) -> None:
    """6 when one is met, in every form; 0 when none is; an unknown name is refused with the list."""
    await engine.start()
    job = await create(engine, "a", "broken b")
    await settled(job, 2)
    database = ("--dsn", str(engine._dsn))
    report = ("report", str(job.id), *database)
    passed = pacewheel(*report, "--fail-on", "broken>1,ok<1")
    assert (0, "") == (passed.returncode, passed.stderr)
    failed = pacewheel(*report, "--fail-on", "broken>0,warm_share<2")
    assert 6 == failed.returncode
    assert "  fails: broken>0: broken is 1\n  fails: warm_share<2: warm_share is 1" in failed.stdout
    file = tmp_path / "report.xml"
    failed = pacewheel(*report, "--junit", "-o", str(file), "--fail-on", "broken>0,pages<1")
    assert (6, "", "fails: broken>0: broken is 1\n") == (
        failed.returncode,
        failed.stdout,
        failed.stderr,
    )
    suite = ET.parse(file).getroot()
    assert ("4", "2") == (suite.get("tests"), suite.get("failures"))
    content = json.loads(pacewheel(*report, "--json", "--fail-on", "broken>0").stdout)
    assert [True] == [each["is_failed"] for each in content["reports"][0]["thresholds"]]
    assert "the figures are pages, ok" in refused(2, *report, "--fail-on", "borken>0")


async def test_what_can_not_be_written_is_no_fault_of_the_database(
    engine: Engine, tmp_path: Path
) -> None:
    """A full disk is said, a reader that leaves is none; without such a job a file stays as it is."""
    job = await create(engine, open_=True)
    await job.enqueue([NewTask(f"t{n}" * 20) for n in range(2_500)])
    dsn = ("--dsn", str(engine._dsn))
    for command in ("export", "report"):
        assert "can't write '/dev/full' (No space" in refused(
            2, command, "1", "-o", "/dev/full", *dsn
        )
    kept = tmp_path / "kept.csv"
    kept.write_text("kept")
    refused(2, "export", "99", "--format", "csv", "-o", str(kept), *dsn)
    assert "kept" == kept.read_text()
    refused(2, "export", "99", "--format", "csv", *dsn)
    assert (0, b"") == read_one_byte("export", "1", *dsn)


async def test_a_report_is_utf_8_in_any_locale_and_ends_with_a_line(engine: Engine) -> None:
    """XML says so of itself; and a prompt begins on a line of its own."""
    await engine.start()
    job = await create(engine, "broken é")
    await settled(job, 1)
    for form in ((), ("--junit",)):
        report = ("report", "1", *form, "--dsn", str(engine._dsn))
        shown = pacewheel(*report, PYTHONIOENCODING="ascii").stdout
        assert "broken é" in shown
        assert shown.endswith("\n")


async def test_no_snapshot_is_held_of_a_job_that_changes_no_more(engine: Engine) -> None:
    """Minutes of a large report would keep vacuum from everything; a live job needs it."""
    live = await create(engine, "a", open_=True)
    final = await create(engine, "b")
    await final.cancel()
    queries = {
        **load_queries(),
        "report_disallowed": "SELECT current_setting('transaction_isolation') AS url, NULL AS line,"
        " NULL AS source, NULL AS found_on WHERE $1::bigint < $2::bigint",
    }
    reports = PostgresReports(engine.store._pool, queries)
    for job, isolation in ((live, "repeatable read"), (final, "read committed")):
        found = await reports.read_facts(job.id, rows_max=10, compared_with=None)
        assert [isolation] == [each.url for each in found.disallowed]


async def test_an_export_hands_out_every_task_once_a_thousand_at_a_time(engine: Engine) -> None:
    """More tasks than a page holds."""
    job = await create(engine, open_=True)
    await job.enqueue([NewTask(f"t{n}") for n in range(2_500)])
    urls: list[str] = []
    pages: list[int] = []

    def take(rows: object) -> None:
        assert isinstance(rows, list)
        pages.append(len(rows))
        urls.extend(row["url"] for row in rows)

    await job.export(take)
    assert [1000, 1000, 500] == pages
    assert {f"t{n}" for n in range(2_500)} == set(urls)

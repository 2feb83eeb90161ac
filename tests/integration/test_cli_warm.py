"""`pacewheel warm` and its relatives on a real site farm and a real database, as real processes."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pacewheel.loadtest.farm import FarmProcess
from pacewheel.loadtest.farm_presets import farm_sites
from tests.commands import (
    LOOPBACK,
    PROCESS_TIMEOUT_S,
    README,
    called,
    environment,
    pacewheel,
)
from tests.conftest import execute, fetch, with_database
from tests.politeness import assert_the_reports_prove_it
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pacewheel.loadtest.farm_log import ArrivalLog

PAGES = 60
SITES = farm_sites(3, PAGES)
DELAY_MS = 50
OPTIONS = (*LOOPBACK, "--delay", str(DELAY_MS / 1000))
# What the pace of the demo's sites may take: a minute, less the start of processes and a server.
DEMO_MAX_MS = 50_000


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[FarmProcess]:
    """Three sites with sixty pages in all."""
    with FarmProcess(SITES, tmp_path / "arrivals.jsonl") as process:
        yield process


@pytest.fixture(scope="module", autouse=True)
def demo(server_dsn: str, template: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The DSN of a database, and the demo at work on it, while the others run: it takes half a minute."""
    name = f"demo_{template}"
    asyncio.run(execute(server_dsn, f"CREATE DATABASE {name} TEMPLATE {template}"))
    dsn = with_database(server_dsn, name)
    leftover = called(
        *("submit", "http://127.0.0.1:9/", *LOOPBACK, "--schema", "pacewheel_demo"),
        PACEWHEEL_DSN=dsn,
    )
    assert 0 == leftover.returncode, leftover.stderr
    process = start("demo", "--quiet", "--json", dsn=dsn)
    yield dsn, process
    process.kill()
    process.communicate()
    asyncio.run(execute(server_dsn, f"DROP DATABASE {name} WITH (FORCE)"))


def start(*arguments: str, dsn: str) -> subprocess.Popen[str]:
    """Start the command line and go on."""
    return subprocess.Popen(
        [sys.executable, "-m", "pacewheel", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PACEWHEEL_DSN=dsn),
    )


def requests(log: ArrivalLog) -> int:
    """All arrivals so far."""
    return sum(len(log.arrivals(site)) for site in log.sites())


def repeated(log: ArrivalLog) -> list[tuple[str, int]]:
    """The paths that a site was asked for more than once."""
    counts = {site: Counter(each.path for each in log.arrivals(site)) for site in log.sites()}
    return [(path, n) for paths in counts.values() for path, n in paths.items() if n > 1]


async def test_warm_fetches_every_page_once_and_sums_up(dsn: str, farm: FarmProcess) -> None:
    """Plain progress on standard error, one JSON object on standard output, the pace kept."""
    done = pacewheel("warm", *farm.urls, *OPTIONS, "--json", PACEWHEEL_DSN=dsn)
    assert 0 == done.returncode, done.stderr
    content = json.loads(done.stdout)
    assert [True] * 3 == [site["warmed"] for site in content["sites"]]
    assert PAGES == content["total"]["pages"] == content["total"]["ok"]
    assert {"200": PAGES} == dict(
        sum((Counter(s["statuses"]) for s in content["sites"]), Counter())
    )
    assert [DELAY_MS] * 3 == [site["gap_ms"] for site in content["sites"]]
    assert done.stderr.replace("\n", "").isprintable()
    assert 3 == done.stderr.count(": completed, ")
    log = farm.log()
    assert content["total"]["requests"] == requests(log)
    assert [] == repeated(log)
    await assert_the_reports_prove_it(dsn, farm, log.sites())


def test_warm_ends_with_its_reports(dsn: str, farm: FarmProcess, tmp_path: Path) -> None:
    """In words after the summary, and as one file in which every site has its part."""
    file = tmp_path / "report.html"
    done = pacewheel(
        *("warm", *farm.urls, *OPTIONS, "--quiet", "--report", str(file)), PACEWHEEL_DSN=dsn
    )
    assert 0 == done.returncode, done.stderr
    assert 3 == done.stdout.count("politeness: kept; tightest gap ")
    assert 3 == file.read_text().count("<section id=")
    again = pacewheel(
        *("warm", farm.urls[0], *OPTIONS, "--quiet", "--report", str(tmp_path / "report.xml")),
        PACEWHEEL_DSN=dsn,
    )
    assert "since job " in again.stdout
    assert (tmp_path / "report.xml").read_text().startswith("<?xml")


def test_max_pages_include_and_exclude_are_kept(dsn: str, farm: FarmProcess) -> None:
    """At most so many pages; start URLs are always in."""
    done = pacewheel(
        *("warm", farm.urls[0], *OPTIONS, "--max-pages", "5", "--quiet", "--json"),
        PACEWHEEL_DSN=dsn,
    )
    (site,) = json.loads(done.stdout)["sites"]
    assert 0 == done.returncode, done.stderr
    assert "" == done.stderr
    assert 1 <= site["pages"] <= 5
    done = pacewheel(
        *("warm", farm.urls[1], *OPTIONS, "--no-sitemap", "--exclude", "*", "--json"),
        PACEWHEEL_DSN=dsn,
    )
    content = json.loads(done.stdout)
    assert 1 == content["total"]["pages"]
    assert {"pattern"} == set(content["sites"][0]["left_out"])


def test_interrupted_and_started_again_it_resumes(dsn: str, farm: FarmProcess) -> None:
    """SIGINT drains and says how to go on; the same command fetches the rest and nothing twice."""
    process = start("warm", *farm.urls, *OPTIONS, dsn=dsn)
    wait_until(lambda: requests(farm.log()) > 20, "20 requests are made")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PROCESS_TIMEOUT_S)
    assert 130 == process.returncode
    assert re.search(r"interrupted: \d+ of \d+ done; the same command resumes it\n", errors)
    assert "Traceback" not in errors

    other = pacewheel("warm", *farm.urls, *OPTIONS, "--concurrency", "3", PACEWHEEL_DSN=dsn)
    assert 2 == other.returncode
    assert "another concurrency" in other.stderr
    assert "pacewheel job cancel" in other.stderr

    done = pacewheel("warm", *farm.urls, *OPTIONS, "--json", PACEWHEEL_DSN=dsn)
    assert 0 == done.returncode, done.stderr
    assert "resuming job" in done.stderr
    assert PAGES == json.loads(done.stdout)["total"]["ok"]
    assert [] == repeated(farm.log())


def test_a_refused_command_creates_nothing(dsn: str, farm: FarmProcess) -> None:
    """One site of the command has a job with other options: the others get no job either."""
    assert 0 == called("submit", farm.urls[1], *OPTIONS, PACEWHEEL_DSN=dsn).returncode
    arguments = ("submit", *farm.urls, *OPTIONS, "--no-links")
    assert "another links" in called(*arguments, PACEWHEEL_DSN=dsn).stderr
    jobs = called("jobs", "--json", PACEWHEEL_DSN=dsn).stdout.splitlines()
    assert 1 == len(jobs)


async def test_two_processes_share_the_work(dsn: str, farm: FarmProcess) -> None:
    """Started together they join the same jobs, fetch nothing twice and keep one pace."""
    pair = [start("warm", *farm.urls, *OPTIONS, "--json", dsn=dsn) for _ in range(2)]
    outputs = [process.communicate(timeout=PROCESS_TIMEOUT_S) for process in pair]
    assert [0, 0] == [process.returncode for process in pair], outputs
    endings = [json.loads(output) for output, _ in outputs]
    assert PAGES == endings[0]["total"]["ok"] == endings[1]["total"]["ok"]
    log = farm.log()
    assert [] == repeated(log)
    await assert_the_reports_prove_it(dsn, farm, log.sites())


def test_daemons_work_on_submitted_jobs(dsn: str, farm: FarmProcess) -> None:
    """Submit prints ids, `run` does the work and ends with 0 when it is told to stop, either way."""
    submitted = pacewheel("submit", *farm.urls, *OPTIONS, "--json", PACEWHEEL_DSN=dsn)
    ids = [job["job_id"] for job in json.loads(submitted.stdout)["jobs"]]
    again = called("submit", *farm.urls, *OPTIONS, "--json", PACEWHEEL_DSN=dsn)
    assert ids == [job["job_id"] for job in json.loads(again.stdout)["jobs"]]
    assert 3 == len(called("jobs", "--json", PACEWHEEL_DSN=dsn).stdout.splitlines())

    daemons = [start("run", *LOOPBACK, dsn=dsn) for _ in range(2)]
    wait_until(
        lambda: "no live jobs" in called("jobs", PACEWHEEL_DSN=dsn).stdout, "the jobs are done"
    )
    wait_until(
        lambda: 2 == len(called("workers", "--json", PACEWHEEL_DSN=dsn).stdout.splitlines()),
        "both have begun",
    )
    for daemon, number in zip(daemons, (signal.SIGTERM, signal.SIGINT), strict=True):
        daemon.send_signal(number)
        _, errors = daemon.communicate(timeout=PROCESS_TIMEOUT_S)
        assert 0 == daemon.returncode, errors
        assert all(json.loads(line)["message"] for line in errors.splitlines())

    shown = json.loads(called("job", "show", str(ids[0]), "--json", PACEWHEEL_DSN=dsn).stdout)
    assert "completed" == shown["status"]
    assert shown["results"]["pages"] == shown["results"]["ok"] > 0
    table = called("jobs", "--all", PACEWHEEL_DSN=dsn).stdout.splitlines()
    assert 4 == len(table)


def test_a_cancelled_job_ends_the_warm_with_1(dsn: str, farm: FarmProcess) -> None:
    """`job cancel` from elsewhere: the site is reported as not warmed."""
    process = start("warm", farm.urls[0], *LOOPBACK, "--delay", "1", "--json", dsn=dsn)
    wait_until(lambda: requests(farm.log()) > 1, "the job has begun")
    (job,) = called("jobs", "--json", PACEWHEEL_DSN=dsn).stdout.splitlines()
    cancelled = called("job", "cancel", str(json.loads(job)["id"]), PACEWHEEL_DSN=dsn)
    assert 0 == cancelled.returncode, cancelled.stderr
    output, errors = process.communicate(timeout=PROCESS_TIMEOUT_S)
    assert 1 == process.returncode, errors
    assert "the job is cancelled" == json.loads(output)["sites"][0]["cause"]


def test_the_python_example_of_the_readme_runs(dsn: str, tmp_path: Path) -> None:
    """As printed, on the test's database."""
    match = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert match is not None
    program = match[1].replace("pacewheel.Engine()", f"pacewheel.Engine({dsn!r})")
    assert program != match[1]
    file = tmp_path / "example.py"
    file.write_text(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(file)],
        capture_output=True,
        text=True,
        timeout=PROCESS_TIMEOUT_S,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert 101 == len(done.stdout.splitlines())


async def test_the_demo_is_polite(demo: tuple[str, subprocess.Popen[str]]) -> None:
    """All eight sites are warmed, within the minute; what another demo left behind does not matter."""
    dsn, process = demo
    output, errors = process.communicate(timeout=PROCESS_TIMEOUT_S)
    assert 0 == process.returncode, errors
    content = json.loads(output)
    assert 8 == len(content["sites"])
    assert all(site["warmed"] for site in content["sites"])
    assert {"bookshop", "townhall", "boxoffice"} <= {site["label"] for site in content["sites"]}
    domains = await fetch(
        dsn,
        "SELECT count(*) AS departures, count(*) FILTER (WHERE apart_ms < gap_ms) AS early,"
        " sum(gap_ms) AS permitted_ms FROM pacewheel_demo.results WHERE departed_at IS NOT NULL"
        " GROUP BY domain_id",
    )
    # Each request that the farm saw is in the record; when it saw it says nothing of the pace.
    departures = sum(row["departures"] for row in domains)
    assert departures == content["farm"]["requests"] >= content["total"]["pages"]
    assert 0 == sum(row["early"] for row in domains)
    # The pace is what the demo takes: a machine that is slow beside it would only judge itself.
    assert DEMO_MAX_MS > max(row["permitted_ms"] for row in domains)

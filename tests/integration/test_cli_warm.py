"""`pacewheel warm` and its relatives on a real site farm and a real database, as real processes."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pacewheel.loadtest.farm import FarmProcess
from pacewheel.loadtest.farm_presets import farm_sites
from tests.commands import LOOPBACK, README, environment, pacewheel
from tests.conftest import fetch
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pacewheel.loadtest.farm_log import ArrivalLog

DELAY_MS = 50
# The farm reads its sockets beside everything else this machine does.
TOLERANCE_MS = 25
LAGGING_SHARE = 0.05
OPTIONS = (*LOOPBACK, "--delay", str(DELAY_MS / 1000))


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[FarmProcess]:
    """Three sites with ninety pages in all."""
    with FarmProcess(farm_sites(3, 90), tmp_path / "arrivals.jsonl") as process:
        yield process


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


def test_warm_fetches_every_page_once_and_sums_up(dsn: str, farm: FarmProcess) -> None:
    """Plain progress on standard error, one JSON object on standard output, the pace kept."""
    done = pacewheel("warm", *farm.urls, *OPTIONS, "--json", PACEWHEEL_DSN=dsn)
    assert 0 == done.returncode, done.stderr
    content = json.loads(done.stdout)
    assert [True] * 3 == [site["warmed"] for site in content["sites"]]
    assert 90 == content["total"]["pages"] == content["total"]["ok"]
    assert {"200": 90} == dict(sum((Counter(s["statuses"]) for s in content["sites"]), Counter()))
    assert [DELAY_MS] * 3 == [site["gap_ms"] for site in content["sites"]]
    assert done.stderr.replace("\n", "").isprintable()
    assert 3 == done.stderr.count(": completed, ")
    log = farm.log()
    assert content["total"]["requests"] == requests(log)
    assert [] == repeated(log)
    for site in log.sites():
        assert [] == log.violations(site, DELAY_MS, TOLERANCE_MS)


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
    wait_until(lambda: requests(farm.log()) > 30, "30 requests are made")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
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
    assert 90 == json.loads(done.stdout)["total"]["ok"]
    assert [] == repeated(farm.log())


def test_a_refused_command_creates_nothing(dsn: str, farm: FarmProcess) -> None:
    """One site of the command has a job with other options: the others get no job either."""
    assert 0 == pacewheel("submit", farm.urls[1], *OPTIONS, PACEWHEEL_DSN=dsn).returncode
    arguments = ("submit", *farm.urls, *OPTIONS, "--no-links")
    assert "another links" in pacewheel(*arguments, PACEWHEEL_DSN=dsn).stderr
    jobs = pacewheel("jobs", "--json", PACEWHEEL_DSN=dsn).stdout.splitlines()
    assert 1 == len(jobs)


def test_two_processes_share_the_work(dsn: str, farm: FarmProcess) -> None:
    """Started together they join the same jobs, fetch nothing twice and keep one pace."""
    pair = [start("warm", *farm.urls, *OPTIONS, "--json", dsn=dsn) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in pair]
    assert [0, 0] == [process.returncode for process in pair], outputs
    endings = [json.loads(output) for output, _ in outputs]
    assert 90 == endings[0]["total"]["ok"] == endings[1]["total"]["ok"]
    log = farm.log()
    # Where both created a job, one of the two was cancelled; its robots.txt may have been fetched.
    assert [] == [path for path, _ in repeated(log) if path != "/robots.txt"]
    for site in log.sites():
        assert [] == log.violations(site, DELAY_MS, TOLERANCE_MS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_daemon_works_on_submitted_jobs(
    dsn: str, farm: FarmProcess, number: signal.Signals
) -> None:
    """Submit prints ids, `run` does the work and ends with 0 when it is told to stop."""
    submitted = pacewheel("submit", *farm.urls, *OPTIONS, "--json", PACEWHEEL_DSN=dsn)
    ids = [job["job_id"] for job in json.loads(submitted.stdout)["jobs"]]
    again = pacewheel("submit", *farm.urls, *OPTIONS, "--json", PACEWHEEL_DSN=dsn)
    assert ids == [job["job_id"] for job in json.loads(again.stdout)["jobs"]]
    assert 3 == len(pacewheel("jobs", "--json", PACEWHEEL_DSN=dsn).stdout.splitlines())

    daemon = start("run", *LOOPBACK, dsn=dsn)
    wait_until(
        lambda: "no live jobs" in pacewheel("jobs", PACEWHEEL_DSN=dsn).stdout, "the jobs are done"
    )
    daemon.send_signal(number)
    _, errors = daemon.communicate(timeout=30)
    assert 0 == daemon.returncode, errors
    assert all(json.loads(line)["message"] for line in errors.splitlines())

    shown = json.loads(pacewheel("job", "show", str(ids[0]), "--json", PACEWHEEL_DSN=dsn).stdout)
    assert "completed" == shown["status"]
    assert shown["results"]["pages"] == shown["results"]["ok"] > 0
    table = pacewheel("jobs", "--all", PACEWHEEL_DSN=dsn).stdout.splitlines()
    assert 4 == len(table)


def test_a_cancelled_job_ends_the_warm_with_1(dsn: str, farm: FarmProcess) -> None:
    """`job cancel` from elsewhere: the site is reported as not warmed."""
    process = start("warm", farm.urls[0], *LOOPBACK, "--delay", "1", "--json", dsn=dsn)
    wait_until(lambda: requests(farm.log()) > 1, "the job has begun")
    (job,) = pacewheel("jobs", "--json", PACEWHEEL_DSN=dsn).stdout.splitlines()
    cancelled = pacewheel("job", "cancel", str(json.loads(job)["id"]), PACEWHEEL_DSN=dsn)
    assert 0 == cancelled.returncode, cancelled.stderr
    output, errors = process.communicate(timeout=30)
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
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert 101 == len(done.stdout.splitlines())


def test_the_demo_is_polite(dsn: str) -> None:
    """All eight sites are warmed in under a minute; what another demo left behind does not matter."""
    leftover = pacewheel(
        *("submit", "http://127.0.0.1:9/", *LOOPBACK, "--schema", "pacewheel_demo"),
        PACEWHEEL_DSN=dsn,
    )
    assert 0 == leftover.returncode, leftover.stderr
    began = time.monotonic()
    done = pacewheel("demo", "--quiet", "--json", PACEWHEEL_DSN=dsn)
    assert 0 == done.returncode, done.stderr
    assert time.monotonic() - began < 60
    content = json.loads(done.stdout)
    assert 8 == len(content["sites"])
    assert all(site["warmed"] for site in content["sites"])
    assert {"bookshop", "townhall", "boxoffice"} <= {site["label"] for site in content["sites"]}
    assert content["farm"]["requests"] >= content["total"]["pages"]
    departures = asyncio.run(
        fetch(
            dsn,
            "SELECT count(*), count(*) FILTER (WHERE apart_ms < gap_ms) FROM pacewheel_demo.results"
            " WHERE departed_at IS NOT NULL",
        )
    )
    assert departures[0][0] >= content["total"]["pages"]
    assert 0 == departures[0][1]
    # The farm's clock lags behind its sockets while the machine is busy: its log can't be exact then.
    assert content["farm"]["violations"] <= content["farm"]["requests"] * LAGGING_SHARE

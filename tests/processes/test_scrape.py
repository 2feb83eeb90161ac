"""Two real daemons are scraped, each at its own port: all that dashboard and rules name is there."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from urllib.error import URLError

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import execute, with_database
from tests.own_server import free_port
from tests.processes.conftest import CRASH_WORDS
from tests.promql import SCRAPED, expressions, find_promtool, labels_of, metrics_of
from tests.requirements import key_metrics

COMMAND = (sys.executable, "-m", "pacewheel")
WORD = re.compile(r"[a-z][a-z0-9_]*")
# What has series from its first time on, or after a full minute.
MAY_HAVE_NO_SERIES = {
    "pacewheel_handlers_abandoned_total",
    "pacewheel_hot_job_cache_questions",
    "pacewheel_hot_job_claims",
}


class Scrape:
    """What one daemon said: the text, and the labels and values of each sample's name."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples: defaultdict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
        self.names: set[str] = set()
        for family in text_string_to_metric_families(text):
            suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
            self.names |= {family.name + each for each in suffixes.get(family.type, ("",))}
            for sample in family.samples:
                self.samples[sample.name].append((sample.labels, sample.value))

    def sum(self, name: str) -> float:
        """The sum over a metric's series."""
        return sum(value for _, value in self.samples[name])


def get(port: int, path: str) -> str | None:
    """The body of an answer with 200; None of another, or of none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return str(response.read().decode())
    except URLError:
        return None


def work(dsn: str, ports: list[int]) -> list[Scrape]:
    """Have the daemons try a site that isn't there, and scrape them once they did."""
    site = f"http://127.0.0.1:{free_port()}/"
    submit = [*COMMAND, "submit", site, "--dsn", dsn, "--allow-network", "127.0.0.1/32"]
    subprocess.run(submit, check=True, capture_output=True, timeout=60)
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        if all(get(port, "/readyz") for port in ports):
            texts = [get(port, "/metrics") for port in ports]
            scrapes = [Scrape(text) for text in texts if text is not None]
            tried = sum(scrape.sum("pacewheel_handler_seconds_count") for scrape in scrapes)
            if tried and all(s.sum("pacewheel_scaling_evaluations_total") for s in scrapes):
                return scrapes
        time.sleep(0.1)
    pytest.fail("the daemons did not work within a minute")


@pytest.fixture(scope="module")
def scrapes(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Scrape]]:
    """What two daemons on one database said."""
    name = f"scraped_{template}"
    asyncio.run(execute(server_dsn, f"CREATE DATABASE {name} TEMPLATE {template}"))
    dsn = with_database(server_dsn, name)
    ports = [free_port(), free_port()]
    logs = [tmp_path_factory.mktemp("scrape") / "log" for _ in ports]
    allow = ("--allow-network", "127.0.0.1/32")
    daemons = []
    for port, log in zip(ports, logs, strict=True):
        command = [*COMMAND, "run", "--dsn", dsn, "--http-port", str(port), *allow]
        with log.open("wb") as file:
            daemons.append(subprocess.Popen(command, stdout=file, stderr=file))
    try:
        yield work(dsn, ports)
    finally:
        for daemon in daemons:
            daemon.terminate()
        ends = [daemon.wait(30) for daemon in daemons]
        asyncio.run(execute(server_dsn, f"DROP DATABASE {name} WITH (FORCE)"))
    said = "".join(log.read_text() for log in logs)
    assert [0, 0] == ends, said
    assert not [word for word in CRASH_WORDS if word in said], said


def test_every_metric_of_dashboard_and_rules_is_exposed(scrapes: list[Scrape]) -> None:
    """And, but for what only trouble brings about, has series with the labels that are asked for."""
    both = defaultdict(list)
    for scrape in scrapes:
        for name, found in scrape.samples.items():
            both[name] += found
    asked = expressions()
    assert len(asked) > 100
    without = set()
    for expression in asked:
        labels = labels_of(expression)
        for name in metrics_of(expression):
            assert name in scrapes[0].names, f"{name} in {expression}"
            if not both[name]:
                without.add(name)
        found_labels = {
            label for name in metrics_of(expression) for found, _ in both[name] for label in found
        }
        if found_labels:
            assert labels <= found_labels, expression
    assert set() == without - MAY_HAVE_NO_SERIES


def test_the_dashboard_shows_every_metric_there_is(scrapes: list[Scrape]) -> None:
    """Each in a panel, but for what belongs to the interpreter and the operating system."""
    shown = {name for expression in expressions() for name in metrics_of(expression)}
    ours = {name for name in scrapes[0].names if name.startswith("pacewheel_")}
    left_out = {name for name in ours - shown if not name.endswith(("_sum", "_count"))}
    assert set() == left_out


def test_what_all_share_is_the_same_in_every_process_and_work_adds_up(
    scrapes: list[Scrape],
) -> None:
    """So dashboards take the maximum of the one and the sum of the other."""
    first, second = scrapes
    for name in ("pacewheel_jobs_active", "pacewheel_workers_alive", "pacewheel_database_up"):
        assert first.samples[name] == second.samples[name], name
    assert 2 == first.sum("pacewheel_workers_alive")
    assert 1 == first.sum("pacewheel_jobs_active")
    claimed = [scrape.sum("pacewheel_tasks_claimed_total") for scrape in scrapes]
    assert 0 == min(claimed) < max(claimed)


def test_promtool_accepts_the_exposition(scrapes: list[Scrape]) -> None:
    """As `promtool check metrics` sees it: types, helps, names and units."""
    for scrape in scrapes:
        done = subprocess.run(
            [find_promtool(), "check", "metrics"],
            input=scrape.text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, "") == (done.returncode, done.stdout + done.stderr)


def test_the_table_of_the_architecture_names_metrics_that_are_exposed(
    scrapes: list[Scrape],
) -> None:
    """For each metric that was asked for, in its words: those that answer it."""
    for asked, (metrics, _) in key_metrics().items():
        for name in metrics:
            assert name in scrapes[0].names, f"{asked}: {name}"


def test_series_of_a_process_are_few(scrapes: list[Scrape]) -> None:
    """Bounded by what statements and handlers there are, whatever is worked on."""
    for scrape in scrapes:
        assert sum(map(len, scrape.samples.values())) < 3000
        assert "_created" not in scrape.text


def test_labels_are_words_of_the_code_and_never_data(scrapes: list[Scrape]) -> None:
    """No site, no task, no id: but for bounds, classes of SQLSTATE and the few busiest jobs."""
    of_data = {
        f"{name} {label}={value}"
        for scrape in scrapes
        for name, found in scrape.samples.items()
        for labels, _ in found
        for label, value in labels.items()
        if label not in {"le", "sqlstate_class", "job_id"} and not WORD.fullmatch(value)
    }
    assert set() == of_data
    named = {
        label
        for scrape in scrapes
        for found in scrape.samples.values()
        for each, _ in found
        for label in each
    }
    # Prometheus gives these to each series itself, and would call ours something else.
    assert set() == named & SCRAPED


def test_a_scrape_costs_four_statements(scrapes: list[Scrape]) -> None:
    """All of them go under their names, as all others do."""
    names = {"count_totals", "find_stuck_jobs", "read_database", "read_tables"}
    for scrape in scrapes:
        found = scrape.samples["pacewheel_transaction_seconds_count"]
        assert names <= {labels["statement"] for labels, _ in found}
        assert "other" not in {labels["statement"] for labels, _ in found}

"""The closing summary: text, JSON and the verdict."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pacewheel.cli import summary
from pacewheel.cli.summary import SiteResult
from pacewheel.job_summary import JobSummary
from pacewheel.model import JobInfo, JobState

START = datetime(2026, 1, 1, tzinfo=UTC)


def result(
    label: str = "bookshop",
    *,
    job: dict[str, Any] | None = None,
    robots_errors: dict[str, int] | None = None,
    **values: Any,
) -> SiteResult:
    """A site that was warmed, every field optional."""
    info: dict[str, Any] = {
        "id": 7, "domain": "site.example", "handler": "warm", "status": JobState.COMPLETED,
        "priority": 0.0, "concurrency": 8, "max_tasks": None, "options": {},
        "discovery_open": False, "error": None, "retries_job_id": None,
        "total": 12, "pending": 0, "waiting": 0, "running": 0,
        "completed": 11, "failed": 1, "skipped": 0, "cancelled": 0, "created_at": START,
        "started_at": START, "finished_at": START + timedelta(seconds=5.5),
        "waiting_reason": None, "next_start_in_ms": None, "owner": None, "gap_ms": 500,
        "workers_alive": 1,
    }  # fmt: skip
    sums: dict[str, Any] = {
        "requests": 13, "pages": 10, "ok": 9, "bytes": 2_500_000, "p50_ms": 20.4, "p95_ms": 99.6,
        "statuses": {"200": 9, "404": 1}, "errors": {"http_4xx": 1},
        "cache": {"hit": 4, "miss": 6}, "left_out": {"trap_queries": 3}, "first_at": START, "last_at": START,
    }  # fmt: skip
    return SiteResult(
        label,
        JobInfo(**{**info, **(job or {})}),
        JobSummary(**{**sums, **values}),
        robots_errors or {},
    )


def nothing(**values: Any) -> SiteResult:
    """A site of which no page was fetched."""
    empty = {
        "pages": 0, "ok": 0, "bytes": 0, "statuses": {}, "errors": {}, "cache": {}, "left_out": {},
    }  # fmt: skip
    return result(**{**empty, **values})


def test_what_became_warm_and_what_never_will_is_shown() -> None:
    """How many pages were asked for again, what that took, and the causes of the others."""
    site = result(
        rechecks={"hit": 4, "miss": 1, "timeout": 1}, cold_ms=95.6, warm_ms=20.9,
        uncacheable={"no-store": 1, "private": 2},
    )  # fmt: skip
    _, _, _, again, never, _ = summary.lines([site])
    assert (
        "  asked again for 6 of them: 4 became warm, first byte after 96 ms, then 21 ms"
        " | still miss: 1, timeout: 1"
    ) == again
    assert "  never from a cache: private: 2, no-store: 1" == never
    content = summary.as_json([site.info], [site], 0)["sites"][0]
    assert (4, 95.6, 20.9) == (content["became_warm"], content["cold_ms"], content["warm_ms"])
    cold = result(rechecks={"miss": 2})
    assert "  asked again for 2 of them: 0 became warm | still miss: 2" in summary.lines([cold])


def test_a_warmed_site_shows_its_sums() -> None:
    """A header, the site's line, its details, the memory it took; no total for one site."""
    header, line, details, memory = summary.lines([result()])
    assert int(memory.removeprefix("peak memory of this process: ").removesuffix(" MB")) > 0
    assert header.split()[:4] == ["site", "state", "pages", "ok"]
    assert "bookshop completed 10 9 1 0 2.5 20 100 5.5 s 500 ms" == " ".join(line.split())
    assert (
        "status 200: 9, 404: 1 | cache miss: 6, hit: 4 | not fetched http_4xx: 1 | "
        "left out trap_queries: 3" == details.strip()
    )
    assert 0 == summary.exit_code([result()])


def test_several_sites_have_a_total() -> None:
    """Sums over the sites, the longest time, and how many were warmed."""
    last = summary.lines([result(), result("other"), nothing()])[-2]
    assert "total 2/3 warmed 20 18 3 0 5.0 5.5 s" == " ".join(last.split())


def test_a_site_of_which_nothing_has_changed_is_warmed() -> None:
    """Its answers to conditional requests are 304s, and no redirects."""
    assert result(pages=2, ok=2, statuses={"304": 2}, errors={}).is_warmed
    assert not result(pages=2, ok=2, statuses={"302": 2}, errors={}).is_warmed


@pytest.mark.parametrize(
    ("site", "sentence"),
    [
        (nothing(robots_errors={"dns": 1}), "does not resolve"),
        (nothing(robots_errors={"refused": 1}), "--allow-network"),
        (nothing(pages=1, errors={"robots": 1}), "robots.txt disallows"),
        (nothing(robots_errors={"new_word": 1}), "new_word"),
        (result(pages=1, ok=1, statuses={"301": 1}, errors={}), "only redirects"),
        (nothing(), "no page was found"),
        (result(job={"status": JobState.FAILED}), "the job is failed"),
        (result(job={"status": JobState.CANCELLED}), "the job is cancelled"),
    ],
)
def test_a_site_that_was_not_warmed_says_why(site: SiteResult, sentence: str) -> None:
    """The reason stands in the details, and the command ends with 1."""
    text = "\n".join(summary.lines([site]))
    assert "not warmed: " in text
    assert sentence in text
    assert 1 == summary.exit_code([result(), site])


def test_json_holds_all_of_it() -> None:
    """Everything of the summary, as plain values."""
    site = result()
    content = json.loads(json.dumps(summary.as_json([site.info], [site], 0)))
    assert {"sites", "total", "interrupted", "exit_code"} == set(content)
    (shown,) = content["sites"]
    assert ("site.example", "bookshop", True, 5.5) == (
        shown["domain"],
        shown["label"],
        shown["warmed"],
        shown["duration_s"],
    )
    assert {"200": 9, "404": 1} == shown["statuses"]
    assert {"trap_queries": 3} == shown["left_out"]
    assert 10 == content["total"]["pages"]


def test_json_of_an_interruption_tells_how_far_each_job_was() -> None:
    """Without results there are only the counters."""
    content = summary.as_json([result().info], None, 130)
    assert (True, 130) == (content["interrupted"], content["exit_code"])
    assert {"total": 12, "settled": 12} == content["sites"][0]["tasks"]

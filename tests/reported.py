"""Facts of a job for tests of reports: complete, every part replaceable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pacewheel.model import JobInfo, JobState
from pacewheel.report import facts
from pacewheel.report.facts import Facts, Listing

START = datetime(2026, 1, 1, tzinfo=UTC)


def job(**values: Any) -> JobInfo:
    """A completed job of ten tasks on a site with a gap of half a second."""
    defaults: dict[str, Any] = {
        "id": 7, "domain": "site.example", "handler": "warm", "status": JobState.COMPLETED,
        "priority": 0.0, "concurrency": 8, "max_tasks": None, "options": {},
        "discovery_open": False, "error": None, "retries_job_id": None,
        "total": 10, "pending": 0, "waiting": 0, "running": 0,
        "completed": 9, "failed": 1, "skipped": 0, "cancelled": 0, "created_at": START,
        "started_at": START, "finished_at": START + timedelta(seconds=5.5),
        "waiting_reason": None, "next_start_in_ms": None, "owner": None, "gap_ms": 500, "workers_alive": 1,
    }  # fmt: skip
    return JobInfo(**{**defaults, **values})


def facts_of(job_info: JobInfo | None = None, **values: Any) -> Facts:
    """What was read of a job: nothing, but for what is given."""
    return Facts(job_info or job(), START + timedelta(seconds=6), **values)


def full_facts(url: str = "https://site.example/page") -> Facts:
    """What was read of a job with something in every list; all its pages have this address."""
    cost = facts.PageCost(url, 200, 12.5, 80.0, 4_000, "hit")
    linkers = Listing(21, [facts.Linker(url, "nav")] * 20)
    return facts_of(
        sums=facts.Sums(
            attempts=12, requests=11, retries=2, bytes=44_000, pages=9, ok=6, broken=2, skipped=1,
            disallowed=1, warm=3, judged=4, p50_ms=40.0, p95_ms=80.0, p99_ms=90.0,
            cold_answers=1, cold_p50_ms=80.0, cold_p95_ms=81.0,
            warm_answers=3, warm_p50_ms=20.0, warm_p95_ms=21.0,
            kinds={"page": 9}, statuses={"200": 6}, errors={"http_4xx": 2}, cache={"hit": 3},
            left_out={"robots": 4},
        ),
        sections=Listing(2, [facts.Section("/a/", 8, 5, 2, 3, 4, 40_000, 40.0)]),
        broken=[
            facts.BrokenPage(url, 404, "http_4xx", None, 1, "nav", url, linkers),
            facts.BrokenPage(url, None, "timeout", f"no answer from {url}", 5, "start", None),
        ],
        redirects=facts.Redirects(
            2,
            1,
            [
                facts.Redirect(url, 301, url, 2, is_loop=True, leaves_site=False),
                facts.Redirect(url, 302, None, 1, is_loop=False, leaves_site=True),
            ],
        ),
        slow=[cost],
        heavy=[cost],
        uncacheable=[facts.Uncacheable("no_store", 2, [url])],
        unlinked=Listing(3, [url]),
        unlisted=Listing(1, [url]),
        disallowed=[facts.Disallowed(url, 4, "start", None)],
        pace=facts.Pace(
            departures=11, least_gap_ms=500, most_gap_ms=500, seen_ms=500.2, permitted_ms=500,
            permitted_sum_ms=5_000.0, seen_sum_ms=5_400.0, handovers=1, handover_ms=612.0,
            precision_ms=1.5, pauses=1, asked_ms=2_000.0,
        ),
        flow=facts.Flow(
            attempts=12, window_ms=5_500.0, busy_ms=900.0, answer_ms=800.0, own_ms=2.0, waits=10,
            waited_ms=20_000.0, recent=12, recent_ms=5_500.0,
        ),
        changes=facts.Changes(
            job(id=5), facts.Sums(pages=8, ok=8), facts.Redirects(), Listing(1, [url]),
            Listing(2, [url]),
        ),
    )  # fmt: skip

"""A farm warmed by the real engine: what the report says is what the farm knows of itself."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pacewheel import Engine
from pacewheel.crawl.uncacheable import CAUSES
from pacewheel.loadtest.farm import FarmProcess
from pacewheel.loadtest.farm_pages import Site, mix, truth
from pacewheel.loadtest.farm_sites import Cdn, RateLimit, Redirect, Robots, SiteSpec
from tests.commands import LOOPBACK, pacewheel
from tests.conftest import fetch

if TYPE_CHECKING:
    from pacewheel.loadtest.farm_log import ArrivalLog
    from pacewheel.report import Report

DELAY_MS = 40
# What the loop's turn and the way take off a gap, between requests that none of them held up.
TOLERANCE_MS = 25
# Late: a domain that has refused is asked twice a second at first.
AFTER_REQUESTS = 80
# What was under way when the site began to refuse, on a machine that may stand still.
UNDER_WAY_MAX = 8
UNDER_WAY_MS = 1_500
SPEC = SiteSpec(
    name="site",
    pages=50,
    seed=3,
    sitemap="index",
    sitemap_child_pages=15,
    sitemap_only=4,
    sitemap_skips=7,
    unavailable=((17, 404), (9, 410)),
    latency_ms=10,
    latency_spread_ms=90,
    page_bytes=3_000,
    page_bytes_spread=9_000,
    cdn=Cdn(vendor="cloudflare", bypass_every=9),
    robots=Robots(disallow=("/archive/",)),
    rate_limit=RateLimit(after_requests=AFTER_REQUESTS, retry_after_s=2),
    redirects=(
        Redirect(source="/moved", target="/"),
        Redirect(source="/loop/left", target="/loop/right"),
        Redirect(source="/loop/right", target="/loop/left"),
        Redirect(source="/partner", target="{neighbour}/elsewhere"),
    ),
)
OTHER = SiteSpec(name="other", pages=3, seed=4)
FORBIDDEN = "/archive/forbidden-by-robots"


class Warmed(NamedTuple):
    """The report of the site's job, the site itself, what it saw, and where it was."""

    report: Report
    site: Site
    log: ArrivalLog
    dsn: str

    def path(self, url: str) -> str:
        """A URL of the site without its origin."""
        assert url.startswith(self.site.origin)
        return url.removeprefix(self.site.origin)

    def fetched(self) -> dict[str, int]:
        """The pages that were answered with 200, by path: their numbers."""
        return {path: self.site.page_of(path) or 0 for path in truth(SPEC)}

    def linkers(self, number: int) -> dict[str, str]:
        """The pages that link to a page, each with the position, by the farm's own links."""
        found = {}
        for path, page in self.fetched().items():
            links = self.site.links_of(page)
            for position in ("header", "nav", "main", "footer"):
                if page != number and number in getattr(links, position):
                    found.setdefault(path, position)
        return found


@pytest.fixture
async def warmed(dsn: str, tmp_path: Path) -> Warmed:
    """The farm, warmed from its root and from a page that it forbids."""
    with FarmProcess((SPEC, OTHER), tmp_path / "arrivals.jsonl") as farm:
        origin, neighbour = (url.rstrip("/") for url in farm.urls)
        done = pacewheel(
            *("warm", farm.urls[0], origin + FORBIDDEN, *LOOPBACK),
            *("--delay", f"{DELAY_MS / 1000}", "--json", "--report", str(tmp_path / "r.json")),
            PACEWHEEL_DSN=dsn,
        )
        assert 0 == done.returncode, done.stderr
        log = farm.log()
    engine = Engine(dsn)
    await engine.connect()
    report = await (await engine.get_job(1)).report()
    await engine.close()
    written = json.loads((tmp_path / "r.json").read_text())
    assert report.figures == written["reports"][0]["figures"]
    return Warmed(report, Site(SPEC, origin, neighbour), log, dsn)


async def test_a_report_says_what_the_farm_knows(warmed: Warmed) -> None:
    """Every list and every sum, against the farm's specification and its log."""
    pages_are_right(warmed)
    broken_pages_have_their_linkers(warmed)
    costs_are_right(warmed)
    caches_are_right(warmed)
    sitemaps_and_links_are_compared(warmed)
    await the_record_is_the_farms(warmed)
    await an_export_has_every_task(warmed)


def pages_are_right(warmed: Warmed) -> None:
    """Counts, statuses, redirects, loops, sections and what robots.txt forbids."""
    facts, figures = warmed.report.facts, warmed.report.figures
    fetched = warmed.fetched()
    assert len(fetched) == figures["ok"]
    arrivals = [a for a in warmed.log.arrivals("site") if a.status != 429]
    # A page that is asked for a second time is one page.
    statuses = {
        a.path: str(a.status)
        for a in arrivals
        if not a.path.startswith(("/robots.txt", "/sitemap"))
    }
    assert Counter(statuses.values()) == Counter(facts.sums.statuses)
    assert len(warmed.log.arrivals("site")) == figures["requests"]
    assert (1, 1) == (figures["disallowed"], figures["skipped"])
    assert [FORBIDDEN] == [warmed.path(each.url) for each in facts.disallowed]
    assert len(SPEC.redirects) == figures["redirects"]
    assert 2 == figures["loops"]
    shown = {warmed.path(each.url): each for each in facts.redirects.rows}
    assert {"/loop/left", "/loop/right"} == {p for p, each in shown.items() if each.is_loop}
    assert ["/partner"] == [p for p, each in shown.items() if each.leaves_site]
    assert warmed.site.origin + "/" == shown["/moved"].redirects_to
    sections = Counter(
        path[: path.index("/", 1) + 1] if path.count("/") > 1 else "/" for path in fetched
    )
    assert sections == {each.name: each.ok for each in facts.sections.rows if each.ok}


def broken_pages_have_their_linkers(warmed: Warmed) -> None:
    """Each error page that is not forbidden, with all pages that link to it, and the position."""
    facts = warmed.report.facts
    expected = {
        warmed.site.path_of(page): status
        for page, status in SPEC.unavailable
        if not warmed.site.forbids(warmed.site.path_of(page))
    }
    assert expected
    assert expected == {warmed.path(page.url): page.http_status for page in facts.broken}
    for page in facts.broken:
        linkers = warmed.linkers(warmed.site.page_of(warmed.path(page.url)) or 0)
        assert len(linkers) == page.linkers.total
        shown = {warmed.path(each.url): each.position for each in page.linkers.rows}
        assert shown.items() <= linkers.items()
        assert min(20, len(linkers)) == len(shown)


def costs_are_right(warmed: Warmed) -> None:
    """The heaviest pages in order of their size; none was faster than the farm's own latency."""
    facts = warmed.report.facts
    sizes = {path: len(warmed.site.html(page)) for path, page in warmed.fetched().items()}
    assert sorted(sizes.values(), reverse=True)[:20] == [each.bytes for each in facts.heavy[:20]]
    assert facts.sums.bytes > sum(sizes.values())
    for each in facts.slow:
        path = warmed.path(each.url)
        # The event loop rounds its readings to the millisecond.
        latency_ms = SPEC.latency_ms + mix(SPEC.seed, "latency", path) % (
            SPEC.latency_spread_ms + 1
        )
        assert each.answer_ms >= latency_ms - 2, path
    slowest = max((path for path in sizes), key=lambda path: mix(SPEC.seed, "latency", path) % 91)
    assert slowest in [warmed.path(each.url) for each in facts.slow]


def caches_are_right(warmed: Warmed) -> None:
    """Every first answer was a miss and every second one a hit; of the rest it is said why not."""
    facts, figures = warmed.report.facts, warmed.report.figures
    never = [page for page in warmed.fetched().values() if page % 9 == 8]
    assert len(never) == figures["uncacheable"] == sum(each.pages for each in facts.uncacheable)
    assert {each.cause for each in facts.uncacheable} <= set(CAUSES)
    cacheable = len(warmed.fetched()) - len(never)
    answered = Counter(a.path for a in warmed.log.arrivals("site") if a.status == 200)
    # A second request that met the site's refusal is not made again: its page stays cold.
    warm = sum(answered[path] > 1 for path in warmed.fetched())
    assert warm / len(warmed.fetched()) == figures["warm_share"]
    assert cacheable - UNDER_WAY_MAX <= warm <= cacheable
    assert len(warmed.fetched()) == facts.sums.judged
    assert (cacheable, warm) == (facts.sums.cold_answers, facts.sums.warm_answers)
    assert cacheable == facts.sums.kinds["recheck"]
    assert facts.sums.cold_p50_ms is not None
    assert facts.sums.warm_p50_ms is not None
    assert facts.sums.warm_p50_ms < facts.sums.cold_p50_ms


def sitemaps_and_links_are_compared(warmed: Warmed) -> None:
    """Pages that only the sitemap names, and linked ones that it leaves out."""
    facts = warmed.report.facts
    fetched = warmed.fetched()
    listed = {warmed.site.path_of(n) for n in warmed.site.sitemap_pages(range(SPEC.pages))}
    linked = {path for path, number in fetched.items() if warmed.linkers(number)}
    redirected = {"/"}
    assert sorted(set(fetched) & listed - linked - redirected) == [
        warmed.path(url) for url in facts.unlinked.rows
    ]
    assert sorted(set(fetched) & linked - listed) == [
        warmed.path(url) for url in facts.unlisted.rows
    ]
    assert facts.unlinked.total
    assert facts.unlisted.total


async def the_record_is_the_farms(warmed: Warmed) -> None:
    """Departures in the order of arrivals, as far apart, pauses kept: by the farm's own clock."""
    politeness, pace = warmed.report.politeness, warmed.report.facts.pace
    arrivals = warmed.log.arrivals("site")
    assert politeness.is_kept
    assert [] == warmed.log.retry_after_violations("site", UNDER_WAY_MS)
    assert len(arrivals) == politeness.departures == politeness.requests
    refused = [arrival for arrival in arrivals if arrival.retry_after_s]
    assert refused
    assert len(refused) == politeness.pauses
    assert sum(arrival.retry_after_s for arrival in refused) == politeness.asked_s
    assert DELAY_MS == politeness.least_gap_ms
    rows = await fetch(
        warmed.dsn,
        "SELECT t.target, r.apart_ms, r.gap_ms FROM pacewheel.results r"
        " JOIN pacewheel.tasks t ON t.id = r.task_id WHERE r.job_id = 1 AND r.departed_at IS NOT NULL"
        " ORDER BY r.departed_at",
    )
    # Neither order nor time of each: a farm that stood still finds several requests at once.
    assert Counter(a.path for a in arrivals) == Counter(warmed.path(row["target"]) for row in rows)
    assert all(row["gap_ms"] <= row["apart_ms"] for row in rows[1:])
    short_ms = [
        row["apart_ms"] - (after.ns - before.ns) / 1e6
        for (before, after), row in zip(pairwise(arrivals), rows[1:], strict=True)
    ]
    assert median(short_ms) <= TOLERANCE_MS
    tightest = min(row["apart_ms"] / row["gap_ms"] for row in rows[1:])
    assert politeness.seen_ms is not None
    assert politeness.permitted_ms is not None
    assert tightest == politeness.seen_ms / politeness.permitted_ms
    assert 0 == pace.too_close == pace.departed_within
    assert "domain_delay" == warmed.report.bottleneck.verdict
    assert 0.3 <= (politeness.budget_used or 0) <= 1


async def an_export_has_every_task(warmed: Warmed) -> None:
    """A line a task, in both forms, with what its last attempt said."""
    (count,) = await fetch(warmed.dsn, "SELECT count(*) FROM pacewheel.tasks")
    lines = pacewheel("export", "1", PACEWHEEL_DSN=warmed.dsn).stdout.splitlines()
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert count[0] == len(rows)
    pages = [row for row in rows if row["kind"] == "page"]
    by_path = {warmed.path(row["url"]): row for row in pages}
    assert len(pages) == len(by_path)
    assert ("skipped", "robots") == (by_path[FORBIDDEN]["status"], by_path[FORBIDDEN]["error"])
    for path in warmed.fetched():
        row = by_path[path]
        assert ("completed", 200) == (row["status"], row["http_status"])
        assert {"first_byte", "total"} <= set(row["timings"])
        assert row["cache_status"] in {"miss", "bypass", "dynamic"}
    assert warmed.report.figures["retries"] == sum(row["attempts"] - 1 for row in rows)
    table = pacewheel("export", "1", "--format", "csv", PACEWHEEL_DSN=warmed.dsn).stdout
    assert count[0] + 1 == len(table.splitlines())

"""The report as CSV, for spreadsheets: a line a finding.

`list` says what a line is: figure, section, broken, redirect, loop, slow, heavy, uncacheable,
unlinked, unlisted, disallowed, newly_broken, mended. `url` is the page, `other_url` the page that
links to it (a broken page has a line for each) or the address it leads to. Lists are cut as in
JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pacewheel.report.cells import rows_as_csv

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pacewheel.report.build import Report
    from pacewheel.report.facts import BrokenPage, Facts
    from pacewheel.report.thresholds import Verdict

COLUMNS = (
    *("site", "job_id", "list", "name", "url", "http_status", "error"),
    *("other_url", "position", "value", "unit"),
)
_UNITS = {"bytes": "B", "duration_s": "s", "p50_ms": "ms", "p95_ms": "ms", "p99_ms": "ms"}


def render(judged: Sequence[tuple[Report, Sequence[Verdict]]]) -> str:
    """Return reports as CSV with a header line."""
    rows: list[Sequence[Any]] = [COLUMNS]
    for report, _ in judged:
        about = {"site": report.label, "job_id": report.facts.job.id}
        rows += [[{**about, **line}.get(column) for column in COLUMNS] for line in _lines(report)]
    return rows_as_csv(rows)


def _lines(report: Report) -> Iterator[dict[str, Any]]:
    facts = report.facts
    for name, value in report.figures.items():
        yield {"list": "figure", "name": name, "value": value, "unit": _UNITS.get(name)}
    for section in facts.sections.rows:
        yield {"list": "section", "name": section.name, "value": section.pages, "unit": "pages"}
        if section.warm_share is not None:
            yield {
                "list": "section",
                "name": section.name,
                "value": section.warm_share,
                "unit": "warm_share",
            }
    for page in facts.broken:
        yield from _broken(page)
    yield from _pages(facts)
    yield from _urls(facts)


def _pages(facts: Facts) -> Iterator[dict[str, Any]]:
    for each in facts.redirects.rows:
        yield {
            "list": "loop" if each.is_loop else "redirect",
            "url": each.url,
            "http_status": each.http_status,
            "other_url": each.redirects_to,
            "value": each.hops,
            "unit": "hops",
        }
    for name, pages in (("slow", facts.slow), ("heavy", facts.heavy)):
        for cost in pages:
            value, unit = (cost.answer_ms, "ms") if name == "slow" else (cost.bytes, "B")
            yield {
                "list": name,
                "url": cost.url,
                "http_status": cost.http_status,
                "value": value,
                "unit": unit,
            }
    for cause in facts.uncacheable:
        yield {"list": "uncacheable", "name": cause.cause, "value": cause.pages, "unit": "pages"}
    for forbidden in facts.disallowed:
        yield {
            "list": "disallowed",
            "url": forbidden.url,
            "other_url": forbidden.found_on,
            "value": forbidden.line,
            "unit": "line",
        }


def _urls(facts: Facts) -> Iterator[dict[str, Any]]:
    lists = {"unlinked": facts.unlinked, "unlisted": facts.unlisted}
    if facts.changes is not None:
        lists |= {"newly_broken": facts.changes.newly_broken, "mended": facts.changes.mended}
    for name, listing in lists.items():
        for url in listing.rows:
            yield {"list": name, "url": url}


def _broken(page: BrokenPage) -> Iterator[dict[str, Any]]:
    line = {
        "list": "broken",
        "url": page.url,
        "http_status": page.http_status,
        "error": page.error,
        "value": page.linkers.total,
        "unit": "linking pages",
    }
    for linker in page.linkers.rows:
        yield {**line, "other_url": linker.url, "position": linker.position}
    if not page.linkers.rows:
        yield {**line, "other_url": page.found_on, "position": page.source}

"""The report for a terminal: what to look at first, on a few lines.

Lists show their first rows. Control characters of titles and addresses are shown, never sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.report.words import duration, figure, millis, plural, printable, share, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pacewheel.report.build import Report
    from pacewheel.report.facts import BrokenPage, Redirect
    from pacewheel.report.thresholds import Verdict

ROWS_MAX = 5
LINKERS_MAX = 3


def render(judged: Sequence[tuple[Report, Sequence[Verdict]]], *, rows_max: int = ROWS_MAX) -> str:
    """Return reports as lines of text."""
    return "".join(
        printable(line) + "\n"
        for report, verdicts in judged
        for line in (*_lines(report, rows_max), *_failed(verdicts))
    )


def _failed(verdicts: Sequence[Verdict]) -> list[str]:
    return [f"  fails: {verdict}" for verdict in verdicts if verdict.is_failed]


def _lines(report: Report, rows_max: int) -> Iterator[str]:
    facts, sums = report.facts, report.facts.sums
    job = facts.job
    yield (
        f"{report.label}: job {job.id} {job.status.name.lower()}, {plural(sums.pages, 'page')}, "
        f"{plural(sums.requests, 'request')}, {size(sums.bytes)} "
        f"in {duration(round(report.figures['duration_s'] or 0, 1))}"
    )
    for note in report.notes:
        yield f"  note: {note}"
    yield f"  pages: {_pages(report)}"
    if sums.judged:
        yield f"  warm: {_warm(report)}"
    if sums.p50_ms is not None:
        yield (
            f"  answers: {millis(sums.p50_ms)} median, {millis(sums.p95_ms)} at p95, "
            f"{millis(sums.p99_ms)} at p99"
        )
    yield f"  politeness: {_politeness(report)}"
    bound = report.bottleneck
    if bound.verdict is not None:
        yield f"  bound by {bound.verdict}: {bound.basis}; {bound.gain}"
    if report.eta is not None:
        seconds = report.eta.seconds
        time = "not known" if seconds is None else duration(max(1.0, float(round(seconds))))
        yield f"  ETA: {time} ({report.eta.basis})"
    if facts.changes is not None:
        yield f"  since job {facts.changes.job.id}: {_changes(report)}"
    yield from _lists(report, rows_max)


def _lists(report: Report, rows_max: int) -> Iterator[str]:
    facts, sums = report.facts, report.facts.sums
    broken = [_broken(page) for page in facts.broken[:rows_max]]
    yield from _list("broken", sums.broken, broken)
    loops = [_redirect(each) for each in facts.redirects.rows[:rows_max] if each.is_loop]
    yield from _list("in redirect loops", facts.redirects.loops, loops)
    causes = [f"{each.cause}: {plural(each.pages, 'page')}" for each in facts.uncacheable]
    yield from _list(
        "uncacheable", int(report.figures["uncacheable"] or 0), causes[:rows_max], full=True
    )
    yield from _list(
        "in a sitemap, not linked", facts.unlinked.total, facts.unlinked.rows[:rows_max]
    )
    yield from _list("linked, in no sitemap", facts.unlisted.total, facts.unlisted.rows[:rows_max])
    forbidden = [
        each.url + ("" if each.line is None else f" (line {each.line})")
        for each in facts.disallowed[:rows_max]
    ]
    yield from _list("forbidden by robots.txt", sums.disallowed, forbidden)
    if sums.pages > rows_max:
        slow = [f"{millis(each.answer_ms)} {each.url}" for each in facts.slow[:rows_max]]
        yield from _list("slowest", len(slow), slow)


def _list(title: str, total: int, rows: Sequence[str], *, full: bool = False) -> Iterator[str]:
    if total:
        yield f"  {title}: {total:,}"
        yield from (f"    {row}" for row in rows)
        if total > len(rows) and not full:
            yield f"    ... and {total - len(rows):,} more"


def _pages(report: Report) -> str:
    sums = report.facts.sums
    parts = [f"{sums.ok:,} fetched", f"{sums.broken:,} broken"]
    if report.facts.redirects.total:
        parts.append(plural(report.facts.redirects.total, "redirect"))
    if sums.skipped:
        parts.append(f"{sums.skipped:,} skipped")
    if sums.left_out:
        ordered = sorted(sums.left_out.items(), key=lambda item: -item[1])
        left = ", ".join(f"{word} {count:,}" for word, count in ordered[:4])
        parts.append(f"links left out: {left}")
    return ", ".join(parts)


def _warm(report: Report) -> str:
    sums = report.facts.sums
    words = [f"{sums.warm:,} of {sums.judged:,} pages ({share(sums.warm_share)}) from the cache"]
    if "recheck" in sums.kinds:
        words.append(f"{sums.kinds['recheck']:,} asked for a second time")
    if sums.cold_answers and sums.warm_answers:
        words.append(
            f"{millis(sums.warm_p50_ms)} warm against {millis(sums.cold_p50_ms)} cold (medians)"
        )
    known = [each for each in report.facts.sections.rows if each.warm_share is not None]
    if len(known) > 1:
        shown = ", ".join(f"{each.name} {share(each.warm_share)}" for each in known[:ROWS_MAX])
        words.append(f"by section: {shown}")
    return "; ".join(words)


def _politeness(report: Report) -> str:
    record = report.politeness
    if not record.departures:
        return record.basis
    early = record.too_close + record.departed_within
    parts = ["kept" if record.is_kept else f"broken {plural(early, 'time')}"]
    if record.permitted_ms is not None and record.seen_ms is not None:
        parts.append(f"tightest gap {record.seen_ms:.1f} of {record.permitted_ms} ms permitted")
    if record.budget_used is not None:
        parts[-1] += f", {share(record.budget_used)} of the permitted requests made"
    if record.pauses:
        parts.append(
            f"{plural(record.pauses, 'pause')} asked for ({duration(round(record.asked_s, 1))}), "
            f"{plural(record.departed_within, 'request')} within"
        )
    return "; ".join(parts)


def _changes(report: Report) -> str:
    changed = [
        f"{each.name} {figure(each.name, each.before)} -> {figure(each.name, each.now)}"
        for each in report.changes
        if figure(each.name, each.before) != figure(each.name, each.now)
    ]
    changes = report.facts.changes
    if changes is not None and (changes.newly_broken.total or changes.mended.total):
        changed.append(
            f"{changes.newly_broken.total} newly broken, {changes.mended.total} broken no more"
        )
    return ", ".join(changed) or "nothing has changed"


def _broken(page: BrokenPage) -> str:
    words = f"{page.http_status or page.error} {page.url}"
    shown = [f"{each.url} ({each.position})" for each in page.linkers.rows[:LINKERS_MAX]]
    more = page.linkers.total - len(shown)
    if shown:
        return f"{words} <- {', '.join(shown)}" + (f" and {more:,} more" if more > 0 else "")
    return f"{words} <- {page.found_on} ({page.source})" if page.found_on else words


def _redirect(each: Redirect) -> str:
    return f"{each.url} -> {each.redirects_to}"

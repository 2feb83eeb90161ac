"""The closing summary: what became of each site, for people and as one JSON object.

Pure functions over `JobInfo` and `JobSummary`. Owns the verdict too: a site of which no page could
be fetched, or whose job did not complete, makes the command end with 1.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pacewheel.crawl.recheck import WARM
from pacewheel.job_summary import JobSummary
from pacewheel.model import JobInfo, JobState
from pacewheel.report.words import duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEADERS = (
    *("site", "state", "pages", "ok", "failed", "skipped"),
    *("MB", "p50 ms", "p95 ms", "time", "gap"),
)
_LEFT_COLUMNS = 2

# The crawl's error words in sentences, for a site of which nothing could be fetched.
CAUSES = {
    "blocked": "the site kept answering 429 or 503; try later, or with a longer --delay",
    "connect": "nothing answers at this address; check host and port",
    "dns": "the host does not resolve; check the name",
    "http_4xx": "the site refuses these pages (4xx); check the URL",
    "http_5xx": "the site fails (5xx); try later",
    "protocol": "what answers is no HTTP; check scheme and port",
    "refused": "it leads to an address that is refused; see --allow-network",
    "robots": "robots.txt disallows it for this user agent",
    "robots_unknown": "the robots.txt of another of the site's hosts can't be had; try later",
    "timeout": "the site did not answer in time; try later",
    "tls": "no trusted TLS connection could be made; check the certificate or the scheme",
}


@dataclass(frozen=True, slots=True)
class SiteResult:
    """A site's job at its end, with the sums over its pages; `robots_errors` tells why there are none."""

    label: str
    info: JobInfo
    summary: JobSummary
    robots_errors: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_warmed(self) -> bool:
        """True when the job completed and a page came, or is unchanged (a redirect is none)."""
        fetched = any(word.startswith("2") or word == "304" for word in self.summary.statuses)
        return self.info.status is JobState.COMPLETED and fetched

    @property
    def duration_s(self) -> float:
        """Seconds from the job's start to its end, or to its last result while it is live."""
        end = self.info.finished_at or self.summary.last_at
        if self.info.started_at is None or end is None:
            return 0.0
        return max(0.0, (end - self.info.started_at).total_seconds())


def lines(results: Sequence[SiteResult]) -> list[str]:
    """Return the summary as text: an aligned table, with a line of details under each site."""
    table = [HEADERS, *(_cells(result) for result in results), _total_cells(results)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADERS))]
    text = [_aligned(HEADERS, widths)]
    for result, row in zip(results, table[1:-1], strict=True):
        text.append(_aligned(row, widths))
        text += [f"  {detail}" for detail in _details(result)]
    if len(results) > 1:
        text.append(_aligned(table[-1], widths))
    text.append(f"peak memory of this process: {_peak_memory_bytes() / 1e6:.0f} MB")
    return text


def as_json(
    infos: Sequence[JobInfo], results: Sequence[SiteResult] | None, code: int
) -> dict[str, Any]:
    """Return the ending as plain values for JSON: times are ISO 8601, durations carry their unit.

    Without `results` (a signal came first) it tells how far each job was.
    """
    if results is None:
        sites: list[dict[str, Any]] = [_job_json(info) for info in infos]
        return {"sites": sites, "interrupted": True, "exit_code": code}
    sites = [_site_json(result) for result in results]
    sums = ("requests", "pages", "ok", "failed", "skipped", "bytes")
    total = {name: sum(site[name] for site in sites) for name in sums}
    total["peak_memory_bytes"] = _peak_memory_bytes()
    return {"sites": sites, "total": total, "interrupted": False, "exit_code": code}


def exit_code(results: Sequence[SiteResult]) -> int:
    """Return 0 when every site was warmed, otherwise 1."""
    return 0 if all(result.is_warmed for result in results) else 1


def _peak_memory_bytes() -> int:
    """Return the most memory this process has had resident (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _cells(result: SiteResult) -> tuple[str, ...]:
    summary = result.summary
    return (
        result.label,
        result.info.status.name.lower(),
        str(summary.pages),
        str(summary.ok),
        str(result.info.failed),
        str(result.info.skipped),
        f"{summary.bytes / 1e6:.1f}",
        f"{summary.p50_ms:.0f}",
        f"{summary.p95_ms:.0f}",
        duration(round(result.duration_s, 1)),
        f"{result.info.gap_ms} ms",
    )


def _total_cells(results: Sequence[SiteResult]) -> tuple[str, ...]:
    warmed = sum(result.is_warmed for result in results)
    return (
        "total",
        f"{warmed}/{len(results)} warmed",
        str(sum(result.summary.pages for result in results)),
        str(sum(result.summary.ok for result in results)),
        str(sum(result.info.failed for result in results)),
        str(sum(result.info.skipped for result in results)),
        f"{sum(result.summary.bytes for result in results) / 1e6:.1f}",
        "",
        "",
        duration(round(max((result.duration_s for result in results), default=0.0), 1)),
        "",
    )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if column < _LEFT_COLUMNS else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _details(result: SiteResult) -> list[str]:
    summary = result.summary
    counted = (
        ("status", summary.statuses),
        ("cache", summary.cache),
        ("not fetched", summary.errors),
        ("left out", summary.left_out),
    )
    groups = [f"{title} {_counts(words)}" for title, words in counted if words]
    found = [" | ".join(groups)] if groups else []
    if summary.rechecks:
        found.append(_rechecks(summary))
    if summary.uncacheable:
        found.append(f"never from a cache: {_counts(summary.uncacheable)}")
    return found if result.is_warmed else [*found, f"not warmed: {_cause(result)}"]


def _rechecks(summary: JobSummary) -> str:
    asked, warm = sum(summary.rechecks.values()), _became_warm(summary)
    text = f"asked again for {asked} of them: {warm} became warm"
    if summary.cold_ms is not None and summary.warm_ms is not None:
        text += f", first byte after {summary.cold_ms:.0f} ms, then {summary.warm_ms:.0f} ms"
    others = {word: n for word, n in summary.rechecks.items() if word not in WARM}
    return f"{text} | still {_counts(others)}" if others else text


def _became_warm(summary: JobSummary) -> int:
    return sum(summary.rechecks.get(word, 0) for word in WARM)


def _cause(result: SiteResult) -> str:
    if result.info.status is not JobState.COMPLETED:
        return f"the job is {result.info.status.name.lower()}"
    errors = result.summary.errors or result.robots_errors
    if errors:
        word = max(errors, key=lambda each: errors[each])
        return CAUSES.get(word, word)
    if result.summary.pages:
        return "only redirects came; warm the address they lead to"
    return "no page was found"


def _counts(words: Mapping[str, int]) -> str:
    ordered = sorted(words.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{word}: {count}" for word, count in ordered)


def _job_json(info: JobInfo) -> dict[str, Any]:
    return {
        "job_id": info.id,
        "domain": info.domain,
        "state": info.status.name.lower(),
        "gap_ms": info.gap_ms,
        "tasks": {"total": info.total, "settled": info.settled},
    }


def _site_json(result: SiteResult) -> dict[str, Any]:
    info, summary = result.info, result.summary
    return {
        **_job_json(info),
        "label": result.label,
        "warmed": result.is_warmed,
        "cause": None if result.is_warmed else _cause(result),
        "requests": summary.requests,
        "pages": summary.pages,
        "ok": summary.ok,
        "failed": info.failed,
        "skipped": info.skipped,
        "errors": summary.errors,
        "statuses": summary.statuses,
        "cache": summary.cache,
        "uncacheable": summary.uncacheable,
        "rechecks": summary.rechecks,
        "became_warm": _became_warm(summary),
        "cold_ms": None if summary.cold_ms is None else round(summary.cold_ms, 1),
        "warm_ms": None if summary.warm_ms is None else round(summary.warm_ms, 1),
        "left_out": summary.left_out,
        "bytes": summary.bytes,
        "p50_ms": round(summary.p50_ms, 1),
        "p95_ms": round(summary.p95_ms, 1),
        "duration_s": round(result.duration_s, 3),
        "first_at": _iso(summary.first_at),
        "last_at": _iso(summary.last_at),
    }


def _iso(instant: Any) -> str | None:
    return None if instant is None else instant.isoformat()

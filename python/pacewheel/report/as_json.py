"""The report as JSON, for programs: one object, versioned.

    {"version": 1, "reports": [{
      "job": {"id", "domain", "label", "handler", "state", "error", "concurrency", "gap_ms", "live",
              "created_at", "started_at", "finished_at", "read_at"},
      "figures": {name: number or null, ...}     build.FIGURES; what `--fail-on` speaks of
      "counts": {"kinds", "statuses", "errors", "cache", "left_out", "robots_lines"}
                                                             each {word: number}
      "cold", "warm": {"answers", "p50_ms", "p95_ms"}
      "sections": {"total", "rows": [{"name", "pages", "ok", "broken", "warm", "judged",
                   "warm_share", "bytes", "p50_ms"}]}
      "broken": {"total", "rows": [{"url", "http_status", "error", "message", "attempts", "source",
                 "found_on", "linkers": {"total", "rows": [{"url", "position"}]}}]}
      "redirects": {"total", "rows": [{"url", "http_status", "redirects_to", "hops", "is_loop",
                    "leaves_site"}]}
      "slow", "heavy": {"total", "rows": [{"url", "http_status", "first_byte_ms", "answer_ms",
                        "bytes", "cache"}]}
      "uncacheable": [{"cause", "pages", "examples": [url]}]
      "unlinked", "unlisted": {"total", "rows": [url]}
      "disallowed": {"total", "rows": [{"url", "line", "source", "found_on"}]}
      "politeness": {"requests", "departures", "least_gap_ms", "most_gap_ms", "seen_ms",
                     "permitted_ms", "too_close", "handovers", "handover_ms", "pauses", "asked_s",
                     "departed_within", "budget_used", "is_kept", "basis"}
      "bottleneck": {"verdict", "basis", "gain", "pace_used", "limit_used", "in_flight", "ready"}
      "eta": {"seconds", "basis"} or null once the job is final
      "waiting": [{"reason", "tasks", "expected_in_ms", "holder"}]
      "comparison": {"job_id", "figures": {name: {"before", "now"}}, "newly_broken", "mended"} or null
      "thresholds": [{"condition", "value", "is_failed"}]
      "notes": [sentence]
    }]}

A list's `rows` may be fewer than its `total`. Times are ISO 8601. Within a version members are
added, never changed or taken away.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson

from pacewheel.report.facts import Listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pacewheel.report.build import Report
    from pacewheel.report.thresholds import Verdict

VERSION = 1


def render(judged: Sequence[tuple[Report, Sequence[Verdict]]]) -> str:
    """Return reports, each with the thresholds it was held against, as one JSON document."""
    content = {
        "version": VERSION,
        "reports": [_report(report, verdicts) for report, verdicts in judged],
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode() + "\n"


def _report(report: Report, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    facts, sums, politeness = report.facts, report.facts.sums, report.politeness
    return {
        "job": _job(report),
        "figures": report.figures,
        "counts": {
            name: getattr(sums, name)
            for name in ("kinds", "statuses", "errors", "cache", "left_out", "robots_lines")
        },
        "cold": _timed(sums.cold_answers, sums.cold_p50_ms, sums.cold_p95_ms),
        "warm": _timed(sums.warm_answers, sums.warm_p50_ms, sums.warm_p95_ms),
        "sections": {
            "total": facts.sections.total,
            "rows": [
                {**asdict(section), "warm_share": section.warm_share}
                for section in facts.sections.rows
            ],
        },
        "broken": _listing(Listing(sums.broken, facts.broken)),
        "redirects": _listing(Listing(facts.redirects.total, facts.redirects.rows)),
        "slow": _listing(Listing(sums.pages, facts.slow)),
        "heavy": _listing(Listing(sums.pages, facts.heavy)),
        "uncacheable": [asdict(each) for each in facts.uncacheable],
        "unlinked": _listing(facts.unlinked),
        "unlisted": _listing(facts.unlisted),
        "disallowed": _listing(Listing(sums.disallowed, facts.disallowed)),
        "politeness": {**asdict(politeness), "is_kept": politeness.is_kept},
        "bottleneck": asdict(report.bottleneck),
        "eta": None if report.eta is None else asdict(report.eta),
        "waiting": [
            {
                "reason": each.reason.value,
                "tasks": each.tasks,
                "expected_in_ms": each.expected_in_ms,
                "holder": each.holder,
            }
            for each in facts.waiting
        ],
        "comparison": _comparison(report),
        "thresholds": [
            {"condition": str(each.threshold), "value": each.value, "is_failed": each.is_failed}
            for each in verdicts
        ],
        "notes": list(report.notes),
    }


def _job(report: Report) -> dict[str, Any]:
    job = report.facts.job
    return {
        "id": job.id,
        "domain": job.domain,
        "label": report.label,
        "handler": job.handler,
        "state": job.status.name.lower(),
        "error": job.error,
        "concurrency": job.concurrency,
        "gap_ms": job.gap_ms,
        "live": job.live,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "read_at": report.facts.read_at,
    }


def _comparison(report: Report) -> dict[str, Any] | None:
    changes = report.facts.changes
    if changes is None:
        return None
    return {
        "job_id": changes.job.id,
        "figures": {each.name: {"before": each.before, "now": each.now} for each in report.changes},
        "newly_broken": _listing(changes.newly_broken),
        "mended": _listing(changes.mended),
    }


def _timed(answers: int, p50_ms: float | None, p95_ms: float | None) -> dict[str, Any]:
    return {"answers": answers, "p50_ms": p50_ms, "p95_ms": p95_ms}


def _listing(listing: Listing[Any]) -> dict[str, Any]:
    rows = [row if isinstance(row, str) else asdict(row) for row in listing.rows]
    return {"total": listing.total, "rows": rows}

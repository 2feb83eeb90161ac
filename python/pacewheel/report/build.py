"""The report: what was read of a job, and what follows from it.

Owns the derived figures and the words for what could not be known. Every renderer shows a `Report`
and computes nothing of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pacewheel.report.bottleneck import Bottleneck, budget_used, judge
from pacewheel.report.eta import Eta, estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pacewheel.model import JobInfo
    from pacewheel.report.facts import Facts

FIGURES = (
    *("pages", "ok", "broken", "new_broken", "redirects", "loops", "skipped", "disallowed"),
    *("warm_share", "uncacheable", "unlinked", "unlisted", "p50_ms", "p95_ms", "p99_ms"),
    *("bytes", "requests", "retries", "duration_s", "too_close", "departed_within"),
    "budget_used",
)
"""The figures that thresholds and comparisons speak of; the reader finds them in every form."""

COMPARED = (
    *("pages", "ok", "broken", "redirects", "loops", "disallowed", "warm_share"),
    *("p50_ms", "p95_ms", "bytes", "requests", "duration_s"),
)


@dataclass(frozen=True, slots=True)
class Politeness:
    """Departures against what was permitted.

    `seen_ms` of `permitted_ms`: the tightest pair of departures, as gap seen and gap in force.
    `too_close` counts departures closer than permitted, `departed_within` those within a pause that
    the site had asked for. `basis` says how the times were taken.
    """

    requests: int
    departures: int
    least_gap_ms: int | None
    most_gap_ms: int | None
    seen_ms: float | None
    permitted_ms: int | None
    too_close: int
    handovers: int
    handover_ms: float | None
    pauses: int
    asked_s: float
    departed_within: int
    budget_used: float | None
    basis: str

    @property
    def is_kept(self) -> bool:
        """True when nothing departed too early."""
        return not self.too_close and not self.departed_within


@dataclass(frozen=True, slots=True)
class Change:
    """A figure in the job compared with and in this one; None where it is not known."""

    name: str
    before: float | None
    now: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A job's report. `notes` say what is not known of it, and why."""

    facts: Facts
    label: str
    figures: Mapping[str, float | None]
    politeness: Politeness
    bottleneck: Bottleneck
    eta: Eta | None
    changes: Sequence[Change]
    notes: Sequence[str]


def keeps_links(job: JobInfo) -> bool:
    """True when the job follows links and keeps which page has which."""
    return bool(job.options.get("links", True) and job.options.get("record_links", True))


def compares_sitemaps(job: JobInfo) -> bool:
    """True when pages that sitemaps list can be told from those that pages link to."""
    return keeps_links(job) and bool(job.options.get("sitemap", True))


def build(facts: Facts, label: str | None = None) -> Report:
    """Return the report of what was read of a job; `label` replaces its domain's name."""
    flow = facts.flow
    rate_per_s = 1000 * flow.recent / flow.recent_ms if flow.recent_ms > 0 else None
    is_live = not facts.job.status.is_final
    return Report(
        facts,
        label or facts.job.domain,
        _figures(facts),
        _politeness(facts),
        judge(facts.job, flow, facts.pace),
        estimate(facts.job, rate_per_s) if is_live else None,
        _changes(facts),
        _notes(facts),
    )


def _figures(facts: Facts) -> dict[str, float | None]:
    sums, pace = facts.sums, facts.pace
    values: dict[str, float | None] = {
        "new_broken": facts.changes.newly_broken.total if facts.changes else None,
        "redirects": facts.redirects.total,
        "loops": facts.redirects.loops,
        "uncacheable": sum(each.pages for each in facts.uncacheable),
        "unlinked": facts.unlinked.total if compares_sitemaps(facts.job) else None,
        "unlisted": facts.unlisted.total if compares_sitemaps(facts.job) else None,
        "duration_s": _duration_s(facts),
        "too_close": pace.too_close + pace.handovers_too_close,
        "departed_within": pace.departed_within,
        "budget_used": budget_used(pace),
    }
    return {name: values[name] if name in values else getattr(sums, name) for name in FIGURES}


def _duration_s(facts: Facts) -> float:
    job = facts.job
    if job.started_at is None:
        return 0.0
    return max(0.0, ((job.finished_at or facts.read_at) - job.started_at).total_seconds())


def _politeness(facts: Facts) -> Politeness:
    pace = facts.pace
    if pace.departures == 0:
        basis = "no gap was asked for while it ran" if facts.sums.requests else "nothing departed"
    else:
        basis = (
            "gaps by the monotonic clock of the process that owned the domain, each against the gap "
            "in force"
        )
    if pace.handovers:
        basis += f"; {pace.handovers} between two owners by the database's clock"
        if pace.precision_ms is not None:
            basis += f" (within {pace.precision_ms:.1f} ms of the other, 95 % of the time)"
    return Politeness(
        facts.sums.requests,
        pace.departures,
        pace.least_gap_ms,
        pace.most_gap_ms,
        pace.seen_ms,
        pace.permitted_ms,
        pace.too_close + pace.handovers_too_close,
        pace.handovers,
        pace.handover_ms,
        pace.pauses,
        pace.asked_ms / 1000,
        pace.departed_within,
        budget_used(pace),
        basis,
    )


def _changes(facts: Facts) -> list[Change]:
    other = facts.changes
    if other is None:
        return []
    now = _figures(facts)
    seconds = None
    if other.job.started_at is not None and other.job.finished_at is not None:
        seconds = (other.job.finished_at - other.job.started_at).total_seconds()
    before = {
        "duration_s": seconds,
        "redirects": other.redirects.total,
        "loops": other.redirects.loops,
    }
    return [
        Change(name, before[name] if name in before else getattr(other.sums, name), now[name])
        for name in COMPARED
    ]


def _notes(facts: Facts) -> list[str]:
    job, options = facts.job, facts.job.options
    notes = []
    if not job.status.is_final:
        notes.append("the job is not at its end: all figures are those of this moment")
    elif job.status.name != "COMPLETED":
        reason = f" ({job.error})" if job.error else ""
        notes.append(f"the job was {job.status.name.lower()}{reason}: pages may be missing")
    notes += _removed(facts)
    if facts.sums.attempts == 0:
        notes.append("nothing has run yet, or its results were removed")
    if not keeps_links(job):
        notes.append("which page links to which was not kept (links or record_links is off)")
    if not options.get("sitemap", True):
        notes.append("no sitemap was read: nothing is said of what one lists")
    if facts.sums.pages and not facts.sums.judged:
        notes.append("no answer says whether a cache gave it, so there is no warm share")
    return notes


def _removed(facts: Facts) -> list[str]:
    """Say which results retention has removed, of the job and of the one it is compared with."""
    jobs = [facts.job] if facts.changes is None else [facts.job, facts.changes.job]
    return [
        f"results of job {job.id} before {facts.results_from:%Y-%m-%d} were removed (setting "
        "results_keep_days): the figures are those of the rest"
        for job in jobs
        if facts.results_from is not None and job.created_at < facts.results_from
    ]

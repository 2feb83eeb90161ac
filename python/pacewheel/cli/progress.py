"""What the live progress says: pure functions from job information and its recent past to rows and text.

Owns the words for what a site is waiting for. Reads no clock, knows no terminal and no database;
`live` draws what stands here. The history is rebuilt by watching again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pacewheel.cli.engines import HANDLER
from pacewheel.model import JobInfo, JobState, WaitingReason
from pacewheel.rates import Rates
from pacewheel.report.eta import estimate
from pacewheel.report.words import duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import JustifyMethod

BAR_COLUMNS = 16
NARROW_COLUMNS = 60
WIDE_COLUMNS = 96
GUTTER = 2
SITE_COLUMNS_MIN = 4
# The widths of what is usual, so that the table keeps its shape while its texts change.
_LEAST = {"bar": BAR_COLUMNS, "rate": 6, "waiting": len("robots.txt, again in 9.9 s"), "ETA": 9}
_NUMBERS = {"done", "rate", "ETA"}
_SHOWN_WAIT_MIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """One site as shown. `grows` says that pages are still being found, so `total` is a lower bound."""

    job_id: int
    label: str
    state: JobState
    settled: int
    total: int
    grows: bool
    rate_per_s: float | None
    waiting: str
    eta_s: float | None


class History:
    """The last seconds of each job's counters."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self._settled: Rates[int] = Rates()
        self._total: Rates[int] = Rates()

    def note(self, now_s: float, infos: Sequence[JobInfo]) -> None:
        """Remember the counters of `infos` at `now_s` (any clock that never goes back)."""
        self._settled.note(now_s, {info.id: info.settled for info in infos})
        self._total.note(now_s, {info.id: info.total for info in infos})

    def rate_per_s(self, job_id: int) -> float | None:
        """Tasks settled a second over the window, None until a second has been seen."""
        return self._settled.per_s(job_id)

    def grows(self, job_id: int) -> bool:
        """True when the job got new tasks within the window."""
        return self._total.grew(job_id)


def rows_of(
    infos: Sequence[JobInfo], history: History, labels: Mapping[str, str] | None = None
) -> list[Row]:
    """Return a row for each job, in the order given. `labels` replaces domains by other names."""
    return [
        Row(
            job_id=info.id,
            label=(labels or {}).get(info.domain, info.domain),
            state=info.status,
            settled=info.settled,
            total=info.total,
            grows=not info.status.is_final and (info.discovery_open or history.grows(info.id)),
            rate_per_s=None if info.status.is_final else history.rate_per_s(info.id),
            waiting=waiting_words(info),
            eta_s=eta_s(info, history.rate_per_s(info.id)),
        )
        for info in infos
    ]


def waiting_words(info: JobInfo) -> str:
    """Say in words what the job's next task is waiting for, with the time where it is known."""
    if info.status.is_final:
        return ""
    wait_s = None if info.next_start_in_ms is None else max(0.0, info.next_start_in_ms) / 1000
    time = f" {duration(wait_s)}" if wait_s is not None and wait_s >= _SHOWN_WAIT_MIN_S else ""
    match info.waiting_reason:
        case WaitingReason.DOMAIN_DELAY:
            return f"domain delay{time}"
        case WaitingReason.DOMAIN_BLOCKED:
            return _blocked_words(info, time)
        case WaitingReason.RETRY_BACKOFF:
            return f"retry in{time}" if time else "retry"
        case WaitingReason.SCHEDULED:
            return f"scheduled in{time}" if time else "scheduled"
        case WaitingReason.CONCURRENCY_LIMIT:
            return "concurrency limit"
        case WaitingReason.WORKER_CAPACITY:
            return "a free slot" if info.workers_alive else "a process"
        case WaitingReason.JOB_PAUSED:
            return "job paused"
        case None:
            return f"{info.running} running" if info.running else ""


def _blocked_words(info: JobInfo, time: str) -> str:
    if info.handler == HANDLER and not info.completed and time:
        # Before its robots.txt has been answered, that is what blocks a site.
        return f"robots.txt, again in{time}"
    return f"blocked{time}"


def eta_s(info: JobInfo, rate_per_s: float | None) -> float | None:
    """Return the seconds still needed for the tasks known now, None when that can't be told."""
    return estimate(info, rate_per_s).seconds


def by_need(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with the site that will take longest first and the ended ones last."""

    def key(row: Row) -> tuple[bool, float]:
        return (row.state.is_final, -(row.eta_s if row.eta_s is not None else 0.0))

    return sorted(rows, key=key)


def fitting(rows: Sequence[Row], lines: int) -> tuple[list[Row], int]:
    """Return the rows to show on `lines` lines and how many are left out (they then take a line)."""
    if len(rows) <= lines:
        return list(rows), 0
    shown = by_need(rows)[: max(1, lines - 1)]
    return shown, len(rows) - len(shown)


def table(rows: Sequence[Row], *, columns: int, lines: int) -> Group:
    """Draw the rows for a terminal of this size: a header, what fits, and the total.

    Narrow terminals lose the bar first, then the rate and the waiting reason; the site's name gives way
    before the numbers do.
    """
    shown, left_out = fitting(rows, lines - 2)
    cells = [_cells(row) for row in shown]
    kept = _kept_columns(columns)
    grid = Table(box=None, pad_edge=False, show_edge=False, padding=(0, GUTTER, 0, 0))
    for name, width in _widths(cells, kept, columns).items():
        justify: JustifyMethod = "right" if name in _NUMBERS else "left"
        title = "" if name == "bar" else name
        grid.add_column(title, justify=justify, width=width, no_wrap=True, overflow="ellipsis")
    for row_cells in cells:
        grid.add_row(*(row_cells[name] for name in kept))
    footer = [Text(f"... and {left_out} more")] if left_out else []
    total = Text(total_line(rows), style="bold", no_wrap=True, overflow="ellipsis")
    return Group(grid, *footer, total)


def _kept_columns(columns: int) -> list[str]:
    if columns >= WIDE_COLUMNS:
        return ["site", "done", "bar", "rate", "waiting", "ETA"]
    if columns >= NARROW_COLUMNS:
        return ["site", "done", "rate", "waiting", "ETA"]
    return ["site", "done", "ETA"]


def _cells(row: Row) -> dict[str, Text | ProgressBar]:
    full = max(row.total, 1)
    return {
        "site": Text(row.label),
        "done": Text(done(row)),
        "bar": ProgressBar(full, min(row.settled, full), width=BAR_COLUMNS),
        "rate": Text(rate(row.rate_per_s)),
        "waiting": Text(row.waiting, style="dim"),
        "ETA": state_cell(row),
    }


def _widths(
    cells: Sequence[dict[str, Text | ProgressBar]], kept: Sequence[str], columns: int
) -> dict[str, int]:
    """Return the width of each column: what its texts need, the site's name what is left."""
    widths = {}
    for name in kept:
        texts = [cell for cell in (row[name] for row in cells) if isinstance(cell, Text)]
        widths[name] = max([len(name), _LEAST.get(name, 0), *(text.cell_len for text in texts)])
    if "waiting" in widths and columns < WIDE_COLUMNS:
        widths["waiting"] = columns // 4
    others = sum(width + GUTTER for name, width in widths.items() if name != "site")
    widths["site"] = max(SITE_COLUMNS_MIN, min(widths["site"], columns - others))
    return widths


def state_cell(row: Row) -> Text:
    """Return the last column: the time still needed, or how the job ended."""
    if not row.state.is_final:
        return Text(eta(row))
    style = "green" if row.state is JobState.COMPLETED else "red"
    return Text(row.state.name.lower(), style=style)


def plain_lines(rows: Sequence[Row], lines_max: int = 8) -> list[str]:
    """Return the progress for a log or a pipe: the sites still at work, neediest first, and the total."""
    live = [row for row in by_need(rows) if not row.state.is_final]
    lines = []
    for row in live[:lines_max]:
        waiting = f", waiting: {row.waiting}" if row.waiting else ""
        lines.append(f"{row.label}: {done(row)}, {rate(row.rate_per_s)}{waiting}, ETA {eta(row)}")
    if len(live) > lines_max:
        lines.append(f"... and {len(live) - lines_max} more sites")
    return [*lines, total_line(rows)]


def total_line(rows: Sequence[Row]) -> str:
    """Return the sums: tasks, sites, rate, and the longest time still needed."""
    live = [row for row in rows if not row.state.is_final]
    settled, total = sum(row.settled for row in rows), sum(row.total for row in rows)
    plus = "+" if any(row.grows for row in live) else ""
    rates = [row.rate_per_s for row in live if row.rate_per_s is not None]
    text = f"total {settled}/{total}{plus}, {len(live)} of {len(rows)} sites at work"
    if not live:
        return text
    etas = [row.eta_s for row in live]
    longest = None if None in etas else max(value for value in etas if value is not None)
    return (
        f"{text}, {rate(sum(rates) if rates else None)}, ETA {eta_words(longest, grows=bool(plus))}"
    )


def done(row: Row) -> str:
    """Return `80/305`, with a plus while pages are still being found."""
    return f"{row.settled}/{row.total}{'+' if row.grows else ''}"


def eta(row: Row) -> str:
    """Return the time still needed, `-` when unknown."""
    return eta_words(row.eta_s, grows=row.grows)


def eta_words(value_s: float | None, *, grows: bool) -> str:
    """Return a time still needed; with a plus when it can only get longer."""
    if value_s is None:
        return "-"
    return duration(max(1.0, float(round(value_s)))) + ("+" if grows else "")


def rate(value: float | None) -> str:
    """Return `9.8/s`, `-` when unknown."""
    return "-" if value is None else f"{value:.1f}/s"

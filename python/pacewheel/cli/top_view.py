"""What `pacewheel top` shows: pure functions from what was read to lines that fit.

Knows no terminal, no clock and no database. The head says how everything is; below it stand lists
of jobs, domains, workers and slow statements, all of them as far as there is room, or one alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pacewheel.cli import domains, progress, workers
from pacewheel.cli.tables import NOTHING, aligned, length
from pacewheel.overview import WorkerState
from pacewheel.report.words import share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pacewheel.cli.progress import Row
    from pacewheel.model import JobInfo
    from pacewheel.overview import DomainInfo, SlowStatement, Totals, WorkerInfo

LISTS = ("jobs", "domains", "workers", "slow statements")
_JOB_COLUMNS = ("job", "site", "done", "", "rate", "ETA", "waiting")
_JOB_NUMBERS = ("job", "done", "rate", "ETA")
_DOMAIN_COLUMNS = (
    *("domain", "gap", "used", "next slot", "running", "pending", "waiting"),
    "blocked",
)
_DOMAIN_NUMBERS = ("gap", "used", "next slot", "running", "pending", "waiting")
_WORKER_COLUMNS = ("worker", "on", "state", "running", "slots", "domains", "lease", "lived")
_WORKER_NUMBERS = ("worker", "running", "slots", "domains", "lease", "lived")
_SLOW_COLUMNS = ("running for", "statement", "pid", "waits for", "blocked by")
_SLOW_NUMBERS = ("running for", "pid")
_BAR = 10
_BAR_FROM_COLUMNS = 96
_ROWS_MIN = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read at one instant, with the rates since; a rate is None until a second has passed.

    `used` is, by domain, the share of the permitted requests that were answered.
    """

    totals: Totals
    jobs: Sequence[JobInfo]
    rows: Sequence[Row]
    domains: Sequence[DomainInfo]
    workers: Sequence[WorkerInfo]
    slow: Sequence[SlowStatement]
    settled_per_s: float | None
    enqueued_per_s: float | None
    used: Mapping[int, float] = field(default_factory=dict)


def head(seen: Seen) -> list[str]:
    """Return how everything is, in three lines."""
    totals = seen.totals
    alive = [info for info in seen.workers if info.state is WorkerState.ALIVE]
    slots = sum(info.capacity for info in alive)
    reasons = [
        f"{reason.value} {tasks}" for reason, tasks in totals.waiting_by_reason.items() if tasks
    ]
    who = (
        f"jobs {totals.jobs_active}{_of(totals.jobs_paused, 'paused')}",
        f"domains {totals.domains_active}{_of(totals.domains_blocked, 'blocked')}",
        f"workers {totals.workers_alive}",
        f"running {totals.running} of {slots} slots",
    )
    what = (
        f"tasks {totals.pending} pending, {totals.waiting} waiting, {totals.failed} failed",
        f"{progress.rate(seen.settled_per_s)} settled, {progress.rate(seen.enqueued_per_s)} new",
    )
    return ["   ".join(who), "   ".join(what), f"waiting for: {', '.join(reasons) or 'nothing'}"]


def _of(number: int, word: str) -> str:
    return f" ({number} {word})" if number else ""


def table_of(name: str, seen: Seen, columns: int | None = None) -> list[str]:
    """Return one of the lists as lines, its header first; empty when there is nothing in it."""
    makers = {"jobs": _jobs, "domains": _domains, "workers": _workers, "slow statements": _slow}
    names, numbers, rows = makers[name](seen, columns)
    return aligned([names, *rows], numbers=numbers, columns=columns) if rows else []


# Names, which of them are numbers, and the rows.
_Table = tuple[Sequence[str], Sequence[str], Sequence[Sequence[str]]]


def _jobs(seen: Seen, columns: int | None) -> _Table:
    has_bar = columns is None or columns >= _BAR_FROM_COLUMNS
    rows = [
        (
            str(row.job_id),
            row.label,
            progress.done(row),
            bar(row.settled, row.total) if has_bar else "",
            progress.rate(row.rate_per_s),
            progress.eta(row),
            row.waiting,
        )
        for row in progress.by_need(seen.rows)
    ]
    if has_bar:
        return _JOB_COLUMNS, _JOB_NUMBERS, rows
    return (
        _JOB_COLUMNS[:3] + _JOB_COLUMNS[4:],
        _JOB_NUMBERS,
        [cells[:3] + cells[4:] for cells in rows],
    )


def bar(settled: int, total: int) -> str:
    """Return how much is done, drawn with ten characters."""
    full = _BAR * settled // max(1, total)
    return "█" * full + "░" * (_BAR - full)


def _domains(seen: Seen, _columns: int | None) -> _Table:
    rows = []
    for info in seen.domains:
        name, gap, _, slot, running, pending, waiting, blocked, *_ = domains.cells(info)
        used = share(seen.used[info.id]) if info.id in seen.used else NOTHING
        rows.append((name, gap, used, slot, running, pending, waiting, blocked))
    return _DOMAIN_COLUMNS, _DOMAIN_NUMBERS, rows


def _workers(seen: Seen, _columns: int | None) -> _Table:
    rows = []
    for info in seen.workers:
        number, host, pid, _, state, running, slots, held, _, lease, lived, _ = workers.cells(info)
        rows.append((number, f"{host} {pid}", state, running, slots, held, lease, lived))
    return _WORKER_COLUMNS, _WORKER_NUMBERS, rows


def _slow(seen: Seen, _columns: int | None) -> _Table:
    rows = [
        (
            length(each.age_ms),
            each.statement or "another statement",
            str(each.pid),
            each.waits_for or NOTHING,
            ", ".join(f"pid {pid}" for pid in each.blocked_by) or NOTHING,
        )
        for each in seen.slow
    ]
    return _SLOW_COLUMNS, _SLOW_NUMBERS, rows


def fitted(needs: Sequence[int], room: int) -> list[int]:
    """Share lines among lists: none gets more than it needs, the smallest needs are met first."""
    given = [0] * len(needs)
    left = room
    by_need = sorted(range(len(needs)), key=lambda place: needs[place])
    for position, place in enumerate(by_need):
        given[place] = max(0, min(needs[place], left // (len(needs) - position)))
        left -= given[place]
    return given


def cut(lines: Sequence[str], room: int, passed_over: int = 0, unread: int = 0) -> list[str]:
    """Return a list's header and as many of its rows as there is room for, and how many there are more.

    `unread` are those of which nothing was read.
    """
    header, rows = lines[0], lines[1:]
    last = max(0, len(rows) - max(1, room - 1 - bool(unread)))
    rows = rows[min(passed_over, last) :]
    if len(rows) <= room - 1 and not unread:
        return [header, *rows]
    shown = rows[: max(0, room - _ROWS_MIN)]
    return [header, *shown, f"... and {len(rows) - len(shown) + unread} more"]


def unread(name: str, seen: Seen) -> int:
    """Return how many there are of a list besides those that were read."""
    totals = seen.totals
    there = {"jobs": totals.jobs_active, "domains": totals.domains_active}
    read = {"jobs": len(seen.jobs), "domains": len(seen.domains)}
    return max(0, there[name] - read[name]) if name in there else 0


def everything(seen: Seen, columns: int, room: int) -> list[str]:
    """Return all lists, each as far as there is room."""
    tables = {name: table for name in LISTS if (table := table_of(name, seen, columns))}
    lines: list[str] = []
    needs = [len(table) + bool(unread(name, seen)) for name, table in tables.items()]
    given = fitted(needs, room - max(0, len(tables) - 1))
    for (name, table), height in zip(tables.items(), given, strict=True):
        if height >= _ROWS_MIN:
            lines += [*([""] if lines else []), *cut(table, height, unread=unread(name, seen))]
    return lines


def plain(seen: Seen) -> list[str]:
    """Return all there is, for a pipe or a file."""
    lines = head(seen)
    for name in LISTS:
        table = table_of(name, seen)
        if table:
            more = unread(name, seen)
            lines += ["", *table, *([f"... and {more} more"] if more else [])]
    return lines

"""`pacewheel workers`: the processes that work, and the last ones that did."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pacewheel.cli import look, options
from pacewheel.cli.tables import NOTHING, aligned, some, wait
from pacewheel.plain import worker_json
from pacewheel.report.words import duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pacewheel.engine import Engine
    from pacewheel.overview import WorkerInfo

ENDED_MAX = 10_000
ENDED = 20
COLUMNS = (
    *("id", "host", "pid", "version", "state", "running", "slots", "domains"),
    *("connections", "lease", "lived", "handlers"),
)
NUMBERS = ("id", "pid", "running", "slots", "domains", "connections", "lease", "lived")


def list_workers(args: argparse.Namespace) -> int:
    """Print the table of processes; returns the exit code."""
    ended = options.whole("--ended", args.ended, ENDED_MAX, least=0)

    async def read(engine: Engine) -> list[WorkerInfo]:
        return await engine.store.overview.list_workers(ended=ended)

    none = "no process works on this database: start one with 'pacewheel run'"
    return look.run(
        args,
        look.Look(
            read,
            lines=lambda infos, columns: table(infos, columns) if infos else [none],
            objects=lambda infos: [worker_json(info) for info in infos],
            name="workers",
        ),
    )


def table(infos: Sequence[WorkerInfo], columns: int | None = None) -> list[str]:
    """Return processes as aligned lines under a header."""
    return aligned([COLUMNS, *(cells(info) for info in infos)], numbers=NUMBERS, columns=columns)


def cells(info: WorkerInfo) -> tuple[str, ...]:
    """Return the words for each column of a process; `lived` is for how long it has, or did."""
    lived = (info.ended_at or datetime.now(UTC)) - info.started_at
    return (
        str(info.id),
        info.host,
        str(info.pid),
        info.version,
        info.state.value,
        some(info.running),
        str(info.capacity),
        some(info.domains),
        some(info.connections),
        _lease(info.lease_in_ms),
        duration(max(0.0, round(lived.total_seconds()))),
        ", ".join(info.handlers) or NOTHING,
    )


def _lease(lease_in_ms: float | None) -> str:
    if lease_in_ms is not None and lease_in_ms < 0:
        return f"over for {wait(-lease_in_ms)}"
    return wait(lease_in_ms)

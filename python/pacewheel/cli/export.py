"""`pacewheel export`: every task of a job with its last result, a line each.

Each row is written as it comes: memory is bounded by a thousand rows, whatever the job has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from pacewheel.cli import options
from pacewheel.cli.engines import connected, run_async
from pacewheel.cli.output import writing
from pacewheel.report.cells import rows_as_csv

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from pacewheel.config import Config

    Rows = Sequence[Mapping[str, Any]]

FIELDS = (
    *("url", "status", "http_status", "error", "attempts", "started_at", "finished_at"),
    *("answer_ms", "timings", "bytes", "cache_status", "source", "kind", "depth", "priority"),
)
PHASES = ("dns", "connect", "tls", "first_byte", "total")
COLUMNS = (
    *FIELDS[: FIELDS.index("timings")],
    *(f"{phase}_ms" for phase in PHASES),
    *FIELDS[FIELDS.index("timings") + 1 :],
)


def run(args: argparse.Namespace) -> int:
    """Write the tasks; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    job_id = options.job_id(args.id)
    run_async(_export(config, job_id, args.output, args.format))
    return 0


async def _export(config: Config, job_id: int, output: str | None, form: str) -> None:
    head, lines = (rows_as_csv([COLUMNS]).encode(), _csv) if form == "csv" else (b"", _jsonl)
    async with connected(config) as engine:
        job = await engine.get_job(job_id)
        # Opened only now: without such a job a file that is there stays as it is.
        with writing(output) as write:
            write(head)
            await job.export(lambda rows: write(lines(rows)))


def _jsonl(rows: Rows) -> bytes:
    return b"".join(
        orjson.dumps({name: _value(row, name) for name in FIELDS}, option=orjson.OPT_APPEND_NEWLINE)
        for row in rows
    )


def _value(row: Mapping[str, Any], name: str) -> Any:
    if name == "timings":
        return None if row[name] is None else orjson.loads(row[name])
    return row[name]


def _csv(rows: Rows) -> bytes:
    return rows_as_csv(_cells(row) for row in rows).encode("utf-8", "replace")


def _cells(row: Mapping[str, Any]) -> list[Any]:
    timings = _value(row, "timings")
    # Any handler may keep what it likes under this name.
    known = timings if isinstance(timings, dict) else {}
    phases = {f"{phase}_ms": known.get(phase) for phase in PHASES}
    return [phases[name] if name in phases else row[name] for name in COLUMNS]

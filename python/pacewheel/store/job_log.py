"""What the log says of jobs: created, started, ended with their sums.

Owns those lines. Each is said once, by the process whose statement did it, after the commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from pacewheel import events
from pacewheel.logs import Logger
from pacewheel.model import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import asyncpg

log = Logger("jobs")


def say_created(job_id: int, domain: str, handler: str, tasks: int) -> None:
    """Say that this process has created a job."""
    log.say(events.JOB_CREATED, job_id=job_id, domain=domain, handler=handler, tasks=tasks)


def say_started(claims: Sequence[asyncpg.Record]) -> None:
    """Say which jobs a claim has started."""
    for claim in claims:
        for job_id in claim["started"] or ():
            log.say(events.JOB_STARTED, job_id=job_id, domain=claim["domain"])


def say_ended(ended: Iterable[str | None]) -> None:
    """Say which jobs have ended; each text is what `job_sums` returns, None is no job."""
    for text in ended:
        if text is not None:
            sums = orjson.loads(text)
            log.say(
                events.JOB_ENDED,
                job_id=sums["id"],
                domain=sums["domain"],
                handler=sums["handler"],
                status=JobState(sums["status"]).name.lower(),
                total=sums["total"],
                completed=sums["completed"],
                failed=sums["failed"],
                skipped=sums["skipped"],
                cancelled=sums["cancelled"],
                duration_s=sums["duration_s"],
            )

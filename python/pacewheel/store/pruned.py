"""What is said of a job that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.errors import JobPruned, JobUnknown

if TYPE_CHECKING:
    import asyncpg


def missing_job(job_id: int, pruned: asyncpg.Record | None) -> JobUnknown:
    """Return the error that says why there is no such job, from a row of `find_pruned`."""
    if pruned is None:
        return JobUnknown.of(job_id)
    return JobPruned.that(job_id, pruned["domain"], pruned["finished_at"], pruned["pruned_at"])

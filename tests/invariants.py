"""What must hold of the rows at any instant, whatever runs: asked in one statement each.

A test that changes rows asks afterwards; a test under load asks all the while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conftest import execute, fetch

if TYPE_CHECKING:
    import asyncpg

COUNTERS = """
SELECT
    j.id, j.total, j.pending, j.waiting, j.backoff, j.completed, j.failed, j.skipped, j.cancelled,
    c.*
FROM pacewheel.jobs j
CROSS JOIN LATERAL (
    SELECT
        count(*) AS real_total,
        count(*) FILTER (WHERE t.status = 0) AS real_pending,
        count(*) FILTER (WHERE t.status = 1) AS real_waiting,
        count(*) FILTER (WHERE t.status = 1 AND t.waiting_reason = 0) AS real_backoff,
        count(*) FILTER (WHERE t.status = 3) AS real_completed,
        count(*) FILTER (WHERE t.status = 4) AS real_failed,
        count(*) FILTER (WHERE t.status = 5) AS real_skipped,
        count(*) FILTER (WHERE t.status = 6) AS real_cancelled
    FROM pacewheel.tasks t
    WHERE t.job_id = j.id
) c
WHERE (j.total, j.pending, j.waiting, j.backoff, j.completed, j.failed, j.skipped, j.cancelled)
    <> (c.real_total, c.real_pending, c.real_waiting, c.real_backoff, c.real_completed,
        c.real_failed, c.real_skipped, c.real_cancelled)
    OR (j.status > 2 AND c.real_pending + c.real_waiting > 0)
"""
NOTE_MOVES = (
    "CREATE TABLE public.moves (job_id bigint, before smallint, after smallint)",
    (
        "CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO public.moves VALUES (NEW.id, OLD.status, NEW.status); RETURN NULL; END $$"
    ),
    (
        "CREATE TRIGGER note_move AFTER UPDATE ON pacewheel.jobs FOR EACH ROW"
        " WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION note_move()"
    ),
)


async def wrong_counters(dsn: str) -> list[asyncpg.Record]:
    """Return the jobs whose counters differ from their rows, or that are final with live tasks."""
    return await fetch(dsn, COUNTERS)


async def note_moves(dsn: str) -> None:
    """Have every change of a job's state noted in the table `moves`."""
    await execute(dsn, *NOTE_MOVES)

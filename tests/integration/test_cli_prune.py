"""`pacewheel prune` as its users see it, and what other commands say of a job that was removed."""

from __future__ import annotations

import json

from tests.commands import called
from tests.integration.old_rows import counts, make_older, past_engine, ran


def pacewheel(dsn: str, *arguments: str) -> tuple[int, str, str]:
    """Run a command; return exit code, standard output and standard error."""
    done = called(*arguments, "--dsn", dsn)
    return done.returncode, done.stdout, done.stderr


async def test_what_is_old_is_said_then_removed_and_then_known_to_be_gone(dsn: str) -> None:
    """Nothing is changed without --yes; a report of the job says in words what became of it."""
    engine = past_engine(dsn)
    await engine.connect()
    old, _ = await ran(engine, "a.example"), await ran(engine, "a.example")
    await engine.run_until_idle()
    await make_older(dsn, 31, old.id)
    days = "results_keep_days = 35, jobs_keep_days = 30, domains_keep_days = 365, workers_keep_days = 7"
    code, said, errors = pacewheel(dsn, "prune")
    assert (0, "") == (code, errors)
    assert [
        f"old ({days}):",
        "           1 finished jobs",
        "           5 tasks",
        "results of jobs that are removed stay for their own time (results_keep_days)",
        "nothing was changed: say --yes to remove it",
    ] == said.splitlines()
    assert 1 == (await counts(dsn, old.id))["jobs"]

    code, said, errors = pacewheel(dsn, "prune", "--yes", "--json")
    rows = {"jobs": 1, "tasks": 5, "documents": 5, "link_lists": 5}
    expected = {"removed": True, "partitions": [], "rows": rows, "complete": True}
    assert (0, expected, "") == (code, json.loads(said), errors)
    assert 0 == (await counts(dsn, old.id))["tasks"]

    assert (0, f"nothing is old ({days})\n", "") == pacewheel(dsn, "prune")
    code, said, errors = pacewheel(dsn, "report", str(old.id))
    assert (2, "") == (code, said)
    assert errors.startswith(f"pacewheel: job {old.id} of a.example, which ended on ")
    assert errors.endswith("finished jobs are kept for a time (setting jobs_keep_days)\n")

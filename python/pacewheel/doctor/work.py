"""Rules about the work: who does it, what is stuck, what was left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.doctor.findings import Finding, failing, ok, warning
from pacewheel.overview import WorkerState
from pacewheel.report.words import duration, millis, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pacewheel.doctor.facts import Work
    from pacewheel.overview import SlowStatement

SHOWN_MAX = 5
_SLOW_FAILING_MS = 30_000


def check_workers(work: Work) -> Iterator[Finding]:
    """Check that there is somebody for the work there is."""
    alive = [info for info in work.workers if info.state is WorkerState.ALIVE]
    versions = sorted({info.version for info in alive})
    if len(versions) > 1:
        yield warning(
            "workers",
            f"they are of {len(versions)} versions: {', '.join(versions)}",
            "that is as it should be during an upgrade, and not afterwards",
            "restart those of the older version",
        )
    for info in work.workers:
        if info.state is WorkerState.EXPIRED:
            yield warning(
                "workers",
                f"worker {info.id} (pid {info.pid} on {info.host}) has not renewed its lease",
                "its domains wait until another process declares it dead",
                "see whether it hangs; start another process if none is left",
            )
    for handler, jobs, tasks in work.unknown_handlers:
        yield failing(
            "workers",
            f"no living process has the handler {handler}",
            f"{plural(tasks, 'task')} of {plural(jobs, 'job')} wait for one",
            "start 'pacewheel run'" if handler == "warm" else "start a process with that handler",
        )
    if not work.unknown_handlers and len(versions) <= 1:
        slots = sum(info.capacity for info in alive)
        words = f"{plural(len(alive), 'worker')} alive, {slots} slots at most"
        yield ok("workers", words if alive else "none alive, and no work for any")


def check_stuck(work: Work) -> Iterator[Finding]:
    """Check that every job gets on."""
    for stuck in work.stuck[:SHOWN_MAX]:
        yield failing(
            "stuck jobs",
            f"job {stuck.job_id} of {stuck.domain} has got no further for {duration(round(stuck.idle_s))}",
            f"{plural(stuck.tasks, 'task')} could run: {stuck.reason.value}, {stuck.holder}",
            f"see 'pacewheel why {stuck.job_id}'",
        )
    if len(work.stuck) > SHOWN_MAX:
        yield failing(
            "stuck jobs",
            f"{len(work.stuck) - SHOWN_MAX} more are stuck",
            "their tasks could run, and don't",
            "see 'pacewheel doctor --json' for all of them, or 'pacewheel why JOB'",
        )
    if not work.stuck:
        yield ok("stuck jobs", "none")


def check_slow(statements: Sequence[SlowStatement]) -> Iterator[Finding]:
    """Check that every statement of ours gets on."""
    for slow in statements[:SHOWN_MAX]:
        of = failing if slow.age_ms > _SLOW_FAILING_MS else warning
        blockers = ", ".join(map(str, slow.blocked_by))
        yield of(
            "slow statements",
            f"{slow.statement or 'a statement'} (pid {slow.pid}) has been running for {millis(slow.age_ms)}",
            f"it waits for {slow.waits_for}" if slow.waits_for else "what follows it waits too",
            f"look at pid {blockers}, which blocks it" if blockers else "look at the server's load",
        )


def check_left_behind(work: Work) -> Iterator[Finding]:
    """Check for orphans, stranded tasks and counters that are wrong."""
    found = False
    for ids, words, meaning in (
        (
            work.orphaned_jobs,
            "have live tasks and are final or missing",
            "these tasks never run and never end",
        ),
        (
            work.drifting_jobs,
            "have counters that differ from their tasks",
            "progress is shown wrong, and the job may not end",
        ),
    ):
        if ids:
            found = True
            yield failing(
                "left behind",
                f"jobs {_some(ids)} {words}",
                meaning,
                "run 'pacewheel reconcile'; running processes do it every five minutes",
            )
    if work.stranded_domains:
        found = True
        yield warning(
            "left behind",
            f"domains {_some(work.stranded_domains)} have tasks in flight and no owner",
            "they seem to run, and nobody runs them",
            "run 'pacewheel reconcile'; running processes do it every five minutes",
        )
    if not found:
        compared = plural(work.compared, "live job")
        yield ok("left behind", f"no orphans; counters of {compared} agree with their tasks")


def _some(ids: object) -> str:
    assert isinstance(ids, list | tuple)
    more = len(ids) - SHOWN_MAX
    return ", ".join(map(str, ids[:SHOWN_MAX])) + (f" and {more} more" if more > 0 else "")

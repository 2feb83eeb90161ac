"""Is it healthy? What a process finds of itself, in the form of what `pacewheel doctor` finds.

Pure. `failing`: this process does no work, or can't know what it does. `warning`: it works, and
somebody should look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pacewheel.doctor.findings import Finding, Level, failing, warning, worst
from pacewheel.report.words import plural
from pacewheel.web.figures import Health
from pacewheel.web.ports import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pacewheel.model import StuckJob
    from pacewheel.web.figures import Pool, Process, ThisWorker, Transactions

# Of the requirements: above it, transactions fail too often.
ERROR_SHARE_MAX = 0.01
# Fewer say nothing of a share.
TRANSACTIONS_MIN = 100
# The scaler takes no more slots from here on.
MEMORY_FULL = 0.8
STUCK_SHOWN_MAX = 3


@dataclass(frozen=True, slots=True)
class Facts:
    """What is looked at; `trouble` says why the database could not be read."""

    worker: ThisWorker
    trouble: str | None
    stuck: Sequence[StuckJob]
    pool: Pool
    process: Process
    transactions: Sequence[Transactions]
    defects: Mapping[str, float]


def judge(facts: Facts) -> Health:
    """Return what is not in order, worst first."""
    levels = list(Level)
    findings = sorted(_findings(facts), key=lambda each: -levels.index(each.level))
    return Health(worst(findings), findings)


def _findings(facts: Facts) -> Iterator[Finding]:
    yield from _life(facts)
    yield from _database(facts)
    for job in facts.stuck[:STUCK_SHOWN_MAX]:
        yield warning(
            "stuck jobs",
            f"job {job.job_id} of {job.domain}: {plural(job.tasks, 'task')}, no progress for "
            f"{job.idle_s / 60:.0f} min ({job.holder})",
            "its tasks could run and don't",
            f"see 'pacewheel why {job.job_id}'",
        )
    if len(facts.stuck) > STUCK_SHOWN_MAX:
        yield warning(
            "stuck jobs",
            f"{plural(len(facts.stuck) - STUCK_SHOWN_MAX, 'more job')}",
            "their tasks could run and don't",
            "run 'pacewheel doctor'",
        )
    for name, value in facts.defects.items():
        yield warning(
            name,
            f"{value:g} since the start, where none should be",
            "it was repaired",
            "please report it with the log",
        )
    memory = facts.process.memory_bytes / facts.process.memory_limit_bytes
    if memory >= MEMORY_FULL:
        yield warning(
            "memory",
            f"{memory:.0%} of the limit are in use",
            "no slot comes",
            "give the process more memory, or lower capacity",
        )


def _life(facts: Facts) -> Iterator[Finding]:
    worker = facts.worker
    if worker.phase is Phase.STARTING:
        yield failing(
            "process",
            f"it has not started: {worker.waits_for or 'it connects'}",
            "it does no work yet",
            "it goes on by itself as soon as the database is there",
        )
        return
    if worker.phase is Phase.DRAINING:
        yield warning(
            "process",
            f"it drains: {plural(worker.unsettled, 'task')} to be settled",
            "it starts nothing more",
            "it ends by itself; start another one if work is to go on",
        )
    elif not worker.lease_valid:
        yield failing(
            "lease",
            "the process has none that is valid",
            "it starts nothing",
            "it renews it by itself once the database answers",
        )
    if not worker.listener_up and worker.phase is Phase.RUNNING:
        yield warning(
            "hints",
            "none arrive",
            "new work is found by the sweep, up to a minute late",
            "behind a pooler set direct_dsn; else see the log for the listener",
        )


def _database(facts: Facts) -> Iterator[Finding]:
    if facts.trouble is not None and facts.worker.phase is not Phase.STARTING:
        yield failing(
            "database",
            facts.trouble,
            "nothing is lost",
            "work goes on by itself when it is back",
        )
    if facts.pool.waiting:
        yield warning(
            "connections",
            f"{plural(facts.pool.waiting, 'request')} wait for one of {facts.pool.limit}",
            "work is slower than it could be",
            "raise pool_max, or look for slow transactions",
        )
    count = sum(each.count for each in facts.transactions)
    errors = sum(each.errors for each in facts.transactions)
    if errors and errors > ERROR_SHARE_MAX * max(count, TRANSACTIONS_MIN):
        yield warning(
            "transactions",
            f"{errors} of the last five minutes failed or got no connection; {count} began",
            "each is tried again",
            "see the errors by class, and the server's log",
        )
    slow = sum(each.slow for each in facts.transactions)
    if slow:
        most = max(facts.transactions, key=lambda each: each.slow)
        yield warning(
            "transactions",
            f"{slow} of the last five minutes were slow, {most.slow} of them {most.statement}",
            "claims and settles take longer",
            "run 'pacewheel doctor'; look at the server's load",
        )

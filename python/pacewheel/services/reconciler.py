"""Reconciler: counters against rows, and the net under everything that should not be left behind.

Compares, in batches with pauses, the jobs that have changed since they were last compared, of the
domains this process owns and of those nobody owns; so one process looks at each, and an idle one
asks three questions a round. Comparing locks nothing. What differs is repaired under the job's
lock, counted in the metrics, and said in the log. Keeps nothing in memory: `reconciled_at` in the
job's row says what is done, and what a killed process did not get to is due for the next.

Finding anything means a defect: the statements keep counters exact at each commit, and end a job's
tasks with the job.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pacewheel import events
from pacewheel.counters import Drift, OrphanKind, Reconciled
from pacewheel.logs import Logger
from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from pacewheel.metrics import Metrics
    from pacewheel.ports import Compared, CountedJob, CounterStore

log = Logger("reconciler")

DOMAINS_MAX = 100
JOBS_MAX = 10_000
# A statement reads 50,000 tasks in some 20 ms; a job of more is read alone.
READ_ROWS_MAX = 50_000
ORPHANS_MAX = 1_000
PAUSE_S = 0.1
SHOWN_MAX = 20


@dataclass(slots=True)
class Pass:
    """One pass over jobs: what it found so far. `repair` is False for a dry run."""

    store: CounterStore
    repair: bool
    found: Reconciled = field(default_factory=Reconciled)
    orphaned: set[int] = field(default_factory=set)
    """Jobs whose orphans were counted: a dry run leaves them there to be found again."""

    async def compare(self, jobs: Sequence[CountedJob]) -> None:
        """Compare one batch, and see to what is not in order."""
        for row in await self.store.compare_counters(jobs, mark=self.repair):
            await self._see_to(row)
        self.found.jobs += len(jobs)

    async def _see_to(self, row: Compared) -> None:
        if row.orphans:
            await self._see_to_orphans(row)
        if row.status is None:
            return
        seen: Compared | None = row
        if self.repair and (row.drift or row.orphans):
            seen = await self.store.recount_job(row.job_id)
        if seen is None:
            return
        # What is still there under the lock was nobody else's to repair.
        if row.drift and seen.drift:
            self.found.drifts.append(Drift(row.job_id, row.drift))
        if seen.is_unended and (not self.repair or await self.store.finish_jobs([row.job_id])):
            self._count(OrphanKind.JOB_NOT_ENDED, 1)

    async def _see_to_orphans(self, row: Compared) -> None:
        self.orphaned.add(row.job_id)
        kind = OrphanKind.TASK_WITHOUT_JOB if row.status is None else OrphanKind.TASK_OF_FINAL_JOB
        if not self.repair:
            self._count(kind, row.orphans)
            return
        while True:
            cancelled = await self.store.cancel_orphans(row.domain_id, row.job_id, ORPHANS_MAX)
            self._count(kind, cancelled)
            if cancelled < ORPHANS_MAX:
                return

    async def look_for_orphans(self) -> None:
        """See to the live tasks of final and missing jobs, wherever they are."""
        for domain_id, job_id in await self.store.find_orphans(ORPHANS_MAX):
            if job_id not in self.orphaned:
                await self.compare([(job_id, domain_id, 0)])

    async def look_for_stranded(self) -> None:
        """See to domains without an owner that say tasks are in flight."""
        after = 0
        while stranded := await self.store.find_stranded(after, DOMAINS_MAX):
            domain_ids = [domain_id for domain_id, _ in stranded]
            tasks = (
                await self.store.clear_in_flight(domain_ids)
                if self.repair
                else sum(in_flight for _, in_flight in stranded)
            )
            self._count(OrphanKind.IN_FLIGHT_WITHOUT_OWNER, tasks)
            after = domain_ids[-1]
            if len(stranded) < DOMAINS_MAX:
                return

    def _count(self, kind: OrphanKind, number: int) -> None:
        if number:
            self.found.orphans[kind] = self.found.orphans.get(kind, 0) + number


def batches(jobs: Sequence[CountedJob]) -> Iterator[list[CountedJob]]:
    """Divide jobs so that a statement reads a bounded number of tasks, or one job."""
    batch: list[CountedJob] = []
    rows = 0
    for job in jobs:
        if batch and rows + job[2] > READ_ROWS_MAX:
            yield batch
            batch, rows = [], 0
        batch.append(job)
        rows += job[2]
    if batch:
        yield batch


async def reconcile(store: CounterStore, job_id: int | None, *, dry_run: bool) -> Reconciled:
    """Compare one job or all of them with their tasks, repair what differs, and say what was found.

    All of them is all that there ever were, and what was left behind without a job.
    """
    work = Pass(store, repair=not dry_run)
    ids = None if job_id is None else [job_id]
    after = 0
    while jobs := await store.find_jobs(ids, after, JOBS_MAX):
        for batch in batches(jobs):
            await work.compare(batch)
        after = jobs[-1][0]
    if job_id is None:
        await work.look_for_orphans()
        await work.look_for_stranded()
    return work.found


class Reconciler(Service):
    """Compares what has changed, now and then."""

    def __init__(
        self,
        *,
        store: CounterStore,
        metrics: Metrics,
        worker_id: Callable[[], int | None],
        interval_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__()
        self._store = store
        self._metrics = metrics
        self._worker_id = worker_id
        self._interval_s = interval_s
        self._sleep = sleep

    async def _loop(self) -> None:
        while True:
            await self._sleep(self._interval_s * random.uniform(0.5, 1.5))
            await self.run_once()

    async def run_once(self) -> int:
        """Do one round; return how many jobs had drifted."""
        worker_id = self._worker_id()
        if worker_id is None:
            return 0
        work = Pass(self._store, repair=True)
        try:
            await self._round(work, worker_id)
        finally:
            self._publish(work.found)
        return len(work.found.drifts)

    async def _round(self, work: Pass, worker_id: int) -> None:
        # Half an interval, or a round that begins early would pass over what the last one saw.
        age_ms = round(self._interval_s * 500)
        after = 0
        while jobs := await self._store.find_unreconciled(worker_id, age_ms, after, DOMAINS_MAX):
            for batch in batches(jobs):
                await work.compare(batch)
                await self._sleep(PAUSE_S * random.uniform(0.5, 1.5))
            after = jobs[-1][1]
            if len({domain_id for _, domain_id, _ in jobs}) < DOMAINS_MAX:
                break
        await work.look_for_orphans()
        await work.look_for_stranded()

    def _publish(self, found: Reconciled) -> None:
        self._metrics.jobs_reconciled.inc(found.jobs)
        for drift in found.drifts:
            for counter, (kept, true) in drift.counters.items():
                self._metrics.drift.labels(counter).inc(abs(kept - true))
        for kind, number in found.orphans.items():
            self._metrics.orphans.labels(kind).inc(number)
        if not found.is_clean:
            shown = {drift.job_id: drift.counters for drift in found.drifts[:SHOWN_MAX]}
            log.say(
                events.COUNTERS_REPAIRED,
                jobs=len(found.drifts),
                counters=shown,
                orphans={str(kind): number for kind, number in found.orphans.items()},
            )

"""Operations that meet on the same few jobs and domains, each on connections of its own.

`OPERATIONS` is the list to extend: a new statement that writes belongs here, as a coroutine that
does it once, with whatever of the `Arena` it likes. A `Player` repeats one until the time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from pacewheel import Config
from pacewheel.errors import JobFinal, ScheduleExists, ScheduleUnknown, StoreUnavailable
from pacewheel.metrics import Metrics
from pacewheel.model import NewTask, Outcome, TaskState
from pacewheel.ports import ClaimedTask, ClaimRequest, Settlement
from pacewheel.recurrence import NewSchedule, Recurrence
from pacewheel.services.reconciler import reconcile
from pacewheel.states import JobVerb
from pacewheel.store import Store
from pacewheel.store.leases import PostgresLeases
from pacewheel.store.queries import load_queries

HANDLER = "h"
DOMAINS = [f"d{number}.example" for number in range(6)]
JOBS_A_DOMAIN = 2
LEASE_MS = 60_000
STATES = [TaskState.COMPLETED, TaskState.FAILED, TaskState.SKIPPED, TaskState.WAITING]


@dataclass(slots=True)
class Arena:
    """The database, and what is in it."""

    store: Store
    rng: random.Random
    jobs: list[int] = field(default_factory=list)
    domains: list[int] = field(default_factory=list)
    found: list[object] = field(default_factory=list)
    """What reconciling found and what the database refused, which should be nothing."""
    done: Counter[str] = field(default_factory=Counter)

    def tasks(self, most: int) -> list[NewTask]:
        """Some tasks, of which others have been offered before."""
        return [
            NewTask(
                f"t{self.rng.randrange(2000)}",
                priority=self.rng.random(),
                ready_in_s=0.02 if self.rng.random() < 0.3 else None,
            )
            for _ in range(self.rng.randrange(1, most))
        ]

    def any_job(self) -> int:
        """One of the newest jobs."""
        return self.rng.choice(self.jobs[-len(DOMAINS) * JOBS_A_DOMAIN :])


class Owner:
    """A worker: leases, claims over all it has, settles over all it has, gives back."""

    def __init__(self, arena: Arena, leases: PostgresLeases) -> None:
        self._arena = arena
        self._leases = leases
        self._id = 0
        self._epochs: dict[int, int] = {}
        self._claimed: dict[int, list[ClaimedTask]] = {}

    async def register(self) -> None:
        """Enter the workers."""
        self._id = await self._leases.register_worker(64, LEASE_MS, [HANDLER])

    async def lease(self) -> None:
        """Take some domains, and beat."""
        await self._leases.heartbeat(self._id, LEASE_MS, len(self._epochs))
        for domain in await self._leases.lease_domains(
            self._id, [HANDLER], LEASE_MS, 2, list(self._epochs)
        ):
            self._epochs[domain.id] = domain.epoch
            self._claimed[domain.id] = []

    async def claim(self) -> None:
        """Claim from all domains, in any order."""
        asked = self._arena.rng.sample(list(self._epochs), len(self._epochs))
        request = ClaimRequest(
            asked,
            [self._epochs[domain] for domain in asked],
            [[task[0] for task in self._claimed[domain]] for domain in asked],
            {},
            {},
            {},
            20,
            5,
        )
        for claim in await self._arena.store.tasks.claim_tasks(self._id, [HANDLER], request):
            self._claimed[claim.domain_id] += claim.tasks

    async def settle(self) -> None:
        """Settle half of what is claimed, of all domains, mixed; some discovers tasks, some sets a pace."""
        rng = self._arena.rng
        batch = [
            Settlement(
                domain,
                task[0],
                task[1],
                status,
                task[3] + 1,
                1,
                20 if status is TaskState.WAITING else None,
                Outcome.completed(
                    discovered=self._arena.tasks(4) if rng.random() < 0.1 else (),
                    robots_delay_ms=0 if rng.random() < 0.1 else None,
                ),
            )
            for domain, tasks in self._claimed.items()
            for task in tasks
            if rng.random() < 0.5
            for status in [rng.choice(STATES)]
        ]
        rng.shuffle(batch)
        epochs = {item.domain_id: self._epochs[item.domain_id] for item in batch}
        if not batch:
            return
        await self._arena.store.tasks.settle_tasks(self._id, epochs, batch)
        settled = {item.task_id for item in batch}
        for domain, tasks in self._claimed.items():
            self._claimed[domain] = [task for task in tasks if task[0] not in settled]

    async def release(self) -> None:
        """Give half of the domains back."""
        domains = [domain for domain in self._epochs if self._arena.rng.random() < 0.5]
        self._arena.rng.shuffle(domains)
        epochs = [self._epochs.pop(domain) for domain in domains]
        for domain in domains:
            del self._claimed[domain]
        await self._leases.release_domains(self._id, domains, epochs, [0.0] * len(domains))

    async def work(self) -> None:
        """All of it, as a process does."""
        await self.lease()
        for _ in range(3):
            await self.claim()
            await self.settle()
        await self.release()


async def create(arena: Arena) -> None:
    """Create a job that joins the others, now and then only if none is live."""
    job = await arena.store.jobs.create_job(
        domain=arena.rng.choice(DOMAINS),
        domain_delay_ms=None,
        handler=HANDLER,
        priority=arena.rng.random(),
        concurrency=10,
        max_tasks=None,
        options={},
        tasks=arena.tasks(50),
        discovery_open=True,
        unless_live=arena.rng.random() < 0.3,
    )
    if job not in arena.jobs:
        arena.jobs.append(job)


async def enqueue(arena: Arena) -> None:
    """Offer tasks to one job."""
    await arena.store.tasks.enqueue_tasks(arena.any_job(), arena.tasks(50))


async def wake(arena: Arena) -> None:
    """Wake what is due in all domains, in any order."""
    await arena.store.tasks.wake_tasks(arena.rng.sample(arena.domains, len(arena.domains)), 1000)


async def end(arena: Arena) -> None:
    """Cancel a job or close it, and have another in its place."""
    job = arena.any_job()
    try:
        if arena.rng.random() < 0.5:
            await arena.store.changes.end_job(job, JobVerb.CANCEL)
        else:
            await arena.store.jobs.finish_discovery(job)
    except JobFinal:
        await create(arena)


async def change(arena: Arena) -> None:
    """Pause, resume, reweight a job, or cancel, retry and reprioritise tasks of it."""
    job, changes = arena.any_job(), arena.store.changes
    keys = arena.rng.sample([f"t{number}" for number in range(2000)], 20)
    known = [row["target"] for row in await arena.store._pool.fetch(
        "SELECT target FROM pacewheel.tasks WHERE job_id = $1 AND target = ANY ($2::text[])",
        job,
        keys,
    )]  # fmt: skip
    try:
        match arena.rng.randrange(6):
            case 0:
                await changes.move_job(job, JobVerb.PAUSE)
                await changes.move_job(job, JobVerb.RESUME)
            case 1:
                await changes.reprioritise_job(job, arena.rng.random())
            case 2:
                await changes.cancel_tasks(job, known)
            case 3:
                await changes.retry_tasks(job, None)
            case _:
                await changes.reprioritise_tasks(job, {key: arena.rng.random() for key in known})
    except JobFinal:
        await create(arena)


async def fire(arena: Arena) -> None:
    """Fire a schedule of a domain that wants another gap each time, after a job like any."""
    schedules, name = arena.store.schedules, f"s{arena.rng.randrange(len(DOMAINS))}"
    try:
        if arena.rng.random() < 0.2:
            await schedules.remove_schedule(name)
        firing = await schedules.fire_schedule(name)
        if firing.live_job_id is not None:
            arena.jobs.append(firing.live_job_id)
        await schedules.fire_due()
    except ScheduleUnknown:
        # Another may make it first, or remove it at once.
        with contextlib.suppress(ScheduleExists, ScheduleUnknown):
            await schedules.create_schedule(
                NewSchedule(
                    name,
                    Recurrence(every_s=1.0),
                    arena.rng.choice(DOMAINS),
                    HANDLER,
                    arena.tasks(50),
                    domain_delay_ms=arena.rng.randrange(2),
                    expiring_first=True,
                )
            )


async def raise_(arena: Arena) -> None:
    """Ask for priorities of tasks, and write what the outbox holds."""
    rng, raises = arena.rng, arena.store.raises
    keys = rng.sample([f"t{number}" for number in range(2000)], 50)
    await raises.offer_raises(arena.any_job(), {key: rng.random() for key in keys})
    domains = rng.sample(arena.domains, len(arena.domains))
    await raises.raise_priorities(await raises.load_raises(domains, (0, 0), 200))
    await raises.prune_raises(100)


async def compare(arena: Arena) -> None:
    """Reconcile, at random repairing; it must find nothing."""
    found = await reconcile(arena.store.counters, None, dry_run=arena.rng.random() < 0.5)
    if not found.is_clean:
        arena.found.append(found)


async def recount(arena: Arena) -> None:
    """Recount a job under its lock, as if it had drifted."""
    counted = await arena.store.counters.recount_job(arena.any_job())
    if counted is None or counted.drift:
        arena.found.append(counted)


OPERATIONS: list[tuple[str, int, Callable[[Arena], Awaitable[None]]]] = [
    ("enqueue", 3, enqueue),
    ("wake", 3, wake),
    ("end", 1, end),
    ("create", 1, create),
    ("change", 2, change),
    ("fire", 2, fire),
    ("raise", 2, raise_),
    ("compare", 1, compare),
    ("recount", 1, recount),
]
"""Name, how many do it at once, and what they do. Owners come besides."""
OWNERS = 4


async def contend(dsn: str, seconds: float, seed: int) -> Arena:
    """Have all operations meet for a while; return what was done and found."""
    connections = sum(players for _, players, _ in OPERATIONS) + OWNERS
    store = Store(dsn, config=Config(pool_max=connections), metrics=Metrics())
    leases = [
        PostgresLeases(dsn, load_queries(), store.hinter, pooler=False) for _ in range(OWNERS)
    ]
    await store.open()
    await store._pool.resize(connections)
    arena = Arena(store, random.Random(seed))
    try:
        for _ in range(JOBS_A_DOMAIN * len(DOMAINS)):
            await create(arena)
        rows = await store._pool.fetch("SELECT id FROM pacewheel.domains")
        arena.domains = [row["id"] for row in rows]
        owners = [Owner(arena, each) for each in leases]
        for owner in owners:
            await owner.register()
        await _play(arena, owners, seconds)
    finally:
        for each in leases:
            await each.close()
        await store.close()
    return arena


async def _play(arena: Arena, owners: Sequence[Owner], seconds: float) -> None:
    until = asyncio.get_running_loop().time() + seconds

    async def repeat(name: str, operation: Callable[[], Awaitable[None]]) -> None:
        while asyncio.get_running_loop().time() < until:
            try:
                await operation()
            except StoreUnavailable as error:
                # Deadlocks may meet a statement as often as it is run again.
                arena.found.append(error)
            arena.done[name] += 1

    players = [repeat("work", owner.work) for owner in owners]
    players += [
        repeat(name, lambda operation=operation: operation(arena))
        for name, number, operation in OPERATIONS
        for _ in range(number)
    ]
    await asyncio.gather(*players)

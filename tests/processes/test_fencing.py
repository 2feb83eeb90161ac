"""The fences in SQL, one by one: what an owner that is none any more, or not yet, can't do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from pacewheel import Config, NewTask, Outcome, Task, TaskState
from pacewheel.metrics import Metrics
from pacewheel.outcomes import settlement_of
from pacewheel.ports import ClaimRequest, DomainClaim, LeasedDomain
from pacewheel.registry import Handler
from pacewheel.store import Store
from tests.conftest import execute, fetch
from tests.processes.fleet import count

HANDLERS = ["work"]
LEASE_MS = 10_000
EXPIRED_MS = 0


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[Store]:
    """The store, with a job of ten tasks."""
    opened = Store(dsn, config=Config(pool_max=4), metrics=Metrics())
    await opened.open()
    await opened.jobs.create_job(
        domain="d",
        domain_delay_ms=None,
        handler="work",
        priority=0.0,
        concurrency=4,
        max_tasks=None,
        options={},
        tasks=[NewTask(f"t{number}") for number in range(10)],
        discovery_open=False,
        unless_live=False,
    )
    yield opened
    await opened.close()


async def register(store: Store, lease_ms: int) -> int:
    """Enter one more worker."""
    return await store.leases.register_worker(1, lease_ms, HANDLERS)


async def sighting(store: Store, dsn: str) -> tuple[list[int], list[int | None], list[int]]:
    """The domain as a process sees it that looks for one: id, owner, epoch."""
    statement = store.leases._queries["find_leasable"]
    (seen,) = await fetch(dsn, statement, HANDLERS, 1000, 10, 0, [])
    return [seen["id"]], [seen["owner"]], [seen["epoch"]]


async def lease(store: Store, worker: int) -> list[LeasedDomain]:
    """Lease what there is."""
    return await store.leases.lease_domains(worker, HANDLERS, 1000, 10)


async def claim(store: Store, worker: int, domain: LeasedDomain) -> list[DomainClaim]:
    """Claim from one domain, one task at most."""
    request = ClaimRequest(
        domain_ids=[domain.id],
        epochs=[domain.epoch],
        unsettled=[[]],
        running={},
        cursors={},
        ahead={},
        tasks_max=1,
        lead_ms=5,
    )
    return await store.tasks.claim_tasks(worker, HANDLERS, request)


async def settle(
    store: Store,
    worker: int,
    domain: LeasedDomain,
    epoch: int,
    outcome: Outcome = Outcome.completed(),  # noqa: B008 - is never changed
) -> int:
    """Settle every task of the domain; return how many rows that changed."""
    rows = await fetch(store.tasks._pool._dsn, "SELECT id, job_id FROM pacewheel.tasks")
    handler = Handler("work", lambda _task: None)  # type: ignore[arg-type,return-value] # is never called
    batch = [
        settlement_of(
            Task(row["id"], row["job_id"], domain.id, "d", "work", "t", 0.0, 1, None, {}),
            handler,
            outcome,
            1.0,
        )
        for row in rows
    ]
    settled = await store.tasks.settle_tasks(worker, {domain.id: epoch}, batch)
    assert settled.rows == 0 or domain.id in settled.held
    return settled.rows


async def take_over(store: Store) -> tuple[int, LeasedDomain, int, LeasedDomain]:
    """Let one worker lease the domain and expire, and another take it over; return both leases."""
    first = await register(store, LEASE_MS)
    (before,) = await lease(store, first)
    await claim(store, first, before)
    await store.leases.heartbeat(first, EXPIRED_MS, 1)
    second = await register(store, LEASE_MS)
    assert [first] == await store.leases.declare_dead()
    (after,) = await lease(store, second)
    return first, before, second, after


async def test_a_take_over_raises_the_epoch_and_names_what_was_in_flight(store: Store) -> None:
    """The new owner learns which task the dead one ran, and it is still to be done."""
    _, before, _, after = await take_over(store)
    assert before.epoch + 1 == after.epoch
    assert 1 == len(after.in_flight)
    (lost,) = await store.leases.load_tasks({after.id: after.in_flight})
    assert (0, "work") == (lost.attempt, lost.handler)


async def test_a_settle_under_an_old_epoch_changes_nothing(store: Store, dsn: str) -> None:
    """Neither the dead owner nor its epoch in another's name; the owner itself may."""
    first, before, second, after = await take_over(store)
    assert 0 == await settle(store, first, after, before.epoch)
    assert 0 == await settle(store, first, after, after.epoch)
    assert 0 == await settle(store, second, after, before.epoch)
    assert 0 == await count(dsn, "SELECT count(*) FROM pacewheel.results")
    assert 10 == await count(dsn, "SELECT pending FROM pacewheel.jobs")
    assert 0 == await count(dsn, "SELECT count(*) FROM pacewheel.tasks WHERE status <> 0")
    assert 10 == await settle(store, second, after, after.epoch)


async def test_a_settle_locks_no_job_of_a_domain_that_is_lost(store: Store, dsn: str) -> None:
    """It would come after the locks of the other jobs of its batch, out of order."""
    first, before, _, _ = await take_over(store)
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        await connection.execute("SELECT FROM pacewheel.jobs FOR NO KEY UPDATE")
        discovery = Outcome.completed(discovered=[NewTask("new")])
        settling = settle(store, first, before, before.epoch, discovery)
        assert 0 == await asyncio.wait_for(settling, 5.0)
    await connection.close()


async def test_a_claim_under_an_old_epoch_gets_nothing_and_changes_nothing(
    store: Store, dsn: str
) -> None:
    """The answer does not name the domain, which tells the caller that it is lost."""
    first, before, second, after = await take_over(store)
    in_flight = await fetch(dsn, "SELECT in_flight FROM pacewheel.domains")
    assert [] == await claim(store, first, before)
    assert [] == await claim(store, first, after)
    assert [] == await claim(store, second, before)
    assert in_flight == await fetch(dsn, "SELECT in_flight FROM pacewheel.domains")
    (answer,) = await claim(store, second, after)
    assert 1 == len(answer.tasks)


async def test_a_release_under_an_old_epoch_changes_nothing(store: Store, dsn: str) -> None:
    """What a dead owner gives back is no longer its own."""
    first, before, second, after = await take_over(store)
    await store.leases.release_domains(first, [before.id], [before.epoch], [0.0])
    await store.leases.release_domains(second, [before.id], [before.epoch], [0.0])
    assert second == await count(dsn, "SELECT owner FROM pacewheel.domains")
    await store.leases.release_domains(second, [after.id], [after.epoch], [0.0])
    assert 1 == await count(dsn, "SELECT count(*) FROM pacewheel.domains WHERE owner IS NULL")


async def test_what_a_site_says_of_its_pace_counts_from_the_owner_alone(
    store: Store, dsn: str
) -> None:
    """A late robots.txt of a dead owner does not set the gap."""
    first, before, second, after = await take_over(store)
    pace = store.tasks._queries["pace_domains"]
    learned = ([500], [60_000], [2000], [3], [0], ["circuit_open"], [True])
    for worker, epoch in ((first, before.epoch), (second, before.epoch)):
        await fetch(dsn, pace, worker, [after.id], [epoch], *learned)
    query = "SELECT count(*) FROM pacewheel.domains WHERE robots_delay_ms = $1"
    assert 1 == await count(dsn, query + " AND refused_at IS NULL", 0)
    await fetch(dsn, pace, second, [after.id], [after.epoch], *learned)
    assert 1 == await count(dsn, query, 500)
    assert 2000 == await count(dsn, "SELECT gap_ms FROM pacewheel.domains")


async def test_a_domain_with_a_living_owner_can_not_be_leased(store: Store) -> None:
    """Not while the lease runs, and not after it ran out before somebody declared the owner dead."""
    owner = await register(store, LEASE_MS)
    assert 1 == len(await lease(store, owner))
    other = await register(store, LEASE_MS)
    assert [] == await lease(store, other)
    await store.leases.heartbeat(owner, EXPIRED_MS, 1)
    assert [] == await lease(store, other)


async def test_a_lease_by_a_stale_sighting_gets_nothing(store: Store, dsn: str) -> None:
    """Two see the domain free; the second to come finds another owner or epoch."""
    statement = store.leases._queries["lease_domains"]
    first = await register(store, LEASE_MS)
    second = await register(store, LEASE_MS)
    seen = await sighting(store, dsn)
    assert 1 == len(await fetch(dsn, statement, first, *seen))
    assert 0 == len(await fetch(dsn, statement, second, *seen))
    await store.leases.release_domains(first, seen[0], [seen[2][0] + 1], [0.0])
    assert 0 == len(await fetch(dsn, statement, second, *seen))
    assert 1 == len(await lease(store, second))


async def test_a_sighting_that_goes_stale_while_the_row_is_locked_gets_nothing(
    store: Store, dsn: str
) -> None:
    """The row is skipped while another leases it, not waited for; then its epoch is another."""
    statement = store.leases._queries["lease_domains"]
    first = await register(store, LEASE_MS)
    second = await register(store, LEASE_MS)
    seen = await sighting(store, dsn)
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        assert 1 == len(await connection.fetch(statement, first, *seen))
        assert 0 == len(await fetch(dsn, statement, second, *seen))
    await connection.close()
    assert 0 == len(await fetch(dsn, statement, second, *seen))
    assert first == await count(dsn, "SELECT owner FROM pacewheel.domains")


async def test_a_worker_that_is_dead_or_expired_leases_nothing(store: Store, dsn: str) -> None:
    """Its heartbeat comes first."""
    worker = await register(store, EXPIRED_MS)
    assert [] == await lease(store, worker)
    assert [worker] == await store.leases.declare_dead()
    assert [] == await lease(store, worker)
    assert 1 == await count(dsn, "SELECT count(*) FROM pacewheel.domains WHERE owner IS NULL")


async def test_death_is_for_ever(store: Store) -> None:
    """After declare_dead a heartbeat gets None, and a second declaration finds nobody."""
    worker = await register(store, EXPIRED_MS)
    assert [worker] == await store.leases.declare_dead()
    assert await store.leases.heartbeat(worker, LEASE_MS, 0) is None
    assert [] == await store.leases.declare_dead()


async def test_a_worker_that_beats_in_between_is_spared(store: Store, dsn: str) -> None:
    """A heartbeat that is under way, and one that has just been committed, both count."""
    worker = await register(store, EXPIRED_MS)
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        beat = store.leases._queries["heartbeat"]
        assert 1 == len(await connection.fetch(beat, worker, LEASE_MS, 0))
        assert [] == await store.leases.declare_dead()
    await connection.close()
    assert [] == await store.leases.declare_dead()
    assert await store.leases.heartbeat(worker, LEASE_MS, 0) is not None


async def test_a_settle_under_way_keeps_the_next_owner_out_until_its_commit(
    store: Store, dsn: str
) -> None:
    """The lease skips the row that a settle has fenced, so no outcome lands in another's epoch."""
    first = await register(store, LEASE_MS)
    (domain,) = await lease(store, first)
    await claim(store, first, domain)
    second = await register(store, LEASE_MS)
    await execute(dsn, f"UPDATE pacewheel.workers SET dead_at = now() WHERE id = {first}")
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        # The settle's fence, held open.
        await connection.fetch(
            "SELECT id FROM pacewheel.domains WHERE id = $1 FOR KEY SHARE", domain.id
        )
        assert [] == await lease(store, second)
    await connection.close()
    assert 1 == len(await lease(store, second))
    assert TaskState.PENDING == await count(dsn, "SELECT max(status) FROM pacewheel.tasks")


async def test_a_release_waits_for_no_settle_and_for_no_job_in_the_making(
    store: Store, dsn: str
) -> None:
    """Both keep the domain's row for as long as their transaction takes; then the next owner comes."""
    first = await register(store, LEASE_MS)
    (domain,) = await lease(store, first)
    second = await register(store, LEASE_MS)
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        # The settle's fence is the same lock as that of a new job's foreign key.
        await connection.execute(
            "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency) VALUES ($1, 'work', 1)",
            domain.id,
        )
        await store.leases.release_domains(first, [domain.id], [domain.epoch], [0.0])
        assert 1 == await count(dsn, "SELECT count(*) FROM pacewheel.domains WHERE owner IS NULL")
        assert [] == await lease(store, second)
    await connection.close()
    assert 1 == len(await lease(store, second))

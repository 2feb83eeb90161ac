"""Every verb on a job or a task in every state, on a real database, against the tables of states.py."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel import Engine, Job, JobState, NewTask, Outcome, TaskState
from pacewheel.errors import JobFinal
from pacewheel.ports import ClaimRequest, LeasedDomain, Settlement
from pacewheel.states import JOB_TRANSITIONS, TASK_TRANSITIONS, JobVerb, TaskVerb
from tests.conftest import fetch
from tests.invariants import note_moves, wrong_counters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

HANDLERS = ["note"]
LEASE_MS = 60_000
CLAIM_MAX = 1000
SETTLED = {
    TaskVerb.COMPLETE: TaskState.COMPLETED,
    TaskVerb.FAIL: TaskState.FAILED,
    TaskVerb.SKIP: TaskState.SKIPPED,
    TaskVerb.BACK_OFF: TaskState.WAITING,
}
OUTCOMES = {
    TaskState.COMPLETED: Outcome.completed(),
    TaskState.FAILED: Outcome.failed("broken"),
    TaskState.SKIPPED: Outcome.skipped("not_today"),
    TaskState.WAITING: Outcome.retry("busy"),
}


class World:
    """An engine that runs nothing, and a worker whose claims and settles are made by hand."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.engine = Engine(dsn)
        self.worker = 0
        self.leases: dict[str, LeasedDomain] = {}
        self.first_leases: dict[str, LeasedDomain] = {}
        self.running: dict[str, list[int]] = {}

    async def start(self) -> None:
        """Connect, and enter the worker."""
        await self.engine.connect()
        self.worker = await self.engine.store.leases.register_worker(1, LEASE_MS, HANDLERS)

    async def create(self, domain: str, *targets: str) -> Job:
        """Create a job of these tasks, the first one first in line, and lease its domain."""
        tasks = [NewTask(target, priority=-n) for n, target in enumerate(targets)]
        job = await self.engine.create_job(
            domain=domain, handler="note", concurrency=CLAIM_MAX, tasks=tasks
        )
        await self.lease(domain)
        return job

    async def lease(self, domain: str) -> None:
        """Become the owner of a domain that nobody owns."""
        leased = await self.engine.store.leases.lease_domains(self.worker, HANDLERS, 1000, 10)
        self.leases |= {lease.name: lease for lease in leased}
        self.first_leases = self.leases | self.first_leases
        self.running[domain] = []

    async def claim(self, domain: str, tasks_max: int = 1) -> list[int]:
        """Claim from the domain; return the ids."""
        lease, running = self.leases[domain], self.running[domain]
        request = ClaimRequest(
            domain_ids=[lease.id],
            epochs=[lease.epoch],
            unsettled=[running],
            running={},
            cursors={},
            ahead={},
            tasks_max=tasks_max,
            lead_ms=5,
        )
        claims = await self.engine.store.tasks.claim_tasks(self.worker, HANDLERS, request)
        claimed = [task[0] for claim in claims for task in claim.tasks]
        self.running[domain] = running + claimed
        return claimed

    async def settle(
        self, domain: str, job: Job, task_ids: Sequence[int], state: TaskState, attempt: int = 1
    ) -> None:
        """Settle tasks as the worker that claimed them first."""
        lease = self.first_leases[domain]
        retry_in_ms = 0 if state is TaskState.WAITING else None
        batch = [
            Settlement(lease.id, task_id, job.id, state, attempt, 1, retry_in_ms, OUTCOMES[state])
            for task_id in task_ids
        ]
        await self.engine.store.tasks.settle_tasks(self.worker, {lease.id: lease.epoch}, batch)
        left = [task_id for task_id in self.running[domain] if task_id not in task_ids]
        self.running[domain] = left

    async def release(self, domain: str) -> None:
        """Give the domain back: what runs of it is interrupted."""
        lease = self.leases[domain]
        await self.engine.store.leases.release_domains(
            self.worker, [lease.id], [lease.epoch], [0.0]
        )

    async def rows(self, job: Job) -> list[Any]:
        """Everything that is stored of a job and of its task `it`."""
        found = await fetch(
            self.dsn,
            "SELECT j.*, t.* FROM pacewheel.jobs j LEFT JOIN pacewheel.tasks t"
            " ON t.domain_id = j.domain_id AND t.job_id = j.id AND t.target = 'it' WHERE j.id = $1",
            job.id,
        )
        return [tuple(row) for row in found]

    async def task(self, job: Job) -> tuple[int, int, TaskState]:
        """Id, attempts and state of the task `it`."""
        (row,) = await fetch(
            self.dsn,
            "SELECT id, attempt, state FROM pacewheel.task_states WHERE job_id = $1 AND target = 'it'",
            job.id,
        )
        return row["id"], row["attempt"], TaskState[row["state"].upper()]


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[World]:
    """A world on a database of its own."""
    made = World(dsn)
    await made.start()
    yield made
    await made.engine.close()


async def job_in(world: World, state: JobState) -> Job:
    """Bring a new job into a state, by what brings jobs there."""
    job = await world.create(state.name, "it", "second", "third")
    if state is not JobState.PENDING:
        ids = await world.claim(state.name, 1 if state is not JobState.COMPLETED else 3)
    match state:
        case JobState.PAUSED:
            await job.pause()
        case JobState.COMPLETED:
            await world.settle(state.name, job, ids, TaskState.COMPLETED)
            await job.finish_discovery()
        case JobState.FAILED:
            await job.fail("broken")
        case JobState.CANCELLED:
            await job.cancel()
    assert state is (await job.info()).status
    return job


async def do_to_job(world: World, domain: str, job: Job, verb: JobVerb) -> object:
    """Apply a verb as the engine or its user does."""
    match verb:
        case JobVerb.START:
            return bool(await world.claim(domain))
        case JobVerb.PAUSE:
            return await job.pause()
        case JobVerb.RESUME:
            return await job.resume()
        case JobVerb.COMPLETE:
            await job.cancel_tasks(["it", "second", "third"])
            return await job.finish_discovery()
        case JobVerb.FAIL:
            return await job.fail("broken")
        case JobVerb.CANCEL:
            return await job.cancel()


@pytest.mark.parametrize("verb", JobVerb)
async def test_a_verb_moves_a_job_as_the_table_says_or_changes_nothing(
    world: World, verb: JobVerb
) -> None:
    """From each state: the table's state, or no change and a refusal that names the state."""
    for state in JobState:
        job = await job_in(world, state)
        before = await world.rows(job)
        answer: object = None
        # Nothing refuses a claim: it gives nothing.
        if state.is_final and verb is not JobVerb.START:
            with pytest.raises(JobFinal, match=f"job {job.id} is {state.name.lower()}"):
                await do_to_job(world, state.name, job, verb)
        else:
            answer = await do_to_job(world, state.name, job, verb)
        expected = JOB_TRANSITIONS[verb].get(state, state)
        assert expected is (await job.info()).status, state
        if state not in JOB_TRANSITIONS[verb]:
            assert before == await world.rows(job), state
            assert answer in (None, False) or (verb, state) == (JobVerb.START, JobState.RUNNING)
        assert [] == await wrong_counters(world.dsn)


async def task_in(world: World, state: TaskState) -> Job:
    """Bring the task `it` of a new job into a state; another task keeps the job alive."""
    job = await world.create(state.name, "it", "other")
    match state:
        case TaskState.CANCELLED:
            await job.cancel_tasks(["it"])
        case TaskState.PENDING:
            await world.claim(state.name)
            await world.release(state.name)
            await world.lease(state.name)
        case _:
            ids = await world.claim(state.name)
            if state is not TaskState.RUNNING:
                await world.settle(state.name, job, ids, state)
    assert state is (await world.task(job))[2]
    return job


async def do_to_task(world: World, domain: str, job: Job, verb: TaskVerb) -> object:
    """Apply a verb to the task `it` as the engine or its user does."""
    task_id, attempt, _ = await world.task(job)
    match verb:
        case TaskVerb.CLAIM:
            return await world.claim(domain)
        case TaskVerb.WAKE:
            return await world.engine.store.tasks.wake_tasks([world.leases[domain].id], 10)
        case TaskVerb.INTERRUPT:
            return await world.release(domain)
        case TaskVerb.CANCEL:
            return await job.cancel_tasks(["it"])
        case TaskVerb.RETRY:
            return (await job.retry_failed(["it"]))[1]
        case _:
            # Only the owner under which it was claimed settles a task: once interrupted, nobody.
            return await world.settle(domain, job, [task_id], SETTLED[verb], attempt + 1)


@pytest.mark.parametrize("verb", TaskVerb)
async def test_a_verb_moves_a_task_as_the_table_says_or_changes_nothing(
    world: World, verb: TaskVerb
) -> None:
    """From each state: the table's state, or the row stays as it was."""
    for state in TaskState:
        job = await task_in(world, state)
        before = await world.rows(job)
        answer = await do_to_task(world, state.name, job, verb)
        expected = TASK_TRANSITIONS[verb].get(state, state)
        assert expected is (await world.task(job))[2], state
        allowed = state in TASK_TRANSITIONS[verb]
        if verb in {TaskVerb.CANCEL, TaskVerb.RETRY}:
            assert int(allowed) == answer
        if not allowed and verb is not TaskVerb.CLAIM:
            assert before == await world.rows(job), state
        assert [] == await wrong_counters(world.dsn)


@pytest.mark.parametrize("verb", [JobVerb.FAIL, JobVerb.CANCEL])
async def test_ending_a_job_ends_its_tasks_in_the_same_transaction(
    world: World, verb: JobVerb
) -> None:
    """One transaction wrote the job's row and all its live tasks; final ones are left alone."""
    job = await world.create("a.example", *(f"t{n}" for n in range(5)))
    done, retried, _running = await world.claim("a.example", 3)
    await world.settle("a.example", job, [done], TaskState.COMPLETED)
    await world.settle("a.example", job, [retried], TaskState.WAITING)
    await job.enqueue([NewTask("later", ready_in_s=3600)])
    ended = await (job.fail("broken") if verb is JobVerb.FAIL else job.cancel())

    assert 5 == ended
    rows = await fetch(
        world.dsn,
        "SELECT t.status, t.xmin = j.xmin AS together, t.ready_at IS NULL AS unready"
        " FROM pacewheel.tasks t JOIN pacewheel.jobs j ON j.id = t.job_id ORDER BY t.status",
    )
    assert [(3, False, True)] + 5 * [(6, True, True)] == [tuple(row) for row in rows]
    info = await job.info()
    error = "broken" if verb is JobVerb.FAIL else None
    assert (error, 0, False) == (info.error, info.live, info.discovery_open)
    assert info.finished_at is not None
    assert [] == await wrong_counters(world.dsn)


@pytest.mark.parametrize("state", [state for state in JobState if state.is_final])
async def test_a_final_job_takes_no_task(world: World, state: JobState) -> None:
    """The refusal names the state, and nothing is stored."""
    job = await job_in(world, state)
    total = (await job.info()).total
    with pytest.raises(JobFinal, match=f"is {state.name.lower()}"):
        await job.enqueue([NewTask("late")])
    assert total == (await job.info()).total


async def test_a_job_completes_exactly_once(world: World) -> None:
    """Its last two tasks are settled at once, while discovery ends: one change to completed, always."""
    await note_moves(world.dsn)
    jobs = [
        await world.engine.create_job(
            domain="a.example",
            handler="note",
            concurrency=2,
            tasks=[NewTask(f"{n} a"), NewTask(f"{n} b")],
        )
        for n in range(300)
    ]
    await world.lease("a.example")
    await world.claim("a.example", CLAIM_MAX)
    rows = await fetch(world.dsn, "SELECT job_id, id FROM pacewheel.tasks")
    tasks: dict[int, list[int]] = {}
    for row in rows:
        tasks.setdefault(row["job_id"], []).append(row["id"])

    async def end(job: Job) -> None:
        first, second = tasks[job.id]
        work = [
            world.settle("a.example", job, [first], TaskState.COMPLETED),
            world.settle("a.example", job, [second], TaskState.FAILED),
            job.finish_discovery(),
        ]
        random.shuffle(work)
        await asyncio.gather(*work)

    for start in range(0, len(jobs), 10):
        await asyncio.gather(*map(end, jobs[start : start + 10]))

    moves = await fetch(world.dsn, "SELECT job_id, after FROM public.moves WHERE after > 2")
    assert Counter((job.id, JobState.COMPLETED) for job in jobs) == Counter(map(tuple, moves))
    assert [] == await wrong_counters(world.dsn)


async def test_whatever_happens_at_once_only_the_moves_of_the_table_happen(world: World) -> None:
    """Verbs at random, many at a time: each move that was committed stands in the table."""
    await note_moves(world.dsn)
    allowed = {move for moves in JOB_TRANSITIONS.values() for move in moves.items()}
    random_ = random.Random(7)
    for n in range(30):
        domain = f"d{n}.example"
        job = await world.create(domain, "it", "second", "third")
        await world.claim(domain)
        verbs = random_.choices(list(JobVerb), k=8)
        added = job.enqueue([NewTask("more")])
        answers = await asyncio.gather(
            *(do_to_job(world, domain, job, verb) for verb in verbs), added, return_exceptions=True
        )
        unexpected = [
            a for a in answers if isinstance(a, Exception) and not isinstance(a, JobFinal)
        ]
        assert [] == unexpected
    moves = {
        tuple(map(JobState, row))
        for row in await fetch(world.dsn, "SELECT before, after FROM public.moves")
    }
    assert moves <= allowed
    assert len(moves) > 4
    assert [] == await wrong_counters(world.dsn)

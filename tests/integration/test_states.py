"""Every verb on a job or a task in every state, on a real database, against the tables of states.py."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from pacewheel import Job, JobState, NewTask, TaskState
from pacewheel.errors import JobFinal
from pacewheel.states import JOB_TRANSITIONS, TASK_TRANSITIONS, JobVerb, TaskVerb
from tests.conftest import fetch
from tests.integration.world import CLAIM_MAX, World
from tests.invariants import note_moves, wrong_counters

SETTLED = {
    TaskVerb.COMPLETE: TaskState.COMPLETED,
    TaskVerb.FAIL: TaskState.FAILED,
    TaskVerb.SKIP: TaskState.SKIPPED,
    TaskVerb.BACK_OFF: TaskState.WAITING,
}


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

"""Who gets the slots: jobs of one domain by weight, domains in turn; nobody is starved."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel import Config, Engine, NewTask, Task
from tests.conftest import PROMPT, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pacewheel.engine import Job

# Twice the lead, so that a claim gives one slot.
GAP_MS = 20


class Line:
    """An engine that notes whose tasks start, in order; tasks called `hold` stay until let go."""

    def __init__(self, dsn: str, **config: Any) -> None:
        self.engine = Engine(dsn, config=Config(**config))
        self.starts: list[str] = []
        self.let_go = asyncio.Event()
        self.engine.handler("note")(self.note)

    async def note(self, task: Task) -> None:
        """Note the start under the first word of the target."""
        self.starts.append(task.target.split()[0])
        if "hold" in task.target:
            await self.let_go.wait()

    async def create(
        self,
        name: str,
        count: int,
        *,
        domain: str = "a.example",
        gap_ms: int = GAP_MS,
        tasks: Sequence[NewTask] = (),
        **values: Any,
    ) -> Job:
        """Create a job of `tasks` and so many whose targets start with its name."""
        values = {"concurrency": 50, **values}
        return await self.engine.create_job(
            domain=domain,
            handler="note",
            domain_delay_ms=gap_ms,
            tasks=[*tasks, *(NewTask(f"{name} {n}") for n in range(count))],
            discovery_open=False,
            **values,
        )

    async def run(self, starts: int, timeout_s: float = 30.0) -> list[str]:
        """Run until so many tasks have started; return whose they were, in order."""
        async with self.engine:
            await until(lambda: len(self.starts) >= starts, timeout_s=timeout_s)
        return self.starts[:starts]


@pytest.fixture
async def line(dsn: str) -> AsyncIterator[Line]:
    """A line, connected; nothing runs before `run`."""
    made = Line(dsn)
    await made.engine.connect()
    yield made
    made.let_go.set()
    await made.engine.stop()


def leads(starts: list[str], first: str, second: str) -> list[int]:
    """By how many starts the first was ahead of the second, after each start."""
    counted: Counter[str] = Counter()
    result = []
    for name in starts:
        counted[name] += 1
        result.append(counted[first] - counted[second])
    return result


async def test_jobs_of_equal_priority_take_turns(line: Line) -> None:
    """Whatever the priorities of their tasks: after each start they are within one."""
    await line.create("a", 40)
    b = await line.create("b", 40)
    await b.reprioritise_tasks({f"b {n}": 1.0 for n in range(40)})
    starts = await line.run(60)
    assert {-1, 0, 1} >= set(leads(starts, "a", "b"))


async def test_a_priority_one_higher_gets_eight_times_as_many(line: Line) -> None:
    """About 8 to 1 all along, and the lesser one is never long without a start."""
    await line.create("high", 200, priority=1.0)
    await line.create("low", 60)
    starts = await line.run(180)
    assert 16 <= starts.count("low") <= 24
    for at in range(0, 170, 10):
        assert "low" in starts[at : at + 12]


async def test_claims_that_give_nothing_change_no_share(line: Line) -> None:
    """Each enqueue makes a claim between two slots: the lesser job gets its part all the same."""
    high = await line.create("high", 200, gap_ms=30, priority=1.0)
    await line.create("low", 60, gap_ms=30)

    async def keep_enqueuing() -> None:
        for n in range(10_000):
            await line.engine.enqueue(high.id, [NewTask(f"high more {n}")])

    enqueuing = asyncio.create_task(keep_enqueuing())
    await line.engine.start()
    await until(lambda: len(line.starts) >= 40)
    enqueuing.cancel()
    assert 3 <= line.starts[:40].count("low") <= 7


async def test_a_stream_of_new_high_jobs_does_not_stop_an_old_low_one(line: Line) -> None:
    """There is always a fresh one, of one task, with no start to its debit: the old one goes on."""
    await line.create("old", 60, gap_ms=60)
    for _ in range(3):
        await line.create("fresh", 1, gap_ms=60, priority=0.5)
    async with line.engine:
        for _ in range(60):
            started = line.starts.count("fresh")
            await line.create("fresh", 1, gap_ms=60, priority=0.5)
            await until(lambda at=started: line.starts.count("fresh") > at)  # type: ignore[misc]  # at is bound
    assert 3 <= line.starts.count("old")
    assert 60 <= line.starts.count("fresh")


async def test_a_job_that_comes_later_gains_no_credit_and_stands_behind_no_backlog(
    line: Line,
) -> None:
    """From its first moment it takes turns, neither before nor behind what the other has."""
    await line.create("a", 400)
    async with line.engine:
        await until(lambda: len(line.starts) >= 50)
        await line.create("b", 40)
        came = len(line.starts)
        await until(lambda: line.starts.count("b") >= 30)
    starts = line.starts[came:]
    first = starts.index("b")
    # What was on its way when it came has left before.
    assert first < 25
    assert {-2, -1, 0, 1, 2} >= set(leads(starts[first:], "a", "b")[:50])


async def test_a_job_at_its_limit_holds_up_nobody_and_makes_up_for_nothing(line: Line) -> None:
    """The other takes all slots meanwhile; afterwards they take turns, without a burst."""
    holding = [NewTask(f"full hold {n}", priority=1) for n in range(4)]
    full = await line.create("full", 60, concurrency=4, tasks=holding)
    async with line.engine:
        await until(lambda: line.starts == 4 * ["full"])
        await line.create("free", 400)
        await until(lambda: line.starts.count("free") >= 60)
        line.let_go.set()

        async def is_free() -> bool:
            return (await full.info()).completed >= 4

        await until(is_free)
        at = len(line.starts)
        await until(lambda: len(line.starts) >= at + 50)
    second = line.starts.index("full", 4)
    assert second >= 64
    assert {-2, -1, 0, 1, 2} >= set(leads(line.starts[second : second + 40], "free", "full"))


async def test_batches_are_shared_too(dsn: str) -> None:
    """Without a gap a claim gives many at once: they are as many of each, and 8 to 1 by priority."""
    line = Line(dsn, capacity=18)
    await line.engine.connect()
    await line.create("a", 300, gap_ms=0, concurrency=50, priority=1.0)
    await line.create("b", 300, gap_ms=0, concurrency=50)
    starts = await line.run(270)
    assert 25 <= starts.count("b") <= 36
    await line.engine.stop()


async def test_many_jobs_of_one_domain_all_get_their_turn(line: Line) -> None:
    """A hundred of them: after two hundred starts each has had about two."""
    for n in range(100):
        await line.create(f"j{n}", 5, gap_ms=20)
    counted = Counter(await line.run(200, timeout_s=60))
    assert 100 == len(counted)
    assert {1, 2, 3} >= set(counted.values())


async def test_shares_go_on_under_a_new_owner(dsn: str) -> None:
    """It knows nothing of the old one's account, and needs nothing of it."""
    first, second = Line(dsn, **PROMPT), Line(dsn, **PROMPT)
    await first.engine.connect()
    await first.create("a", 60, gap_ms=20)
    await first.create("b", 60, gap_ms=20)
    starts = await first.run(30)
    then = await second.run(30)
    assert {-1, 0, 1} >= set(leads(starts, "a", "b"))
    assert {-1, 0, 1} >= set(leads(then, "a", "b"))


async def test_every_domain_gets_its_turn_however_few_the_slots(dsn: str) -> None:
    """Fifty domains, two slots: of the first hundred starts each has two, with one more at most."""
    line = Line(dsn, capacity=2)
    await line.engine.connect()
    for n in range(50):
        await line.create(f"d{n}", 8, domain=f"d{n}.example", gap_ms=0, concurrency=8)
    counted = Counter(await line.run(100))
    await line.engine.stop()
    assert 50 == len(counted)
    assert 4 >= max(counted.values())

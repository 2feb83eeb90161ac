"""Which domains a claim asks, and how often: no statement without a reason, many tasks of few domains."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pacewheel import Config, Engine, NewTask, Task
from pacewheel.ports import ClaimRequest, DomainClaim
from tests.conftest import BY_HINTS_ALONE, until

TASKS = 20


class Claims:
    """The requests that an engine's claims make, and what each brought."""

    def __init__(self, engine: Engine) -> None:
        self.made: list[tuple[ClaimRequest, list[DomainClaim]]] = []
        tasks = engine.store.tasks
        claim_tasks = tasks.claim_tasks

        async def noted(
            worker_id: int, handlers: Sequence[str], request: ClaimRequest
        ) -> list[DomainClaim]:
            claims = await claim_tasks(worker_id, handlers, request)
            self.made.append((request, claims))
            return claims

        tasks.claim_tasks = noted  # type: ignore[method-assign]

    def empty(self) -> int:
        """How many brought nothing."""
        return sum(not any(claim.tasks for claim in claims) for _, claims in self.made)

    def domains_asked(self) -> list[int]:
        """How many domains each asked."""
        return [len(request.domain_ids) for request, _ in self.made]


@pytest.fixture
def engine(dsn: str) -> Engine:
    """An engine whose tasks do nothing."""
    engine = Engine(dsn, config=Config(**BY_HINTS_ALONE, capacity=1000))

    @engine.handler("note")
    async def note(_task: Task) -> None:
        return None

    return engine


async def test_a_domain_that_gave_all_it_had_is_not_asked_again_when_a_handler_ends(
    dsn: str, engine: Engine
) -> None:
    """One task at a time on a domain without a gap, enqueued elsewhere: one hint, one claim."""
    await engine.connect()
    claims = Claims(engine)
    async with Engine(dsn) as elsewhere, engine:
        job = await elsewhere.create_job(domain="a.example", handler="note")
        for number in range(TASKS):
            await job.enqueue([NewTask(f"{number}")])

            async def all_are_done(so_far: int = number + 1) -> bool:
                return (await job.info()).completed == so_far

            await until(all_are_done)
    assert claims.empty() < TASKS // 2


@pytest.mark.parametrize(("gap_ms", "most"), [(0, 20), (1, 100)], ids=["no gap", "a gap"])
async def test_a_claim_asks_few_domains_that_may_give_much_and_many_that_give_one(
    engine: Engine, gap_ms: int, most: int
) -> None:
    """Of 150 domains with work: twenty at a time where each may give all its limit permits."""
    await engine.connect()
    claims = Claims(engine)
    for number in range(150):
        await engine.create_job(
            domain=f"{number}.example",
            handler="note",
            domain_delay_ms=gap_ms,
            tasks=[NewTask(f"{task}") for task in range(3)],
        )
    async with asyncio.timeout(60):
        await engine.run_until_idle()
    assert 450 == sum(len(claim.tasks) for _, made in claims.made for claim in made)
    assert most == max(claims.domains_asked())


async def test_domains_that_many_jobs_share_are_asked_one_by_one(engine: Engine) -> None:
    """Once it is known, after the first claim: so most of what is read of the jobs is taken."""
    await engine.connect()
    claims = Claims(engine)
    for number in range(5 * 25):
        await engine.create_job(
            domain=f"{number % 5}.example",
            handler="note",
            concurrency=20,
            tasks=[NewTask(f"{task}") for task in range(40)],
        )
    async with asyncio.timeout(60):
        await engine.run_until_idle()
    assert 5 * 25 * 40 == sum(len(claim.tasks) for _, made in claims.made for claim in made)
    assert 1 == max(claims.domains_asked()[1:])

"""A domain's gate and what its owner learns, without a database."""

from __future__ import annotations

import asyncio

import pytest

from pacewheel.clock import lease_clock_s, monotonic_ms
from pacewheel.errors import DomainBlocked
from pacewheel.held import Held, HeldDomain
from pacewheel.lessons import Lessons
from pacewheel.metrics import Metrics
from pacewheel.model import Outcome, Task
from pacewheel.pacing import CALM, Pace, Said
from pacewheel.registry import NO_BREAKER, Handler


def nothing(*_args: object) -> None:
    """Take note of nothing."""


def held_domain(*, pace: Pace = CALM) -> HeldDomain:
    """A domain whose lease is sure for a minute."""
    held = Held(store=nothing, read_job=nothing, on_departed=nothing)
    held.extend_lease(lease_clock_s() + 60)
    domain = HeldDomain(1, "a.example", 1, held, pace=pace)
    held.add(domain)
    return domain


def task_of(domain: HeldDomain) -> Task:
    """A task of this domain."""
    return Task(1, 1, 1, "a.example", "note", "t", 0.0, 1, None, {}, domain)


async def test_a_block_sends_those_at_the_gate_back_at_once() -> None:
    """Nobody holds a slot for the longer gap that the same answer has brought."""
    domain = held_domain()
    domain.gap_ms = 20_000
    domain.last_departure_ms = monotonic_ms() - 19_950
    waiting = asyncio.create_task(task_of(domain).depart())
    await asyncio.sleep(0)
    domain.learn(Said(blocking=True), NO_BREAKER, began_ms=monotonic_ms(), block_s=30.0)
    assert 40_000 == domain.gap_ms
    with pytest.raises(DomainBlocked):
        await asyncio.wait_for(waiting, 60)


async def test_a_task_that_was_refused_at_the_gate_has_not_departed() -> None:
    """Whoever asks again after the refusal is refused again, or waits for the gap."""
    domain = held_domain()
    domain.blocked_until_ms = monotonic_ms() + 30_000
    task = task_of(domain)
    for _ in range(2):
        with pytest.raises(DomainBlocked):
            await task.depart()
    domain.blocked_until_ms = monotonic_ms()
    await task.depart()
    before_ms = domain.last_departure_ms
    await task.depart()
    assert before_ms == domain.last_departure_ms > 0


@pytest.mark.parametrize("pace", [Pace(), Pace(250, 0, 19)], ids=["leased", "calm again"])
def test_answers_of_a_domain_that_is_calm_are_not_looked_at(pace: Pace) -> None:
    """Whether it was leased so, or has become so: the next answer finds the one calm pace."""
    domain = held_domain(pace=pace)
    lessons, handler = Lessons(Metrics()), Handler("note", nothing)
    lessons.learn(domain, handler, Outcome.completed(), 1.0)
    lessons.learn(domain, handler, Outcome.completed(), 1.0)
    assert CALM is domain.pace

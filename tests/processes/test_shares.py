"""Processes come and go: each holds its share, domains that stay don't pause, a drain loses nothing."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter

import pytest

from pacewheel import Config, Engine, NewTask, Task
from tests.conftest import FAST, fetch, until
from tests.processes.fleet import (
    MS,
    Fleet,
    by_domain,
    count,
    create_jobs,
    longest_pause_ms,
    pace_faults_ms,
    send,
    wait_for_exit,
)

GAP_MS = 40
DOMAINS = [f"d{number:02}" for number in range(12)]


async def test_shares_follow_the_processes_that_come_and_go(fleet: Fleet, dsn: str) -> None:
    """12 domains: 12, then 6 and 6, then 4 each; a drain hands its four over before it ends."""
    await create_jobs(dsn, DOMAINS, 1000, gap_ms=GAP_MS, hold_ms=30)
    processes = [fleet.start()]

    async def shares_are_even() -> bool:
        held = Counter((await fleet.owners()).values())
        share = 12 / len(processes)
        return len(held) == len(processes) and all(
            abs(held[process.pid] - share) <= 1 for process in processes
        )

    await until(shares_are_even)
    await fleet.until_runs(lambda runs: len(by_domain(runs)) == 12)
    from_ns = time.monotonic_ns()
    for _ in range(2):
        processes.append(fleet.start())
        # Its start is not counted: heartbeats are, from the moment it is registered.
        await until(lambda: is_registered(dsn, processes[-1].pid))
        await until(shares_are_even)
    await fleet.until_runs(lambda runs: len({run.pid for run in runs}) == 3)
    to_ns = time.monotonic_ns()
    domains = by_domain(fleet.runs())
    stayed = [runs for runs in domains.values() if {processes[0].pid} == {run.pid for run in runs}]
    assert 3 <= len(stayed)
    # Who gives up everything when another comes stands still from the one to the other.
    pauses_ms = [longest_pause_ms(runs, from_ns, to_ns) for runs in stayed]
    assert (to_ns - from_ns) / MS / 3 > max(pauses_ms), pauses_ms

    leaver = processes.pop()
    left = await fleet.held_by(leaver.pid)
    send(leaver, signal.SIGTERM)
    await asyncio.to_thread(wait_for_exit, leaver)
    ended_ns = time.monotonic_ns()
    assert 0 == leaver.returncode
    still_its_own = (
        "SELECT count(*) FROM pacewheel.domains d JOIN pacewheel.workers w ON w.id = d.owner"
        " WHERE w.pid = $1"
    )
    assert 0 == await count(dsn, still_its_own, leaver.pid)

    async def all_are_owned() -> bool:
        owners = await fleet.owners()
        return {process.pid for process in processes} == {owners[name] for name in DOMAINS}

    await until(all_are_owned)
    await fleet.until_runs(
        lambda runs: left <= {run.domain for run in runs if run.start_ns > ended_ns}
    )
    runs = fleet.runs()
    assert [] == [run for run in runs if run.pid == leaver.pid and run.end_ns is None]
    assert [] == [run for run in runs if run.was_cut or run.attempt != 1]
    assert 0 == await count(dsn, "SELECT count(*) FROM pacewheel.results WHERE outcome <> 3")
    assert 0 == await count(dsn, "SELECT max(attempt) FROM pacewheel.tasks WHERE status < 2")
    assert [] == pace_faults_ms(runs, GAP_MS)


async def is_registered(dsn: str, pid: int) -> bool:
    """Whether the process is among the live workers."""
    query = "SELECT count(*) FROM pacewheel.workers WHERE pid = $1 AND dead_at IS NULL"
    return await count(dsn, query, pid) == 1


async def test_a_drain_past_its_grace_gives_tasks_back_without_an_attempt(
    fleet: Fleet, dsn: str
) -> None:
    """SIGTERM ends with 0; what still runs after the grace is pending at attempt 0 for the next."""
    await create_jobs(dsn, ["long"], 4, concurrency=2, hold_ms=60_000)
    process = fleet.start(grace_s=0.2)
    await fleet.until_runs(lambda runs: len(runs) == 2)
    send(process, signal.SIGTERM)
    assert 0 == await asyncio.to_thread(wait_for_exit, process)
    assert [True, True] == [run.was_cut for run in fleet.runs()]
    rows = await fetch(dsn, "SELECT status, attempt, count(*) FROM pacewheel.tasks GROUP BY 1, 2")
    assert [(0, 0, 4)] == [tuple(row) for row in rows]
    rows = await fetch(dsn, "SELECT owner, in_flight FROM pacewheel.domains")
    assert [(None, [])] == [tuple(row) for row in rows]
    assert 0 == await count(dsn, "SELECT count(*) FROM pacewheel.results")


@pytest.mark.parametrize("processes", [5, 7])
async def test_a_late_comer_gets_domains_when_the_shares_are_uneven(
    dsn: str, processes: int
) -> None:
    """With 12 domains nobody stays without, though no process holds more than its share rounded up."""
    engines = [Engine(dsn, config=Config(**FAST)) for _ in range(processes)]
    for engine in engines:

        @engine.handler("work")
        async def work(task: Task) -> None:
            await asyncio.sleep(0.005)

    await create_jobs(dsn, DOMAINS, 400, gap_ms=100, concurrency=1)
    try:
        for engine in engines:
            await engine.start()

        async def everybody_holds_some() -> bool:
            owners = await fetch(dsn, "SELECT owner, count(*) FROM pacewheel.domains GROUP BY 1")
            held = {row[0]: row[1] for row in owners if row[0] is not None}
            low, high = 12 // processes, -(-12 // processes)
            return len(held) == processes and all(low <= n <= high for n in held.values())

        await until(everybody_holds_some)
    finally:
        for engine in engines:
            await engine.stop(0.1)


async def test_a_process_with_other_handlers_takes_no_share_of_what_it_cannot_run(
    dsn: str,
) -> None:
    """Every domain is worked on though half of the processes have no handler for its jobs."""
    able, unable = Engine(dsn, config=Config(**FAST)), Engine(dsn, config=Config(**FAST))
    seen: set[str] = set()

    @able.handler("work")
    async def work(task: Task) -> None:
        seen.add(task.domain)

    @unable.handler("other")
    async def other(task: Task) -> None:
        raise AssertionError

    await unable.start()
    try:
        await unable.create_job(
            domain="theirs", handler="other", tasks=[NewTask("x", ready_in_s=60)]
        )
        await create_jobs(dsn, DOMAINS, 500, gap_ms=50)
        await able.start()
        await until(lambda: len(seen) == len(DOMAINS))
    finally:
        await able.stop(0.1)
        await unable.stop(0.1)


async def test_processes_with_different_handlers_take_turns_at_a_domain_they_share(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job whose handler the owner lacks gets its turn before the owner's own job is done, and so on."""
    monkeypatch.setattr("pacewheel.services.leaser.TURN_S", 0.3)
    first, second = Engine(dsn, config=Config(**FAST)), Engine(dsn, config=Config(**FAST))
    starts: list[str] = []

    @first.handler("work")
    async def work(_task: Task) -> None:
        starts.append("work")

    @second.handler("other")
    async def other(_task: Task) -> None:
        starts.append("other")

    await first.start()
    try:
        for handler in ("work", "other"):
            await first.create_job(
                domain="shared",
                handler=handler,
                domain_delay_ms=10,
                tasks=[NewTask(f"t{n}") for n in range(10_000)],
            )
        await until(lambda: "work" in starts)
        await second.start()
        for handler in ("other", "work", "other"):
            starts.clear()
            await until(lambda handler=handler: handler in starts)
    finally:
        await first.stop(0.1)
        await second.stop(0.1)

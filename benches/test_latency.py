"""How soon things happen: enqueued, scheduled, paced and taken-over tasks.

The engine runs in a process of its own, with its event loop idle or half busy; the bench enqueues
from outside and reads the worker's log. Absolute figures are printed; what is asserted are ratios
of one run, and that nothing ever starts early.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import asyncpg
import pytest
import uvloop

from benches.latency import MS, Started, Worker, connected, ready_ns, report
from benches.test_drain import FULL
from pacewheel import Engine, NewTask
from tests.conftest import FAST, fetch, until
from tests.processes.fleet import Fleet, Run, create_jobs, send, wait_for_exit

pytestmark = pytest.mark.slow

ENQUEUES = 500 if FULL else 100
SCHEDULED, SPREAD_S = (5_000, 2.0) if FULL else (500, 1.0)
SCHEDULED_DOMAINS = 50
# Time to enqueue all of them before the first is ready.
LEAD_S = 5.0
PACED_DOMAINS, PACED_TASKS = (10, 300) if FULL else (5, 40)
GAP_MS = 50
POLL_S = 1.0
ROUNDS_MAX, RATIO_REQUIRED = 3, 10
KILLS = 3 if FULL else 1
LEASE = (
    {"lease_ttl_s": 10.0, "heartbeat_s": 2.5, "lease_margin_s": 2.0, "sweep_s": 60.0}
    if FULL
    else FAST
)

Budget = Callable[[str, float], None]


LOOPS = pytest.mark.parametrize("half_busy", [False, True], ids=["idle loop", "half-busy loop"])


@LOOPS
@pytest.mark.parametrize("new_domain", [False, True], ids=["owned domain", "new domain"])
def test_from_enqueue_to_start(
    dsn: str, tmp_path: Path, budget: Budget, *, half_busy: bool, new_domain: bool
) -> None:
    """One task at a time on an idle engine, from the return of the call that committed it.

    The handler may start before the caller knows of the commit: such a time is 0.
    """
    called: dict[str, int] = {}
    committed: dict[str, int] = {}

    async def offer(engine: Engine) -> None:
        job = await engine.create_job(domain="owned.example", handler="note")
        for number in range(ENQUEUES):
            # A new domain is leased once in some 10 ms; a task a moment finds it idle.
            await asyncio.sleep(random.uniform(0.03, 0.05))
            name = f"t{number}"
            called[name] = time.time_ns()
            if new_domain:
                await engine.create_job(
                    domain=f"{number}.example", handler="note", tasks=[NewTask(name)]
                )
            else:
                await job.enqueue([NewTask(name)])
            committed[name] = time.time_ns()

    async def measure() -> list[Started]:
        engine = await connected(dsn)
        with Worker(dsn, tmp_path, half_busy=half_busy) as worker:
            first = await engine.create_job(
                domain="owned.example", handler="note", tasks=[NewTask("first")]
            )
            await worker.until(1)
            assert first.id
            await offer(engine)
            starts = await worker.until(1 + ENQUEUES)
        await engine.close()
        return starts[1:]

    starts = uvloop.run(measure())
    what = f"{'new' if new_domain else 'owned'} domain, {'half-busy' if half_busy else 'idle'} loop"
    report(f"call of enqueue to start, {what}", [(at - called[n]) / MS for at, _, n in starts])
    waits = [max(0, at - committed[name]) / MS for at, _, name in starts]
    p50, p99 = report(f"commit to start, {what}", waits)
    budget(f"start: {what}, p50", p50)
    budget(f"start: {what}, p99", p99)


async def schedule(engine: Engine) -> None:
    """Enqueue tasks that become ready evenly over the spread, over many domains."""
    share = SCHEDULED // SCHEDULED_DOMAINS
    jobs = [
        await engine.create_job(domain=f"{domain}.example", handler="note", concurrency=share)
        for domain in range(SCHEDULED_DOMAINS)
    ]
    base_s = time.monotonic() + LEAD_S
    for domain, job in enumerate(jobs):
        ready_s = [
            base_s + (number * SCHEDULED_DOMAINS + domain) * SPREAD_S / SCHEDULED
            for number in range(share)
        ]
        await job.enqueue(
            [
                NewTask(f"{number}", ready_in_s=at_s - time.monotonic())
                for number, at_s in enumerate(ready_s)
            ]
        )
    assert time.monotonic() < base_s, "enqueuing took too long: the machine is busy"


async def poll_every_second(dsn: str, ready: Sequence[int]) -> list[float]:
    """Start the same schedule by polling once a second; return how late each was, in ms."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("DROP TABLE IF EXISTS polled")
    await connection.execute(
        "CREATE TABLE polled (id bigint, ready_at timestamptz, status smallint)"
    )
    shift_ns = time.time_ns() + int(0.5 * 1e9) - min(ready)
    await connection.execute(
        "INSERT INTO polled SELECT ordinality, to_timestamp(at / 1e9), 1 "
        "FROM unnest($1::bigint[]) WITH ORDINALITY AS r (at, ordinality)",
        [at + shift_ns for at in ready],
    )
    late_ms: list[float] = []
    while len(late_ms) < len(ready):
        await asyncio.sleep(POLL_S)
        due = await connection.fetch(
            "UPDATE polled SET status = 2 WHERE status = 1 AND ready_at <= now() "
            "RETURNING (extract(epoch FROM ready_at) * 1e9)::bigint AS at"
        )
        late_ms += [(time.time_ns() - row["at"]) / MS for row in due]
    await connection.close()
    return late_ms


@pytest.mark.requirement
@LOOPS
def test_from_ready_to_start(dsn: str, tmp_path: Path, budget: Budget, *, half_busy: bool) -> None:
    """Scheduled tasks, against a loop that polls every second; never early.

    The best of three rounds counts, or the first that meets what is required: a machine that others
    use slows the engine, but not a poller.
    """

    async def measure(directory: Path) -> tuple[list[float], list[float]]:
        engine = await connected(dsn)
        with Worker(dsn, directory, half_busy=half_busy, capacity=256) as worker:
            await schedule(engine)
            ready = await ready_ns(dsn)
            assert len(ready) == SCHEDULED
            starts = await worker.until(SCHEDULED)
        await engine.close()
        polled = await poll_every_second(dsn, sorted(ready.values()))
        return [(at - ready[domain, name]) / MS for at, domain, name in starts], polled

    loop = "half-busy" if half_busy else "idle"
    best = (0.0, 0.0, 0.0)
    for number in range(ROUNDS_MAX):
        (tmp_path / str(number)).mkdir()
        late_ms, polled_ms = uvloop.run(measure(tmp_path / str(number)))
        assert 0 <= min(late_ms)
        p50, p99 = report(
            f"ready to start, {SCHEDULED} tasks in {SPREAD_S:g} s, {loop} loop", late_ms
        )
        polled_p50, _ = report("the same, polled every second", polled_ms)
        best = max(best, (polled_p50 / p50, p50, p99))
        if best[0] >= RATIO_REQUIRED:
            break
    ratio, p50, p99 = best
    budget(f"scheduled: {loop} loop, p50", p50)
    budget(f"scheduled: {loop} loop, p99", p99)
    budget(f"scheduled: {loop} loop, polling over engine", ratio)


@LOOPS
def test_from_slot_to_request(dsn: str, tmp_path: Path, budget: Budget, *, half_busy: bool) -> None:
    """Paced domains: how much later than one gap after the last request the next one starts."""

    async def measure() -> list[Started]:
        engine = await connected(dsn)
        with Worker(dsn, tmp_path, half_busy=half_busy) as worker:
            for domain in range(PACED_DOMAINS):
                await engine.create_job(
                    domain=f"{domain}.example",
                    handler="note",
                    domain_delay_ms=GAP_MS,
                    tasks=[NewTask(f"{number}") for number in range(PACED_TASKS)],
                )
            starts = await worker.until(PACED_DOMAINS * PACED_TASKS, timeout_s=120)
        await engine.close()
        return starts

    by_domain: defaultdict[str, list[int]] = defaultdict(list)
    for at, domain, _ in uvloop.run(measure()):
        by_domain[domain].append(at)
    late_ms = [
        (after - before) / MS - GAP_MS
        for times in by_domain.values()
        for before, after in pairwise(times)
    ]
    assert 0 <= min(late_ms)
    loop = "half-busy" if half_busy else "idle"
    p50, p99 = report(f"slot due to request, gap {GAP_MS} ms, {loop} loop", late_ms)
    budget(f"slot: {loop} loop, p50", p50)
    budget(f"slot: {loop} loop, p99", p99)


def first_starts_after(
    runs: Sequence[Run], killed_ns: int, cut: set[tuple[int, str]]
) -> list[float]:
    """Seconds from the kill to the next start of each task that it cut off."""
    first: dict[tuple[int, str], float] = {}
    for run in runs:
        if run.start_ns > killed_ns and (run.job, run.task) in cut:
            first.setdefault((run.job, run.task), (run.start_ns - killed_ns) / 1e9)
    return list(first.values())


def test_from_kill_to_the_next_start(dsn: str, tmp_path: Path, budget: Budget) -> None:
    """One of two processes is killed in mid-work: when the other starts what it left running."""

    async def measure(fleet: Fleet) -> list[float]:
        engine = await connected(dsn)
        await engine.close()
        domains = [f"{number}.example" for number in range(8)]
        victim = fleet.start(**LEASE)
        other = fleet.start(**LEASE)

        async def they_know_of_each_other() -> bool:
            rows = await fetch(
                dsn,
                "SELECT count(*), min(lease_until) > max(started_at) + $1 * interval '1 s' "
                "FROM pacewheel.workers WHERE dead_at IS NULL",
                LEASE["lease_ttl_s"],
            )
            return tuple(rows[0]) == (2, True)

        await until(they_know_of_each_other, timeout_s=60)
        # All of them run when the process dies: nothing else keeps them from their next start.
        await create_jobs(dsn, domains, 2, concurrency=2, hold_ms=30_000)

        def both_run(runs: list[Run]) -> bool:
            return {victim.pid, other.pid} <= {run.pid for run in runs if run.end_ns is None}

        await fleet.until_runs(both_run)
        killed_ns = send(victim, signal.SIGKILL)
        wait_for_exit(victim)
        cut = {
            (run.job, run.task)
            for run in fleet.runs()
            if run.pid == victim.pid and run.end_ns is None
        }

        def all_run_again(runs: list[Run]) -> bool:
            return len(first_starts_after(runs, killed_ns, cut)) == len(cut)

        await fleet.until_runs(all_run_again)
        return first_starts_after(fleet.runs(), killed_ns, cut)

    recoveries: list[float] = []
    for number in range(KILLS):
        directory = tmp_path / str(number)
        directory.mkdir()
        fleet = Fleet(dsn, directory)
        try:
            recoveries.append(min(uvloop.run(measure(fleet))))
        finally:
            fleet.end()
    lease_s = LEASE["lease_ttl_s"]
    shown = ", ".join(f"{seconds:.2f}" for seconds in recoveries)
    print(f"\nkill -9 to the first start of what it left, lease {lease_s:g} s: {shown} s", end="")
    budget("recovery: time after kill -9 over the lease", max(recoveries) / lease_s)

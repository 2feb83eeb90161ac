"""Processes that die: nothing is lost, attempts are counted, and nobody else notices."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter

import pytest

from tests.conftest import FAST, fetch
from tests.processes.fleet import (
    MS,
    Fleet,
    Run,
    by_domain,
    count,
    create_jobs,
    feed,
    foreign_overlaps,
    longest_pause_ms,
    most_at_once,
    pace_faults_ms,
    send,
    wait_for_exit,
)

GAP_MS = 40
DOMAINS = [f"d{number:02}" for number in range(12)]
# A heartbeat after the lease; the rest is for a machine that others use as well.
TAKEOVER_MAX_S = 30.0


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_kill_in_mid_work_loses_nothing_and_disturbs_nobody(
    fleet: Fleet, dsn: str, seed: int
) -> None:
    """Its tasks count an attempt and run again; its domains move; the others keep their pace."""
    rng = random.Random(seed)
    work = await feed(dsn, DOMAINS, gap_ms=GAP_MS, hold_ms=50)
    processes = [fleet.start() for _ in range(3)]

    async def everyone_holds_a_share() -> bool:
        # The same for all: with one more here and one less there, a domain may be on its way to the
        # victim when it is killed.
        held = Counter((await fleet.owners()).values())
        return all(held[process.pid] == len(DOMAINS) // 3 for process in processes)

    await work.until(everyone_holds_a_share)
    victim = rng.choice(processes)
    await asyncio.sleep(rng.random() * 0.3)
    owners = await fleet.owners()
    killed_ns = send(victim, signal.SIGKILL)
    wait_for_exit(victim)
    orphans = {name for name, pid in owners.items() if pid == victim.pid}
    assert orphans

    def orphans_run_again() -> bool:
        return orphans <= {run.domain for run in fleet.runs() if run.start_ns > killed_ns}

    await work.until(orphans_run_again)
    await work.close()
    await fleet.until_all_settled()
    runs = fleet.runs()

    # Nothing is lost: every task was completed, once, in the attempt after the one that was cut
    # off.
    rows = await fetch(
        dsn,
        "SELECT r.job_id, t.target, r.attempt, r.outcome, r.error, w.pid FROM pacewheel.results r "
        "JOIN pacewheel.tasks t ON t.domain_id = r.domain_id AND t.id = r.task_id "
        "JOIN pacewheel.workers w ON w.id = r.worker_id",
    )
    assert work.every_task() == Counter((row[0], row[1]) for row in rows if row["outcome"] == 3)
    lost = {(row[0], row[1]): row["attempt"] for row in rows if row["error"] == "worker_lost"}
    settled_by_victim = {(row[0], row[1]) for row in rows if row["pid"] == victim.pid}
    started_by_victim = {(run.job, run.task) for run in runs if run.pid == victim.pid}
    assert started_by_victim - settled_by_victim <= lost.keys()
    assert not lost.keys() & settled_by_victim
    assert {1} == set(lost.values())
    completed_in = {(row[0], row[1]): row["attempt"] for row in rows if row["outcome"] == 3}
    assert lost.keys() == {task for task, attempt in completed_in.items() if attempt == 2}

    # The orphans were taken over in time, at their pace; the others did not stop for it: who waited
    # for it would have stood still for as long.
    domains = by_domain(runs)
    first_again_ns = max(
        min(run.start_ns for run in domains[name] if run.start_ns > killed_ns) for name in orphans
    )
    takeover_ms = (first_again_ns - killed_ns) / MS
    assert TAKEOVER_MAX_S * 1000 >= takeover_ms
    assert [] == pace_faults_ms(runs, GAP_MS)
    pauses_ms = {
        name: longest_pause_ms(domains[name], killed_ns, first_again_ns)
        for name in owners.keys() - orphans
    }
    assert takeover_ms / 2 > max(pauses_ms.values()), pauses_ms


async def test_a_task_that_kills_its_process_fails_after_its_attempts(
    fleet: Fleet, dsn: str
) -> None:
    """Three processes die of it, a supervisor starts the next; the fourth settles it as failed."""
    lease = {"lease_ttl_s": 1.0, "heartbeat_s": 0.2, "lease_margin_s": 0.3}
    (deadly,) = await create_jobs(dsn, ["deadly"], 1, die=True)
    deaths = 0
    process = fleet.start(**lease)
    deadline_s = time.monotonic() + 120
    while (await deadly_is_live(dsn, deadly.id)) and time.monotonic() < deadline_s:
        if process.poll() is not None:
            assert -signal.SIGKILL == process.returncode
            deaths += 1
            process = fleet.start(**lease)
        await asyncio.sleep(0.02)

    assert 3 == deaths == len(fleet.runs())
    rows = await fetch(
        dsn, "SELECT attempt, outcome, error FROM pacewheel.results ORDER BY attempt"
    )
    lost = [(1, 1, "worker_lost"), (2, 1, "worker_lost"), (3, 4, "worker_lost")]
    assert lost == [tuple(row) for row in rows]
    row = (await fetch(dsn, "SELECT status, pending, waiting, failed FROM pacewheel.jobs"))[0]
    assert (3, 0, 0, 1) == tuple(row)
    assert process.poll() is None


async def deadly_is_live(dsn: str, job_id: int) -> bool:
    """Whether the job still has something to do."""
    return await count(dsn, "SELECT status FROM pacewheel.jobs WHERE id = $1", job_id) < 3


async def test_a_domain_taken_over_keeps_its_gap_since_the_last_departure(
    fleet: Fleet, dsn: str
) -> None:
    """The dead process's request left long after its slot, as one does that connects slowly."""
    lease = {"lease_ttl_s": 1.0, "heartbeat_s": 0.1, "lease_margin_s": 0.3}
    gap_ms = 3000
    await create_jobs(
        dsn, ["slow"], 1, gap_ms=gap_ms, handler="slow", before_ms=[2300, 0], hold_ms=[600_000, 0]
    )
    victim = fleet.start(**lease)
    await fleet.until_runs(lambda runs: len(runs) == 1)
    send(victim, signal.SIGKILL)
    wait_for_exit(victim)
    fleet.start(**lease)
    await fleet.until_runs(lambda runs: len(runs) == 2)
    assert [] == pace_faults_ms(fleet.runs(), gap_ms)


async def test_a_stopped_process_starts_and_settles_nothing_once_it_is_taken_over(
    fleet: Fleet, dsn: str
) -> None:
    """Continued after its lease ended, it finds its domains gone, registers anew and works on."""
    # The second attempt is long, so a late outcome of the first would meet a task that runs.
    domains = [f"d{number}" for number in range(4)]
    work = await feed(dsn, domains, least=5, concurrency=2, hold_ms=[400, 2500])
    stopped, other = fleet.start(), fleet.start()

    async def both_hold_two() -> bool:
        held = Counter((await fleet.owners()).values())
        return held[stopped.pid] == held[other.pid] == 2

    await work.until(both_hold_two)
    await fleet.until_runs(lambda runs: len(running_of(runs, stopped.pid)) >= 3)
    stopped_ns = send(stopped, signal.SIGSTOP)
    cut_off = {(run.job, run.task) for run in running_of(fleet.runs(), stopped.pid)}
    assert cut_off

    async def taken_over() -> bool:
        return stopped.pid not in (await fleet.owners()).values()

    def retried(runs: list[Run]) -> bool:
        return cut_off <= {(run.job, run.task) for run in runs if run.attempt == 2}

    await work.until(taken_over)
    await fleet.until_runs(retried)
    old = await count(dsn, "SELECT max(id) FROM pacewheel.workers WHERE pid = $1", stopped.pid)
    settled_before = await count(
        dsn, "SELECT count(*) FROM pacewheel.results WHERE worker_id = $1", old
    )
    continued_ns = send(stopped, signal.SIGCONT)

    def works_on() -> bool:
        runs = fleet.runs()
        return any(run.pid == stopped.pid and run.start_ns > continued_ns for run in runs)

    await work.until(works_on)
    await work.close()
    await fleet.until_all_settled()
    runs = fleet.runs()

    assert settled_before == await count(
        dsn, "SELECT count(*) FROM pacewheel.results WHERE worker_id = $1", old
    )
    assert 1 == await count(
        dsn, "SELECT count(*) FROM pacewheel.workers WHERE pid = $1 AND id > $2", stopped.pid, old
    )
    # What was cut off ends twice, by the nature of it; everything else kept one owner and the
    # limit.
    undisturbed = [
        run for run in runs if not (run.pid == stopped.pid and run.start_ns < stopped_ns)
    ]
    for of_one in by_domain(undisturbed).values():
        assert [] == foreign_overlaps(of_one)
        assert 2 >= most_at_once(of_one)
    completed = await count(dsn, "SELECT count(*) FROM pacewheel.results WHERE outcome = 3")
    assert len(work.every_task()) == completed


def running_of(runs: list[Run], pid: int) -> list[Run]:
    """What a process runs now."""
    return [run for run in runs if run.pid == pid and run.end_ns is None]


async def test_a_process_stopped_past_its_lease_that_nobody_missed_works_on(
    fleet: Fleet, dsn: str
) -> None:
    """Alone, it is not declared dead: it renews its lease and goes on at once, at its pace."""
    await create_jobs(dsn, ["alone"], 60, gap_ms=GAP_MS, hold_ms=10)
    process = fleet.start(sweep_s=3600.0)
    await fleet.until_runs(lambda runs: len(runs) > 10)
    send(process, signal.SIGSTOP)
    await asyncio.sleep(FAST["lease_ttl_s"] * 1.5)
    send(process, signal.SIGCONT)
    await fleet.until_all_settled()
    assert [] == pace_faults_ms(fleet.runs(), GAP_MS)
    assert 1 == await count(dsn, "SELECT count(*) FROM pacewheel.workers")

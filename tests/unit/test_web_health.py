"""Is it healthy, and what binds: findings and verdicts from facts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pacewheel import StuckJob, WaitingReason
from pacewheel.doctor import Level
from pacewheel.overview import Totals
from pacewheel.report.binds import find_binding
from pacewheel.web.figures import Pool, Process, ThisWorker, Transactions
from pacewheel.web.health import Facts, judge
from pacewheel.web.ports import Phase

WORKER = ThisWorker(
    worker_id=1,
    host="h",
    pid=2,
    version="1",
    phase=Phase.RUNNING,
    waits_for=None,
    lease_valid=True,
    listener_up=True,
    domains_held=3,
    unsettled=4,
    uptime_s=60.0,
)
PROCESS = Process(0.1, 100, 1000, None, None, None)
FINE = Facts(WORKER, None, (), Pool(1, 1, 0, 10), PROCESS, (), {})
STUCK = StuckJob(7, "a.example", 3, WaitingReason.WORKER_CAPACITY, "no worker", 1200.0)


def transactions(count: int, slow: int = 0, errors: int = 0) -> list[Transactions]:
    """The transactions of one statement."""
    return [Transactions("claim_tasks", count, 1.0, 2.0, 3.0, slow, errors)]


def test_nothing_found_is_healthy() -> None:
    """Without findings the state is ok."""
    health = judge(FINE)
    assert (Level.OK, []) == (health.state, list(health.findings))


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        (
            replace(FINE, worker=replace(WORKER, phase=Phase.STARTING, waits_for="no server")),
            Level.FAILING,
            "process: it has not started: no server",
        ),
        (
            replace(FINE, worker=replace(WORKER, phase=Phase.DRAINING)),
            Level.WARNING,
            "process: it drains: 4 tasks to be settled",
        ),
        (
            replace(FINE, worker=replace(WORKER, lease_valid=False)),
            Level.FAILING,
            "lease: the process has none that is valid",
        ),
        (
            replace(FINE, worker=replace(WORKER, listener_up=False)),
            Level.WARNING,
            "hints: none arrive",
        ),
        (replace(FINE, trouble="it is gone"), Level.FAILING, "database: it is gone"),
        (
            replace(FINE, pool=Pool(10, 0, 5, 10)),
            Level.WARNING,
            "connections: 5 requests wait for one of 10",
        ),
        (
            replace(FINE, stuck=[STUCK]),
            Level.WARNING,
            "stuck jobs: job 7 of a.example: 3 tasks, no progress for 20 min (no worker)",
        ),
        (
            replace(FINE, transactions=transactions(1000, errors=11)),
            Level.WARNING,
            "transactions: 11 of the last five minutes failed or got no connection; 1000 began",
        ),
        (
            replace(FINE, transactions=transactions(1000, slow=2)),
            Level.WARNING,
            "transactions: 2 of the last five minutes were slow, 2 of them claim_tasks",
        ),
        (
            replace(FINE, defects={"orphans": 2.0}),
            Level.WARNING,
            "orphans: 2 since the start, where none should be",
        ),
        (
            replace(FINE, process=replace(PROCESS, memory_bytes=850)),
            Level.WARNING,
            "memory: 85% of the limit are in use",
        ),
    ],
    ids=lambda value: None if isinstance(value, Facts) else str(value)[:40],
)
def test_each_fault_is_a_finding_with_a_next_step(facts: Facts, level: Level, words: str) -> None:
    """One fault, one finding, and the state is its level."""
    health = judge(facts)
    found = [f"{each.check}: {each.words}" for each in health.findings]
    assert (level, [words]) == (health.state, found)
    assert all(each.meaning and each.next_step for each in health.findings)


def test_some_errors_are_no_finding() -> None:
    """One in a hundred may fail, and one of few says nothing."""
    for fine in (transactions(1000, errors=10), transactions(5, errors=1)):
        assert Level.OK is judge(replace(FINE, transactions=fine)).state


def test_the_worst_finding_comes_first_and_many_are_summed_up() -> None:
    """Of many stuck jobs three are named."""
    facts = replace(FINE, trouble="it is gone", stuck=[STUCK] * 9)
    health = judge(facts)
    assert Level.FAILING is health.findings[0].level
    assert 5 == len(health.findings)
    assert "6 more jobs" == health.findings[-1].words


def totals(running: int = 0, alive: int = 1, **waiting: int) -> Totals:
    """Live tasks: so many running, and so many waiting for each reason."""
    reasons = {reason: waiting.get(reason, 0) for reason in WaitingReason}
    names = Totals.__dataclass_fields__
    numbers = {name: 0 for name in names if name != "waiting_by_reason"}
    numbers |= {"running": running, "pending": sum(waiting.values()), "workers_alive": alive}
    return Totals(**numbers, waiting_by_reason=reasons)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "given", "verdict", "words"),
    [
        (None, {}, "database", "the database"),
        (totals(running=1), {"trouble": "gone"}, "database", "the database"),
        (totals(running=1), {"waiting_requests": 3}, "database", "the database"),
        (totals(), {}, "nothing", "there is no work"),
        (totals(alive=0, domain_delay=3), {}, "worker_capacity", "no process works"),
        (totals(running=9), {}, "server_latency", "how fast handlers and sites answer"),
        (
            totals(running=1, domain_delay=9, concurrency_limit=2),
            {},
            "domain_delay",
            "the pace that sites permit",
        ),
        (totals(domain_blocked=9), {}, "domain_blocked", "pauses"),
        (totals(concurrency_limit=9, retry_backoff=3), {}, "concurrency_limit", "concurrency"),
        (totals(retry_backoff=3, scheduled=9), {}, "retry_backoff", "only retries are left"),
        (totals(job_paused=900, domain_delay=1), {}, "domain_delay", "the pace"),
        (totals(job_paused=9), {}, "job_paused", "what is left is paused"),
        (totals(scheduled=9), {}, "scheduled", "scheduled for later"),
        (totals(running=2, job_paused=9), {}, "server_latency", "how fast"),
        (
            totals(worker_capacity=9),
            {"last_reason": "at_max"},
            "worker_capacity",
            "raise capacity, or start another process",
        ),
        (totals(worker_capacity=9), {}, "worker_capacity", "about to come"),
        (totals(worker_capacity=9, domain_delay=900), {}, "worker_capacity", "about to come"),
        (
            totals(worker_capacity=9, domain_delay=900, scheduled=2000),
            {"slots": (7, 8), "last_reason": "at_max"},
            "domain_delay",
            "the pace",
        ),
        (totals(worker_capacity=9), {"slots": (1, 64)}, "worker_capacity", "this process has some"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else None,
)
def test_what_binds(
    found: Totals | None, given: dict[str, object], verdict: str, words: str
) -> None:
    """The first that fits, in words, with the figures it rests on."""
    facts = {"trouble": None, "slots": (8, 8), "waiting_requests": 0, "last_reason": None}
    waiting = {} if found is None else {r: float(n) for r, n in found.waiting_by_reason.items()}
    binding = find_binding(found, waiting, **{**facts, **given})  # type: ignore[arg-type]
    assert verdict == binding.verdict
    assert words in binding.words
    assert binding.basis

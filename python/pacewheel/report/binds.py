"""What binds the work of a whole system at this moment, in the words of the verdicts on jobs.

A verdict on a job (`bottleneck`) is by what its attempts took; this one is by what the tasks that
don't run wait for in these seconds. Pure. In this order, the first that fits:

| verdict | when |
| --- | --- |
| `database` | it can't be read, or requests wait for a connection |
| `nothing` | there is no live task |
| `worker_capacity` | no process works; or no slot is free, and something waits for one |
| `domain_delay`, `domain_blocked`, `concurrency_limit`, `retry_backoff` | most wait for it |
| `scheduled`, `job_paused` | nothing waits for anything else |
| `server_latency` | all live tasks run |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pacewheel.model import WaitingReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pacewheel.overview import Totals

_WORDS = {
    WaitingReason.DOMAIN_DELAY: "the pace that sites permit",
    WaitingReason.DOMAIN_BLOCKED: "pauses that sites asked for",
    WaitingReason.CONCURRENCY_LIMIT: "the concurrency of jobs",
    WaitingReason.RETRY_BACKOFF: "only retries are left, which wait for their time",
    WaitingReason.WORKER_CAPACITY: "free slots",
    WaitingReason.SCHEDULED: "nothing now: what is left is scheduled for later",
    WaitingReason.JOB_PAUSED: "nothing runs: what is left is paused",
}
# Somebody wanted it so: they bind only when nothing else does.
_WANTED = (WaitingReason.SCHEDULED, WaitingReason.JOB_PAUSED)
_SLOT_WORDS = {
    "at_max": "the most slots there may be are in use: raise capacity, or start another process",
    "memory_limit": "memory is short, so no slot comes",
    "db_pool_limit": "connections or room for outcomes are short, so no slot comes",
}

_FREE_HERE = (
    "this process has some, so tasks wait for another one, or for one that knows their handler"
)


@dataclass(frozen=True, slots=True)
class Binding:
    """The verdict as a word, in words, and the figures it rests on."""

    verdict: str
    words: str
    basis: str


def find_binding(
    totals: Totals | None,
    waiting: Mapping[WaitingReason, float],
    *,
    trouble: str | None,
    slots: tuple[int, int],
    waiting_requests: int,
    last_reason: str | None,
) -> Binding:
    """Return what binds.

    `waiting` is how many tasks waited for each reason lately, on average. `trouble` says why the
    database can't be read, `slots` are those in use and those there are, `waiting_requests` wait
    for a connection, `last_reason` is the scaler's.
    """
    if trouble is not None or totals is None:
        return Binding("database", "the database", trouble or "it has not been read yet")
    if waiting_requests:
        basis = f"{waiting_requests} requests wait for a connection"
        return Binding("database", "the database", basis)
    live = totals.pending + totals.waiting + totals.running
    if live == 0:
        return Binding("nothing", "nothing: there is no work", "no task is live")
    if totals.workers_alive == 0:
        return Binding("worker_capacity", "no process works", f"{live} tasks are live")
    counts = {reason: n for reason, n in waiting.items() if n}
    if not counts:
        basis = f"all {live} live tasks run"
        return Binding("server_latency", "how fast handlers and sites answer", basis)
    by_number = sorted(counts.items(), key=_most_first)
    parts = [f"{n:.0f} {reason.value.replace('_', ' ')}" for reason, n in by_number if n >= 0.5]
    basis = "lately " + (", ".join(parts) or "next to none")
    binding = {reason: n for reason, n in counts.items() if reason not in _WANTED}
    busy, size = slots
    reason = min((binding or counts).items(), key=_most_first)[0]
    is_full = busy >= size
    if is_full and counts.get(WaitingReason.WORKER_CAPACITY, 0.0) >= 1:
        # One a domain waits for a slot, and whatever stands behind it does so too.
        reason = WaitingReason.WORKER_CAPACITY
    words = _WORDS[reason]
    if reason is WaitingReason.WORKER_CAPACITY:
        more = (
            _SLOT_WORDS.get(last_reason or "", "more are about to come") if is_full else _FREE_HERE
        )
        words, basis = f"{words}: {more}", f"{busy} of {size} slots of this process in use; {basis}"
    if not binding and totals.running:
        words = f"how fast handlers and sites answer; {words}"
        return Binding("server_latency", words, f"{totals.running} running, {basis}")
    return Binding(reason.value, words, f"{totals.running} running, {basis}")


def _most_first(item: tuple[WaitingReason, float]) -> tuple[float, str]:
    return -item[1], item[0]

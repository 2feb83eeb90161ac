"""The time that a live job still needs, and what that rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pacewheel.model import JobState, WaitingReason

if TYPE_CHECKING:
    from pacewheel.model import JobInfo

# While one of these is the reason, nothing of the site can start before the time given.
_WAITS_FOR_ALL = {
    WaitingReason.DOMAIN_BLOCKED,
    WaitingReason.RETRY_BACKOFF,
    WaitingReason.SCHEDULED,
}


@dataclass(frozen=True, slots=True)
class Eta:
    """Seconds still needed for the tasks known now (None: can't be told), and why so many."""

    seconds: float | None
    basis: str


def estimate(job: JobInfo, rate_per_s: float | None) -> Eta:
    """Return the time still needed at a rate of so many tasks settled a second (None: unknown).

    The pace is a floor: the live tasks need as many gaps, after what all of them wait for (a block,
    a retry). Without such a wait a rate below the pace (slow answers, few slots) makes it longer; a
    rate of zero tells nothing. Tasks that are yet to be found are not in it.
    """
    if job.status.is_final or job.live == 0:
        return Eta(None, "nothing is left to do")
    if job.status is JobState.PAUSED:
        return Eta(None, "the job is paused")
    if job.workers_alive == 0:
        return Eta(None, f"no process that knows handler {job.handler} works")
    floor_s = job.live * job.gap_ms / 1000
    pace = f"{job.live} tasks known now, {job.gap_ms} ms apart"
    if job.waiting_reason in _WAITS_FOR_ALL and job.next_start_in_ms is not None:
        wait_s = max(0.0, job.next_start_in_ms) / 1000
        return Eta(wait_s + floor_s, f"{pace}, after a wait of {wait_s:.0f} s")
    if rate_per_s and job.live / rate_per_s > floor_s:
        basis = f"{job.live} tasks known now at the last minute's rate of {rate_per_s:.2f} a second"
        return Eta(job.live / rate_per_s, basis)
    if floor_s:
        return Eta(floor_s, pace)
    return Eta(None, "nothing has been settled lately, and no gap is asked for")

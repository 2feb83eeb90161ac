"""From an outcome to what is written: the one place that decides an attempt's meaning for its task."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pacewheel.model import Outcome, OutcomeKind, TaskState
from pacewheel.ports import Settlement

if TYPE_CHECKING:
    from pacewheel.model import Task
    from pacewheel.ports import LostTask
    from pacewheel.registry import Handler

WORKER_LOST = "worker_lost"
DURATION_MAX_S = 10 * 365 * 86_400.0

_FINAL = {
    OutcomeKind.COMPLETED: TaskState.COMPLETED,
    OutcomeKind.FAILED: TaskState.FAILED,
    OutcomeKind.SKIPPED: TaskState.SKIPPED,
}


def check(outcome: Outcome) -> None:
    """Refuse an outcome whose meaning for the task can't be told.

    Raises:
        ValueError, TypeError: the kind is unknown, a duration is not one in seconds, or a raise is
            no number.
    """
    OutcomeKind(outcome.kind)
    for seconds in (outcome.retry_in_s, outcome.block_domain_s):
        if seconds is not None and not seconds <= DURATION_MAX_S:
            message = f"{seconds} is no duration in seconds"
            raise ValueError(message)
    for key, priority in outcome.raises.items():
        if math.isnan(priority):
            message = f"{priority} is no priority for the task {key!r}"
            raise ValueError(message)


def _retry(
    handler: Handler, attempt: int, retry_in_s: float | None
) -> tuple[TaskState, int | None]:
    if attempt >= handler.attempts and attempt % handler.attempts == 0:
        return TaskState.FAILED, None
    delay_s = handler.retry_in_s(attempt) if retry_in_s is None else max(0.0, retry_in_s)
    return TaskState.WAITING, round(delay_s * 1000)


def settlement_of(task: Task, handler: Handler, outcome: Outcome, duration_ms: float) -> Settlement:
    """Return what to write for one attempt: the outcome's state, or waiting while attempts are left."""
    if outcome.kind is OutcomeKind.RETRY:
        status, retry_in_ms = _retry(handler, task.attempt, outcome.retry_in_s)
    else:
        status, retry_in_ms = _FINAL[outcome.kind], None
    return Settlement(
        task.domain_id,
        task.id,
        task.job_id,
        status,
        task.attempt,
        round(duration_ms),
        retry_in_ms,
        outcome,
    )


def settlement_of_lost(task: LostTask, handler: Handler) -> Settlement:
    """Return what to write for a task whose process died with it: an attempt is used up."""
    attempt = task.attempt + 1
    status, retry_in_ms = _retry(handler, attempt, None)
    outcome = Outcome.retry(WORKER_LOST)
    return Settlement(
        task.domain_id, task.id, task.job_id, status, attempt, 0, retry_in_ms, outcome
    )

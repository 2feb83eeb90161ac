"""From an outcome to what is written: the one place that decides an attempt's meaning for its task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pacewheel.model import Outcome, OutcomeKind, TaskState
from pacewheel.pacing import Said
from pacewheel.ports import Settlement
from pacewheel.registry import ATTEMPTS_MAX

if TYPE_CHECKING:
    from pacewheel.model import Task
    from pacewheel.ports import LostTask
    from pacewheel.registry import Handler

WORKER_LOST = "worker_lost"
BLOCKED = "blocked"
ANSWERED = Said(answered=True)
NOTHING = Said()
_BLOCKING_STATUSES = frozenset({429, 503})
DURATION_MAX_S = 10 * 365 * 86_400.0

_FINAL = {
    OutcomeKind.COMPLETED: TaskState.COMPLETED,
    OutcomeKind.FAILED: TaskState.FAILED,
    OutcomeKind.SKIPPED: TaskState.SKIPPED,
}


def check(outcome: Any) -> None:
    """Refuse an `Outcome` whose meaning for the task can't be told; its parts may be anything.

    What only the database can't take is found by the settler.

    Raises:
        ValueError, TypeError: a part of it has the wrong type, a duration is not one in seconds, or
            a raise is no number.
    """
    if not isinstance(outcome.kind, OutcomeKind):
        message = f"{outcome.kind!r} is no OutcomeKind: return Outcome.completed() or its like"
        raise TypeError(message)
    if outcome.error is not None and not isinstance(outcome.error, str):
        message = f"the error {outcome.error!r} is no word"
        raise TypeError(message)
    if outcome.http_status is not None and not isinstance(outcome.http_status, int):
        message = f"{outcome.http_status!r} is no HTTP status"
        raise TypeError(message)
    if outcome.discovered and not isinstance(outcome.discovered, Sequence):
        message = "discovered must be a list: a settle that is tried again reads it again"
        raise TypeError(message)
    for seconds in (outcome.retry_in_s, outcome.block_domain_s):
        if seconds is not None and not seconds <= DURATION_MAX_S:
            message = f"{seconds} is no duration in seconds"
            raise ValueError(message)
    delay_ms = outcome.latency_delay_ms
    if delay_ms is not None and not 0 <= delay_ms <= 1000 * DURATION_MAX_S:
        message = f"{delay_ms} is no delay in milliseconds"
        raise ValueError(message)
    for key, priority in outcome.raises.items():
        if math.isnan(priority):
            message = f"{priority} is no priority for the task {key!r}"
            raise ValueError(message)


def _retry(
    handler: Handler, attempt: int, retry_in_s: float | None
) -> tuple[TaskState, int | None]:
    """Return waiting and for how long, or failed after the last attempt of a round.

    A round is as many attempts as the handler has: a failed task that somebody retries by hand gets
    another one, though its attempts go on counting, because their number is a fence.
    """
    if attempt % handler.attempts == 0 or attempt >= ATTEMPTS_MAX:
        return TaskState.FAILED, None
    delay_s = handler.retry_in_s(attempt) if retry_in_s is None else max(0.0, retry_in_s)
    return TaskState.WAITING, round(delay_s * 1000)


def settlement_of(task: Task, handler: Handler, outcome: Outcome, duration_ms: float) -> Settlement:
    """Return what to write for one attempt: the outcome's state, or waiting while attempts are left."""
    if outcome.kind is OutcomeKind.RETRY and outcome.error in handler.never_retry:
        status, retry_in_ms = TaskState.FAILED, None
    elif outcome.kind is OutcomeKind.RETRY:
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
        departure=task.departure,
    )


def settlement_of_lost(task: LostTask, handler: Handler) -> Settlement:
    """Return what to write for a task whose process died with it: an attempt is used up."""
    attempt = task.attempt + 1
    status, retry_in_ms = _retry(handler, attempt, None)
    outcome = Outcome.retry(WORKER_LOST)
    return Settlement(
        task.domain_id, task.id, task.job_id, status, attempt, 0, retry_in_ms, outcome
    )


def said_of(outcome: Outcome, handler: Handler) -> Said:
    """Return what an outcome says of the site: nothing, if only of its task or of the handler."""
    status = outcome.http_status
    if status is None and outcome.error is None:
        return ANSWERED if outcome.kind is OutcomeKind.COMPLETED else NOTHING
    blocking = status in _BLOCKING_STATUSES or outcome.error == BLOCKED
    failed = outcome.error in handler.breaker.errors
    if blocking or failed:
        return Said(blocking=blocking, failed=failed)
    if outcome.kind is OutcomeKind.COMPLETED or (status is not None and status < 500):
        return ANSWERED
    return NOTHING

"""Answers to "why?": what tasks wait for, what one task is doing, which jobs are stuck. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from pacewheel.model import TaskState, WaitingReason


@dataclass(frozen=True, slots=True)
class Waiting:
    """Tasks of one job that wait for one reason.

    `expected_in_ms`: when the first of them may start as far as is known; None when it depends on
    others. `holder` says in words what they wait for.
    """

    job_id: int
    domain: str
    reason: WaitingReason
    tasks: int
    expected_in_ms: float | None
    holder: str


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task at one instant; `reason`, `expected_in_ms` and `holder` as in `Waiting` while it waits.

    `attempt` counts the attempts settled, `error` is the last one's, `owner` the worker that holds
    its domain.
    """

    job_id: int
    domain: str
    target: str
    state: TaskState
    reason: WaitingReason | None
    expected_in_ms: float | None
    holder: str | None
    priority: float
    attempt: int
    owner: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class StuckJob:
    """A job that has made no progress for `idle_s` although nothing asks it to wait so long."""

    job_id: int
    domain: str
    tasks: int
    reason: WaitingReason
    holder: str
    idle_s: float

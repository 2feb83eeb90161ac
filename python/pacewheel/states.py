"""Which change of state is allowed: one table for jobs, one for tasks.

Owns the answer to "may this verb act on something in this state, and what does it become?". The
statements of sql/queries enforce it under lock: those that move a job take the states they may
find from here, those that move tasks name them as literals, so that partial indexes apply. A test
puts every verb to every state on a real database and compares.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pacewheel.model import JobState, TaskState

if TYPE_CHECKING:
    from collections.abc import Mapping


class JobVerb(StrEnum):
    """What can happen to a job."""

    START = "start"
    """Its first task is claimed."""
    PAUSE = "pause"
    RESUME = "resume"
    COMPLETE = "complete"
    """Its last live task has become final and discovery is finished."""
    FAIL = "fail"
    CANCEL = "cancel"


class TaskVerb(StrEnum):
    """What can happen to a task."""

    CLAIM = "claim"
    COMPLETE = "complete"
    FAIL = "fail"
    SKIP = "skip"
    BACK_OFF = "back_off"
    """Its attempt failed and it is to be tried again."""
    INTERRUPT = "interrupt"
    """Its handler was stopped, by a shutdown or a pause of its domain; the attempt does not count."""
    WAKE = "wake"
    CANCEL = "cancel"
    RETRY = "retry"
    """Somebody asks for a failed one again."""


_P, _R, _Z = JobState.PENDING, JobState.RUNNING, JobState.PAUSED

JOB_TRANSITIONS: Mapping[JobVerb, Mapping[JobState, JobState]] = {
    JobVerb.START: {_P: _R},
    JobVerb.PAUSE: {_P: _Z, _R: _Z},
    # What it did before stands in started_at; the next claim makes it running.
    JobVerb.RESUME: {_Z: _P},
    # Tasks that ran when the job was paused end by themselves, so a paused job can complete.
    JobVerb.COMPLETE: dict.fromkeys((_P, _R, _Z), JobState.COMPLETED),
    JobVerb.FAIL: dict.fromkeys((_P, _R, _Z), JobState.FAILED),
    JobVerb.CANCEL: dict.fromkeys((_P, _R, _Z), JobState.CANCELLED),
}

_RUNNING = TaskState.RUNNING

TASK_TRANSITIONS: Mapping[TaskVerb, Mapping[TaskState, TaskState]] = {
    TaskVerb.CLAIM: {TaskState.PENDING: _RUNNING},
    TaskVerb.COMPLETE: {_RUNNING: TaskState.COMPLETED},
    TaskVerb.FAIL: {_RUNNING: TaskState.FAILED},
    TaskVerb.SKIP: {_RUNNING: TaskState.SKIPPED},
    TaskVerb.BACK_OFF: {_RUNNING: TaskState.WAITING},
    TaskVerb.INTERRUPT: {_RUNNING: TaskState.PENDING},
    TaskVerb.WAKE: {TaskState.WAITING: TaskState.PENDING},
    TaskVerb.CANCEL: dict.fromkeys(
        (TaskState.PENDING, TaskState.WAITING, _RUNNING), TaskState.CANCELLED
    ),
    TaskVerb.RETRY: {TaskState.FAILED: TaskState.PENDING},
}

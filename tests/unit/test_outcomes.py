"""What an attempt's end means for its task."""

from __future__ import annotations

import pytest

from pacewheel import Outcome, Task, TaskState
from pacewheel.outcomes import settlement_of, settlement_of_lost
from pacewheel.ports import LostTask
from pacewheel.registry import ATTEMPTS_MAX, Handler


async def complete(_task: Task) -> None:
    """Do what is asked."""


def handler(attempts: int = 3) -> Handler:
    """A handler with so many attempts, which never retries `not_found`."""
    return Handler("h", complete, attempts=attempts, never_retry={"not_found"})


def state_after(outcome: Outcome, attempt: int, attempts: int = 3) -> TaskState:
    """The state of a task after this attempt."""
    task = Task(1, 2, 3, "d", "h", "t", 0.0, attempt, None, {})
    settlement = settlement_of(task, handler(attempts), outcome, 1.0)
    assert (settlement.retry_in_ms is not None) == (settlement.status is TaskState.WAITING)
    return settlement.status


def test_a_task_fails_at_the_end_of_each_round_of_attempts() -> None:
    """One that is retried by hand after its third attempt gets three more, though numbers go on."""
    states = [state_after(Outcome.retry("busy"), attempt) for attempt in range(1, 8)]
    waiting, failed = TaskState.WAITING, TaskState.FAILED
    assert [waiting, waiting, failed, waiting, waiting, failed, waiting] == states


def test_an_error_that_is_never_retried_fails_at_once() -> None:
    """Its class is not retried, whatever attempts are left and delay the handler asks for."""
    assert TaskState.FAILED is state_after(Outcome.retry("not_found", retry_in_s=5), 1)
    assert TaskState.WAITING is state_after(Outcome.retry("found"), 1)


@pytest.mark.parametrize("attempts", [7, ATTEMPTS_MAX])
def test_no_attempt_goes_beyond_the_end_of_its_number(attempts: int) -> None:
    """At 32,000 a task fails whatever the policy, whether it ended or its process died."""
    assert TaskState.WAITING is state_after(Outcome.retry("busy"), ATTEMPTS_MAX - 1, attempts)
    assert TaskState.FAILED is state_after(Outcome.retry("busy"), ATTEMPTS_MAX, attempts)
    lost = LostTask(1, 2, 3, ATTEMPTS_MAX - 1, "h")
    assert TaskState.FAILED is settlement_of_lost(lost, handler(attempts)).status


def test_a_lost_process_uses_an_attempt_up() -> None:
    """The third time is the last."""
    states = [settlement_of_lost(LostTask(1, 2, 3, n, "h"), handler()).status for n in range(3)]
    assert [TaskState.WAITING, TaskState.WAITING, TaskState.FAILED] == states

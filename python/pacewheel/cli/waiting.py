"""Why tasks wait, in sentences: the words of `why`, `domain show` and `top`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.cli.tables import wait
from pacewheel.report.words import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pacewheel.model import Waiting

LINES_MAX = 200


def waiting_lines(found: Sequence[Waiting]) -> list[str]:
    """Return a sentence for each job and reason, of a domain with very many jobs for the first ones."""
    lines = [waiting_line(each) for each in found[:LINES_MAX]]
    left_out = len(found) - len(lines)
    return [*lines, f"... and {left_out} more; --json tells all of them"] if left_out else lines


def waiting_line(each: Waiting) -> str:
    """Return how many tasks of a job wait, for which reason, who holds them, and until when."""
    verb = "task waits" if each.tasks == 1 else "tasks wait"
    return (
        f"job {each.job_id}: {each.tasks} {verb}, {each.reason.value}: {printable(each.holder)}"
        f"{first_start(each.expected_in_ms)}"
    )


def first_start(expected_in_ms: float | None) -> str:
    """Return when the first of several tasks may start, as the end of a sentence."""
    return "" if expected_in_ms is None else f"; the first may start {_when(expected_in_ms)}"


def own_start(expected_in_ms: float | None) -> str:
    """Return when a task may start, as the end of a sentence."""
    if expected_in_ms is None:
        return ""
    return f"; it may start {_when(expected_in_ms)} at the earliest"


def _when(expected_in_ms: float) -> str:
    words = wait(expected_in_ms)
    return words if words == "now" else f"in {words}"

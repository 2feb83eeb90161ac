"""The JSON forms of what people see."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime

from pacewheel.model import FailedTask, JobState, Waiting, WaitingReason
from pacewheel.plain import job_json, plain, schedule_json, task_json, waiting_json
from pacewheel.recurrence import ScheduleInfo
from tests.unit.cli.test_progress import job


def test_a_job_is_shown_with_the_names_of_its_headers_and_no_values() -> None:
    """They may be secrets; whoever needs them reads the job's row."""
    info = job(options={"headers": {"Authorization": "s3cret"}, "links": True})
    shown = json.dumps(job_json(info))
    assert '"Authorization": "***"' in shown
    assert '"links": true' in shown
    assert "s3cret" not in shown + repr(info)


def test_a_schedule_hides_the_values_of_its_headers_too() -> None:
    """Its jobs get them from its row."""
    instant = datetime(2026, 1, 2, tzinfo=UTC)
    info = ScheduleInfo(
        **{each.name: None for each in fields(ScheduleInfo)}  # type: ignore[arg-type]
        | {"options": {"headers": {"Cookie": "s3cret"}}, "next_at": instant, "tasks": []},
    )
    shown = json.dumps(schedule_json(info))
    assert '"Cookie": "***"' in shown
    assert "s3cret" not in shown


def test_states_reasons_and_times_are_words_at_any_depth() -> None:
    """In mappings, as keys too, in lists and in tuples."""
    instant = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    values = {
        WaitingReason.SCHEDULED: [JobState.PAUSED, {"at": instant}],
        "none": None,
        "pair": (1, 2.5),
    }
    assert {
        "scheduled": ["paused", {"at": "2026-01-02T03:04:05+00:00"}],
        "none": None,
        "pair": [1, 2.5],
    } == plain(values)


def test_a_task_keeps_all_bits_of_its_id() -> None:
    """As a number it would lose some in readers that know floats only."""
    instant = datetime(2026, 1, 2, tzinfo=UTC)
    task = FailedTask(-(2**63) + 1, "t", "k", 3, "timeout", None, None, instant)
    assert "-9223372036854775807" == task_json(task)["id"]


def test_why_tasks_wait_is_plain() -> None:
    """The reason is its word."""
    waiting = Waiting(7, "a.example", WaitingReason.DOMAIN_DELAY, 3, 1.5, "the domain")
    assert {
        "job_id": 7,
        "domain": "a.example",
        "reason": "domain_delay",
        "tasks": 3,
        "expected_in_ms": 1.5,
        "holder": "the domain",
    } == waiting_json(waiting)

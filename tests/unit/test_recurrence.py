"""When schedules are due: cron expressions and intervals, over changes of the clocks, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pacewheel.errors import ConfigInvalid
from pacewheel.recurrence import Recurrence

BERLIN = "Europe/Berlin"
NEW_YORK = "America/New_York"


def instant(text: str) -> datetime:
    """An instant in UTC of 2026, from month, day, hour and minute."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def occurrences(recurrence: Recurrence, after: str, number: int) -> list[str]:
    """The next occurrences after an instant, in UTC."""
    found = []
    now = instant(after)
    for _ in range(number):
        now = recurrence.next_after(now, now)
        found.append(now.strftime("%m-%d %H:%M"))
    return found


def test_a_cron_expression_is_read_in_its_time_zone() -> None:
    """Three at night in Berlin is one or two at night in UTC."""
    nightly = Recurrence(cron="0 3 * * *", zone=BERLIN)
    assert ["01-05 02:00", "01-06 02:00"] == occurrences(nightly, "01-04 12:00", 2)
    assert ["07-05 01:00", "07-06 01:00"] == occurrences(nightly, "07-04 12:00", 2)
    assert ["01-05 03:00"] == occurrences(Recurrence(cron="0 3 * * *"), "01-04 12:00", 1)


def test_what_falls_into_the_hour_that_spring_leaves_out_comes_at_its_end_once() -> None:
    """Half past two does not exist on that day: at three, and on the next day as ever."""
    nightly = Recurrence(cron="30 2 * * *", zone=BERLIN)
    assert ["03-28 01:30", "03-29 01:00", "03-30 00:30"] == occurrences(nightly, "03-27 12:00", 3)
    eastern = Recurrence(cron="30 2 * * *", zone=NEW_YORK)
    assert ["03-07 07:30", "03-08 07:00", "03-09 06:30"] == occurrences(eastern, "03-06 12:00", 3)


def test_a_fixed_time_that_comes_twice_in_autumn_counts_once() -> None:
    """Half past two in summer time, not in winter time again."""
    nightly = Recurrence(cron="30 2 * * *", zone=BERLIN)
    assert ["10-25 00:30", "10-26 01:30"] == occurrences(nightly, "10-24 12:00", 2)


def test_no_occurrence_lies_in_the_past_within_the_hour_that_comes_twice() -> None:
    """Between the two, the first is past: the next is that of the day after."""
    nightly = Recurrence(cron="30 2 * * *", zone=BERLIN)
    assert ["10-26 01:30"] == occurrences(nightly, "10-25 01:10", 1)


@pytest.mark.parametrize("start", ["03-28 22:00", "10-24 22:00"])
def test_what_goes_by_elapsed_time_bears_no_mark_of_the_clocks(start: str) -> None:
    """Every half hour and every hour on both days: no hour is left out or lacks."""
    for cron, minutes in (("*/30 * * * *", 30), ("0 * * * *", 60)):
        steps = [instant(start) + timedelta(minutes=minutes * n) for n in range(1, 9)]
        found = occurrences(Recurrence(cron=cron, zone=BERLIN), start, 8)
        assert [step.strftime("%m-%d %H:%M") for step in steps] == found


def test_however_many_were_missed_the_next_lies_ahead() -> None:
    """An interval keeps its phase; a cron expression knows no other."""
    last, now = instant("05-01 00:10"), instant("05-03 07:00")
    assert instant("05-03 12:10") == Recurrence(every_s=6 * 3600).next_after(now, last)
    assert instant("05-04 03:00") == Recurrence(cron="0 3 * * *").next_after(now, last)
    assert instant("05-03 13:00") == Recurrence(every_s=6 * 3600).next_after(now, now)
    exactly = instant("05-03 06:10")
    assert instant("05-03 12:10") == Recurrence(every_s=6 * 3600).next_after(exactly, last)
    assert last == Recurrence(every_s=6 * 3600).next_after(last - timedelta(seconds=1), last)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "either a cron expression or an interval"),
        ({"cron": "0 3 * * *", "every_s": 60.0}, "either a cron expression or an interval"),
        ({"every_s": 0.5}, "an interval of 0.5 s"),
        ({"every_s": float("nan")}, "an interval of nan s"),
        ({"every_s": 1e9}, "an interval of 1e+09 s"),
        ({"cron": "0 3 * *"}, "has not five fields"),
        ({"cron": "0 0 3 * * *"}, "has not five fields"),
        ({"cron": "@daily"}, "has not five fields"),
        ({"cron": ""}, "has not five fields"),
        ({"cron": "61 3 * * *"}, "can't be read (Bad minute)"),
        ({"cron": "0 3 * * eve"}, "can't be read (Bad day-of-week)"),
        ({"cron": "0 3 30 2 *"}, "can't be read (Bad day-of-month)"),
        ({"cron": "0 3 30 2 *", "zone": "Nowhere"}, "time zone 'Nowhere' is unknown"),
        ({"cron": "0 3 * * *", "zone": "Europe"}, "time zone 'Europe' is unknown"),
        ({"cron": "0 3 * * *", "zone": "../etc/passwd"}, "is unknown"),
        ({"every_s": 60.0, "zone": ""}, "time zone '' is unknown"),
    ],
)
def test_what_can_t_be_read_is_refused(values: dict[str, object], words: str) -> None:
    """One line that names the value, and how to give it."""
    now = instant("05-01 00:00")
    with pytest.raises(ConfigInvalid) as refused:
        Recurrence(**values).next_after(now, now)  # type: ignore[arg-type]
    assert words in str(refused.value)

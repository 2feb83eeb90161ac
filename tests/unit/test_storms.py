"""Storms: the first lines pass, and none of the rest is lost from the count."""

from __future__ import annotations

import logging

from pacewheel.storms import BURST, Storms


def record(event: str) -> logging.LogRecord:
    """A record of an event."""
    return logging.makeLogRecord({"name": "pacewheel.x", "event": event, "msg": event})


class Listener:
    """Storms by a clock of the test's own, with what they sum up."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.summed: list[tuple[str, int]] = []
        self.storms = Storms(self.sum_up, window_s=10.0, clock=lambda: self.now_s)

    def sum_up(self, last: logging.LogRecord, repeated: int) -> None:
        """Note a summary."""
        self.summed.append((last.msg, repeated))


def test_a_storm_is_summed_up_and_other_events_pass() -> None:
    """Ten pass, 490 are one line; another event has a count of its own; the next window starts anew."""
    listener = Listener()
    passed = [listener.storms.admit(record("lost")) for _ in range(500)]
    assert [True] * BURST == [each for each in passed if each]
    assert listener.storms.admit(record("other"))
    listener.now_s = 10.0
    listener.storms.close()
    assert [("lost", 500 - BURST)] == listener.summed
    assert listener.storms.admit(record("lost"))


def test_a_storm_that_ends_is_summed_up_by_itself() -> None:
    """Nobody logs anything more: the timer says it."""
    summed: list[int] = []
    storms = Storms(lambda _record, repeated: summed.append(repeated), window_s=0.05)
    for _ in range(BURST + 3):
        storms.admit(record("lost"))
    timer = storms._timer
    assert timer is not None
    # A process ends without waiting for it.
    assert timer.daemon
    timer.join(10.0)
    assert [3] == summed

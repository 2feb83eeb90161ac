"""What an outcome teaches of its domain: taken in by the owner, counted, logged, and handed on to be written.

Owns nothing: the rules are pure (`pacing`), the domain's pace is the owner's (`held`), and the
settle of the outcome makes it durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel import events
from pacewheel.clock import monotonic_ms
from pacewheel.logs import Logger
from pacewheel.outcomes import said_of
from pacewheel.pacing import CALM

if TYPE_CHECKING:
    from pacewheel.held import HeldDomain
    from pacewheel.metrics import Metrics
    from pacewheel.model import Outcome
    from pacewheel.pacing import Lesson, Pace
    from pacewheel.registry import Handler

log = Logger("lessons")


class Lessons:
    """Learns from outcomes; every change of a pace is counted."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def learn(
        self, domain: HeldDomain, handler: Handler, outcome: Outcome, duration_ms: float
    ) -> Lesson | None:
        """Take in one attempt's end; return what is to be written, as a rule nothing."""
        if outcome.latency_delay_ms is not None:
            domain.take_time(outcome.latency_delay_ms)
        said, block_s = said_of(outcome, handler), outcome.block_domain_s
        if domain.pace is CALM and not said.blocking and not said.failed and block_s is None:
            return None
        began_ms, before = monotonic_ms() - duration_ms, domain.pace
        lesson = domain.learn(said, handler.breaker, began_ms=began_ms, block_s=block_s)
        if lesson is not None:
            self._count(domain, before, lesson)
        return lesson

    def _count(self, domain: HeldDomain, before: Pace, lesson: Lesson) -> None:
        pace, block_s = lesson.pace, lesson.block_ms / 1000
        if pace.is_open and pace.failures > before.failures:
            self._metrics.breaker_openings.inc()
            log.say(
                events.BREAKER_OPENED, domain=domain.name, failures=pace.failures, block_s=block_s
            )
        elif lesson.block_ms:
            log.say(
                events.DOMAIN_BLOCKED,
                domain=domain.name,
                block_s=block_s,
                reason=lesson.block_reason,
            )
        elif before.is_open and not pace.is_open:
            log.say(events.BREAKER_CLOSED, domain=domain.name)
        if pace.adaptive_delay_ms != before.adaptive_delay_ms:
            is_slower = pace.adaptive_delay_ms > before.adaptive_delay_ms
            self._metrics.pace_changes.labels("slower" if is_slower else "faster").inc()
            event = events.PACE_CHANGED
            if not before.adaptive_delay_ms:
                event = events.DOMAIN_SLOWED
            elif not pace.adaptive_delay_ms:
                event = events.DOMAIN_RECOVERED
            log.say(event, domain=domain.name, delay_ms=pace.adaptive_delay_ms)

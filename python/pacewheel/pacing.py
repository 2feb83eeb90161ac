"""How fast a domain may be asked, learned from what its site answers: pure rules.

Owns the adaptive part of a domain's gap and its circuit breaker, as values in and values out: no
clock, no I/O, no state. The owner keeps a domain's `Pace` in memory, and every change of it is
written to the domain's row by the settle that learned it; a new owner goes on from the row.

A blocking answer (429, 503) doubles the gap. A streak of answers shortens it by a third: 20 of
them, or as many as come in 45 s where that is fewer. So a delay of 21 s is below 10 s again after
100 s of answers, and nothing is left of it after seven minutes; a domain that blocks at some pace
is asked near that pace most of the time.

The breaker counts failures of its error words in a row, whatever task they are of. Beyond the limit
the circuit is open: nothing starts for a pause, which doubles with each failure that follows. After
it one task at a time probes, until an answer closes the circuit.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

ADAPTIVE_MIN_MS = 250
ADAPTIVE_MAX_MS = 60_000
LATENCY_DELAY_MAX_MS = 600_000
SLOWER = 2
FASTER = 2 / 3
STREAK = 20
STREAK_MS = 45_000
# An answer alone is no streak.
STREAK_MIN = 2
DOUBLINGS_MAX = 30

CIRCUIT_OPEN = "circuit_open"
RETRY_AFTER = "retry_after"
ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a handler's failures open its domain's circuit, and for how long.

    `errors` are the error words that count: network errors and blocking answers, never what is
    wrong with one task (a 404) or with the handler itself; without any the circuit stays closed.
    `failures` of them in a row open it, for `pause_s`, which doubles up to `pause_max_s`.
    """

    errors: AbstractSet[str] = frozenset()
    failures: int = 10
    pause_s: float = 30.0
    pause_max_s: float = 600.0

    def pause_ms(self, failures: int) -> int:
        """Return the pause after so many failures in a row."""
        doublings = min(max(0, failures - self.failures), DOUBLINGS_MAX)
        return round(1000 * min(self.pause_max_s, self.pause_s * 2.0**doublings))


@dataclass(frozen=True, slots=True)
class Pace:
    """What is known of a domain's site; the columns of the same names are its durable image.

    `failures` in a row; `successes` (answers) since the adaptive delay was last changed; `is_open`
    from the opening of the circuit to the answer that closes it.
    """

    adaptive_delay_ms: int = 0
    failures: int = 0
    successes: int = 0
    is_open: bool = False


CALM = Pace()


@dataclass(frozen=True, slots=True)
class Said:
    """What one attempt's end says of the site: it answered, it blocks, or a failure that counts.

    It may say two at once (a 429 does), or nothing.
    """

    answered: bool = False
    blocking: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Lesson:
    """A domain's new pace; `block_ms`: start nothing for so long, for this reason.

    `refused`: the site refused the request, with a 429 or a 503.
    """

    pace: Pace
    block_ms: int = 0
    block_reason: str | None = None
    refused: bool = False

    def then(self, last: Lesson) -> Lesson:
        """Return both as one: the last says all that is known but for pauses and refusals before."""
        return replace(
            last,
            block_ms=max(self.block_ms, last.block_ms),
            refused=self.refused or last.refused,
        )


def learn(pace: Pace, said: Said, breaker: Breaker, gap_ms: int) -> Lesson:
    """Return the pace after an attempt that left under this pace and gap."""
    if said.answered:
        return Lesson(_faster(pace))
    block_ms, reason = 0, None
    if said.blocking:
        pace = _slower(pace, gap_ms)
        block_ms, reason = pace.adaptive_delay_ms, RETRY_AFTER
    if said.failed:
        failures = pace.failures + 1
        is_open = pace.is_open or failures >= breaker.failures
        pace = replace(pace, failures=failures, successes=0, is_open=is_open)
        if is_open:
            block_ms, reason = max(block_ms, breaker.pause_ms(failures)), CIRCUIT_OPEN
    return Lesson(pace, block_ms, reason)


def _slower(pace: Pace, gap_ms: int) -> Pace:
    delay_ms = min(ADAPTIVE_MAX_MS, SLOWER * max(gap_ms, ADAPTIVE_MIN_MS))
    # The gap may be longer by itself than we would ever make it.
    return replace(pace, adaptive_delay_ms=max(delay_ms, pace.adaptive_delay_ms), successes=0)


def _faster(pace: Pace) -> Pace:
    """Count an answer, which also closes the circuit."""
    delay_ms = pace.adaptive_delay_ms
    if delay_ms == 0:
        return CALM
    successes = pace.successes + 1
    if successes >= max(STREAK_MIN, min(STREAK, STREAK_MS // delay_ms)):
        successes = 0
        delay_ms = int(delay_ms * FASTER)
        if delay_ms < ADAPTIVE_MIN_MS:
            delay_ms = 0
    return Pace(delay_ms, 0, successes)

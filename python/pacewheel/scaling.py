"""How many slots a process should have: a pure decision with one reason.

Owns the policy of the scaler. Nothing here reads a clock or asks anybody: time is counted in
evaluations. Slots double as soon as runnable work was seen to wait for one, and go back by quarters
once half of them would have been enough for a while. So a load that comes and goes faster than that
changes nothing, and one that grows is met within a few evaluations. Tasks that only wait (for their
domain, a limit, a backoff) are no part of the reading, so they can't ask for slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# Runnable work that waits a twentieth of the time is a lack of slots, not a ripple between claims.
SHORTAGE_MIN = 0.05
GROWTH = 2
# What a scale-down leaves.
SHRINK = 0.75
# Slots of which no more than this part was in use are more than enough. Below half of what a
# scale-up gives, or the two would take turns.
ENOUGH = 0.5
# Evaluations in a row with more than enough before slots go, a quarter each: whatever the load
# does, idleness is no reason more than once in so many evaluations.
QUIET_MIN = 30
# Evaluations from one change to the next: the first in full was seen under the new number.
COOLDOWN = 2
# Shares of the memory limit: above the first no slot comes, above the second slots go.
MEMORY_FULL = 0.8
MEMORY_HIGH = 0.9
# The least share of connections and of room for outcomes that must be free for slots to come.
HEADROOM_MIN = 0.1


class ScaleDecision(StrEnum):
    """What an evaluation came to."""

    SCALE_UP = "scale_up"
    SCALE_DOWN = "scale_down"
    NO_CHANGE = "no_change"


class ScaleReason(StrEnum):
    """Why; each evaluation has exactly one."""

    RUNNABLE_BACKLOG = "runnable_backlog"
    IDLE_CAPACITY = "idle_capacity"
    AT_MAX = "at_max"
    AT_MIN = "at_min"
    NO_RUNNABLE_TASKS = "no_runnable_tasks"
    SUFFICIENT_CAPACITY = "sufficient_capacity"
    DB_POOL_LIMIT = "db_pool_limit"
    MEMORY_LIMIT = "memory_limit"
    COOLDOWN = "cooldown"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was seen since the evaluation before.

    `busy` is the most slots in use at once. `shortage` is the share of the time in which domains
    that had something to run waited for a slot. `headroom` is the free share of what the database
    side has (connections, room for outcomes), `memory` the used share of the memory limit.
    """

    busy: int
    shortage: float
    runnable: bool
    headroom: float
    memory: float


@dataclass(slots=True)
class Sizing:
    """Slots now and their bounds, and how long they have been so."""

    slots: int
    slots_min: int
    slots_max: int
    since_change: int = COOLDOWN
    """Evaluations since the last change."""
    quiet: int = 0
    """Evaluations in a row in which there were more than enough."""

    def evaluate(self, reading: Reading) -> Scaling:
        """Count one evaluation, decide, and take on the decision's slots."""
        self.since_change += 1
        enough = reading.busy <= self.slots * ENOUGH and reading.shortage < SHORTAGE_MIN
        self.quiet = self.quiet + 1 if enough else 0
        scaling = decide(self, reading)
        if scaling.target != self.slots:
            self.slots = scaling.target
            self.since_change = 0
        return scaling

    def obstacle(self, reading: Reading) -> ScaleReason | None:
        """Return what keeps slots from coming, whatever waits for them; None if nothing does."""
        if self.slots >= self.slots_max:
            return ScaleReason.AT_MAX
        if reading.memory >= MEMORY_FULL:
            return ScaleReason.MEMORY_LIMIT
        if reading.headroom < HEADROOM_MIN:
            return ScaleReason.DB_POOL_LIMIT
        return None


class Shortage:
    """Time in which due domains waited for a slot, as far as claims have shown that they had tasks.

    That a domain is due is a hint: it may have nothing left, or only tasks that wait. So a claim
    decides afterwards whether the wait before it was one for a slot.
    """

    def __init__(self) -> None:
        self._since_ms: float | None = None
        self._ended_ms = 0.0
        self._proven_ms = 0.0

    def begin(self, now_ms: float) -> None:
        """Note that domains are due and no slot is free."""
        if self._since_ms is None:
            self._since_ms = now_ms

    def end(self, now_ms: float) -> None:
        """Note that a claim begins."""
        if self._since_ms is not None:
            self._ended_ms += now_ms - self._since_ms
            self._since_ms = None

    def prove(self) -> None:
        """Count the wait that ended: the claim gave tasks."""
        self._proven_ms += self._ended_ms
        self._ended_ms = 0.0

    def prove_until(self, now_ms: float) -> None:
        """Count the wait that goes on, so far: a task that was claimed ahead waits for a slot."""
        if self._since_ms is not None:
            self._proven_ms += now_ms - self._since_ms
            self._since_ms = now_ms

    def drop_unproven(self) -> None:
        """Forget the wait that ended: no claim after it gave tasks."""
        self._ended_ms = 0.0

    def cancel(self) -> None:
        """Forget the wait that goes on: no domain is due any more."""
        self._since_ms = None

    def take_ms(self) -> float:
        """Return what was counted since the last call."""
        proven_ms, self._proven_ms = self._proven_ms, 0.0
        return proven_ms


@dataclass(frozen=True, slots=True)
class Scaling:
    """The decision, the slots it asks for, and the one reason."""

    decision: ScaleDecision
    target: int
    reason: ScaleReason


def decide(sizing: Sizing, reading: Reading) -> Scaling:
    """Decide on the slots: memory first, then runnable work, then idle slots."""
    if reading.memory >= MEMORY_HIGH and sizing.slots > sizing.slots_min:
        if sizing.since_change < COOLDOWN:
            return _keep(sizing, ScaleReason.COOLDOWN)
        return _shrink(sizing, ScaleReason.MEMORY_LIMIT)
    if reading.shortage >= SHORTAGE_MIN:
        return _decide_on_backlog(sizing, reading)
    if reading.busy >= sizing.slots_max:
        # Nobody looks ahead for slots that can't come, so it is not known whether anything waits.
        return _keep(sizing, ScaleReason.AT_MAX)
    if reading.busy > sizing.slots * ENOUGH:
        return _keep(sizing, ScaleReason.SUFFICIENT_CAPACITY)
    if sizing.slots > sizing.slots_min:
        if min(sizing.since_change, sizing.quiet) < QUIET_MIN:
            return _keep(sizing, ScaleReason.COOLDOWN)
        return _shrink(sizing, ScaleReason.IDLE_CAPACITY)
    if reading.runnable:
        return _keep(sizing, ScaleReason.AT_MIN)
    return _keep(sizing, ScaleReason.NO_RUNNABLE_TASKS)


def _decide_on_backlog(sizing: Sizing, reading: Reading) -> Scaling:
    obstacle = sizing.obstacle(reading)
    if obstacle is not None:
        return _keep(sizing, obstacle)
    if sizing.since_change < COOLDOWN:
        return _keep(sizing, ScaleReason.COOLDOWN)
    target = min(sizing.slots_max, sizing.slots * GROWTH)
    return Scaling(ScaleDecision.SCALE_UP, target, ScaleReason.RUNNABLE_BACKLOG)


def _keep(sizing: Sizing, reason: ScaleReason) -> Scaling:
    return Scaling(ScaleDecision.NO_CHANGE, sizing.slots, reason)


def _shrink(sizing: Sizing, reason: ScaleReason) -> Scaling:
    target = max(sizing.slots_min, int(sizing.slots * SHRINK))
    return Scaling(ScaleDecision.SCALE_DOWN, target, reason)

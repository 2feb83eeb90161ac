"""Handlers: their functions, deadlines and retry policies, by name.

Owns each handler's policy; what it makes of an attempt's end is decided in `outcomes`.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pacewheel.errors import ConfigInvalid
from pacewheel.model import Outcome, Task
from pacewheel.pacing import Breaker

# Below the end of the column's type, so that no attempt can miss it.
ATTEMPTS_MAX = 32_000
NO_BREAKER = Breaker()

HandlerFunction = Callable[[Task], Awaitable[Outcome | None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """A registered handler.

    `timeout_s` is each attempt's deadline; `attempts` the most tries; the backoff doubles from
    `backoff_s` up to `backoff_max_s`. With `own_departure` the function itself calls `Task.depart`
    when its request is ready to leave; otherwise the engine does before it calls the function. An
    error word in `never_retry` fails a task at once. `breaker` says which errors, when there are
    many, let the whole domain pause.
    """

    name: str
    function: HandlerFunction
    timeout_s: float = 60.0
    attempts: int = 5
    backoff_s: float = 1.0
    backoff_max_s: float = 300.0
    own_departure: bool = False
    never_retry: AbstractSet[str] = frozenset()
    breaker: Breaker = NO_BREAKER

    def __post_init__(self) -> None:
        """Refuse values that can't work."""
        if not self.name:
            message = "a handler needs a name"
            raise ConfigInvalid(message)
        if (
            self.timeout_s <= 0
            or not 1 <= self.attempts <= ATTEMPTS_MAX
            or self.backoff_s < 0
            or self.backoff_max_s < self.backoff_s
        ):
            message = (
                f"handler {self.name}: timeout_s must be positive, attempts from 1 to "
                f"{ATTEMPTS_MAX}, and backoff_max_s at least backoff_s"
            )
            raise ConfigInvalid(message)
        breaker = self.breaker
        if breaker.failures < 1 or not 0 < breaker.pause_s <= breaker.pause_max_s:
            message = (
                f"handler {self.name}: its breaker's failures must be at least 1, pause_s positive, "
                "and pause_max_s at least pause_s"
            )
            raise ConfigInvalid(message)
        words: dict[str, object] = {"never_retry": self.never_retry, "breaker": breaker.errors}
        for what, given in words.items():
            # A text would be searched for parts of it.
            if not isinstance(given, AbstractSet):
                message = f"handler {self.name}: {what} takes a set of error words"
                raise ConfigInvalid(message)

    def retry_in_s(self, attempt: int) -> float:
        """Return the delay after the attempt-th try: exponential, with the upper half of it random.

        Source: "Exponential Backoff And Jitter", AWS Architecture Blog (equal jitter).
        """
        ceiling = min(self.backoff_max_s, self.backoff_s * 2.0 ** min(attempt - 1, 60))
        return float(ceiling * random.uniform(0.5, 1.0))


class Registry:
    """The handlers of one engine."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def add(self, handler: Handler) -> None:
        """Register a handler.

        Raises:
            ConfigInvalid: the name is taken.
        """
        if handler.name in self._handlers:
            message = f"a handler named {handler.name} is registered already: choose another name"
            raise ConfigInvalid(message)
        self._handlers[handler.name] = handler

    def get(self, name: str) -> Handler | None:
        """Return the handler of this name, if it is registered here."""
        return self._handlers.get(name)

    def names(self) -> list[str]:
        """Return all names."""
        return list(self._handlers)

"""What metrics cost: all that a drain asks of them, noted and done again, and one scrape.

Drains with and without metrics differ by less than two drains of one kind. So a drain's every call
of a metric is noted with its arguments, and all of them are done once more with nothing between:
that CPU time over the one of a drain's tasks is the share of metrics in it, and whatever else the
machine does, slows both. Not in it: what the server does to say how long tasks were claimable.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import uvloop
from prometheus_client import generate_latest

from benches.test_drain import CAPACITY, JOBS, TASKS, engine_round
from pacewheel import Config, Engine
from pacewheel.metrics import Metrics
from pacewheel.store.transactions import Transactions

REPLAYS = 10
OURS = ("pacewheel.metrics", "prometheus_client")

Calls = list[tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]]


class Noted:
    """A metric, or an object that has some: does what it is asked, and notes it."""

    def __init__(self, real: object, name: str, calls: Calls) -> None:
        self.__dict__.update(_real=real, _name=name, _calls=calls)

    def _wrapped(self, value: Any, name: str) -> Any:
        is_ours = type(value).__module__.startswith(OURS)
        return Noted(value, name, self._calls) if is_ours else value

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if callable(value) and not type(value).__module__.startswith(OURS):
            return partial(self._note, name, value)
        return self._wrapped(value, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._real, name, value)

    def _note(self, name: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self._calls.append((f"{self._name}.{name}", call, args, options))
        return self._wrapped(call(*args, **options), f"{self._name}.{name}")


def replay(calls: Calls) -> Counter[str]:
    """Do them all again, kind by kind; return the seconds that each kind of them took."""
    transactions = Transactions(Metrics())

    def transaction(name: str, _duration_s: float, *, is_slow: bool) -> None:  # noqa: ARG001 - as noted
        # With the clock round it.
        with transactions.timed(name):
            pass

    kinds = defaultdict(list)
    for name, call, args, options in calls:
        again = transaction if name == "metrics.note_transaction" else call
        kinds[name].append((again, args, options))
    took_s: Counter[str] = Counter()
    for name, kind in kinds.items():
        began_s = time.process_time()
        for again, args, options in kind:
            again(*args, **options)
        took_s[name] = time.process_time() - began_s
    return took_s


@pytest.mark.slow
def test_metrics_cost_a_drain_next_to_nothing(
    dsn: str, budget: Callable[[str, float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their part of the CPU time of a task, and which of them it is."""
    calls: Calls = []

    async def measure() -> float:
        await engine_round(dsn, TASKS // 4)
        with monkeypatch.context() as patch:
            patch.setattr("pacewheel.engine.Metrics", lambda: Noted(Metrics(), "metrics", calls))
            await engine_round(dsn, TASKS)
        return (await engine_round(dsn, TASKS)).drain_us

    drain_us = uvloop.run(measure())
    replays = [replay(calls) for _ in range(REPLAYS)]
    best = Counter({name: min(took_s[name] for took_s in replays) for name in replays[0]})
    cost_us = best.total() / TASKS * 1e6
    made = Counter(name for name, *_ in calls)
    print(f"\nmetrics: {cost_us:.2f} us of the {drain_us:.1f} us of CPU a task, {len(calls)} calls")
    for name, took_s in best.most_common(8):
        print(f"  {name}: {took_s / TASKS * 1e6:.3f} us a task, {made[name] / TASKS:.3f} calls")
    budget("metrics: share of a drain's CPU", 100 * cost_us / drain_us)


def test_what_a_scrape_costs(dsn: str, budget: Callable[[str, float], None]) -> None:
    """The text of an engine that has worked, without the database's figures and with them."""

    async def measure() -> tuple[float, float, int]:
        await engine_round(dsn, JOBS)
        engine = Engine(dsn, config=Config(capacity=CAPACITY))
        await engine.start()
        await engine.observer.refresh()
        took_ms, text = [], b""
        for _ in range(20):
            began_s = time.perf_counter()
            text = generate_latest(engine.metrics.registry)
            took_ms.append((time.perf_counter() - began_s) * 1000)
        await engine.observer.close()
        began_s = time.perf_counter()
        await engine.observer.refresh()
        refresh_ms = (time.perf_counter() - began_s) * 1000
        await engine.stop()
        return min(took_ms), refresh_ms, len(text.splitlines())

    text_ms, refresh_ms, lines = uvloop.run(measure())
    print(f"\nscrape: {lines} lines", end="")
    budget("metrics: text of a scrape", text_ms)
    budget("metrics: the database's figures", refresh_ms)

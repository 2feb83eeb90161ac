"""What metrics cost: drains with all of them and with none, by turns, and one scrape.

Without them every metric is an object that does nothing whatever is asked of it. The ratio is of
the process's CPU time a task, which other processes disturb less than a rate: the median of
pairs of drains, right after one another, which are long enough that the first time of each series
doesn't count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
import uvloop
from prometheus_client import generate_latest

from benches.test_drain import CAPACITY, FULL, JOBS, TASKS, Round, engine_round
from pacewheel import Config, Engine
from pacewheel.metrics import Metrics

ROUNDS = 10 if FULL else 4


class Nothing:
    """Does nothing, whatever is asked of it; what was asked for once is there the next time."""

    def __getattr__(self, name: str) -> Nothing:
        made = self.__dict__[name] = Nothing()
        return made

    def __call__(self, *_args: object, **_options: object) -> Nothing:
        """Answer with something that does nothing either."""
        return self


@pytest.mark.slow
def test_metrics_cost_a_drain_next_to_nothing(
    dsn: str, budget: Callable[[str, float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPU time a task and tasks a second, with metrics over without."""

    async def measure() -> list[tuple[Round, Round]]:
        await engine_round(dsn, TASKS // 4)
        pairs = []
        for number in range(ROUNDS):
            pair = {}
            # Who comes first takes turns, too.
            for kind in (Metrics, Nothing)[:: 1 if number % 2 else -1]:
                monkeypatch.setattr("pacewheel.engine.Metrics", kind)
                pair[kind] = await engine_round(dsn, TASKS)
            pairs.append((pair[Metrics], pair[Nothing]))
        monkeypatch.undo()
        return pairs

    pairs = uvloop.run(measure())
    with_us, without_us = (statistics.median(each[n].drain_us for each in pairs) for n in (0, 1))
    print(f"\nmetrics: {with_us:.1f} us of CPU a task, without {without_us:.1f}", end="")
    cpu = statistics.median(a.drain_us / b.drain_us for a, b in pairs)
    rate = statistics.median(a.drained / b.drained for a, b in pairs)
    budget("metrics: CPU of a drain, over none", cpu)
    budget("metrics: rate of a drain, over none", rate)


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

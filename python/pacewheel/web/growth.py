"""How fast counters grow, this process's and the database's, and how long transactions took since the last look."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from pacewheel.metrics.histogram import quantile
from pacewheel.metrics.transactions import TRANSACTION_BOUNDS_S
from pacewheel.rates import Rates
from pacewheel.web import figures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pacewheel.metrics import Metrics
    from pacewheel.metrics.figures import DatabaseFigures
    from pacewheel.overview import Totals
    from pacewheel.web.samples import Samples

MINUTE_S = 60.0
DATABASE = "pacewheel_database_"


class Growth:
    """Told of each look; knows rates as soon as there are two."""

    def __init__(self) -> None:
        self._lately: Rates[str] = Rates()
        self._of_minute: Rates[str] = Rates(MINUTE_S)
        self._figures: DatabaseFigures | None = None
        self._transactions: tuple[int, ...] = ()
        self.transaction_p99_ms: float | None = None
        """What 99 of 100 transactions between the last two looks stayed below."""

    def note(self, samples: Samples, metrics: Metrics, fresh: Totals | None) -> None:
        """Take in a look; `fresh` are totals that were read for it."""
        attempts = samples.by("pacewheel_attempts_total", "outcome")
        counters = {
            "claimed": samples.sum("pacewheel_tasks_claimed_total"),
            "completed": attempts.get("completed", 0.0),
            "failed": attempts.get("failed", 0.0),
            "retried": attempts.get("retry", 0.0),
            "cpu": samples.sum("process_cpu_seconds_total"),
            "received": samples.sum("pacewheel_network_receive_bytes_total", interface="other"),
            "sent": samples.sum("pacewheel_network_transmit_bytes_total", interface="other"),
        }
        if fresh is not None:
            counters |= {"attempts": fresh.attempts, "enqueued": fresh.enqueued}
        self._lately.note(samples.at_s, counters)
        self._of_minute.note(
            samples.at_s,
            {
                "raises": samples.sum("pacewheel_raises_total"),
                "evaluations": samples.sum("pacewheel_scaling_evaluations_total"),
                **self._database_counters(samples, metrics),
            },
        )
        self._note_transactions(metrics)

    def per_s(self, name: str) -> float | None:
        """Return how much a counter grew a second, in the last ten."""
        rate = self._lately.per_s(name)
        return None if rate is None else round(rate, 3)

    def per_min(self, name: str) -> float | None:
        """Return how much `raises` or `evaluations` grew a minute, in the last one."""
        rate = self._of_minute.per_s(name)
        return None if rate is None else round(rate * MINUTE_S, 1)

    def database_per_s(self, names: Mapping[str, float]) -> dict[str, float | None]:
        """Return how much those of these figures that only grow grew a second, in the last minute."""
        return {name: self._of_minute.per_s(name) for name in names if _is_counter(name)}

    def rates(self) -> figures.Rates:
        """Return the rates of tasks."""
        return figures.Rates(
            attempts_per_s=self.per_s("attempts"),
            enqueued_per_s=self.per_s("enqueued"),
            claimed_per_s=self.per_s("claimed"),
            completed_per_s=self.per_s("completed"),
            failed_per_s=self.per_s("failed"),
            retried_per_s=self.per_s("retried"),
        )

    def _database_counters(self, samples: Samples, metrics: Metrics) -> dict[str, float]:
        """Return them if they have been read anew: of those read before nothing has grown."""
        before, self._figures = self._figures, metrics.database.figures
        if self._figures is before:
            return {}
        figures = samples.named(DATABASE)
        return {name: value for name, value in figures.items() if _is_counter(name)}

    def _note_transactions(self, metrics: Metrics) -> None:
        by_statement = metrics.transaction_seconds.counts().values()
        before = self._transactions
        self._transactions = tuple(map(sum, zip(*by_statement, strict=True)))
        recent = [now - then for now, then in zip_longest(self._transactions, before, fillvalue=0)]
        p99_s = quantile(TRANSACTION_BOUNDS_S, recent, 0.99) if any(recent) else None
        self.transaction_p99_ms = None if p99_s is None else round(1000 * p99_s, 3)


def _is_counter(name: str) -> bool:
    return name.partition(":")[0].endswith("_total")

"""What the database says of all jobs and of itself, as it was read last: one truth, in every process.

Nobody is asked at a scrape: the observer (`pacewheel.observer`) puts the figures here before, and
takes them away when they could not be read, so that none is shown that may be out of date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry, Metric

    from pacewheel.model import StuckJob
    from pacewheel.overview import Totals


class TableFigures(NamedTuple):
    """A table of pacewheel's: rows by the server's estimate; partitions are summed up."""

    name: str
    live_rows: int
    dead_rows: int


@dataclass(frozen=True, slots=True)
class DatabaseFigures:
    """What the server says of this database to an ordinary role, on PostgreSQL 14 and newer.

    `connections` by state, `hidden` being those whose state this role may not see: grant it
    pg_monitor to see them. `xmin_ages` says, by what holds it, by how many transactions the oldest
    snapshot keeps vacuum back. Sums (`..._total` in Prometheus) go on until somebody resets the
    server's statistics; those of WAL are of the whole server. `active_s` is the time that sessions
    spent in statements: per second, how many were busy.
    """

    size_bytes: int
    connections: Mapping[str, int]
    connections_max: int
    commits: int
    rollbacks: int
    deadlocks: int
    blocks_hit: int
    blocks_read: int
    block_read_s: float
    block_write_s: float
    temp_bytes: int
    active_s: float
    wal_bytes: int
    wal_retained_bytes: int
    oldest_transaction_s: float
    xmin_ages: Mapping[str, int]
    tables: Sequence[TableFigures]


class DatabaseCollector(Collector):
    """`pacewheel_database_*`."""

    GAUGES = (
        ("size_bytes", "Size of the database on disk"),
        ("connections_max", "Connections the server takes (max_connections)"),
        ("oldest_transaction_seconds", "Age of the oldest open transaction that this role may see"),
        ("wal_retained_bytes", "Most WAL that a replication slot keeps from being removed"),
    )
    COUNTERS = (
        ("deadlocks", "Deadlocks the server ended", "deadlocks"),
        (
            "block_read_seconds",
            "Time of reading blocks (0 without track_io_timing)",
            "block_read_s",
        ),
        (
            "block_write_seconds",
            "Time of writing blocks (0 without track_io_timing)",
            "block_write_s",
        ),
        ("temp_bytes", "Bytes written to temporary files by sorts and hashes", "temp_bytes"),
        (
            "active_seconds",
            "Time that sessions spent in statements; its rate is how many were busy",
            "active_s",
        ),
        ("wal_bytes", "WAL written by the whole server", "wal_bytes"),
    )

    def __init__(self) -> None:
        self.figures: DatabaseFigures | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield what was read last; nothing but `pacewheel_database_up` when that failed."""
        figures = self.figures
        yield GaugeMetricFamily(
            "pacewheel_database_up",
            "1 if the last look at the database's figures was answered",
            value=float(figures is not None),
        )
        if figures is None:
            return
        for name, text in self.GAUGES:
            value = getattr(figures, name.replace("_seconds", "_s"))
            yield GaugeMetricFamily(f"pacewheel_database_{name}", text, value=value)
        for name, text, attribute in self.COUNTERS:
            value = getattr(figures, attribute)
            yield CounterMetricFamily(f"pacewheel_database_{name}", text, value=value)
        transactions = CounterMetricFamily(
            "pacewheel_database_transactions",
            "Transactions of this database by anybody: commit, rollback",
            labels=["result"],
        )
        transactions.add_metric(["commit"], figures.commits)
        transactions.add_metric(["rollback"], figures.rollbacks)
        yield transactions
        blocks = CounterMetricFamily(
            "pacewheel_database_blocks",
            "Blocks asked for: hit (in the server's cache), read (from the system)",
            labels=["source"],
        )
        blocks.add_metric(["hit"], figures.blocks_hit)
        blocks.add_metric(["read"], figures.blocks_read)
        yield blocks
        yield from self._by_label(figures)

    @staticmethod
    def _by_label(figures: DatabaseFigures) -> Iterator[Metric]:
        tables = {table.name: table for table in figures.tables}
        for name, text, label, values in (
            (
                "connections",
                "Connections to this database by state; hidden: pg_monitor may see it, this role not",
                "state",
                figures.connections,
            ),
            (
                "xmin_age_transactions",
                "Transactions since the oldest snapshot that keeps vacuum back, by what holds it",
                "holder",
                figures.xmin_ages,
            ),
            (
                "live_rows",
                "Live rows by the server's estimate",
                "table",
                {name: table.live_rows for name, table in tables.items()},
            ),
            (
                "dead_rows",
                "Dead rows by the server's estimate, for vacuum to remove",
                "table",
                {name: table.dead_rows for name, table in tables.items()},
            ),
        ):
            family = GaugeMetricFamily(f"pacewheel_database_{name}", text, labels=[label])
            for value, number in values.items():
                family.add_metric([value], number)
            yield family


class TotalsCollector(Collector):
    """Jobs and tasks of all processes, as the database says."""

    def __init__(self) -> None:
        self.figures: Totals | None = None
        self.stuck: Sequence[StuckJob] | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield what was read last."""
        if self.stuck is not None:
            yield GaugeMetricFamily(
                "pacewheel_jobs_stuck",
                "Jobs without progress for ten minutes although nothing asks them to wait so long",
                value=len(self.stuck),
            )
        figures = self.figures
        if figures is None:
            return
        yield GaugeMetricFamily(
            "pacewheel_jobs_active",
            "Jobs that are not final, of all processes",
            value=figures.jobs_active,
        )
        yield GaugeMetricFamily(
            "pacewheel_workers_alive", "Processes whose lease runs", value=figures.workers_alive
        )
        tasks = GaugeMetricFamily(
            "pacewheel_tasks",
            "Live tasks of all processes: pending (could run and don't), waiting (for their own"
            " time), running",
            labels=["state"],
        )
        for state in ("pending", "waiting", "running"):
            tasks.add_metric([state], getattr(figures, state))
        yield tasks
        waiting = GaugeMetricFamily(
            "pacewheel_tasks_waiting",
            "Live tasks of all processes that don't run, by the reason; they sum up to those pending"
            " and waiting",
            labels=["reason"],
        )
        for reason, number in figures.waiting_by_reason.items():
            waiting.add_metric([reason], number)
        yield waiting


class FigureMetrics:
    """Read from the database, by the observer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.totals = TotalsCollector()
        registry.register(self.totals)
        self.database = DatabaseCollector()
        registry.register(self.database)

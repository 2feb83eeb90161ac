"""How fast things grow: of figures read now and then, by the moments at which they were read."""

from __future__ import annotations

from dataclasses import replace

from pacewheel.metrics import Metrics
from pacewheel.metrics.figures import DatabaseFigures
from pacewheel.web.growth import DATABASE, Growth
from pacewheel.web.samples import Samples

READ = DatabaseFigures(
    size_bytes=1,
    connections={},
    connections_max=100,
    commits=1_000,
    rollbacks=0,
    deadlocks=0,
    blocks_hit=0,
    blocks_read=0,
    block_read_s=0.0,
    block_write_s=0.0,
    temp_bytes=0,
    active_s=7.5,
    wal_bytes=0,
    wal_retained_bytes=0,
    oldest_transaction_s=0.0,
    xmin_ages={},
    tables=(),
)


def test_figures_of_the_database_grow_from_reading_to_reading() -> None:
    """Between two readings nothing is known to have grown, nor that nothing has."""
    metrics, growth = Metrics(), Growth()
    metrics.database.figures = READ

    def commits(at_s: float) -> float | None:
        samples = Samples(metrics.registry, at_s)
        growth.note(samples, metrics, None)
        rates = growth.database_per_s(samples.named(DATABASE))
        assert "size_bytes" not in rates
        return rates.get("transactions_total:commit")

    assert [None] * 4 == [commits(at_s) for at_s in (0, 1, 2, 14)]
    metrics.database.figures = replace(READ, commits=1_300)
    assert [20, 20, 20] == [commits(at_s) for at_s in (15, 16, 29)]
    metrics.database.figures = replace(READ, commits=1_315)
    assert 10.5 == commits(30)
    metrics.database.figures = None
    assert commits(31) is None
    # The server's statistics were reset.
    metrics.database.figures = replace(READ, commits=5)
    assert commits(32) is None


def test_scaling_and_raises_are_counted_by_the_minute() -> None:
    """From two looks on."""
    metrics, growth = Metrics(), Growth()
    growth.note(Samples(metrics.registry, 0.0), metrics, None)
    assert growth.per_min("evaluations") is None
    metrics.scaling_evaluations.labels("no_change", "cooldown").inc(5)
    growth.note(Samples(metrics.registry, 10.0), metrics, None)
    assert (30.0, 0.0) == (growth.per_min("evaluations"), growth.per_min("raises"))

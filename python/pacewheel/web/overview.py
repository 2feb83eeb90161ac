"""Makes the overview of a process's metrics, its state and what the database said.

Pure: nothing is awaited here. Where a figure comes from is said in `figures`.
"""

from __future__ import annotations

import os
import socket
from importlib.metadata import version
from math import isnan
from typing import TYPE_CHECKING, Any

from pacewheel import memory
from pacewheel.plain import plain, totals_json
from pacewheel.report.binds import find_binding
from pacewheel.web import figures
from pacewheel.web.growth import DATABASE
from pacewheel.web.health import Facts, judge
from pacewheel.web.history import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pacewheel.metrics import Metrics
    from pacewheel.metrics.transactions import TransactionTimes
    from pacewheel.overview import Totals
    from pacewheel.web.figures import Overview
    from pacewheel.web.growth import Growth
    from pacewheel.web.history import History
    from pacewheel.web.ports import Engine, Life
    from pacewheel.web.reading import Reading
    from pacewheel.web.samples import Samples

CACHE = "pacewheel_job_cache_"
SCALING = "pacewheel_scaling_evaluations_total"
RECENT_MAX = 20


def sample_of(samples: Samples, growth: Growth, at: datetime, totals: Totals | None) -> Sample:
    """Return this moment as it is to be kept."""
    hits, questions = _hits_and_questions(samples)
    return Sample(
        at,
        samples.at_s,
        slots=int(samples.sum("pacewheel_slots")),
        busy=int(samples.sum("pacewheel_slots_busy")),
        rates=growth.rates(),
        transaction_p99_ms=growth.transaction_p99_ms,
        cache_hit_ratio=round(hits / questions, 4) if questions else None,
        totals=totals,
    )


def build(
    *,
    engine: Engine,
    life: Life,
    reading: Reading,
    samples: Samples,
    sample: Sample,
    growth: Growth,
    history: History,
    uptime_s: float,
) -> Overview:
    """Return the overview of this moment."""
    worker = _worker(engine, life, samples, uptime_s)
    slots = figures.Slots(
        sample.slots,
        sample.busy,
        int(samples.sum("pacewheel_slots_min")),
        int(samples.sum("pacewheel_slots_max")),
    )
    pool = _pool(samples)
    scaling = _scaling(samples, growth, engine.metrics)
    database = samples.named(DATABASE)
    process = _process(samples, growth)
    transactions = list(map(_transactions, engine.metrics.transaction_times()))
    facts = Facts(
        worker, reading.trouble, reading.stuck, pool, process, transactions, by_defect(samples)
    )
    return figures.Overview(
        at=sample.at,
        worker=worker,
        totals=reading.totals,
        totals_age_s=None if reading.age_s is None else round(reading.age_s, 1),
        rates=sample.rates,
        slots=slots,
        pool=pool,
        cache=_cache(samples, engine.metrics),
        transactions=transactions,
        transaction_p99_ms=sample.transaction_p99_ms,
        errors_by_class=_counts(samples.by("pacewheel_database_errors_total", "sqlstate_class")),
        scaling=scaling,
        raises=_raises(samples, growth),
        process=process,
        database=database,
        database_per_s=growth.database_per_s(database),
        health=judge(facts),
        binds=find_binding(
            reading.totals,
            history.waiting_lately(sample),
            trouble=reading.trouble,
            slots=(slots.busy, slots.size),
            waiting_requests=pool.waiting,
            last_reason=scaling.recent[0].reason if scaling.recent else None,
        ),
    )


def overview_json(overview: Overview) -> dict[str, Any]:
    """Return the overview as plain values."""
    totals = None if overview.totals is None else totals_json(overview.totals)
    values: dict[str, Any] = plain(overview)
    return {**values, "totals": totals}


def _worker(engine: Engine, life: Life, samples: Samples, uptime_s: float) -> figures.ThisWorker:
    held = engine.held
    return figures.ThisWorker(
        worker_id=None if held is None else held.worker_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=version("pacewheel"),
        phase=life.phase,
        waits_for=life.waits_for,
        lease_valid=held is not None and held.lease_valid(),
        listener_up=samples.sum("pacewheel_listener_up") > 0,
        domains_held=0 if held is None else len(held),
        unsettled=0 if held is None else held.unsettled(),
        uptime_s=round(uptime_s, 1),
    )


def _pool(samples: Samples) -> figures.Pool:
    by_state = samples.by("pacewheel_pool_connections", "state")
    return figures.Pool(
        int(by_state.get("busy", 0)),
        int(by_state.get("idle", 0)),
        int(samples.sum("pacewheel_pool_waiting_requests")),
        int(samples.sum("pacewheel_pool_limit_connections")),
    )


def _transactions(times: TransactionTimes) -> figures.Transactions:
    quantiles = (times.p50_ms, times.p95_ms, times.p99_ms)
    # Those of none are no numbers.
    p50_ms, p95_ms, p99_ms = (None if isnan(each) else round(each, 3) for each in quantiles)
    return figures.Transactions(
        times.statement, times.count, p50_ms, p95_ms, p99_ms, times.slow, times.errors
    )


def _hits_and_questions(samples: Samples) -> tuple[float, float]:
    hits = samples.sum(f"{CACHE}hits_total") + samples.sum(f"{CACHE}stale_hits_total")
    others = samples.sum(f"{CACHE}misses_total") + samples.sum(f"{CACHE}joins_total")
    return hits, hits + others


def _cache(samples: Samples, metrics: Metrics) -> figures.Cache:
    hits, questions = _hits_and_questions(samples)
    return figures.Cache(
        round(hits / questions, 4) if questions else None,
        int(hits),
        int(samples.sum(f"{CACHE}misses_total")),
        int(samples.sum(f"{CACHE}joins_total")),
        int(samples.sum(f"{CACHE}loads_total")),
        int(samples.sum(f"{CACHE}evictions_total")),
        int(samples.sum(f"{CACHE}entries")),
        _counts(samples.by(f"{CACHE}invalidations_total", "reason")),
        [figures.HotJob(*job) for job in metrics.hot_jobs.hottest()],
    )


def _scaling(samples: Samples, growth: Growth, metrics: Metrics) -> figures.Scaling:
    return figures.Scaling(
        growth.per_min("evaluations"),
        _counts(samples.by(SCALING, "decision")),
        _counts(samples.by(SCALING, "reason")),
        [
            figures.ScalingNote(*note)
            for note in list(metrics.scaling_notes)[: -RECENT_MAX - 1 : -1]
        ],
    )


def _raises(samples: Samples, growth: Growth) -> figures.Raises:
    by_tier = _counts(samples.by("pacewheel_raise_entries", "tier"))
    return figures.Raises(
        growth.per_min("raises"),
        _counts(samples.by("pacewheel_raise_outcomes_total", "outcome")),
        sum(by_tier.values()),
        by_tier,
    )


def _process(samples: Samples, growth: Growth) -> figures.Process:
    open_files = samples.sum("process_open_fds")
    return figures.Process(
        growth.per_s("cpu"),
        memory.used_bytes(),
        int(samples.sum("pacewheel_process_memory_limit_bytes")) or memory.limit_bytes(),
        growth.per_s("received"),
        growth.per_s("sent"),
        int(open_files) or None,
    )


def by_defect(samples: Samples) -> Mapping[str, float]:
    """Return what must be zero and is not, by what it is."""
    found = {
        "counter drift": samples.sum("pacewheel_drift_total"),
        "orphans": samples.sum("pacewheel_orphans_total"),
        "crashes of services": samples.sum("pacewheel_service_crashes_total"),
    }
    return {name: value for name, value in found.items() if value}


def _counts(by: Mapping[str, float]) -> dict[str, int]:
    return {name: int(value) for name, value in sorted(by.items())}

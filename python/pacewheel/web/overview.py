"""Makes the overview of a process's metrics, its state and what the database said.

Pure: nothing is awaited here. Where a figure comes from is said in `figures`.
"""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, replace
from importlib.metadata import version
from itertools import zip_longest
from math import isnan
from typing import TYPE_CHECKING, Any

from pacewheel import memory
from pacewheel.metrics.histogram import quantile
from pacewheel.metrics.transactions import TRANSACTION_BOUNDS_S
from pacewheel.plain import plain, totals_json
from pacewheel.report.binds import find_binding
from pacewheel.web import figures
from pacewheel.web.health import Facts, judge
from pacewheel.web.history import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pacewheel.metrics import Metrics
    from pacewheel.metrics.transactions import TransactionTimes
    from pacewheel.overview import Totals
    from pacewheel.web.figures import Overview
    from pacewheel.web.history import History
    from pacewheel.web.ports import Engine, Life
    from pacewheel.web.reading import Reading
    from pacewheel.web.samples import Samples

MB = 2**20
CACHE = "pacewheel_job_cache_"
ATTEMPTS = "pacewheel_attempts_total"
DATABASE = "pacewheel_database_"
NETWORK = "pacewheel_network_{}_bytes_total"
SCALING = "pacewheel_scaling_evaluations_total"
RECENT_MAX = 20
MINUTE_S = 60.0


def sample_of(
    samples: Samples,
    metrics: Metrics,
    history: History,
    at: datetime,
    totals: Totals | None,
    *,
    fresh: bool,
) -> Sample:
    """Return this moment as it is to be kept, with rates against what was kept before."""
    attempts = samples.by(ATTEMPTS, "outcome")
    hits, questions = _hits_and_questions(samples)
    by_statement = metrics.transaction_seconds.counts().values()
    counts = tuple(map(sum, zip(*by_statement, strict=True)))
    now = Sample(
        at,
        samples.at_s,
        claimed=samples.sum("pacewheel_tasks_claimed_total"),
        completed=attempts.get("completed", 0.0),
        failed=attempts.get("failed", 0.0),
        retried=attempts.get("retry", 0.0),
        raises=samples.sum("pacewheel_raises_total"),
        cpu_s=samples.sum("process_cpu_seconds_total"),
        received_bytes=samples.sum(NETWORK.format("receive"), interface="other"),
        sent_bytes=samples.sum(NETWORK.format("transmit"), interface="other"),
        slots=int(samples.sum("pacewheel_slots")),
        busy=int(samples.sum("pacewheel_slots_busy")),
        transaction_counts=counts,
        transaction_p99_ms=_p99_ms(counts, history.last),
        cache_hit_ratio=hits / questions if questions else None,
        totals=totals,
        attempts=totals.attempts if totals and fresh else None,
        enqueued=totals.enqueued if totals and fresh else None,
    )
    return replace(now, rates=history.rates_until(now))


def build(
    *,
    engine: Engine,
    life: Life,
    reading: Reading,
    samples: Samples,
    sample: Sample,
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
    scaling = _scaling(samples, engine.metrics)
    process = _process(engine, samples, sample, history)
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
        errors_by_class=_counts(samples.by("pacewheel_database_errors_total", "sqlstate_class")),
        scaling=scaling,
        raises=_raises(samples, sample, history),
        process=process,
        database=samples.named(DATABASE),
        health=judge(facts),
        binds=find_binding(
            reading.totals,
            trouble=reading.trouble,
            slots=(slots.busy, slots.size),
            waiting_requests=pool.waiting,
            last_reason=scaling.recent[0].reason if scaling.recent else None,
        ),
    )


def overview_json(overview: Overview) -> dict[str, Any]:
    """Return the overview as plain values."""
    totals = None if overview.totals is None else totals_json(overview.totals)
    values: dict[str, Any] = plain({**asdict(overview), "totals": totals})
    return values


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


def _p99_ms(counts: tuple[int, ...], last: Sample | None) -> float | None:
    """Return what 99 of 100 transactions since the last sample stayed below."""
    before = last.transaction_counts if last else ()
    recent = [now - then for now, then in zip_longest(counts, before, fillvalue=0)]
    if not any(recent):
        return None
    return round(1000 * quantile(TRANSACTION_BOUNDS_S, recent, 0.99), 3)


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


def _scaling(samples: Samples, metrics: Metrics) -> figures.Scaling:
    return figures.Scaling(
        int(samples.sum(SCALING)),
        _counts(samples.by(SCALING, "decision")),
        _counts(samples.by(SCALING, "reason")),
        [
            figures.ScalingNote(*note)
            for note in list(metrics.scaling_notes)[: -RECENT_MAX - 1 : -1]
        ],
    )


def _raises(samples: Samples, sample: Sample, history: History) -> figures.Raises:
    per_s = history.rate_until(sample, lambda s: s.raises, over_s=MINUTE_S)
    by_tier = _counts(samples.by("pacewheel_raise_entries", "tier"))
    return figures.Raises(
        None if per_s is None else round(60 * per_s, 1),
        _counts(samples.by("pacewheel_raise_outcomes_total", "outcome")),
        sum(by_tier.values()),
        by_tier,
    )


def _process(engine: Engine, samples: Samples, sample: Sample, history: History) -> figures.Process:
    open_files = samples.sum("process_open_fds")
    return figures.Process(
        history.rate_until(sample, lambda s: s.cpu_s),
        memory.used_bytes(),
        engine.config.memory_max_mb * MB or memory.limit_bytes(),
        history.rate_until(sample, lambda s: s.received_bytes),
        history.rate_until(sample, lambda s: s.sent_bytes),
        int(open_files) or None,
    )


def by_defect(samples: Samples) -> Mapping[str, float]:
    """Return what must be zero and is not, by what it is."""
    found = {
        "counter drift": samples.sum("pacewheel_counter_drift_total"),
        "orphans": samples.sum("pacewheel_orphans_total"),
        "crashes of services": samples.sum("pacewheel_service_crashes_total"),
    }
    return {name: value for name, value in found.items() if value}


def _counts(by: Mapping[str, float]) -> dict[str, int]:
    return {name: int(value) for name, value in sorted(by.items())}

"""What metrics count in memory: quantiles, hot jobs, transactions, decisions; and how they are declared."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from prometheus_client import generate_latest

from pacewheel.metrics import Metrics
from pacewheel.metrics.domains import DomainReading
from pacewheel.metrics.histogram import LabelledHistogram, quantile
from pacewheel.metrics.hot_jobs import JOBS_MAX, SHOWN_MAX, HotJob, HotJobs
from pacewheel.metrics.transactions import TransactionTimes
from pacewheel.scaling import ScaleDecision, ScaleReason, Scaling


def test_quantiles_are_interpolated_within_their_bucket() -> None:
    """As Prometheus does it; nothing has none, and what no bound covers counts as the last bound."""
    bounds_s = (1.0, 2.0, 4.0)
    assert 0.5 == quantile(bounds_s, (10, 0, 0, 0), 0.5)
    assert 1.5 == quantile(bounds_s, (0, 10, 0, 0), 0.5)
    assert 3.895 == pytest.approx(quantile(bounds_s, (0, 50, 20, 0), 0.985))
    assert 4.0 == quantile(bounds_s, (0, 0, 0, 7), 0.5)
    assert math.isnan(quantile(bounds_s, (), 0.5))


def test_a_histogram_counts_single_durations_and_batches_alike() -> None:
    """One in seconds and a batch in milliseconds, in the buckets of Prometheus' text."""
    metrics = Metrics()
    histogram = LabelledHistogram("h_seconds", "text", "kind", bounds_s=(0.1, 1), values=("seen",))
    metrics.registry.register(histogram)
    histogram.observe("seen", 0.05)
    histogram.observe_ms("seen", [50, 500, 5000])
    assert {"seen": (2, 1, 1)} == histogram.counts()
    assert [2, 3, 4] == [
        metrics.value("h_seconds_bucket", kind="seen", le=le) for le in ("0.1", "1.0", "+Inf")
    ]
    assert 5.6 == pytest.approx(metrics.value("h_seconds_sum", kind="seen"))


class Minutes:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return its time, in seconds."""
        return self.now_s


def test_hot_jobs_are_those_of_the_last_full_minute() -> None:
    """What is being counted is not shown, and what is a minute older neither."""
    clock = Minutes()
    hot = HotJobs(clock)
    hot.count_claims([7, 7, 8])
    hot.count_hits({7: "facts"})
    hot.count_misses([9])
    assert [] == hot.hottest()
    clock.now_s = 61.0
    hot.count_claims([1])
    assert [HotJob(7, 2, 1, 0), HotJob(8, 1, 0, 0), HotJob(9, 0, 0, 1)] == hot.hottest()
    clock.now_s = 122.0
    assert [HotJob(1, 1, 0, 0)] == hot.hottest()
    clock.now_s = 500.0
    assert [] == hot.hottest()


def test_series_of_jobs_are_bounded_however_many_jobs_there_are() -> None:
    """The ten with most claims and the ten with most questions, exactly; memory is bounded too."""
    clock = Minutes()
    hot = HotJobs(clock)
    hot.count_claims(range(2 * JOBS_MAX))
    for job_id in range(100):
        hot.count_claims([job_id] * job_id)
        hot.count_hits([job_id] * (100 - job_id))
    clock.now_s = 60.0
    shown = {job.job_id for job in hot.hottest()}
    assert {*range(SHOWN_MAX), *range(100 - SHOWN_MAX, 100)} == shown
    assert len(hot._counted) == JOBS_MAX
    samples = [sample for family in hot.collect() for sample in family.samples]
    assert 2 * SHOWN_MAX * 3 == len(samples)
    # `job` is Prometheus' own: it would take ours away.
    assert {"job_id", "result"} == {label for sample in samples for label in sample.labels}


def test_times_of_transactions_are_those_since_the_last_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five minutes, by marks half a minute apart; slow ones and errors too."""
    clock = Minutes()
    monkeypatch.setattr("pacewheel.metrics.transactions.time.monotonic", clock)
    metrics = Metrics()
    metrics.note_transaction("claim_tasks", 0.0015, is_slow=False)
    metrics.note_transaction("settle_tasks", 3.0, is_slow=True)
    metrics.note_transaction_error("heartbeat")
    assert [
        ("claim_tasks", 1, 0, 0),
        ("heartbeat", 0, 0, 1),
        ("settle_tasks", 1, 1, 0),
    ] == [
        (each.statement, each.count, each.slow, each.errors) for each in metrics.transaction_times()
    ]
    for minute in range(1, 12):
        clock.now_s = 60.0 * minute
        metrics.transaction_times()
    metrics.note_transaction("claim_tasks", 0.0007, is_slow=False)
    (times,) = metrics.transaction_times()
    assert (
        TransactionTimes("claim_tasks", 1, times.p50_ms, times.p95_ms, times.p99_ms, 0, 0) == times
    )
    assert pytest.approx((0.75, 0.975, 0.995)) == (times.p50_ms, times.p95_ms, times.p99_ms)


def test_a_statement_is_there_from_its_first_transaction_with_zeros() -> None:
    """So the first slow one and the first error are an increase that Prometheus sees."""
    metrics = Metrics()
    metrics.note_transaction("claim_tasks", 0.001, is_slow=False)
    text = generate_latest(metrics.registry).decode()
    for name in ("slow_transactions", "transaction_errors"):
        assert f'pacewheel_{name}_total{{statement="claim_tasks"}} 0.0' in text
    assert 'pacewheel_database_errors_total{sqlstate_class="40"} 0.0' in text
    assert 'pacewheel_orphans_total{kind="job_not_ended"} 0.0' in text


def test_what_may_happen_once_starts_from_zero() -> None:
    """A series that came with its first event would be no increase to Prometheus: a crash, unseen."""
    first_event_unseen = {
        family.name
        for family in Metrics().registry.collect()
        if family.type in {"counter", "histogram"} and not family.samples
    }
    # By service and by reason: from an engine's start on. By statement and handler: from its first on.
    assert {
        "pacewheel_handler_seconds",
        "pacewheel_handlers_abandoned",
        "pacewheel_job_cache_invalidations",
        "pacewheel_service_crashes",
        "pacewheel_slow_transactions",
        "pacewheel_transaction_errors",
        "pacewheel_transaction_seconds",
    } == first_event_unseen


def test_delays_of_domains_are_those_of_the_nearest_rank() -> None:
    """Of those with something to do: no more than half of them ask for more than the median."""
    metrics = Metrics()

    def delay(statistic: str) -> float:
        return metrics.value("pacewheel_domain_delay_seconds", statistic=statistic)

    idle = DomainReading(9_000_000, is_working=False, is_blocked=True)
    for number, expected in (
        (1, (1, 1, 1)),
        (2, (1, 2, 2)),
        (20, (10, 19, 20)),
        (21, (11, 20, 21)),
    ):
        metrics.domains.read = lambda number=number: [
            *(
                DomainReading(1000 * n, is_working=True, is_blocked=False)
                for n in range(1, number + 1)
            ),
            idle,
        ]
        assert expected == tuple(map(delay, ("p50", "p95", "max"))), number
    assert {"held": 22, "working": 21, "blocked": 1} == {
        state: metrics.value("pacewheel_domains", state=state)
        for state in ("held", "working", "blocked")
    }


def test_time_that_another_machine_took_is_no_idle_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the hypervisor stole can't be had; a guest's time stands in that of the users already."""
    names = "user nice system idle iowait irq softirq steal guest guest_nice".split()
    times = dict(zip(names, (10, 1, 2, 50, 7, 3, 4, 20, 6, 1), strict=True))
    monkeypatch.setattr("psutil.cpu_times", lambda: SimpleNamespace(_asdict=lambda: times))
    value = Metrics().value
    assert {"busy": 40, "idle": 57} == {
        mode: value("pacewheel_machine_cpu_seconds_total", mode=mode) for mode in ("busy", "idle")
    }


def test_the_limits_of_a_process_are_known_from_the_start() -> None:
    """While it waits for its database too: of a limit of nothing it would seem to use too much."""
    value = Metrics().value
    assert 0 < value("pacewheel_process_memory_limit_bytes")
    assert 0 < value("pacewheel_process_cpu_limit_cores") <= 1


def test_the_last_scaling_decisions_are_kept_without_repetition() -> None:
    """Of evaluations that say the same and change nothing, the first; a bounded number in all."""
    metrics = Metrics()
    still = Scaling(ScaleDecision.NO_CHANGE, 8, ScaleReason.NO_RUNNABLE_TASKS)
    for _ in range(5):
        metrics.note_scaling(still, 8)
    metrics.note_scaling(Scaling(ScaleDecision.SCALE_UP, 16, ScaleReason.RUNNABLE_BACKLOG), 8)
    metrics.note_scaling(Scaling(ScaleDecision.SCALE_UP, 32, ScaleReason.RUNNABLE_BACKLOG), 16)
    assert [(8, 8), (8, 16), (16, 32)] == [note[3:] for note in metrics.scaling_notes]
    labels = {"decision": "no_change", "reason": "no_runnable_tasks"}
    assert 5 == metrics.value("pacewheel_scaling_evaluations_total", **labels)
    for number in range(200):
        metrics.note_scaling(Scaling(ScaleDecision.SCALE_UP, number, ScaleReason.AT_MIN), -1)
    assert 50 == len(metrics.scaling_notes)


def test_every_metric_says_what_it_means() -> None:
    """With a meaning, under this project's name or the usual one of a process."""
    families = list(Metrics().registry.collect())
    assert len(families) > 50
    assert [] == [
        family.name
        for family in families
        if len(family.documentation) < 10 or not family.name.startswith(("pacewheel_", "process_"))
    ]

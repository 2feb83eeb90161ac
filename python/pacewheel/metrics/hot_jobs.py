"""Which jobs a process is most busy with: exact counts of one minute, of a few jobs only.

A series a job would be without bound, so only those with most claims and most questions to the
cache of jobs are shown. Their label is `job_id`: a label `job` is Prometheus' own, the name of the
scrape. They are counted in plain dictionaries, of at most `JOBS_MAX` jobs a minute; what is shown
are the counts of the last full minute.
"""

from __future__ import annotations

import time
from collections import Counter
from heapq import nlargest
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SHOWN_MAX = 10
JOBS_MAX = 16_384
WINDOW_S = 60.0
CLAIMS, HITS, MISSES = range(3)


class HotJob(NamedTuple):
    """A job and its counts of one minute: tasks claimed, questions answered by the cache, and not."""

    job_id: int
    claims: int
    hits: int
    misses: int


class HotJobs(Collector):
    """`pacewheel_hot_job_*{job_id}`: at most ten jobs by claims and ten by questions."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._ends_s = now_s() + WINDOW_S
        self._counting: dict[int, list[int]] = {}
        self._counted: dict[int, list[int]] = {}

    def count_claims(self, job_ids: Iterable[int]) -> None:
        """Count tasks claimed, by the ids of their jobs."""
        self._count(CLAIMS, job_ids)

    def count_hits(self, job_ids: Iterable[int]) -> None:
        """Count questions that the cache answered."""
        self._count(HITS, job_ids)

    def count_misses(self, job_ids: Iterable[int]) -> None:
        """Count questions that waited for a load."""
        self._count(MISSES, job_ids)

    def _count(self, what: int, job_ids: Iterable[int]) -> None:
        self._turn()
        counting = self._counting
        # A claim brings many tasks of few jobs. By an iterator: of a mapping, the keys count.
        for job_id, number in Counter(iter(job_ids)).items():
            counts = counting.get(job_id)
            if counts is None:
                if len(counting) >= JOBS_MAX:
                    continue
                counts = counting[job_id] = [0, 0, 0]
            counts[what] += number

    def _turn(self) -> None:
        now_s = self._now_s()
        if now_s >= self._ends_s:
            self._counted = self._counting if now_s < self._ends_s + WINDOW_S else {}
            self._counting = {}
            self._ends_s = now_s + WINDOW_S

    def hottest(self) -> list[HotJob]:
        """Return the jobs with most claims, then those with most questions, of the last full minute."""
        self._turn()
        jobs = [HotJob(job_id, *counts) for job_id, counts in self._counted.items()]
        by_claims = nlargest(SHOWN_MAX, jobs, key=lambda job: job.claims)
        by_questions = nlargest(SHOWN_MAX, jobs, key=lambda job: job.hits + job.misses)
        return list(dict.fromkeys(by_claims + by_questions))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the hottest jobs' counts."""
        claims = GaugeMetricFamily(
            "pacewheel_hot_job_claims",
            "Tasks claimed here in the last full minute, of the busiest jobs only",
            labels=["job_id"],
        )
        questions = GaugeMetricFamily(
            "pacewheel_hot_job_cache_questions",
            "Questions to the cache of jobs in the last full minute, of the busiest jobs only:"
            " hit (answered) or miss (waited for a load)",
            labels=["job_id", "result"],
        )
        for job in self.hottest():
            claims.add_metric([str(job.job_id)], job.claims)
            questions.add_metric([str(job.job_id), "hit"], job.hits)
            questions.add_metric([str(job.job_id), "miss"], job.misses)
        yield claims
        yield questions

"""A domain's account of its jobs' shares, against a small model in absolute virtual time."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacewheel.held import HeldDomain

if TYPE_CHECKING:
    from collections.abc import Sequence

WEIGHTS = [0.125, 1.0, 8.0]
EXACT = 1e-9


class Model:
    """Start-time fair queueing as in the books: a finish time a job, one virtual time for all."""

    def __init__(self) -> None:
        self.now = 0.0
        self.finish: dict[int, float] = {}

    def start(self, job: int) -> float:
        """The virtual time at which the job's next task may start."""
        return max(self.now, self.finish.get(job, 0.0))

    def serve(self, served: Sequence[tuple[int, float]], competing: float) -> None:
        """Account for tasks, each a job and its weight, given in one claim."""
        starts = []
        for job, weight in served:
            starts.append(self.start(job))
            self.finish[job] = starts[-1] + 1 / weight
        self.now = max(*starts, self.now + len(served) / competing)


def domain() -> HeldDomain:
    """A domain whose account is empty; it never asks who holds it."""
    return HeldDomain(1, "a.example", 1, None)  # type: ignore[arg-type]  # see above


def serve(held: HeldDomain, jobs: dict[int, float], count: int) -> list[int]:
    """Give `count` tasks to jobs (weight by id) as a claim does; return whose they are."""
    tags = {job: held.ahead.get(job, 0.0) for job in jobs}
    given_to, at = [], []
    for _ in range(count):
        job = min(tags, key=lambda job: (tags[job], job))
        given_to.append(job)
        at.append(tags[job])
        tags[job] += 1 / jobs[job]
    strides = [1 / jobs[job] for job in given_to]
    held.share(given_to, at, strides, sum(jobs.values()))
    return given_to


steps = st.lists(
    st.tuples(
        st.dictionaries(st.integers(1, 6), st.sampled_from(WEIGHTS), min_size=2),
        st.integers(1, 5),
    ),
    max_size=60,
)


@given(steps)
def test_the_account_is_that_of_the_model(taken: list[tuple[dict[int, float], int]]) -> None:
    """However jobs come, go and change their weight: by how much each is ahead is the same."""
    held, model = domain(), Model()
    for jobs, count in taken:
        given_to = serve(held, jobs, count)
        model.serve([(job, jobs[job]) for job in given_to], sum(jobs.values()))
        assert all(at > 0 for at in held.ahead.values())
        for job in range(1, 7):
            ahead = model.start(job) - model.now
            assert pytest.approx(ahead, abs=EXACT) == held.ahead.get(job, 0.0)


@given(st.dictionaries(st.integers(1, 6), st.sampled_from(WEIGHTS), min_size=2), st.integers(1, 4))
def test_each_job_gets_its_share_and_waits_a_bounded_time(
    jobs: dict[int, float], batch: int
) -> None:
    """While the same jobs compete: each about its part, and no gap longer than twice its turn."""
    held = domain()
    starts: list[int] = []
    rounds = int(60 * sum(jobs.values()) / min(jobs.values()))
    while len(starts) < rounds:
        starts += serve(held, jobs, batch)
    for job, weight in jobs.items():
        turn = sum(jobs.values()) / weight
        assert 0.7 * len(starts) / turn <= starts.count(job) <= 1.4 * len(starts) / turn
        at = [-1, *(n for n, given_to in enumerate(starts) if given_to == job)]
        gaps = [after - before for before, after in pairwise(at)]
        assert max(gaps) <= 2 * turn + len(jobs) + batch

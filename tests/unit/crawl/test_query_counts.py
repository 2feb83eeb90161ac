"""The guard against parameters that explode: counts, bounds and restarts."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from pacewheel.crawl.query_counts import QueryCounts, QueryCountsCache
from pacewheel.model import Task
from tests.unit.crawl.test_warm import FakeLease

PATH = "https://example.com/list"


def taken(counts: QueryCounts, queries: int, path: str = PATH) -> int:
    """How many of so many different queries are taken."""
    return sum(counts.takes(f"{path}?page={number}") for number in range(queries))


@pytest.mark.parametrize("limit", [1, 10, 100, 1000, 10_000])
def test_a_path_takes_about_so_many_queries_and_then_none(limit: int) -> None:
    """Within 5 %, however many come; the known ones are tasks already."""
    counts = QueryCounts(limit)
    assert limit == pytest.approx(taken(counts, 3 * limit), rel=0.05)
    assert 0 == taken(counts, limit)


def test_a_query_that_comes_again_counts_once() -> None:
    """The same links stand on every page of a site."""
    counts = QueryCounts(100)
    assert [90, 90, 90] == [taken(counts, 90) for _ in range(3)]


def test_paths_count_for_themselves_and_no_query_is_none() -> None:
    """A page without a query is always taken, on a full path too."""
    counts = QueryCounts(1)
    assert [1, 1] == [taken(counts, 5), taken(counts, 5, "https://example.com/other")]
    assert counts.takes(PATH)


def test_the_counts_outlive_a_restart() -> None:
    """But for the last 63 queries of each path; nothing is written while nothing much is new."""
    counts = QueryCounts(100)
    assert 63 == taken(counts, 63)
    assert counts.as_document() is None
    assert 70 == taken(counts, 70)
    text = counts.as_document()
    assert text is not None
    assert counts.as_document() is None
    restored = QueryCounts.of_document(text, 100)
    assert 100 == pytest.approx(70 + taken(restored, 1000) - taken(QueryCounts(1000), 70), abs=5)
    full = restored.as_document()
    assert full is not None
    assert 0 == taken(QueryCounts.of_document(full, 100), 1000)


def test_a_full_path_is_written_down_at_once() -> None:
    """Also when it is full before the first step."""
    counts = QueryCounts(5)
    assert 5 == taken(counts, 10)
    text = counts.as_document()
    assert text is not None
    assert 0 == taken(QueryCounts.of_document(text, 5), 10)


def test_the_counts_are_bounded_and_keep_the_fullest_path() -> None:
    """Whatever a site generates: below 512 KiB of memory, below 256 KiB of text."""
    counts = QueryCounts(1000)
    tracemalloc.start()
    try:
        for number in range(20_000):
            counts.takes(f"https://example.com/{number}?a")
            counts.takes(f"{PATH}?{number}")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 512 * 1024
    assert not counts.takes(f"{PATH}?new")
    text = counts.as_document()
    assert text is not None
    assert len(text) < 256 * 1024
    assert 1 == len(json.loads(text))


class StoredLease(FakeLease):
    """A lease whose documents are given."""

    def __init__(self, documents: dict[str, str]) -> None:
        super().__init__(None)
        self.documents = documents
        self.reads = 0

    async def document(self, _job_id: int, name: str) -> str | None:
        """The document of that name."""
        self.reads += 1
        return self.documents.get(name)


async def test_the_counts_of_a_job_are_read_once_a_lease() -> None:
    """Under another owner they may have grown, so a new lease reads them again."""
    counts = QueryCounts(5)
    taken(counts, 5)
    stored = {"queries": counts.as_document() or ""}
    cache = QueryCountsCache()
    first, second = StoredLease({}), StoredLease(stored)

    def task(lease: StoredLease) -> Task:
        return Task(1, 7, 1, "example.com", "warm", PATH, 1.0, 1, None, {}, lease=lease)

    empty = await cache.counts(task(first), 5)
    assert empty is not None
    assert 5 == taken(empty, 5)
    assert empty is await cache.counts(task(first), 5)
    grown = await cache.counts(task(second), 5)
    assert grown is not None
    assert (0, 1, 1) == (taken(grown, 9), first.reads, second.reads)
    assert await cache.counts(task(second), None) is None

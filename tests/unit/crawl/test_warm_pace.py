"""What the warm handler says of a site's response times."""

from __future__ import annotations

import pytest

from pacewheel.crawl.client import FetchFailed
from tests.unit.crawl.test_warm import response, run


@pytest.mark.parametrize(("factor", "delay_ms"), [(0, 0), (2, 10), (0.5, 2.5)])
@pytest.mark.parametrize("kind", ["page", "robots", "sitemap"])
async def test_the_response_time_asks_for_a_gap(factor: float, delay_ms: float, kind: str) -> None:
    """Of every request, whatever it was for and whatever came: the answers here took 5 ms."""
    failure = FetchFailed("timeout", "timed out", is_transient=True)
    failure.timings.total_ms = 5.0
    for answer in (response(), response(404), response(503), response(301), failure):
        outcome, _ = await run(answer, kind, options={"latency_factor": factor})
        assert delay_ms == outcome.latency_delay_ms


async def test_a_request_that_never_left_asks_for_no_gap() -> None:
    """What it says of the response time is nothing."""
    failure = FetchFailed("connect", "refused", is_transient=True)
    outcome, _ = await run(failure, options={"latency_factor": 2})
    assert outcome.latency_delay_ms is None

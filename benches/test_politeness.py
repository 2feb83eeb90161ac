"""How much of what domains permit is used while they have work, and that nothing is sooner.

A domain permits a request a gap. Of a domain's departures, by the record that reports show: the time
between its first and its last one, as far as it had to be so long. A departure sooner than its gap
fails the bench.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import asyncpg
import pytest
import uvloop

from benches.drains import Shape, drain
from benches.test_drain import FULL

pytestmark = pytest.mark.slow

SECONDS = 10 if FULL else 3
GAPS_MS = {1: 50, 10: 50, 1_000: 1_000}
DOMAINS = (1, 10, 1_000) if FULL else (1, 10)


@pytest.mark.parametrize("processes", [1, 4])
@pytest.mark.parametrize("domains", DOMAINS)
def test_what_domains_permit_is_used(
    dsn: str, budget: Callable[[str, float], None], domains: int, processes: int
) -> None:
    """The share of its permitted rate that each domain got; the median and the least."""
    gap_ms = GAPS_MS[domains]
    each = SECONDS * 1000 // gap_ms + 1
    shape = Shape(domains * each, domains, domains, processes, gap_ms=gap_ms)

    async def measure() -> list[asyncpg.Record]:
        await drain(dsn, shape)
        connection = await asyncpg.connect(dsn)
        rows: list[asyncpg.Record] = await connection.fetch(
            "SELECT count(*) AS departures, min(apart_ms - gap_ms) AS least_spare_ms,"
            " extract(epoch FROM max(departed_at) - min(departed_at))::float8 * 1000 AS took_ms"
            " FROM pacewheel.results GROUP BY domain_id"
        )
        await connection.close()
        return rows

    rows = uvloop.run(measure())
    assert [each] * domains == [row["departures"] for row in rows]
    assert 0 <= min(row["least_spare_ms"] for row in rows)
    used = [(each - 1) * gap_ms / row["took_ms"] for row in rows]
    print(
        f"\n{domains:,} domains, {processes} processes, a request every {gap_ms} ms: used"
        f" {statistics.median(used):.1%}, least {min(used):.1%}",
        end="",
    )
    name = f"politeness: {domains:,} domain{'s' * (domains > 1)}, {processes} process"
    budget(f"{name}{'es' * (processes > 1)}", 100 * statistics.median(used))

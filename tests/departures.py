"""Whether a domain's requests kept their gaps, by the record of departures.

Arrivals can't tell: a site that gets no CPU for a second finds many requests at once. So a
test counts arrivals, to see that each request has departed, and judges gaps as the gate saw them.
"""

from __future__ import annotations

from tests.conftest import fetch


async def departures(dsn: str, domain: str = "%") -> list[tuple[float | None, int]]:
    """Milliseconds since the departure before (None for the first) and the gap in force, in order."""
    rows = await fetch(
        dsn,
        "SELECT r.apart_ms, r.gap_ms FROM pacewheel.results r"
        " JOIN pacewheel.domains d ON d.id = r.domain_id"
        " WHERE r.departed_at IS NOT NULL AND d.name LIKE $1 ORDER BY r.departed_at",
        domain,
    )
    return [(row["apart_ms"], row["gap_ms"]) for row in rows]


async def assert_kept(dsn: str, requests: int, gap_ms: float, domain: str = "%") -> None:
    """Each of so many requests has departed, all but the first of them a gap or more after another."""
    found = await departures(dsn, domain)
    assert requests == len(found)
    apart_ms = [apart for apart, _ in found if apart is not None]
    assert requests - 1 == len(apart_ms)
    assert gap_ms <= min(apart_ms)
    assert all(gap <= apart for apart, gap in found if apart is not None)

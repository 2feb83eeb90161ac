"""What a warm's own reports say of its pace, against what the farm saw."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.departures import departures
from tests.processes.fleet import connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pacewheel.loadtest.farm import FarmProcess


async def assert_the_reports_prove_it(
    dsn: str, farm: FarmProcess, sites: Sequence[str], *, lost_some: bool = False
) -> None:
    """Every arrival has its departure in the record, whoever made it, and none was too early.

    `sites` are the farm's, in its order. With `lost_some`, a process was killed before it had recorded
    its last ones. The arrivals alone can't tell: a farm that gets no CPU for a while finds many
    requests at once. But all together they can't come in much less time than their gaps sum up to,
    however late the first one is.
    """
    log = farm.log()
    async with connected(dsn) as engine:
        jobs = {info.domain: info.id for info in await engine.list_jobs()}
        for site, url in zip(sites, farm.urls, strict=True):
            domain = urlsplit(url).netloc
            record = (await (await engine.get_job(jobs[domain])).report()).politeness
            assert (site, True) == (site, record.is_kept), record
            arrivals = log.arrivals(site)
            gaps_ms = [gap for apart, gap in await departures(dsn, domain) if apart is not None]
            took_ms = (arrivals[-1].ns - arrivals[0].ns) / 1e6
            assert sum(gaps_ms) / 3 <= took_ms, site
            if lost_some:
                assert (site, len(arrivals)) >= (site, record.departures)
                continue
            assert (site, len(arrivals)) == (site, record.departures)
            asked = any(arrival.retry_after_s for arrival in arrivals)
            assert (site, asked) == (site, record.pauses > 0)

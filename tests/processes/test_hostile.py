"""Sites that do everything wrong: a warm of them ends, and its memory stays bounded."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pacewheel.loadtest.farm import FarmProcess
from pacewheel.loadtest.farm_pages import truth
from pacewheel.loadtest.farm_sites import HostileKind, SiteSpec
from tests.commands import environment
from tests.conftest import fetch

if TYPE_CHECKING:
    import asyncpg

KINDS: tuple[HostileKind, ...] = get_args(HostileKind)
PAGES = 6
BODY_BYTES_MAX = 5_000_000
# Bodies that are being received, decoded and parsed at once, and the br windows of 16 MB.
GROWTH_MAX_MB = 160

OUTCOMES = {
    "drip": {None, "timeout"},
    "close": {"connect"},
    "never": {"timeout"},
    "gzip-bomb": {"too_large"},
    "br-bomb": {"too_large"},
    "zstd-bomb": {"too_large"},
    "zstd-window": {"protocol"},
    "slow-headers": {"timeout"},
    "endless-headers": {"protocol"},
    "endless-hints": {"too_large"},
    "endless-body": {None},
    "endless-chunk": {"too_large"},
    "huge-cookies": {"too_large"},
    "redirects": {None},
    "nesting": {None},
}


def sites(*, hostile: bool) -> tuple[SiteSpec, ...]:
    """Two sites a kind; with more on one site its circuit would open, and the rest wait for minutes."""
    return tuple(
        SiteSpec(name=f"{kind}-{n}", pages=PAGES, seed=n, hostile=(kind,) if hostile else ())
        for kind in KINDS
        for n in range(2)
    )


def warm(farm: FarmProcess, dsn: str) -> float:
    """Warm the farm in a process of its own; return the most memory that it had, in MB."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.processes.warm_main", *farm.urls],
        env=environment(
            PACEWHEEL_DSN=dsn,
            PACEWHEEL_FIRST_BYTE_TIMEOUT_S="8",
            PACEWHEEL_FETCH_TIMEOUT_S="10",
            PACEWHEEL_BODY_BYTES_MAX=str(BODY_BYTES_MAX),
        ),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert 0 == done.returncode, done.stderr
    return float(done.stdout)


async def last_results(dsn: str) -> dict[str, set[str | None]]:
    """The error word of each hostile page's last attempt, by kind."""
    rows: list[asyncpg.Record] = await fetch(
        dsn,
        "SELECT DISTINCT ON (t.domain_id, t.id) t.target, r.error, r.bytes FROM pacewheel.tasks t "
        "JOIN pacewheel.results r ON r.job_id = t.job_id AND r.task_id = t.id "
        "WHERE t.target LIKE '%/hostile/%' ORDER BY t.domain_id, t.id, r.attempt DESC",
    )
    words: dict[str, set[str | None]] = {}
    for row in rows:
        words.setdefault(row["target"].partition("/hostile/")[2], set()).add(row["error"])
    return words


async def test_hostile_pages_end_with_their_reason_and_memory_stays_bounded(
    dsn: str, empty_dsn: str, tmp_path: Path
) -> None:
    """All kinds at once, each twice; the same sites without them, warmed beside them, are the measure."""
    with (
        FarmProcess(sites(hostile=False), tmp_path / "friendly.jsonl") as friendly,
        FarmProcess(sites(hostile=True), tmp_path / "hostile.jsonl") as farm,
    ):
        usual_mb, most_mb = await asyncio.gather(
            asyncio.to_thread(warm, friendly, empty_dsn), asyncio.to_thread(warm, farm, dsn)
        )
        log = farm.log()
    for spec in sites(hostile=True):
        assert truth(spec) <= log.pages_served(spec.name)
    words = await last_results(dsn)
    hops = {f"redirects/{number}" for number in range(1, 6)}
    assert set(KINDS) | hops == set(words)
    assert [] == [(kind, words[kind]) for kind in KINDS if not words[kind] <= OUTCOMES[kind]]
    assert {"redirect_loop"} == words["redirects/5"]
    assert most_mb < usual_mb + GROWTH_MAX_MB

"""The jobs of `warm`: the same command started several times at once is one job a site."""

from __future__ import annotations

import asyncio

import pytest

from pacewheel import Engine
from pacewheel.cli.engines import HANDLER
from pacewheel.cli.sites import Plan, Site, ensure_jobs
from pacewheel.errors import ConfigInvalid
from tests.conftest import fetch

SITES = [Site(f"s{n}.example", (f"https://s{n}.example/",)) for n in range(20)]


def plan(delay_ms: int = 500) -> Plan:
    """The plan of a command with ordinary options."""
    return Plan(concurrency=8, delay_ms=delay_ms, options={"user_agent": "pacewheel/0.1"})


async def test_commands_that_start_at_once_share_one_job_a_site(dsn: str) -> None:
    """Eight of them, twenty sites: twenty jobs, and everybody is told the same ids."""
    engines = [Engine(dsn) for _ in range(8)]
    await asyncio.gather(*(engine.connect() for engine in engines))
    answers = await asyncio.gather(
        *(ensure_jobs(engine, SITES, plan(), lambda _text: None) for engine in engines)
    )
    await asyncio.gather(*(engine.close() for engine in engines))

    assert 1 == len({tuple(ids) for ids in answers})
    rows = await fetch(dsn, "SELECT id, status FROM pacewheel.jobs ORDER BY id")
    assert sorted(answers[0]) == [row["id"] for row in rows if row["status"] < 3]
    assert len(SITES) == len(rows)


async def test_a_command_with_another_pace_changes_nothing(dsn: str) -> None:
    """It is refused, and the pace of the job that is there stays what it was."""
    engine = Engine(dsn)
    await engine.connect()
    await ensure_jobs(engine, SITES[:1], plan(500), lambda _text: None)
    with pytest.raises(ConfigInvalid, match="delay"):
        await ensure_jobs(engine, SITES[:1], plan(700), lambda _text: None)
    # One that looked before the job was there comes as far as the job's creation.
    await engine.create_job(
        domain=SITES[0].domain, handler=HANDLER, domain_delay_ms=700, unless_live=True
    )
    await engine.close()
    rows = await fetch(dsn, "SELECT base_delay_ms FROM pacewheel.domains")
    assert [500] == [row["base_delay_ms"] for row in rows]

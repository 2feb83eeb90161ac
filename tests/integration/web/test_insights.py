"""What a job's page says beyond its counters: read once, kept, and never waited for long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pacewheel import NewTask
from pacewheel.web import insights
from tests.conftest import until

if TYPE_CHECKING:
    import pytest

    from pacewheel import Engine
    from tests.integration.web.conftest import Client


async def test_a_job_has_a_verdict_an_eta_and_sums(client: Client, engine: Engine) -> None:
    """Many who ask at once are one reading, which is kept for a while."""
    job = await engine.create_job(
        domain="a.example",
        handler="note",
        domain_delay_ms=20,
        tasks=[NewTask(f"t{n}") for n in range(10)] + [NewTask("later", ready_in_s=3600)],
    )

    async def done() -> bool:
        return (await job.info()).completed == 10

    await until(done)
    url = f"/api/v1/jobs/{job.id}"
    pages = await asyncio.gather(*(client.get(url) for _ in range(10)))
    page = pages[-1]
    assert "domain_delay" == page["verdict"]["verdict"]
    assert 10 == page["summary"]["requests"]
    assert page["eta"]["seconds"] > 3000
    assert not page["computing"]
    assert ["scheduled"] == [each["reason"] for each in page["waiting"]]
    await client.get(url)
    counts = engine.metrics.transaction_seconds.counts()
    assert 1 == sum(counts["report_flow"])
    assert 1 == sum(counts["summarise_results"])
    await job.cancel()
    final = await client.get(url)
    assert ("cancelled", None) == (final["job"]["status"], final["eta"])


async def test_what_takes_long_is_not_waited_for(
    client: Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page comes without it, says so, and has it when it is there; so many are read at most."""
    monkeypatch.setattr(insights, "PATIENCE_S", 0.05)
    monkeypatch.setattr(insights, "READING_MAX", 2)
    jobs = [await engine.create_job(domain="a.example", handler="note") for _ in range(3)]
    let_go = asyncio.Event()
    read = engine.store.reports.read_flow
    begun: list[int] = []

    async def slow(job_id: int) -> Any:
        begun.append(job_id)
        await let_go.wait()
        return await read(job_id)

    monkeypatch.setattr(engine.store.reports, "read_flow", slow)
    for job in jobs:
        page = await client.get(f"/api/v1/jobs/{job.id}")
        assert (None, None, True) == (page["verdict"], page["summary"], page["computing"])
        assert page["eta"]["basis"]
    assert [jobs[0].id] == begun
    let_go.set()

    async def has_all() -> bool:
        pages = [await client.get(f"/api/v1/jobs/{job.id}") for job in jobs]
        return all(page["verdict"] and not page["computing"] for page in pages)

    await until(has_all)

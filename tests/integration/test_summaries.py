"""The sums over a job's results, whatever its handler keeps."""

from __future__ import annotations

import asyncio

from pacewheel import Engine, NewTask, Outcome, Task

KEPT = {
    "a": {"left_out": {"trap_depth": 2, "robots": 1}},
    "b": {"left_out": {"trap_depth": 3, "odd": "word", "odder": None}},
    "c": {"left_out": 7},
    "d": None,
    "e": {"left_out": ["trap_depth"]},
}


async def test_what_was_left_out_is_summed_up_by_name(dsn: str) -> None:
    """Whatever else a handler keeps under this name does no harm."""
    engine = Engine(dsn)

    @engine.handler("odd")
    async def odd(task: Task) -> Outcome:
        return Outcome.completed(detail=KEPT[task.target])

    await engine.connect()
    tasks = [NewTask(target, payload={"kind": "page"}) for target in KEPT]
    job = await engine.create_job(
        domain="a.example", handler="odd", tasks=tasks, discovery_open=False
    )
    await asyncio.wait_for(engine.run_until_idle(), 60)
    await engine.connect()
    summary = await engine.summarise_job(job.id, "page")
    assert (5, {"trap_depth": 5, "robots": 1}) == (summary.pages, summary.left_out)
    await engine.close()

"""No raise is lost, whatever happens to the process that was to write it."""

from __future__ import annotations

import signal

from pacewheel import Engine, NewTask
from tests.conftest import fetch, until
from tests.processes.fleet import Fleet, count, send

LATER_S = 3600
HOUR_S = 3600.0


async def create_family(dsn: str, children: dict[str, float], raises: dict[str, float]) -> None:
    """Create a job whose task `parent` raises its children, which are an hour away."""
    engine = Engine(dsn)
    await engine.connect()
    tasks = [NewTask("parent", payload={"raises": raises})]
    tasks += [NewTask(key, priority=of, ready_in_s=LATER_S) for key, of in children.items()]
    await engine.create_job(domain="d", handler="work", tasks=tasks)
    await engine.close()


async def test_a_process_killed_between_settle_and_flush_loses_no_raise(
    dsn: str, fleet: Fleet
) -> None:
    """The raises waited in its memory and in the outbox; the next owner writes them."""
    children = {f"t{number}": number / 1000 for number in range(50)}
    wanted = {key: of + 0.1 for key, of in children.items()}
    await create_family(dsn, children, wanted)
    first = fleet.start(warm_raise_s=HOUR_S, cold_raise_s=HOUR_S)

    async def parent_is_settled() -> bool:
        return await count(dsn, "SELECT count(*) FROM pacewheel.tasks WHERE status = 3") == 1

    await until(parent_is_settled)
    send(first, signal.SIGKILL)
    first.wait()
    of_children = "SELECT target, priority FROM pacewheel.tasks WHERE target <> 'parent'"
    assert children == dict(await fetch(dsn, of_children))
    assert 50 == await count(dsn, "SELECT count(*) FROM pacewheel.priority_updates")

    # The dead owner's domain has no task that is ready soon: one more makes it leasable.
    engine = Engine(dsn)
    await engine.connect()
    await (await engine.get_job(1)).enqueue([NewTask("one more")])
    await engine.close()
    fleet.start(warm_raise_s=0.0, cold_raise_s=0.0)

    async def all_are_raised() -> bool:
        return dict(await fetch(dsn, of_children + " AND target <> 'one more'")) == wanted

    await until(all_are_raised)

    async def outbox_is_empty() -> bool:
        return await count(dsn, "SELECT count(*) FROM pacewheel.priority_updates") == 0

    await until(outbox_is_empty)

"""Is the installation healthy? Findings from facts, each with what it means and the next step.

Pure: `store/doctor.py` reads the facts, the command prints the findings. The rules stand in
`server`, `storage` and `work`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.doctor import server, storage, work
from pacewheel.doctor.findings import Finding, Level, failing, worst

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pacewheel.doctor.facts import Facts

__all__ = ["Finding", "Level", "examine", "worst"]

_PARTS = {
    "rights": "rights",
    "schema": "schema",
    "indexes": "indexes",
    "tables": "dead rows",
    "holders": "vacuum",
    "slow": "slow statements",
    "partitions": "partitions",
    "hints": "hints",
    "work": "workers",
}


def examine(facts: Facts) -> list[Finding]:
    """Return what every check came to, in the order in which they should be read."""
    if facts.server is None:
        words = str(facts.errors.get("server", "it was not asked"))
        return [
            failing(
                "server",
                words,
                "running processes wait for it and lose nothing; nothing is done meanwhile",
                "start it, or correct the DSN",
            )
        ]
    return [*_server(facts), *_storage(facts), *_work(facts), *_unread(facts)]


def _server(facts: Facts) -> Iterator[Finding]:
    found = facts.server
    if found is None:
        return
    yield from server.check_version(found)
    yield from server.check_settings(found)
    if facts.rights is not None:
        yield from server.check_rights(facts.rights, found, facts.schema_name)
    yield from server.check_connections(found, facts)
    yield from server.check_clock(found)
    if facts.hints is not None:
        yield from server.check_hints(facts.hints, found)
    yield from server.check_age(found)


def _storage(facts: Facts) -> Iterator[Finding]:
    if facts.schema is not None:
        yield from storage.check_schema(facts.schema)
    if facts.indexes is not None:
        yield from storage.check_indexes(facts.indexes)
    if facts.tables is not None:
        yield from storage.check_dead_rows(facts.tables, facts.holders)
    if facts.holders is not None:
        yield from storage.check_holders(facts.holders)
    if facts.partitions is not None:
        yield from storage.check_partitions(facts.partitions, facts.schema_name)
        yield from storage.check_retention(facts.partitions, facts.results_keep_days)


def _work(facts: Facts) -> Iterator[Finding]:
    if facts.slow is not None:
        yield from work.check_slow(facts.slow)
    if facts.work is not None:
        yield from work.check_workers(facts.work)
        yield from work.check_stuck(facts.work)
        yield from work.check_left_behind(facts.work)


def _unread(facts: Facts) -> Iterator[Finding]:
    """Say which parts could not be read, unless the schema's state says it all."""
    if facts.schema is not None and facts.schema.version != facts.schema.known:
        return
    for part, error in facts.errors.items():
        yield failing(
            _PARTS.get(part, part),
            f"could not be examined: {error}",
            "what is wrong there stays unknown",
            "mend what the error says, and run this again",
        )

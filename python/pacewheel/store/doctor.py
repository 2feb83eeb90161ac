"""Reads the facts that the doctor judges, part by part, on one connection; changes nothing.

Works before there is a schema, on an older one and with rights missing: a part that fails leaves
its error, and the others are read all the same. Reads what tells the state, and no more: of
counters those of the newest live jobs, as far as they are small.
"""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from pacewheel.doctor.facts import (
    Facts,
    Hints,
    Holder,
    Index,
    Partitions,
    Rights,
    Schema,
    Server,
    Table,
    Work,
)
from pacewheel.errors import PacewheelError, StoreUnavailable
from pacewheel.metrics import Metrics
from pacewheel.store.counters import PostgresCounters
from pacewheel.store.explanations import PostgresExplanations
from pacewheel.store.faults import DRIVER_ERRORS, safe_dsn, translate
from pacewheel.store.hinter import Hinter
from pacewheel.store.jobs import PostgresJobs
from pacewheel.store.listener import PROBE
from pacewheel.store.migrate import shipped
from pacewheel.store.overview import PostgresOverview
from pacewheel.store.pool import WorkPool, connect
from pacewheel.store.queries import load_queries, sql_root
from pacewheel.store.shares import LEAST
from pacewheel.store.tasks import PostgresTasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pacewheel.config import Config
    from pacewheel.overview import SlowStatement

STUCK_S = 600.0
HEARD_WITHIN_S = 3.0
# A hundred times what a part takes: who examines a system that stands still is not to wait with it.
PART_S = 20.0
COMPARED_JOBS_MAX = 50
COMPARED_TASKS_MAX = 20_000
LEFT_BEHIND_MAX = 100
_RELATION = re.compile(r"^CREATE (?:TABLE|VIEW|INDEX) (?:pacewheel\.)?(\w+)", re.MULTILINE)
_CONSTRAINT = re.compile(r"ADD CONSTRAINT (\w+) (?:PRIMARY KEY|UNIQUE)")
_FUNCTION = re.compile(r"CREATE FUNCTION pacewheel\.(\w+)")
_TABLE = re.compile(r"^CREATE TABLE pacewheel\.(\w+) \(\n(.*?)^\)", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"^    (?!CONSTRAINT)(\w+) ", re.MULTILINE)


async def read_facts(dsn: str, config: Config) -> Facts:
    """Return what there is to be judged; never raises what can be said as a finding."""
    facts = Facts(
        where=safe_dsn(dsn),
        schema_name=config.schema,
        pooler=config.pooler,
        reserve=config.reserve_connections,
        pool_max=config.pool_max,
        least_each=LEAST,
        results_keep_days=config.results_keep_days,
    )
    pool = WorkPool(dsn, size_max=1, pooler=config.pooler)
    try:
        await _Reading(pool, dsn, config, facts).read()
    finally:
        await pool.close()
    return facts


class _Reading:
    def __init__(self, pool: WorkPool, dsn: str, config: Config, facts: Facts) -> None:
        self._pool = pool
        self._dsn = dsn
        self._config = config
        self._facts = facts
        self._queries = queries = load_queries(config.schema)
        hinter = Hinter(pool, queries, Metrics())
        self._jobs = PostgresJobs(pool, queries, PostgresTasks(pool, queries, hinter), hinter)
        self._explanations = PostgresExplanations(pool, queries, self._jobs)
        self._overview = PostgresOverview(pool, queries, self._jobs, self._explanations)

    async def read(self) -> None:
        await self._part("server", self._server)
        if self._facts.server is None:
            return
        await self._part("schema", self._schema)
        await self._part("rights", self._rights)
        await self._part("holders", self._holders)
        # Before all that reads our tables: whatever blocks those statements may block these.
        await self._part("slow", self._slow)
        if self._facts.schema is None or self._facts.schema.version == 0:
            return
        for name, read in (
            ("indexes", self._indexes),
            ("tables", self._tables),
            ("partitions", self._partitions),
            ("hints", self._hints),
            ("work", self._work),
        ):
            await self._part(name, read)

    async def _part(self, name: str, read: Callable[[], Awaitable[Any]]) -> None:
        # To connect has limits of its own.
        limit_s = PART_S if self._facts.server else None
        try:
            async with asyncio.timeout(limit_s):
                setattr(self._facts, name, await read())
        except PacewheelError as error:
            self._facts.errors[name] = error
        except TimeoutError:
            words = f"it can't be read within {PART_S:g} s: see whether somebody holds a lock on it"
            self._facts.errors[name] = StoreUnavailable(words)

    async def _row(self, name: str) -> dict[str, Any] | None:
        row = await self._pool.fetchrow(self._queries[name])
        return None if row is None else dict(row)

    async def _rows(self, name: str) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._pool.fetch(self._queries[name])]

    async def _server(self) -> Server:
        # The first statement also connects, and is prepared: the second one is timed.
        await self._pool.fetch(self._queries["read_clock"])
        before_s, before = time.perf_counter(), datetime.now(UTC)
        row = await self._pool.fetchrow(self._queries["read_clock"])
        round_trip_ms = (time.perf_counter() - before_s) * 1000
        values = await self._row("read_server")
        if row is None or values is None:
            raise AssertionError
        ahead_ms = (row["now"] - before).total_seconds() * 1000 - round_trip_ms / 2
        del values["now"]
        values["settings"] = orjson.loads(values["settings"])
        return Server(**values, clock_ahead_ms=ahead_ms, round_trip_ms=round_trip_ms)

    async def _schema(self) -> Schema:
        known = shipped(self._config.schema)[-1].version
        present = await self._row("find_migrations")
        if present is None or not present["present"]:
            return Schema(0, known, [])
        version = max(row["version"] for row in await self._rows("list_migrations"))
        missing: list[str] = []
        if version == known:
            found = {(row["kind"], row["name"]) for row in await self._rows("list_structure")}
            missing = [f"{kind} {name}" for kind, name in expected() if (kind, name) not in found]
        return Schema(version, known, missing)

    async def _rights(self) -> Rights | None:
        values = await self._row("read_rights")
        return None if values is None else Rights(**values)

    async def _indexes(self) -> list[Index]:
        return [Index(**values) for values in await self._rows("list_indexes")]

    async def _tables(self) -> list[Table]:
        return [Table(**values) for values in await self._rows("list_tables")]

    async def _holders(self) -> list[Holder]:
        return [Holder(**values) for values in await self._rows("list_holders")]

    async def _partitions(self) -> Partitions | None:
        values = await self._row("read_partitions")
        return None if values is None else Partitions(**values)

    async def _hints(self) -> Hints:
        config = self._config
        if config.pooler and config.direct_dsn is None:
            reason = "none come through a pooler, and direct_dsn is not set"
            return Hints(None, reason, expected=False)
        heard = asyncio.Event()
        connection = await connect(config.direct_dsn or self._dsn)
        try:
            await connection.add_listener(config.schema, lambda *_hint: heard.set())
            sent_s = time.perf_counter()
            await self._pool.fetch(self._queries["notify"], [PROBE])
            async with asyncio.timeout(HEARD_WITHIN_S):
                await heard.wait()
        except TimeoutError:
            return Hints(None, f"one sent to ourselves did not come within {HEARD_WITHIN_S:g} s")
        except DRIVER_ERRORS as error:
            return Hints(None, str(translate(error, self._dsn)))
        finally:
            connection.terminate()
        return Hints((time.perf_counter() - sent_s) * 1000)

    async def _slow(self) -> list[SlowStatement]:
        return await self._overview.list_slow()

    async def _work(self) -> Work:
        pool, queries = self._pool, self._queries
        counters = PostgresCounters(pool, queries)
        drifting, compared = await _compare(self._jobs, counters)
        unknown = await self._rows("find_unknown_handlers")
        orphans = await counters.find_orphans(LEFT_BEHIND_MAX)
        stranded = await counters.find_stranded(0, LEFT_BEHIND_MAX)
        return Work(
            workers=await self._overview.list_workers(ended=0),
            unknown_handlers=[(row["handler"], row["jobs"], row["tasks"]) for row in unknown],
            stuck=await self._explanations.find_stuck_jobs(STUCK_S),
            orphaned_jobs=[job_id for _, job_id in orphans],
            stranded_domains=[domain_id for domain_id, _ in stranded],
            drifting_jobs=drifting,
            compared=compared,
        )


async def _compare(jobs: PostgresJobs, counters: PostgresCounters) -> tuple[list[int], int]:
    """Compare the newest live jobs with their tasks; return those that differ, and how many were."""
    infos = await jobs.list_jobs(ids=None, domain=None, live_only=True, limit=COMPARED_JOBS_MAX)
    chosen, tasks = [], 0
    for info in infos:
        tasks += info.total
        if tasks > COMPARED_TASKS_MAX:
            break
        chosen.append(info.id)
    counted = await counters.find_jobs(chosen, 0, COMPARED_JOBS_MAX) if chosen else []
    found = await counters.compare_counters(counted, mark=False) if counted else []
    return [each.job_id for each in found if each.drift], len(counted)


def expected() -> list[tuple[str, str]]:
    """Return kind and name of all that the newest schema consists of."""
    text = (sql_root() / "schema.sql").read_text("utf-8")
    relations = [*_RELATION.findall(text), *_CONSTRAINT.findall(text)]
    columns = [
        f"{table}.{column}"
        for table, body in _TABLE.findall(text)
        for column in _COLUMN.findall(body)
    ]
    functions = _FUNCTION.findall(text)
    for entry in (sql_root() / "functions").iterdir():
        functions += _FUNCTION.findall(entry.read_text("utf-8"))
    return [
        *(("relation", name) for name in relations),
        *(("column", name) for name in columns),
        *(("function", name) for name in functions),
    ]

"""Plans of statements as the engine runs them: prepared, generic, with the settings of its connections.

`Explainer` stands in for the store's pool and connection. The statement that is asked for is
explained instead of run, through the prepared statement that the engine would use and inside a
transaction that is rolled back; all others are run. `Plan` answers what the tests ask of a plan.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from pacewheel.metrics import Metrics
from pacewheel.store.changes import PostgresChanges
from pacewheel.store.counters import PostgresCounters
from pacewheel.store.explanations import PostgresExplanations
from pacewheel.store.hinter import Hinter
from pacewheel.store.jobs import PostgresJobs
from pacewheel.store.leases import PostgresLeases
from pacewheel.store.overview import PostgresOverview
from pacewheel.store.pool import connect
from pacewheel.store.queries import load_queries
from pacewheel.store.raises import PostgresRaises
from pacewheel.store.reports import PostgresReports
from pacewheel.store.retention import PostgresRetention
from pacewheel.store.tasks import PostgresTasks

if TYPE_CHECKING:
    import asyncpg

SCANS = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan", "Sample Scan")
SORTS = ("Sort", "Incremental Sort")


class Plan:
    """One executed plan: its nodes, and what they read."""

    def __init__(self, explained: dict[str, Any]) -> None:
        self.root = explained["Plan"]
        self.nodes = list(_walk(self.root))

    def __str__(self) -> str:
        return "\n".join(_lines(self.root, 0))

    def scans_of(self, table: str) -> list[dict[str, Any]]:
        """Return the nodes that read rows of a table."""
        return [
            node
            for node in self.nodes
            if node["Node Type"] in SCANS and node["Relation Name"] == table
        ]

    def indexes_of(self, table: str) -> set[str]:
        """Return the indexes by which a table was really read, never as a whole."""
        used = {
            node["Index Name"]
            for scan in self.scans_of(table)
            for node in _walk(scan)
            if "Index Name" in node and scan["Actual Loops"] > 0
        }
        whole = [
            node["Node Type"]
            for scan in self.scans_of(table)
            for node in _walk(scan)
            if node["Node Type"] == "Seq Scan"
            or ("Index Name" in node and "Index Cond" not in node)
        ]
        assert whole == [], f"{table} is read as a whole:\n{self}"
        return used

    def rows_read_of(self, table: str) -> int:
        """Return how many rows of a table were looked at, those that a filter then dropped included."""
        return sum(map(_rows_read, self.scans_of(table)))

    def rows_read_of_ctes(self) -> int:
        """Return how many rows of the statement's own temporary results were looked at."""
        return sum(_rows_read(node) for node in self.nodes if node["Node Type"] == "CTE Scan")

    def rows_sorted(self) -> int:
        """Return the most rows that any one sort took in."""
        return max(
            (
                round(child["Actual Rows"] * child["Actual Loops"])
                for node in self.nodes
                if node["Node Type"] in SORTS
                for child in node["Plans"][:1]
            ),
            default=0,
        )

    def dirtied(self) -> int:
        """Return the pages that were clean before, written by what the root reads."""
        number: int = self.root["Shared Dirtied Blocks"]
        return number

    def buffers(self) -> int:
        """Return the pages touched, by writing CTEs that nothing reads too: those run after the root."""
        read = {node["CTE Name"] for node in self.nodes if node["Node Type"] == "CTE Scan"}
        unread = [
            node
            for node in self.root.get("Plans", [])
            if node["Node Type"] == "ModifyTable"
            and node.get("Subplan Name", "").removeprefix("CTE ") not in read
        ]
        return sum(
            node["Shared Hit Blocks"] + node["Shared Read Blocks"] for node in (self.root, *unread)
        )


def _rows_read(scan: dict[str, Any]) -> int:
    removed = scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
    return round(scan["Actual Loops"] * (scan["Actual Rows"] + removed))


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _walk(child)


def _lines(node: dict[str, Any], depth: int) -> Iterator[str]:
    name = node.get("Index Name") or node.get("Relation Name") or node.get("Subplan Name", "")
    read = f"rows {node['Actual Rows']:g} x {node['Actual Loops']:g}"
    removed = node.get("Rows Removed by Filter", 0)
    buffers = node["Shared Hit Blocks"] + node["Shared Read Blocks"]
    yield f"{'  ' * depth}{node['Node Type']} {name}: {read}, removed {removed:g}, buffers {buffers}"
    for child in node.get("Plans", []):
        yield from _lines(child, depth + 1)


class Explained(Exception):
    """The way out of the store with the plan."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(str(plan))
        self.plan = plan


class Explainer:
    """A pool and a connection in one, for PostgresTasks, PostgresJobs and PostgresLeases."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.queries = load_queries()
        self.connection = connection
        pool: Any = self  # It is what the store uses of a pool.
        hinter = Hinter(pool, self.queries, Metrics())
        self.tasks = PostgresTasks(pool, self.queries, hinter)
        self.jobs = PostgresJobs(pool, self.queries, self.tasks, hinter)
        self.changes = PostgresChanges(pool, self.queries, self.jobs, self.tasks, hinter)
        self.explanations = PostgresExplanations(pool, self.queries, self.jobs)
        self.overview = PostgresOverview(pool, self.queries, self.jobs, self.explanations)
        self.raises = PostgresRaises(pool, self.queries, hinter)
        self.reports = PostgresReports(pool, self.queries)
        self.counters = PostgresCounters(pool, self.queries)
        self.retention = PostgresRetention(pool, self.queries)
        self.leases = PostgresLeases("", self.queries, hinter, pooler=False)
        self.leases._connection = self
        self._statements: dict[str, asyncpg.prepared_stmt.PreparedStatement] = {}
        self._wanted = ""

    async def plan(self, name: str, call: Callable[[], Awaitable[Any]]) -> Plan:
        """Return the plan of the statement `name` in `call`, a use of the store."""
        self._wanted = self.queries[name]
        try:
            await call()
        except Explained as answer:
            return answer.plan
        raise AssertionError(f"{name} is not used there")

    async def warm(self, name: str) -> None:
        """Have the statement planned and its plan kept, whatever the tables hold now."""
        statement = await self._prepared(self.queries[name])
        values = _literals([None] * len(statement.get_parameters()))
        await self.connection.fetch(f"EXPLAIN EXECUTE {statement.get_name()} {values}")

    async def _prepared(self, query: str) -> asyncpg.prepared_stmt.PreparedStatement:
        if query not in self._statements:
            self._statements[query] = await self.connection.prepare(query)
        return self._statements[query]

    async def fetch(self, query: str, *args: Any, timeout: float | None = None) -> list[Any]:
        """Explain the statement that is wanted; run any other."""
        statement = await self._prepared(query)
        if query != self._wanted:
            return await statement.fetch(*args, timeout=timeout)
        values = _literals(args)
        rollback = self.connection.transaction()
        await rollback.start()
        try:
            text = await self.connection.fetchval(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {statement.get_name()} {values}"
            )
        finally:
            await rollback.rollback()
        raise Explained(Plan(json.loads(text)[0]))

    async def fetchrow(self, query: str, *args: Any, timeout: float | None = None) -> Any:
        """Run or explain a statement; return its first row."""
        rows = await self.fetch(query, *args, timeout=timeout)
        return rows[0] if rows else None

    async def run(self, work: Callable[[Any], Awaitable[Any]], **_named: str) -> Any:
        """Run `work` on this connection."""
        return await work(self)

    def transaction(self, **how: Any) -> AbstractAsyncContextManager[object]:
        """Begin a transaction."""
        return self.connection.transaction(**how)  # type: ignore[no-any-return]  # asyncpg has no types

    def is_closed(self) -> bool:
        """Say that the connection is in use."""
        return False


def _literals(values: Sequence[Any]) -> str:
    return f"({', '.join(map(_literal, values))})" if values else ""


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple):
        items = ",".join("NULL" if item is None else f"{item}" for item in value)
        return f"'{{{items}}}'"
    return f"'{value}'"


@asynccontextmanager
async def explainer(dsn: str) -> AsyncIterator[Explainer]:
    """Yield an explainer on a connection set up as the store's are."""
    connection = await connect(dsn)
    try:
        yield Explainer(connection)
    finally:
        await connection.close()

"""What the server says of the database, for metrics and the dashboard.

Owns nothing and reads no table of pacewheel's: all of it is in the server's own statistics, open to
an ordinary role, the same on PostgreSQL 14 to 18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.metrics.figures import DatabaseFigures, TableFigures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pacewheel.store.pool import WorkPool

CONNECTION_STATES = ("active", "idle", "idle_in_transaction", "other", "hidden")
XMIN_HOLDERS = {
    "session": "session_xmin_age",
    "prepared_transaction": "prepared_xmin_age",
    "replication_slot": "slot_xmin_age",
    "standby": "standby_xmin_age",
}


class PostgresFigures:
    """Reads the server's statistics."""

    def __init__(self, pool: WorkPool, queries: Mapping[str, str]) -> None:
        self._pool = pool
        self._queries = queries

    async def read_database(self) -> DatabaseFigures:
        """Return the figures of now; rows are estimates."""
        row = await self._pool.fetchrow(self._queries["read_database"])
        if row is None:
            raise AssertionError
        values = dict(row)
        connections = {state: values.pop(state) for state in CONNECTION_STATES}
        ages = {holder: values.pop(column) for holder, column in XMIN_HOLDERS.items()}
        tables = [
            TableFigures(**each) for each in await self._pool.fetch(self._queries["read_tables"])
        ]
        return DatabaseFigures(connections=connections, xmin_ages=ages, tables=tables, **values)

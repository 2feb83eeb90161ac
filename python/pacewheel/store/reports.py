"""What a report is made of, and the tasks of a job one after another.

Owns nothing. A live job is read in one snapshot, so its figures agree while it goes on; each
statement takes one pass over the job's results, and every list is cut by the database.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson

from pacewheel.errors import ConfigInvalid, StoreError
from pacewheel.report import facts
from pacewheel.report.build import compares_sitemaps
from pacewheel.report.facts import Facts, Listing
from pacewheel.store.explanations import waiting_of
from pacewheel.store.jobs import FIRST_ID, PostgresJobs
from pacewheel.store.pruned import missing_job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    import asyncpg

    from pacewheel.model import JobInfo, Waiting
    from pacewheel.store.pool import WorkPool

LINKERS_MAX = 20
EXAMPLES_MAX = 5
EXPORT_ROWS = 1000
# A job of a million tasks takes a few seconds a statement, more on a busy machine.
TIMEOUT_S = 600.0
_WORDS = ("kinds", "statuses", "errors", "cache", "left_out", "robots_lines")


class PostgresReports:
    """Reads for people and files; changes nothing."""

    def __init__(self, pool: WorkPool, queries: Mapping[str, str]) -> None:
        self._pool = pool
        self._queries = queries

    async def read_facts(self, job_id: int, *, rows_max: int, compared_with: int | None) -> Facts:
        """Return what a report on a job is built of, lists cut at `rows_max`.

        Raises:
            JobUnknown: there is no such job, or none to compare with.
            ConfigInvalid: the job to compare with is of another domain.
        """

        async def read(connection: asyncpg.Connection) -> Facts:
            async with _reading(connection, self._queries, job_id):
                await connection.execute(self._queries["plan_for_reading"])
                return await _Reading(connection, self._queries, job_id, rows_max).read(
                    compared_with
                )

        found: Facts = await self._pool.run(read)
        return found

    async def find_previous_job(self, job_id: int) -> int | None:
        """Return the last completed job before this one of its domain and handler, if any."""
        row = await self._pool.fetchrow(self._queries["find_previous_job"], job_id)
        return None if row is None else row["id"]

    async def export_tasks(
        self, job_id: int, take: Callable[[Sequence[Mapping[str, Any]]], None]
    ) -> None:
        """Hand all tasks of a job to `take`, a thousand at a time, in the order of their ids.

        A live job's in one snapshot, by pages rather than a cursor, which a transaction pooler would
        lose.

        What `take` raises ends it, and is raised as it is.

        Raises:
            JobUnknown: there is no such job.
            StoreError: the database failed in the middle of it.
        """
        taken = 0
        failure: Exception | None = None

        async def export(connection: asyncpg.Connection) -> None:
            nonlocal taken, failure
            if taken:
                raise StoreError("the export was cut short by the database: start it again")
            async with _reading(connection, self._queries, job_id):
                last = FIRST_ID
                while True:
                    rows = await connection.fetch(
                        self._queries["export_tasks"], job_id, last, EXPORT_ROWS
                    )
                    if rows:
                        try:
                            take(rows)
                        # Raised at the end, where nobody takes it for the database's.
                        except Exception as error:  # noqa: BLE001 - as said above
                            failure = error
                            return
                        taken += len(rows)
                        last = rows[-1]["id"]
                    if len(rows) < EXPORT_ROWS:
                        return

        await self._pool.run(export)
        if failure is not None:
            raise failure


async def _job(connection: asyncpg.Connection, queries: Mapping[str, str], job_id: int) -> JobInfo:
    row = await connection.fetchrow(queries["list_jobs"], [job_id], None, False, 1)
    if row is None:
        raise missing_job(job_id, await connection.fetchrow(queries["find_pruned"], job_id))
    return PostgresJobs.info_of(row)


@asynccontextmanager
async def _reading(
    connection: asyncpg.Connection, queries: Mapping[str, str], job_id: int
) -> AsyncIterator[None]:
    """Open the transaction in which a job is read.

    A final job changes no more, so each statement has its own snapshot: one that was held for the
    minutes that a million tasks take would keep vacuum from all tables.
    """
    job = await _job(connection, queries, job_id)
    isolation = "read_committed" if job.status.is_final else "repeatable_read"
    async with connection.transaction(isolation=isolation, readonly=True):
        yield


class _Reading:
    """One report being read, on one connection."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        queries: Mapping[str, str],
        job_id: int,
        rows_max: int,
    ) -> None:
        self._connection = connection
        self._queries = queries
        self._job_id = job_id
        self._rows_max = rows_max

    async def read(self, compared_with: int | None) -> Facts:
        job = await _job(self._connection, self._queries, self._job_id)
        domain_id = await self._domain_id()
        cut = self._rows_max
        sections = await self._fetch("report_sections", cut)
        one_way = await self._one_way(job, domain_id)
        flow = (await self._fetch("report_flow"))[0]
        return Facts(
            job=job,
            read_at=flow["read_at"],
            sums=await self._sums(self._job_id),
            sections=Listing(
                sections[0]["sections"] if sections else 0,
                [facts.Section(**_without(row, "sections")) for row in sections],
            ),
            broken=await self._broken(domain_id),
            redirects=await self._redirects(self._job_id, cut),
            slow=[facts.PageCost(**row) for row in await self._fetch("report_slow", cut)],
            heavy=[facts.PageCost(**row) for row in await self._fetch("report_heavy", cut)],
            uncacheable=[
                facts.Uncacheable(**row)
                for row in await self._fetch("report_uncacheable", EXAMPLES_MAX)
            ],
            unlinked=one_way[True],
            unlisted=one_way[False],
            disallowed=[
                facts.Disallowed(**row) for row in await self._fetch("report_disallowed", cut)
            ],
            pace=facts.Pace(**(await self._fetch("report_pace"))[0]),
            flow=facts.Flow(**_without(flow, "read_at", "results_from")),
            waiting=await self._waiting(),
            results_from=flow["results_from"],
            changes=None if compared_with is None else await self._changes(job, compared_with),
        )

    async def _fetch(self, name: str, *args: Any) -> list[dict[str, Any]]:
        rows = await self._connection.fetch(
            self._queries[name], self._job_id, *args, timeout=TIMEOUT_S
        )
        return [dict(row) for row in rows]

    async def _domain_id(self) -> int:
        rows = await self._connection.fetch(self._queries["get_job_facts"], [self._job_id])
        domain_id: int = rows[0]["domain_id"]
        return domain_id

    async def _sums(self, job_id: int) -> facts.Sums:
        row = await self._connection.fetchrow(
            self._queries["report_sums"], job_id, timeout=TIMEOUT_S
        )
        values = dict(row)
        return facts.Sums(**{**values, **{name: orjson.loads(values[name]) for name in _WORDS}})

    async def _redirects(self, job_id: int, rows_max: int) -> facts.Redirects:
        rows = await self._connection.fetch(
            self._queries["report_redirects"], job_id, rows_max, timeout=TIMEOUT_S
        )
        if not rows:
            return facts.Redirects()
        return facts.Redirects(
            rows[0]["total"],
            rows[0]["loops"],
            [facts.Redirect(**_without(row, "total", "loops")) for row in rows],
        )

    async def _broken(self, domain_id: int) -> list[facts.BrokenPage]:
        rows = await self._fetch("report_broken", self._rows_max)
        linked = await self._connection.fetch(
            self._queries["report_linkers"],
            domain_id,
            self._job_id,
            [row["task_id"] for row in rows],
            LINKERS_MAX,
            timeout=TIMEOUT_S,
        )
        linkers: dict[int, list[facts.Linker]] = defaultdict(list)
        totals: dict[int, int] = {}
        for row in linked:
            linkers[row["target_id"]].append(facts.Linker(row["url"], row["position"]))
            totals[row["target_id"]] = row["linkers"]
        return [
            facts.BrokenPage(
                **_without(row, "task_id"),
                linkers=Listing(totals.get(row["task_id"], 0), linkers[row["task_id"]]),
            )
            for row in rows
        ]

    async def _one_way(self, job: JobInfo, domain_id: int) -> dict[bool, Listing[str]]:
        """Return the pages that only sitemaps name (True), and those that only links do."""
        rows: Sequence[Mapping[str, Any]] = ()
        if compares_sitemaps(job):
            rows = await self._connection.fetch(
                self._queries["report_unlinked"],
                domain_id,
                self._job_id,
                self._rows_max,
                timeout=TIMEOUT_S,
            )
        return {
            is_listed: _listing([row for row in rows if row["is_listed"] is is_listed])
            for is_listed in (True, False)
        }

    async def _waiting(self) -> list[Waiting]:
        rows = await self._connection.fetch(self._queries["explain_waiting"], [self._job_id], None)
        return [waiting_of(row) for row in rows]

    async def _changes(self, job: JobInfo, other_id: int) -> facts.Changes:
        other = await _job(self._connection, self._queries, other_id)
        if other.domain != job.domain:
            raise ConfigInvalid(
                f"job {other_id} is of {other.domain}: compare job {job.id} with one of {job.domain}"
            )
        pages = await self._fetch("report_changes", other_id, self._rows_max)
        return facts.Changes(
            other,
            await self._sums(other_id),
            await self._redirects(other_id, 1),
            _listing([row for row in pages if row["is_new"]]),
            _listing([row for row in pages if not row["is_new"]]),
        )


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in names}


def _listing(rows: Sequence[Mapping[str, Any]]) -> Listing[str]:
    return Listing(rows[0]["pages"] if rows else 0, [row["url"] for row in rows])

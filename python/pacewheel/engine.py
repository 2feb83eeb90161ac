"""The engine as its users see it: handlers, jobs, and the life of one process.

    engine = pacewheel.Engine(dsn)            # or no dsn: the embedded PostgreSQL

    @engine.handler("fetch", timeout_s=30)
    async def fetch(task: pacewheel.Task) -> pacewheel.Outcome | None: ...

    async with engine:
        job = await engine.create_job(domain="example.com", handler="fetch", concurrency=8)
        await job.enqueue([pacewheel.NewTask("https://example.com/")])

Owns no state of its own beyond its parts; a process that is killed is rebuilt from the database by
the next.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from pacewheel import embedded, tracing
from pacewheel.config import Config
from pacewheel.daemon import FAILED, run_until_asked
from pacewheel.errors import ConfigInvalid, EngineFailed, PacewheelError, StoreUnavailable
from pacewheel.job import Job, check_job, enqueue
from pacewheel.logs import as_worker
from pacewheel.metrics import Metrics
from pacewheel.observer import STUCK_S, Observer
from pacewheel.ports import InvalidationReason
from pacewheel.registry import NO_BREAKER, Handler, Registry
from pacewheel.runtime import Runtime
from pacewheel.schedules import Schedules
from pacewheel.services.job_cache import JobInfoCache
from pacewheel.store import Store, migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from pacewheel.held import Held
    from pacewheel.job_summary import JobSummary
    from pacewheel.model import Enqueued, JobInfo, NewTask, StuckJob, Waiting
    from pacewheel.pacing import Breaker
    from pacewheel.ports import CallersConnection
    from pacewheel.registry import HandlerFunction

IDLE_POLL_S = 0.05
NOT_CONNECTED = "the engine is not connected: call connect(), start() or use 'async with engine'"


class Engine:
    """One process's engine: connects, registers handlers, claims, runs and settles."""

    def __init__(self, dsn: str | None = None, *, config: Config | None = None) -> None:
        self.config = config or Config()
        self.metrics = Metrics()
        self.job_cache = JobInfoCache(
            load=lambda job_ids: self.store.jobs.get_job_facts(job_ids),  # noqa: PLW0108 - there is no store yet
            metrics=self.metrics,
        )
        self.observer = Observer(lambda: self.store, self.metrics)
        """Reads what only the database knows, for whoever looks at the metrics."""
        self.schedules = Schedules(self)
        """Recurring jobs."""
        self._dsn = dsn or self.config.dsn
        self._registry = Registry()
        self._server: embedded.ServerUse | None = None
        self._store: Store | None = None
        self._runtime: Runtime | None = None
        self._stopping: Runtime | None = None
        self._failure: PacewheelError | None = None
        self._was_away = False
        self._asked: asyncio.Queue[int] = asyncio.Queue()

    def handler(
        self,
        name: str,
        *,
        timeout_s: float = 60.0,
        attempts: int = 5,
        backoff_s: float = 1.0,
        backoff_max_s: float = 300.0,
        own_departure: bool = False,
        never_retry: AbstractSet[str] = frozenset(),
        breaker: Breaker = NO_BREAKER,
    ) -> Callable[[HandlerFunction], HandlerFunction]:
        """Register the decorated coroutine function; see `Handler` for the options.

        Raises:
            ConfigInvalid: the name is taken, or a value can't work.
        """
        given = (timeout_s, attempts, backoff_s, backoff_max_s, own_departure, never_retry, breaker)

        def register(function: HandlerFunction) -> HandlerFunction:
            self.add_handler(Handler(name, function, *given))
            return function

        return register

    def add_handler(self, handler: Handler) -> None:
        """Register a handler.

        Raises:
            ConfigInvalid: the name is taken, or the engine has started.
        """
        if self._runtime is not None:
            raise ConfigInvalid(
                f"handler {handler.name} comes too late: register handlers before the engine starts"
            )
        self._registry.add(handler)

    @property
    def store(self) -> Store:
        """The database, once connected.

        Raises:
            EngineFailed, or the error that a part of the engine gave up for: stop it.
        """
        if self._failure is not None:
            raise self._failure
        if self._store is None:
            raise ConfigInvalid(NOT_CONNECTED)
        return self._store

    @property
    def held(self) -> Held | None:
        """The lease of this process and its domains, while it runs or drains."""
        runtime = self._runtime or self._stopping
        return None if runtime is None else runtime.held

    @property
    def dsn(self) -> str:
        """The DSN in use, once connected."""
        if self._dsn is None:
            raise ConfigInvalid(NOT_CONNECTED)
        return self._dsn

    async def connect(self) -> None:
        """Bring the database up (the embedded one without a DSN) and migrate it; start nothing.

        Raises:
            EmbeddedError, StoreError: it can't be had; nothing is left half-done.
        """
        if self._store is not None:
            return
        self._failure = None
        config = self.config
        if self._dsn is None:
            settings = embedded.EmbeddedConfig(config.data_dir or embedded.default_data_dir())
            self._server = await asyncio.to_thread(embedded.acquire, settings)
            self._dsn = self._server.dsn
        try:
            await migrate(self._dsn, config.schema, pooler=config.pooler)
            store = Store(self._dsn, config=config, metrics=self.metrics)
            await store.open()
        except BaseException:
            await self._let_server_go()
            raise
        self._store = store

    async def close(self) -> None:
        """Close the connections and leave the embedded server."""
        await self.observer.close()
        await self.job_cache.close()
        store, self._store = self._store, None
        if store is not None:
            await store.close()
        await self._let_server_go()

    async def _let_server_go(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            self._dsn = None
            await asyncio.to_thread(server.release)

    async def start(self) -> None:
        """Connect and start the services; returns when tasks can run.

        Raises:
            EmbeddedError, StoreError: the database can't be had; nothing is left half-done.
        """
        if self._runtime is not None:
            return
        tracing.set_up()
        await self.connect()
        server = self._server
        runtime = Runtime(
            config=self.config,
            store=self.store,
            job_cache=self.job_cache,
            registry=self._registry,
            metrics=self.metrics,
            ensure_running=None if server is None else server.ensure_running,
            on_failure=self._on_failure,
        )
        if self._was_away:
            runtime.spare_others()
        self._runtime = runtime
        try:
            await runtime.start()
        except BaseException:
            await self.stop(0.0)
            raise

    async def stop(self, grace_s: float | None = None) -> None:
        """Drain and stop.

        Nothing is claimed any more, running tasks get `grace_s`, outcomes are settled, domains
        given back. What still runs after the grace is interrupted and pending again; that is no
        failed attempt. A stop that is cancelled cuts the grace short and does the rest all the
        same.
        """
        runtime, self._runtime = self._runtime, None
        self._stopping = runtime
        if grace_s is None:
            # With a part that gave up there is nothing to wait for.
            grace_s = self.config.grace_s if self._failure is None else 0.0
        try:
            if runtime is not None:
                await self._drain(runtime, grace_s)
        finally:
            await self.close()

    @staticmethod
    async def _drain(runtime: Runtime, grace_s: float) -> None:
        with as_worker(runtime.worker_id):
            try:
                await runtime.drain(grace_s)
            except BaseException:
                await runtime.drain(0.0)
                raise

    def _on_failure(self, name: str, error: Exception) -> None:
        if isinstance(error, PacewheelError):
            # It says itself what to do.
            self._failure = error
        else:
            self._failure = EngineFailed(
                f"the {name} failed again and again ({type(error).__name__}: {error}): please report it"
            )
        self._asked.put_nowait(FAILED)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    def note_outage(self) -> None:
        """Say before the start that the database was away: others may not have renewed theirs."""
        self._was_away = True

    def interrupt(self) -> None:
        """Stop the handlers that a drain waits for; their tasks are pending again."""
        if self._stopping is not None:
            self._stopping.interrupt()

    async def run(self) -> None:
        """Start, run until SIGTERM or SIGINT, drain, stop.

        A second signal stops the handlers that the drain waits for, a third ends the process. A
        database that is away is waited for, also at the start, however long: what supervises
        this process need not start it again and again.

        Raises:
            StoreRefused, SchemaMismatch, EmbeddedError: the database can't be had by waiting.
            EngineFailed, or the error that a part of the engine gave up for.
        """
        self._asked = asyncio.Queue()
        await run_until_asked(self, self._asked)
        if self._failure is not None:
            raise self._failure

    async def run_until_idle(self) -> None:
        """Start, return when no live task of the registered handlers is left, and stop.

        Waiting tasks are waited for, and so are those of other processes; tasks of paused jobs are
        not.

        Raises:
            As `run`, and StoreUnavailable: the database was away at the start.
        """
        async with self:
            while True:
                if await self._is_idle():
                    return
                await asyncio.sleep(IDLE_POLL_S)

    async def _is_idle(self) -> bool:
        # Raises when a part gave up: what is unsettled then may stay so.
        store = self.store
        if self._runtime is not None and self._runtime.unsettled():
            return False
        try:
            live = await store.tasks.count_live(self._registry.names())
        except StoreUnavailable:
            # The services wait for the database too, and say so in the log.
            return False
        return live == (0, 0)

    async def create_job(
        self,
        *,
        domain: str,
        handler: str,
        concurrency: int = 8,
        priority: float = 0.0,
        max_tasks: int | None = None,
        domain_delay_ms: int | None = None,
        options: Mapping[str, Any] | None = None,
        tasks: Sequence[NewTask] = (),
        discovery_open: bool = True,
        unless_live: bool = False,
    ) -> Job:
        """Create a job, with its first tasks, in one transaction.

        `domain` is the key that is paced: `domain_delay_ms` sets the least gap between two of its
        requests (None leaves it). The job runs at most `concurrency` tasks at once, and takes
        `max_tasks` at most. Jobs of one domain share its slots: one whose `priority` is one higher
        gets eight times as many, and no job gets none. While `discovery_open` it does not end by
        itself; see `Job.finish_discovery`. With `unless_live`, a live job of this domain and
        handler is returned as it is, if there is one; of several callers at once, one creates.

        Raises:
            ConfigInvalid: a value can't work.
            StoreError: the database refused.
        """
        check_job(
            domain=domain,
            handler=handler,
            concurrency=concurrency,
            priority=priority,
            max_tasks=max_tasks,
            domain_delay_ms=domain_delay_ms,
        )
        job_id = await self.store.jobs.create_job(
            domain=domain,
            domain_delay_ms=domain_delay_ms,
            handler=handler,
            priority=priority,
            concurrency=concurrency,
            max_tasks=max_tasks,
            options=options or {},
            tasks=tasks,
            discovery_open=discovery_open,
            unless_live=unless_live,
        )
        self.job_cache.invalidate(job_id, InvalidationReason.CREATED)
        return Job(self, job_id, domain)

    async def enqueue(
        self,
        job_id: int,
        tasks: Sequence[NewTask],
        *,
        connection: CallersConnection | None = None,
    ) -> Enqueued:
        """Add tasks to a job; see `Job.enqueue`."""
        return await enqueue(self, job_id, tasks, connection=connection)

    async def get_job(self, job_id: int) -> Job:
        """Return the job.

        Raises:
            JobUnknown: there is none with this id.
        """
        return Job(self, job_id, (await self.store.jobs.get_job(job_id)).domain)

    async def list_jobs(
        self,
        *,
        ids: Sequence[int] | None = None,
        domain: str | None = None,
        live_only: bool = False,
        limit: int = 1000,
    ) -> list[JobInfo]:
        """Return jobs with their counters, newest first."""
        return await self.store.jobs.list_jobs(
            ids=ids, domain=domain, live_only=live_only, limit=limit
        )

    async def summarise_job(self, job_id: int, kind: str = "page") -> JobSummary:
        """Sum up the last attempts of a job's tasks of one kind (their payload's `kind`)."""
        return await self.store.jobs.summarise_job(job_id, kind)

    async def explain(
        self, *, job_ids: Sequence[int] | None = None, domain: str | None = None
    ) -> list[Waiting]:
        """Return why live tasks wait, one entry a job and reason; none is left out."""
        return await self.store.explanations.explain_waiting(job_ids, domain)

    async def find_stuck_jobs(self, idle_s: float = STUCK_S) -> list[StuckJob]:
        """Return jobs without progress for so long although no gate asks them to wait so long."""
        return await self.store.explanations.find_stuck_jobs(idle_s)

"""The statements, through the store, against their naive twin; after each step every invariant.

One database, one event loop and one store for all examples; the tables are emptied before each. To
add an operation, add a rule here and its method to `oracles.sql_surface`.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from oracles.sql_surface import LIVE, ModelDomain, ModelJob, Surface
from pacewheel.counters import COUNTERS
from pacewheel.errors import JobFinal
from pacewheel.model import JobState, NewTask, TaskState
from pacewheel.services.reconciler import reconcile
from pacewheel.states import JobVerb, TaskVerb
from tests.model.surface_worker import HANDLER, HOUR_S, Worker
from tests.model.surface_world import World

# Of the deterministic `fast` profile only the sizes are changed: a step is a round trip or five.
SIZES = {"fast": (20, 45), "slow": (300, 80)}
DOMAINS = {"free": 0, "also-free": 0, "paced": round(HOUR_S * 1000)}
TABLES = ("workers", "domains", "jobs", "tasks", "results", "documents", "priority_updates")

keys = st.sampled_from("abcdefgh")
priorities = st.sampled_from([0.0, 0.1, 0.5, 1.0])
offers = st.lists(
    st.builds(
        lambda key, priority, waits, own_key, beyond_limit: NewTask(
            f"t-{key}" if own_key else key,
            key=key if own_key else None,
            priority=priority,
            ready_in_s=HOUR_S if waits else None,
            beyond_limit=beyond_limit,
        ),
        keys,
        priorities,
        st.integers(0, 3).map(lambda n: n == 0),
        st.booleans(),
        st.integers(0, 3).map(lambda n: n == 0),
    ),
    max_size=5,
)
numbers = st.integers(0, 11)
outcomes = st.sampled_from(
    [
        TaskState.COMPLETED,
        TaskState.COMPLETED,
        TaskState.FAILED,
        TaskState.SKIPPED,
        TaskState.WAITING,
    ]
)


class SurfaceMachine(RuleBasedStateMachine):
    """Two workers, three domains, any number of jobs."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.store = world.store
        self.model = Surface()
        self.workers: list[Worker] = []
        self.ended: dict[int, object] = {}

    @initialize(first=st.tuples(offers, offers), discovery_open=st.booleans())
    def start(self, first: tuple[list[NewTask], list[NewTask]], *, discovery_open: bool) -> None:
        """Empty tables, two workers and two jobs: a free one and a paced one."""
        names = ", ".join(f"pacewheel.{table}" for table in TABLES)
        self.world.execute(f"TRUNCATE {names} RESTART IDENTITY")
        self.workers = [Worker(self.store, self.model) for _ in range(2)]
        for worker in self.workers:
            self.world.run(worker.register())
        for name, tasks in zip(("free", "paced"), first, strict=True):
            self._create(name, 0.5, 2, None, tasks, discovery_open=discovery_open)

    def job(self, number: int) -> ModelJob:
        """One of the jobs that there are."""
        return list(self.model.jobs.values())[number % len(self.model.jobs)]

    @rule(
        name=st.sampled_from(sorted(DOMAINS)),
        priority=priorities,
        concurrency=st.sampled_from([1, 2, 50]),
        max_tasks=st.sampled_from([None, 1, 4]),
        tasks=offers,
        discovery_open=st.booleans(),
        unless_live=st.booleans(),
    )
    def create_job(
        self,
        name: str,
        priority: float,
        concurrency: int,
        max_tasks: int | None,
        tasks: list[NewTask],
        *,
        discovery_open: bool,
        unless_live: bool,
    ) -> None:
        """Create a job with tasks, or find the live one."""
        self._create(
            name,
            priority,
            concurrency,
            max_tasks,
            tasks,
            discovery_open=discovery_open,
            unless_live=unless_live,
        )

    def _create(
        self,
        name: str,
        priority: float,
        concurrency: int,
        max_tasks: int | None,
        tasks: list[NewTask],
        *,
        discovery_open: bool,
        unless_live: bool = False,
    ) -> None:
        created = self.world.run(
            self.store.jobs.create_job(
                domain=name,
                domain_delay_ms=DOMAINS[name] or None,
                handler=HANDLER,
                priority=priority,
                concurrency=concurrency,
                max_tasks=max_tasks,
                options={},
                tasks=tasks,
                discovery_open=discovery_open,
                unless_live=unless_live,
            )
        )
        ((domain_id,),) = self.world.fetch("SELECT id FROM pacewheel.domains WHERE name = $1", name)
        self.model.domains.setdefault(domain_id, ModelDomain(gap=DOMAINS[name] > 0))
        live = next(self.model.jobs_of(domain_id), None)
        if unless_live and live is not None:
            assert live.id == created
            return
        assert created not in self.model.jobs
        job = ModelJob(created, domain_id, priority, concurrency, max_tasks)
        self.model.jobs[created] = job
        self.model.enqueue(created, tasks)
        if not discovery_open:
            self.model.finish_discovery(created)

    @rule(number=numbers, tasks=offers)
    def enqueue(self, number: int, tasks: list[NewTask]) -> None:
        """Offer tasks to a job."""
        job = self.job(number)
        counts = self.world.run(self.store.tasks.enqueue_tasks(job.id, tasks))
        expected = self.model.enqueue(job.id, tasks)
        assert expected == (counts.inserted, counts.known, counts.over_limit, counts.refused)

    @rule(number=st.integers(0, 1), tasks_max=st.sampled_from([1, 3, 8]), leases=st.booleans())
    def claim(self, number: int, tasks_max: int, *, leases: bool) -> None:
        """Take what has work and no living owner; claim from all domains held, lost ones among them."""
        worker = self.workers[number]
        if leases:
            self.world.run(worker.lease())
        self.world.run(worker.claim(tasks_max))

    @rule(
        number=st.integers(0, 1),
        ends=st.lists(st.tuples(numbers, outcomes, offers), min_size=1, max_size=8),
    )
    def settle(self, number: int, ends: list[tuple[int, TaskState, list[NewTask]]]) -> None:
        """End some of what a worker has claimed, under the epochs it knows."""
        self.world.run(self.workers[number].settle(ends))

    @rule(
        number=st.integers(0, 1),
        which=numbers,
        how=st.sampled_from(["interrupt", "interrupt", "release", "forget", "die"]),
    )
    def lose(self, number: int, which: int, how: str) -> None:
        """Stop a handler; give a domain back, whatever runs there; lose one unawares; or die."""
        worker = self.workers[number]
        match how:
            case "interrupt":
                worker.interrupt(which)
            case "release":
                self.world.run(worker.release(which))
            case "forget":
                worker.forget(which)
            case "die":
                self._die(number)

    def _die(self, number: int) -> None:
        """Be declared dead; a late settle under the old epochs, before and after, is as good as none."""
        worker = self.workers[number]
        self.world.execute(
            "UPDATE pacewheel.workers SET lease_until = now() - interval '1 s'"
            f" WHERE id = {worker.id}"
        )
        assert [worker.id] == self.world.run(self.store.leases.declare_dead())
        self.model.dead.add(worker.id)
        survivor = self.workers[1 - number]
        self.world.run(survivor.lease())
        self.world.run(worker.settle([(0, TaskState.COMPLETED, []), (1, TaskState.WAITING, [])]))
        self.workers[number] = Worker(self.store, self.model)
        self.world.run(self.workers[number].register())

    @rule(passes=st.booleans())
    def wake(self, *, passes: bool) -> None:
        """Make pending what is due, an hour later or at once: then every slot is free too."""
        if passes:
            self.world.execute(
                "UPDATE pacewheel.tasks SET ready_at = now() - interval '1 s' WHERE status = 1",
                "UPDATE pacewheel.domains SET next_slot_at = now() - interval '1 s'",
            )
            self.model.pass_time()
        woken = self.world.run(self.store.tasks.wake_tasks(list(self.model.domains), 1000))
        assert self.model.wake() == sum(answer.woken for answer in woken)

    @rule(
        number=numbers,
        how=st.sampled_from(["finish", "finish", JobVerb.CANCEL, JobVerb.FAIL, "pause"]),
    )
    def move_job(self, number: int, how: str) -> None:
        """Close a job to outsiders, end it, or pause and resume it by turns; a final one refuses all."""
        job, changes = self.job(number), self.store.changes
        was_final = job.status.is_final
        try:
            if how == "finish":
                self.model.finish_discovery(job.id)
                self.world.run(self.store.jobs.finish_discovery(job.id))
            elif how == "pause":
                verb = JobVerb.RESUME if job.status is JobState.PAUSED else JobVerb.PAUSE
                moved = self.world.run(changes.move_job(job.id, verb))
                assert self.model.move(job.id, verb) is moved is True
            else:
                expected = self.model.end(job.id, JobVerb(how))
                assert expected == self.world.run(changes.end_job(job.id, JobVerb(how)))
        except JobFinal:
            assert was_final
        else:
            assert not was_final

    @rule(
        number=numbers,
        which=st.lists(numbers, min_size=1, max_size=4),
        how=st.sampled_from([TaskVerb.CANCEL, TaskVerb.RETRY, "reprioritise"]),
        priority=priorities,
    )
    def change_tasks(self, number: int, which: list[int], how: str, priority: float) -> None:
        """Cancel, retry or reprioritise some tasks of a job; a final one is left alone."""
        job, changes = self.job(number), self.store.changes
        known = list(job.tasks)
        keys = list(dict.fromkeys(known[n % len(known)] for n in which if known))
        if not keys or job.status.is_final:
            return
        if how == "reprioritise":
            priorities = dict.fromkeys(keys, priority)
            changed = self.world.run(changes.reprioritise_tasks(job.id, priorities))
            assert self.model.reprioritise(job.id, priorities) == changed
        elif how == TaskVerb.RETRY:
            expected = self.model.change_tasks(job.id, keys, TaskVerb.RETRY)
            assert (job.id, expected) == self.world.run(changes.retry_tasks(job.id, keys))
        else:
            expected = self.model.change_tasks(job.id, keys, TaskVerb.CANCEL)
            assert expected == self.world.run(changes.cancel_tasks(job.id, keys))

    @rule()
    def reconcile(self) -> None:
        """Find nothing to repair, and change nothing."""
        found = self.world.run(reconcile(self.store.counters, None, dry_run=False))
        assert found.is_clean, found
        assert len(self.model.jobs) == found.jobs

    @invariant()
    def rows_are_the_model(self) -> None:
        """Every task is in the state it should be, with its attempt and reason."""
        rows = self.world.fetch(
            "SELECT job_id, coalesce(key, target) AS key, status, attempt, waiting_reason, priority"
            " FROM pacewheel.tasks"
        )
        expected = {
            (job.id, key, task.status.value, task.attempt, task.reason, task.priority)
            for job in self.model.jobs.values()
            for key, task in job.tasks.items()
        }
        assert expected == {tuple(row) for row in rows}

    @invariant()
    def counters_are_the_rows(self) -> None:
        """Counters, sums and ends of the jobs; a final job ended once and has nothing live."""
        columns = f"id, status, discovery_open, finished_at, {', '.join(COUNTERS)}"
        rows = self.world.fetch(f"SELECT {columns} FROM pacewheel.jobs")
        assert self.model.jobs.keys() == {row["id"] for row in rows}
        for row in rows:
            job = self.model.jobs[row["id"]]
            kept = tuple(row[name] for name in COUNTERS)
            assert (job.status.value, job.discovery_open) == (row["status"], row["discovery_open"])
            assert job.counters() == kept
            assert kept[0] == kept[1] + kept[2] + sum(kept[4:])
            assert job.ends == job.status.is_final == (row["finished_at"] is not None)
            assert not (job.status.is_final and job.count(*LIVE))
            assert row["finished_at"] == self.ended.setdefault(job.id, row["finished_at"]) or (
                self.ended[job.id] is None
            )
            self.ended[job.id] = row["finished_at"]

    @invariant()
    def owners_are_the_model(self) -> None:
        """Owner and epoch; what is in flight are tasks of the domain, the unsettled ones among them."""
        rows = self.world.fetch(
            "SELECT d.id, d.owner, d.epoch, ARRAY(SELECT (t.job_id || ' ' || coalesce(t.key, t.target))"
            " FROM pacewheel.tasks t WHERE t.domain_id = d.id AND t.id = ANY (d.in_flight)) AS keys,"
            " cardinality(d.in_flight) AS in_flight FROM pacewheel.domains d"
        )
        for row in rows:
            domain = self.model.domains[row["id"]]
            assert (domain.owner, domain.epoch) == (row["owner"], row["epoch"])
            assert {f"{job} {key}" for job, key in domain.in_flight} == set(row["keys"])
            assert len(domain.in_flight) == row["in_flight"]

    @invariant()
    def every_live_task_that_does_not_run_says_why(self) -> None:
        """Reasons sum to the live tasks that don't run; what runs is pending and in flight."""
        rows = self.world.fetch(
            "SELECT state, waiting_reason IS NOT NULL AS waits, count(*) AS n"
            " FROM pacewheel.task_states GROUP BY 1, 2"
        )
        by_state = {(row["state"], row["waits"]): row["n"] for row in rows}
        running = sum(
            self.model.jobs[job].tasks[key].status is TaskState.PENDING
            for domain in self.model.domains.values()
            for job, key in domain.in_flight
        )
        live = sum(job.count(*LIVE) for job in self.model.jobs.values())
        assert running == by_state.get(("running", False), 0)
        waits = {state: n for (state, reasoned), n in by_state.items() if reasoned}
        assert waits.keys() <= {"pending", "waiting"}
        assert live - running == sum(waits.values())


@pytest.mark.timeout(900)  # a failure is made small first
def test_the_statements_do_what_their_naive_twin_does(dsn: str) -> None:
    """Any order of operations by two workers on three domains, after each of which all invariants hold."""
    profile = settings.get_current_profile_name()
    examples, steps = SIZES.get(profile, SIZES["fast"])
    with asyncio.Runner() as runner:
        world = World(dsn, runner)
        try:
            run_state_machine_as_test(
                lambda: SurfaceMachine(world),
                settings=settings(max_examples=examples, stateful_step_count=steps),
            )
        finally:
            world.close()

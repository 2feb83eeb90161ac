"""What the statements do, in memory: jobs, tasks, domains and their owners, one operation at a time.

The naive twin of sql/queries for the model test. No clock: a waiting task becomes due, and a
domain's next slot free, when `pass_time` says so. A method returns what its statement answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pacewheel.model import JobState, NewTask, TaskState
from pacewheel.states import JOB_TRANSITIONS, JobVerb, TaskVerb

LIVE = (TaskState.PENDING, TaskState.WAITING)
RETRY_BACKOFF, SCHEDULED = 0, 1


@dataclass(slots=True)
class ModelTask:
    """One task; `reason` is the stored waiting reason."""

    priority: float
    status: TaskState
    reason: int | None = None
    due: bool = False
    attempt: int = 0

    @property
    def is_live(self) -> bool:
        """True until it is final."""
        return self.status in LIVE


@dataclass(slots=True)
class ModelJob:
    """One job with its tasks by key."""

    id: int
    domain: int
    priority: float
    concurrency: int
    max_tasks: int | None
    status: JobState = JobState.PENDING
    discovery_open: bool = True
    ends: int = 0
    tasks: dict[str, ModelTask] = field(default_factory=dict)

    def count(self, *states: TaskState) -> int:
        """How many tasks are in these states."""
        return sum(task.status in states for task in self.tasks.values())

    def counters(self) -> tuple[int, ...]:
        """What the row must say, in the order of COUNTERS."""
        backoff = sum(
            task.status is TaskState.WAITING and task.reason == RETRY_BACKOFF
            for task in self.tasks.values()
        )
        single = (TaskState.COMPLETED, TaskState.FAILED, TaskState.SKIPPED, TaskState.CANCELLED)
        live = [self.count(TaskState.PENDING), self.count(TaskState.WAITING), backoff]
        return (len(self.tasks), *live, *(self.count(state) for state in single))

    def end(self, status: JobState) -> None:
        """Become final."""
        self.status = status
        self.ends += 1

    def end_if_done(self) -> None:
        """Complete, when nothing is left and nothing more comes."""
        if not (self.status.is_final or self.discovery_open or self.count(*LIVE)):
            self.end(JobState.COMPLETED)


@dataclass(slots=True)
class ModelDomain:
    """The gate: owner (a worker's id), its epoch, and what it said is in flight: (job, key)."""

    gap: bool
    owner: int | None = None
    epoch: int = 0
    slot_free: bool = True
    in_flight: set[tuple[int, str]] = field(default_factory=set)


@dataclass(slots=True)
class ModelSettlement:
    """One outcome: what the task becomes, and what it discovered."""

    domain: int
    job: int
    key: str
    status: TaskState
    attempt: int
    discovered: Sequence[NewTask] = ()


class Surface:
    """All of the database that the statements know."""

    def __init__(self) -> None:
        self.domains: dict[int, ModelDomain] = {}
        self.jobs: dict[int, ModelJob] = {}
        self.dead: set[int] = set()

    def jobs_of(self, domain: int) -> Iterator[ModelJob]:
        """The jobs of a domain that are not final, oldest first."""
        for job in self.jobs.values():
            if job.domain == domain and not job.status.is_final:
                yield job

    def enqueue(self, job_id: int, offers: Sequence[NewTask]) -> tuple[int, int, int, int]:
        """Return inserted, known, over_limit, refused."""
        job = self.jobs[job_id]
        if job.status.is_final:
            return 0, 0, 0, len(offers)
        inserted = within = known = over = 0
        offered: set[str] = set()
        fresh: set[str] = set()
        total = len(job.tasks)
        for offer in offers:
            key = offer.key or offer.target
            if key in job.tasks or key in offered:
                known += 1
                if key in fresh:
                    # Of several offers of a new key the highest counts.
                    task = job.tasks[key]
                    task.priority = max(task.priority, offer.priority)
            elif (
                not offer.beyond_limit
                and job.max_tasks is not None
                and (total + within + over >= job.max_tasks)
            ):
                over += 1
                offered.add(key)
            else:
                inserted += 1
                within += not offer.beyond_limit
                fresh.add(key)
                waits = offer.ready_in_s is not None
                job.tasks[key] = ModelTask(
                    offer.priority,
                    TaskState.WAITING if waits else TaskState.PENDING,
                    SCHEDULED if waits else None,
                )
        if job.max_tasks is not None:
            job.max_tasks += inserted - within
        return inserted, known, over, 0

    def claimable(self, job: ModelJob, unsettled: set[tuple[int, str]]) -> list[str]:
        """Keys of the pending tasks of a job that its owner has not claimed already."""
        return [
            key
            for key, task in job.tasks.items()
            if task.status is TaskState.PENDING and (job.id, key) not in unsettled
        ]

    def claim(
        self, domain_id: int, claimed: Sequence[tuple[int, str]], unsettled: set[tuple[int, str]]
    ) -> None:
        """Note what a claim gave."""
        domain = self.domains[domain_id]
        if claimed:
            domain.in_flight = unsettled | set(claimed)
            domain.slot_free = not domain.gap
        for job_id, _ in claimed:
            if self.jobs[job_id].status is JobState.PENDING:
                self.jobs[job_id].status = JobState.RUNNING

    def settle(self, worker: int, epochs: dict[int, int], batch: Sequence[ModelSettlement]) -> int:
        """Record outcomes under the fence; return how many rows changed."""
        held = {
            domain_id
            for domain_id, epoch in epochs.items()
            if (self.domains[domain_id].owner, self.domains[domain_id].epoch) == (worker, epoch)
        }
        accepted = [item for item in batch if item.domain in held]
        discovering = {item.job for item in batch if item.discovered}
        moved = [item for item in accepted if self._settle_one(item)]
        # One statement takes them all: of several offers of a key the first says if it is beyond.
        offers: dict[int, list[NewTask]] = {}
        for item in accepted:
            offers.setdefault(item.job, []).extend(item.discovered)
        for job_id, offered in offers.items():
            self.enqueue(job_id, offered)
        for job_id in {item.job for item in moved} | discovering:
            self.jobs[job_id].end_if_done()
        return len(moved)

    def _settle_one(self, item: ModelSettlement) -> bool:
        task = self.jobs[item.job].tasks[item.key]
        if task.status is not TaskState.PENDING or task.attempt != item.attempt - 1:
            return False
        task.status, task.attempt, task.due = item.status, item.attempt, False
        task.reason = RETRY_BACKOFF if item.status is TaskState.WAITING else None
        return True

    def wake(self) -> int:
        """Make pending what is due; return how many."""
        due = [
            task
            for job in self.jobs.values()
            for task in job.tasks.values()
            if task.due and task.status is TaskState.WAITING
        ]
        for task in due:
            task.status, task.reason = TaskState.PENDING, None
        return len(due)

    def pass_time(self) -> None:
        """Let every waiting task become due and every slot free."""
        for job in self.jobs.values():
            for task in job.tasks.values():
                task.due = task.due or task.status is TaskState.WAITING
        for domain in self.domains.values():
            domain.slot_free = True

    def move(self, job_id: int, verb: JobVerb) -> bool:
        """Pause or resume a job; False when there is nothing to do."""
        job = self.jobs[job_id]
        moves = job.status in JOB_TRANSITIONS[verb]
        if moves:
            job.status = JOB_TRANSITIONS[verb][job.status]
        return moves

    def change_tasks(self, job_id: int, keys: Sequence[str], verb: TaskVerb) -> int | None:
        """Cancel live tasks or retry failed ones; return how many, None for a final job."""
        job = self.jobs[job_id]
        if job.status.is_final:
            return None
        moved = [job.tasks[key] for key in set(keys)]
        if verb is TaskVerb.CANCEL:
            moved = [task for task in moved if task.is_live]
            for task in moved:
                task.status, task.reason = TaskState.CANCELLED, None
            if moved:
                job.end_if_done()
        else:
            moved = [task for task in moved if task.status is TaskState.FAILED]
            for task in moved:
                task.status = TaskState.PENDING
        return len(moved)

    def reprioritise(self, job_id: int, priorities: Mapping[str, float]) -> int | None:
        """Give live tasks other priorities; return how many changed, None for a final job."""
        job = self.jobs[job_id]
        if job.status.is_final:
            return None
        changed = [
            key
            for key, priority in priorities.items()
            if job.tasks[key].is_live and job.tasks[key].priority != priority
        ]
        for key in changed:
            job.tasks[key].priority = priorities[key]
        return len(changed)

    def end(self, job_id: int, verb: JobVerb) -> int | None:
        """Fail or cancel a job and end its tasks; return how many, None for a final job."""
        job = self.jobs[job_id]
        if job.status.is_final:
            return None
        live = [task for task in job.tasks.values() if task.is_live]
        for task in live:
            task.status, task.reason = TaskState.CANCELLED, None
        job.discovery_open = False
        job.end(next(iter(JOB_TRANSITIONS[verb].values())))
        return len(live)

    def finish_discovery(self, job_id: int) -> bool:
        """Close a job to outsiders; False for a final one."""
        job = self.jobs[job_id]
        if job.status.is_final:
            return False
        job.discovery_open = False
        job.end_if_done()
        return True

    def leasable(self, worker: int, held: set[int]) -> set[int]:
        """The domains that a worker would get."""
        return {
            domain_id
            for domain_id, domain in self.domains.items()
            if self._has_work(domain_id)
            and (
                domain.owner is None
                or domain.owner in self.dead
                or (domain.owner == worker and domain_id not in held)
            )
        }

    def _has_work(self, domain_id: int) -> bool:
        live = [job for job in self.jobs_of(domain_id) if job.status is not JobState.PAUSED]
        due = any(task.due and task.status is TaskState.WAITING
                  for job in self.jobs_of(domain_id) for task in job.tasks.values())  # fmt: skip
        return any(
            job.count(TaskState.PENDING) or (job.count(TaskState.WAITING) and due) for job in live
        )

    def lease(self, worker: int, domain_id: int) -> set[tuple[int, str]]:
        """Become the owner; return the tasks in flight that are still pending."""
        domain = self.domains[domain_id]
        if domain.owner is not None and domain.gap:
            domain.slot_free = False
        domain.owner, domain.epoch = worker, domain.epoch + 1
        return {
            (job_id, key)
            for job_id, key in domain.in_flight
            if self.jobs[job_id].tasks[key].status is TaskState.PENDING
        }

    def release(self, worker: int, domain_id: int, epoch: int) -> None:
        """Give a domain back, if it is the caller's."""
        domain = self.domains[domain_id]
        if (domain.owner, domain.epoch) == (worker, epoch):
            domain.owner, domain.in_flight = None, set()

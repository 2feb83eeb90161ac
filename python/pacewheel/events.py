"""Every line that pacewheel logs: its stable name, its level, its words, its meaning.

Owns the vocabulary of the log: an event is said by `Logger.say(events.NAME, field=value, ...)` and
in no other way, so what stands here is all there is (`tests/contract/test_events.py`). Names and
fields are for machines and don't change with the words. At info and above an event is a decision or
a change of state, never one task's way.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from logging import DEBUG, ERROR, INFO, WARNING

FIELDS = {
    "attempt": "number of the attempt, from 1",
    "block_s": "seconds for which nothing of the domain starts",
    "busy": "slots in use",
    "cancelled": "tasks cancelled",
    "completed": "tasks completed",
    "connections": "connections that may be opened for work",
    "counters": "by job: each counter that was wrong, as kept and as found",
    "delay_ms": "the domain's adaptive delay",
    "domain": "the domain's name",
    "domains": "how many domains",
    "duration_s": "how long it took, or lasted",
    "error": "what went wrong",
    "failed": "tasks failed",
    "failures": "failures in a row",
    "grace_s": "how long a drain waits for running handlers",
    "handler": "the handler's name",
    "headroom": "share of the connections and of the room for outcomes that is free",
    "held": "domains held by this process",
    "hints": "how many hints",
    "job_id": "the job",
    "job_ids": "the jobs",
    "jobs": "how many jobs",
    "lines": "how many lines",
    "live_job_id": "the schedule's job that is still live",
    "memory": "share of the memory limit in use",
    "next_at": "the schedule's next occurrence",
    "orphans": "what was found left behind, by kind",
    "partition": "the partition's name",
    "partitions": "the partitions' names",
    "ports": "the first and the last port tried",
    "raises": "how many raises of priorities",
    "reason": "why, one word of a closed set",
    "retries_job_id": "the job whose failed tasks are run again",
    "rows": "rows removed, by table",
    "schedule": "the schedule's name",
    "service": "the part of the engine",
    "settings": "all settings",
    "share": "what the number of connections is a share of",
    "short": "share of the time in which work waited for a slot",
    "skipped": "tasks skipped",
    "slots": "slots now",
    "slots_before": "slots before",
    "statement": "name of the transaction's file in sql/queries",
    "status": "the state the job ended in",
    "task_id": "the task",
    "tasks": "how many tasks",
    "total": "tasks the job had",
    "url": "where the HTTP server listens",
    "verb": "the hint's verb",
    "where": "host, port and database",
    "worker_id": "this process, as the table of workers knows it",
    "workers": "the ids of other processes",
}
"""What the fields of events mean. A line may carry the fields of its context besides its own."""


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of line.

    Attributes:
        name: stable, the value of the field `event`.
        level: of the standard library's logging.
        words: the message, with the fields that it names in braces.
        meaning: when it is said, and what to do if something is.
        is_bounded: a storm of them is summed up by the handler: the first ten in ten seconds, then
            how many more.
    """

    name: str
    level: int
    words: str
    meaning: str
    is_bounded: bool = True

    @property
    def named(self) -> frozenset[str]:
        """The fields that the words name."""
        return frozenset(name for _, name, _, _ in string.Formatter().parse(self.words) if name)


PROCESS_STARTING = Event(
    "process_starting",
    INFO,
    "starting",
    "`pacewheel run` has read its settings, which the line carries",
)
PROCESS_DRAINING = Event(
    "process_draining",
    INFO,
    "draining: no new tasks, {grace_s:g} s for those that run",
    "the process was asked to stop",
)
PROCESS_STOPPED = Event(
    "process_stopped",
    INFO,
    "stopped: everything is settled or given back",
    "the process ends in order",
)
TASKS_INTERRUPTED = Event(
    "tasks_interrupted",
    INFO,
    "{tasks} tasks were interrupted and are pending again",
    "handlers outlived the grace of a drain; their attempts don't count",
)
OUTCOMES_LEFT = Event(
    "outcomes_left",
    WARNING,
    "{tasks} outcomes could not be settled before the end; their tasks will run again",
    "the database did not take them within the grace",
)
RAISES_LEFT = Event(
    "raises_left",
    WARNING,
    "{raises} raises of priorities stay in the outbox for the next owners of their domains",
    "they could not be written before the end; nothing is lost",
)

LINES_LEFT_OUT = Event(
    "lines_left_out",
    WARNING,
    "{lines} lines are left out here: nobody read standard error",
    "a reader was stopped, or slow; the work went on",
)
LINE_UNSHOWN = Event(
    "line_unshown",
    ERROR,
    "a line is lost, for it can't be shown: {error}",
    "arguments that don't fit its words, or a value without a text, in a handler's own line",
)

DATABASE_LOST = Event(
    "database_lost",
    WARNING,
    "the database is away, and waited for: {error}",
    "the first statement or connection that failed so; said once an outage",
)
DATABASE_RETURNED = Event(
    "database_returned",
    INFO,
    "the database is back after {duration_s:.1f} s",
    "statements succeed again after database_lost, and none has failed for three seconds",
)
TRANSACTION_SLOW = Event(
    "transaction_slow",
    WARNING,
    "slow transaction: {statement} took {duration_s:.1f} s",
    "longer than slow_transaction_ms; seen again and again, run `pacewheel doctor`",
)
FIGURES_UNREAD = Event(
    "figures_unread", DEBUG, "figures could not be read: {error}", "metrics leave them out"
)
HTTP_SERVING = Event("http_serving", INFO, "dashboard and metrics at {url}", "the port is open")
HTTP_PORTS_TAKEN = Event(
    "http_ports_taken",
    WARNING,
    "no HTTP server: ports {ports} are taken; give --http-port, 0 for none",
    "as many processes of this machine serve already",
)
HTTP_DEFECT = Event(
    "http_defect", ERROR, "an answer over HTTP failed: {error}", "a defect: please report it"
)
SERVICE_WAITING = Event(
    "service_waiting",
    DEBUG,
    "{service} waits for the database: {error}",
    "each try of a part of the engine while the database is away",
)
SERVICE_CRASHED = Event(
    "service_crashed",
    ERROR,
    "{service} failed and is started again",
    "a defect, with its traceback: please report it",
)
CONNECTIONS_SHARED = Event(
    "connections_shared",
    INFO,
    "up to {connections} connections for work{share}",
    "this process's share of the server's connections, or what a pooler leaves to it",
)
SHARE_UNREVIEWED = Event(
    "share_unreviewed",
    WARNING,
    "the share of connections could not be reviewed: {error}",
    "the share before goes on; the next heartbeat tries again",
)

WORKER_REGISTERED = Event(
    "worker_registered",
    INFO,
    "registered as worker {worker_id}",
    "at the start, and again after this process was declared dead",
)
WORKER_DECLARED_DEAD = Event(
    "worker_declared_dead",
    WARNING,
    "worker {worker_id} was declared dead: its domains are gone",
    "this process did not renew its lease in time: it was suspended, overloaded or cut off",
)
OTHERS_DECLARED_DEAD = Event(
    "others_declared_dead",
    WARNING,
    "declared dead, their leases having run out: workers {workers}",
    "other processes died or hang; their domains are taken over",
)
TASKS_RECOVERED = Event(
    "tasks_recovered",
    WARNING,
    "{tasks} tasks were left running by a dead worker",
    "they are retried, the attempt counted",
)
DOMAINS_LEASED = Event(
    "domains_leased", INFO, "leased {domains} domains, {held} are held", "leases gained"
)
DOMAINS_RELEASED = Event(
    "domains_released",
    INFO,
    "gave {domains} domains back, {held} are held",
    "leases given back: no work there, or others have a right to it",
)
DOMAIN_LOST = Event(
    "domain_lost",
    WARNING,
    "the lease of {domain} is lost",
    "another process owns it by now; its tasks are stopped here",
)
RELEASE_FAILED = Event(
    "release_failed",
    WARNING,
    "could not give the domains back; others take them over when the lease runs out: {error}",
    "the database was away in a drain",
)

HINTS_LOST = Event(
    "hints_lost",
    WARNING,
    "no hints arrive, work is found by sweeping: {error}",
    "the listening connection is lost, and made again",
)
HINTS_BACK = Event(
    "hints_back", INFO, "hints arrive again after {duration_s:.1f} s", "after hints_lost"
)
HINTS_WITHOUT_LISTENER = Event(
    "hints_without_listener",
    INFO,
    "no hints through a pooler: new work is found by the sweep; set direct_dsn to hear of it at once",
    "pooler=true without direct_dsn",
)
HINTS_UNSENT = Event(
    "hints_unsent", DEBUG, "{hints} hints are lost: {error}", "the sweep of others finds the same"
)
HINT_UNKNOWN = Event(
    "hint_unknown", DEBUG, "a hint of another version: {verb}", "a newer process, or a stranger"
)

JOB_CREATED = Event(
    "job_created",
    INFO,
    "job {job_id} of {domain} is created for handler {handler}, with {tasks} tasks",
    "by this process",
    is_bounded=False,
)
JOB_RETRIED = Event(
    "job_retried",
    INFO,
    "job {job_id} is created for {tasks} failed tasks of job {retries_job_id}",
    "that job is final and changes no more",
    is_bounded=False,
)
JOB_STARTED = Event(
    "job_started",
    INFO,
    "job {job_id} of {domain} has started",
    "its first task was claimed, by this process",
    is_bounded=False,
)
JOB_PAUSED = Event(
    "job_paused", INFO, "job {job_id} is paused", "somebody asked for it", is_bounded=False
)
JOB_RESUMED = Event(
    "job_resumed", INFO, "job {job_id} goes on", "somebody asked for it", is_bounded=False
)
JOB_ENDED = Event(
    "job_ended",
    INFO,
    "job {job_id} of {domain} is {status} after {duration_s:.1f} s: {completed} completed, "
    "{failed} failed, {skipped} skipped, {cancelled} cancelled",
    "said by the process that settled its last task, or that ended it",
    is_bounded=False,
)
JOB_LOAD_FAILED = Event(
    "job_load_failed",
    DEBUG,
    "jobs {job_ids} could not be loaded",
    "whoever waited for them got the error",
)
OUTCOME_REFUSED = Event(
    "outcome_refused",
    ERROR,
    "task {task_id} could not be settled as it was: {error}",
    "a handler returned what no row takes; the task fails with error unsettleable",
)
HANDLER_ABANDONED = Event(
    "handler_abandoned",
    ERROR,
    "handler {handler} ignores its cancellation on task {task_id}; it is left behind",
    "it swallows CancelledError: correct it, for it holds memory and perhaps a connection",
)
HANDLER_RAISED = Event(
    "handler_raised",
    DEBUG,
    "handler {handler} raised on task {task_id}",
    "with its traceback; the task is retried, and the result keeps the error's text",
)

DOMAIN_BLOCKED = Event(
    "domain_blocked",
    INFO,
    "{domain} is asked nothing for {block_s:g} s: {reason}",
    "the site asked for a pause (Retry-After, 429, 503), or a handler did",
)
BREAKER_OPENED = Event(
    "breaker_opened",
    INFO,
    "{domain} failed {failures} times in a row: nothing of it starts for {block_s:g} s",
    "its circuit is open, or stayed open after a probe",
)
BREAKER_CLOSED = Event(
    "breaker_closed",
    INFO,
    "{domain} answers again: its circuit is closed",
    "the probe after breaker_opened succeeded",
)
DOMAIN_SLOWED = Event(
    "domain_slowed",
    INFO,
    "{domain} is asked less often: its adaptive delay is {delay_ms} ms",
    "the first sign that the site is overloaded; further changes are at debug",
)
DOMAIN_RECOVERED = Event(
    "domain_recovered",
    INFO,
    "{domain} is asked as often as before: it has no adaptive delay any more",
    "after domain_slowed",
)
PACE_CHANGED = Event(
    "pace_changed",
    DEBUG,
    "{domain}: adaptive delay is {delay_ms} ms now",
    "between domain_slowed and domain_recovered",
)

SCALED = Event(
    "scaled",
    INFO,
    "scaled {slots_before} -> {slots}: {reason} (busy {busy}, short of slots {short:.0%} of the time,"
    " headroom {headroom:.0%}, memory {memory:.0%})",
    "a decision that changed the number of slots; all of them are in the metrics",
)
COUNTERS_REPAIRED = Event(
    "counters_repaired",
    WARNING,
    "repaired: the counters of {jobs} jobs had drifted (kept, found: {counters});"
    " left behind: {orphans}",
    "a defect: please report it",
)
RESULTS_DROPPED = Event(
    "results_dropped",
    INFO,
    "results of a day are old and gone: {partition}",
    "retention, see results_keep_days",
)
RESULTS_BUSY = Event(
    "results_busy",
    WARNING,
    "old results stay until the next run: something holds the table of results locked",
    "a report or a transaction that takes minutes; seen again and again, look for it",
)
PRUNED = Event(
    "pruned",
    INFO,
    "removed what is old: rows {rows}, partitions {partitions}",
    "one run of retention that found something",
)
PRUNE_FAILED = Event(
    "prune_failed",
    ERROR,
    "what is old is not removed: {error}",
    "retention was refused something; the work goes on, and the next run tries again",
)
SCHEDULE_FIRED = Event(
    "schedule_fired",
    INFO,
    "schedule {schedule}: job {job_id}; the next one: {next_at}",
    "an occurrence made a job",
    is_bounded=False,
)
SCHEDULE_SKIPPED = Event(
    "schedule_skipped",
    WARNING,
    "schedule {schedule}: an occurrence is skipped, for job {live_job_id} is still live;"
    " the next one: {next_at}",
    "the job takes longer than the time between two occurrences",
)
SCHEDULE_PAUSED = Event(
    "schedule_paused",
    ERROR,
    "schedule {schedule} is paused: {error}",
    "it can't be fired; correct it, then resume it",
)

ALL = {value.name: value for value in list(vars().values()) if isinstance(value, Event)}
"""Every event by its name."""

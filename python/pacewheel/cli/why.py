"""`pacewheel why`: what a job, a task, a domain or a page waits for, who holds it, and until when.

One word says what is meant. In this order:

- `job:N`, `task:N` and `domain:NAME` are what they say;
- a whole number from 1 up to 999,999,999,999 is a job, any other whole number a task: jobs are
  numbered from 1, the ids of tasks are made of 64 bits, half of them below zero;
- what contains `://` is the page of that URL, in the newest job of its site that knows it; where
  none does and it names no page but the site, it is the site's domain;
- anything else is a domain.

With a second word, the first is a job and the second the key of a task of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pacewheel.cli import options, progress
from pacewheel.cli.domains import blocked, next_slot, set_by
from pacewheel.cli.engines import HANDLER, connected, run_async
from pacewheel.cli.tables import gap, length, moment
from pacewheel.cli.waiting import own_start, waiting_lines
from pacewheel.crawl.options import read as read_options
from pacewheel.crawl.urls import parse
from pacewheel.errors import ConfigInvalid, DomainUnknown, TaskUnknown
from pacewheel.model import TaskState
from pacewheel.plain import detail_json, waiting_json
from pacewheel.report.words import plural, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pacewheel.config import Config
    from pacewheel.engine import Engine
    from pacewheel.model import JobInfo, TaskInfo, Waiting
    from pacewheel.overview import Attempt, DomainInfo, TaskDetail

JOBS_END = 10**12
JOBS_OF_A_SITE = 20
ATTEMPTS_SHOWN = 5
# No longer than an id may be: a number of thousands of digits is a name.
_WHOLE = re.compile(r"[+-]?[0-9]{1,24}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of what was asked for: lines for people, objects for programs."""

    lines: Sequence[str]
    objects: Sequence[dict[str, Any]]


def run(args: argparse.Namespace) -> int:
    """Explain what the arguments name; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    answer = run_async(_answer(config, args.what, args.key))
    if args.json:
        for each in answer.objects:
            print(json.dumps(each))
    else:
        print("\n".join(map(printable, answer.lines)))
    return 0


async def _answer(config: Config, what: str, key: str | None) -> Answer:
    kind, name = ("job", what) if key is not None else named(what)
    number = options.job_id(name) if kind == "job" else task_id(name) if kind == "task" else 0
    async with connected(config) as engine:
        if key is not None:
            return _of_task(await engine.store.overview.find_task(number, key))
        if kind == "job":
            return await _of_job(engine, number)
        if kind == "task":
            return _of_task(await engine.store.overview.get_task(number))
        return await (_of_url if kind == "url" else _of_domain)(engine, name)


def named(what: str) -> tuple[str, str]:
    """Return what is meant (`job`, `task`, `url` or `domain`), and its name."""
    kind, colon, name = what.partition(":")
    if colon and kind in {"job", "task", "domain"} and not name.startswith("//"):
        return kind, name
    if _WHOLE.fullmatch(what):
        return "job" if 0 <= int(what) < JOBS_END else "task", what
    return "url" if "://" in what else "domain", what


def task_id(text: str) -> int:
    """Parse a task's id. Raises ConfigInvalid."""
    if not _WHOLE.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise ConfigInvalid(f"task id {text!r} is refused; give one as 'job tasks' lists them")
    return int(text)


async def _of_job(engine: Engine, job_id: int) -> Answer:
    job = await engine.get_job(job_id)
    info = await job.info()
    found = await job.explain()
    return Answer([job_line(info), *_waits(found, info)], [waiting_json(each) for each in found])


async def _of_domain(engine: Engine, name: str) -> Answer:
    info = await engine.store.overview.get_domain(name)
    found = await engine.explain(domain=name)
    lines = [domain_line(info), *waiting_lines(found)]
    if not found:
        lines.append("nothing of it waits" if info.live_jobs else "it has no live job")
    return Answer(lines, [waiting_json(each) for each in found])


async def _of_url(engine: Engine, text: str) -> Answer:
    url = parse(text)
    infos = await engine.list_jobs(domain=url.authority, limit=JOBS_OF_A_SITE)
    for info in infos:
        # The site's jobs may tell its pages apart by other rules.
        key = read_options(info.options).folded(url.key) if info.handler == HANDLER else text
        try:
            return _of_task(await engine.store.overview.find_task(info.id, key))
        except TaskUnknown:
            continue
    if not infos:
        raise DomainUnknown.of(url.authority)
    if url.path == "/":
        return await _of_domain(engine, url.authority)
    raise TaskUnknown(
        f"no job of {url.authority} has found the page {url.href} (the last {len(infos)} were "
        f"asked): see 'pacewheel job tasks {infos[0].id}' for those it has"
    )


def job_line(info: JobInfo) -> str:
    """Return how a job is, in a sentence."""
    words = f"job {info.id} of {info.domain} is {info.status.name.lower()}"
    if info.status.is_final:
        error = f" ({info.error})" if info.error else ""
        return f"{words}{error}: {info.completed} of {info.total} tasks completed, {info.failed} failed"
    grows = info.discovery_open
    words += f": {info.settled}/{info.total}{'+' if grows else ''} done, {info.running} running"
    if info.workers_alive == 0 and info.live:
        words += f", no process that knows handler {info.handler} works"
    eta_s = progress.eta_s(info, None)
    return words + (f", {progress.eta_words(eta_s, grows=grows)} left" if eta_s else "")


def domain_line(info: DomainInfo) -> str:
    """Return how a domain's gate is, in a sentence."""
    words = f"{info.name}: no gap between requests"
    if info.gap_ms:
        words = f"{info.name}: a request every {gap(info.gap_ms)} (set by {set_by(info)})"
        words += f", the next slot {next_slot(info)}"
    if info.blocked_in_ms is not None:
        words += f"; blocked: {blocked(info)}"
    if info.refused_at is not None:
        words += f"; the last 429 or 503 at {moment(info.refused_at)}"
    holder = "no worker" if info.owner is None else f"worker {info.owner}"
    return f"{words}; {plural(info.running, 'task')} running; {holder} holds it"


def _waits(found: Sequence[Waiting], info: JobInfo) -> list[str]:
    if found or info.status.is_final:
        return waiting_lines(found)
    if info.running or not info.discovery_open:
        return ["nothing of it waits"]
    return ["it has no tasks left and stays open for more: end it by 'pacewheel job cancel'"]


def _of_task(detail: TaskDetail) -> Answer:
    task = detail.task
    lines = [_task_line(task), f"task {task.id} of job {task.job_id}, domain {task.domain}"]
    if task.key != task.target:
        lines.append(f"key {task.key}")
    if detail.attempts:
        shown = detail.attempts[:ATTEMPTS_SHOWN]
        left_out = len(detail.attempts) - len(shown)
        more = f", the last {len(shown)}" if left_out else ""
        lines.append(f"{plural(task.attempt, 'attempt')} so far{more}:")
        lines += [f"  {_attempt_line(each)}" for each in shown]
    return Answer(lines, [detail_json(detail)])


def _task_line(task: TaskInfo) -> str:
    words = f"{task.target} is {task.state.name.lower()}"
    if task.reason is not None:
        words += f", {task.reason.value}"
    if task.holder is not None:
        words += f": {task.holder}"
    if task.state is TaskState.RUNNING and task.owner is not None:
        words += f" on worker {task.owner}"
    if task.state in {TaskState.PENDING, TaskState.WAITING}:
        words += own_start(task.expected_in_ms)
    return words


def _attempt_line(each: Attempt) -> str:
    words = [moment(each.finished_at), f"attempt {each.attempt}:"]
    # Of an attempt that is to be repeated the state says waiting: its error says more.
    words.append(each.error or each.outcome.name.lower())
    if each.http_status is not None:
        words.append(f"(HTTP {each.http_status})")
    words.append(f"after {length(each.duration_ms)} on worker {each.worker_id}")
    cache = "" if each.cache in {None, "unknown"} else f", cache {each.cache}"
    return " ".join(words) + cache

"""The commands that look at a running system, and those that change a job: their arguments.

What they do stands in the modules that `target` names, imported when a command runs.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pacewheel.cli import options

if TYPE_CHECKING:
    from argparse import ArgumentParser, _SubParsersAction

_LINE = "as one JSON object a line"
_OBJECT = "as one JSON object"
_WHY = """\
Say what a job, a task, a domain or a page waits for, who holds it, and until when.

  pacewheel why 7                        job 7
  pacewheel why 7 KEY                    the task of job 7 with this key
  pacewheel why -8123456789012345678     a task, by its id
  pacewheel why example.com              a domain
  pacewheel why https://example.com/a    a page, in the newest job of its site that knows it

A whole number from 1 to 999,999,999,999 is a job, any other a task: jobs are numbered from 1, the
ids of tasks are made of 64 bits. job:N, task:N and domain:NAME leave no doubt.
"""


def add_parsers(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the commands."""
    _add_top(subparsers)
    _add_jobs(subparsers)
    _add_job(subparsers)
    _add_domains(subparsers)
    _add_workers(subparsers)
    _add_why(subparsers)
    _add_doctor(subparsers)


def _look(parser: ArgumentParser, json_words: str) -> None:
    """Add what `look.run` reads of the arguments."""
    parser.add_argument("--json", action="store_true", help=json_words)
    parser.add_argument(
        "--watch",
        action="store_true",
        help="again every second until Ctrl-C; with --json one object a line each time",
    )
    options.add_settings(parser, options.LOOK_SETTINGS)


def _add_top(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    top = options.command(
        subparsers,
        "top",
        "top:run",
        "watch everything on one screen: totals, rates, jobs, domains, workers",
        "Keys: q ends; left and right show one list alone; up and down scroll. Where standard "
        "output is no terminal it prints one text.",
    )
    top.add_argument("--once", action="store_true", help="print it once, after a second, and end")
    top.add_argument(
        "--json", action="store_true", help="as one JSON object a second; once with --once"
    )
    options.add_settings(top, options.LOOK_SETTINGS)


def _add_jobs(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    jobs = options.command(subparsers, "jobs", "jobs:list_jobs", "list the jobs that are not final")
    jobs.add_argument("--all", action="store_true", help="final jobs too")
    jobs.add_argument("--limit", metavar="N", default="1000", help="at most so many, newest first")
    _look(jobs, _LINE)


def _add_job(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    job = subparsers.add_parser("job", help="show or change one job", allow_abbrev=False)
    actions = job.add_subparsers(metavar="ACTION", required=True)
    commands = {
        "show": ("jobs:show_job", "show a job with the sums over its results"),
        "tasks": ("jobs:list_tasks", "list the tasks of a job, each with its last attempt"),
        "failed": (
            "jobs:list_failed",
            "list the tasks that failed for good, and their last errors",
        ),
        "pause": ("changes:pause", "start nothing more of a job until it is resumed"),
        "resume": ("changes:resume", "go on with a paused job"),
        "cancel": ("changes:cancel", "end a job and its tasks, or only tasks of it"),
        "retry": ("changes:retry", "run failed tasks again, in a new job if the job is final"),
        "reprioritise": ("changes:reprioritise", "change the weight of a job, or tasks of it"),
    }
    for name, (function, words) in commands.items():
        parser = options.command(actions, name, function, words)
        parser.add_argument("id", metavar="ID", help="the job's number")
        if name == "tasks":
            parser.add_argument("--state", metavar="STATE", help="only those in this state")
            parser.add_argument("--after", metavar="PLACE", help="go on where the last list ended")
        if name in {"tasks", "failed"}:
            parser.add_argument("--limit", metavar="N", default="1000", help="at most so many")
        if name == "reprioritise":
            parser.add_argument("priority", metavar="PRIORITY", help="a number; higher goes first")
        if name in {"cancel", "retry", "reprioritise"}:
            parser.add_argument("keys", metavar="KEY", nargs="*", help="only tasks with these keys")
        if name == "show":
            _look(parser, _OBJECT)
            continue
        parser.add_argument("--json", action="store_true", help=_OBJECT)
        options.add_settings(parser, options.LOOK_SETTINGS)


def _add_domains(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    domains = options.command(
        subparsers,
        "domains",
        "domains:list_domains",
        "list the domains with live jobs: gap, next slot, what runs and waits",
    )
    domains.add_argument("--all", action="store_true", help="those without live jobs too, by name")
    domains.add_argument("--search", metavar="TEXT", help="only those whose name contains it")
    domains.add_argument(
        "--sort",
        metavar="BY",
        default="name",
        help="name (default), live (most live tasks), gap (longest), blocked, refused (most lately "
        "answered 429 or 503), next (earliest slot)",
    )
    domains.add_argument("--limit", metavar="N", default="1000", help="at most so many")
    _look(domains, _LINE)
    domain = subparsers.add_parser("domain", help="show or change one domain", allow_abbrev=False)
    actions = domain.add_subparsers(metavar="ACTION", required=True)
    show = options.command(
        actions, "show", "domains:show_domain", "show a domain's gate, its live jobs and what waits"
    )
    show.add_argument("name", metavar="DOMAIN", help="its name, such as example.com")
    _look(show, _OBJECT)
    delay = options.command(
        actions, "delay", "changes:set_delay", "set the least gap between two requests of a domain"
    )
    delay.add_argument("domain", metavar="DOMAIN", help="its name, such as example.com")
    delay.add_argument("seconds", metavar="SECONDS", help="0 to 3600; a shorter gap counts at once")
    delay.add_argument("--json", action="store_true", help=_OBJECT)
    options.add_settings(delay, options.LOOK_SETTINGS)


def _add_workers(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    workers = options.command(
        subparsers,
        "workers",
        "workers:list_workers",
        "list the processes that work, and the last ones that did",
    )
    workers.add_argument(
        "--ended", metavar="N", default="20", help="of the newest N also those that have ended"
    )
    _look(workers, _LINE)


def _add_why(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = options.command(
        subparsers, "why", "why:run", "say what a job, a task or a domain waits for, and until when"
    )
    parser.description = _WHY
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", metavar="JOB|TASK|DOMAIN|URL", help="as above")
    parser.add_argument("key", metavar="KEY", nargs="?", help="a task of the job, by its key")
    parser.add_argument("--json", action="store_true", help=_LINE)
    options.add_settings(parser, options.LOOK_SETTINGS)


def _add_doctor(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = options.command(
        subparsers,
        "doctor",
        "doctor:run",
        "examine server, schema and work: what is wrong, what follows, what to do",
        "Changes nothing. Ends with 0 when all is well, 7 when somebody should look, 1 when "
        "something must be mended; 3 when the server can't be used, 4 when its schema is missing, "
        "older or newer.",
    )
    parser.add_argument("--json", action="store_true", help=_OBJECT)
    names = ("direct_dsn", "pool_max", "reserve_connections", "results_keep_days")
    options.add_settings(parser, (*options.LOOK_SETTINGS, *names))

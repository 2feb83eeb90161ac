"""The commands and their options, as argparse wants them; nothing here does anything.

Each command names its function as `target` (`module:function` in this package), which `app`
imports when the command runs: `pacewheel --help` need not load an engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.cli import look_commands, options, upkeep
from pacewheel.cli.filters import FILTERS
from pacewheel.config import settings
from pacewheel.crawl.options import RECHECKS_MAX, RECHECKS_MOST
from pacewheel.crawl.query_counts import MAX_QUERIES

if TYPE_CHECKING:
    from argparse import ArgumentParser, _SubParsersAction

DEMO_SCHEMA = "pacewheel_demo"
DELAY_S = 0.5
CONCURRENCY = 8

_WARM_SETTINGS = (
    *options.DATABASE_SETTINGS,
    *("pooler", "capacity", "user_agent", "allow_network", "proxy", "grace_s"),
    *options.LOG_SETTINGS,
)
_DEMO_SETTINGS = ("dsn", "data_dir", "capacity", *options.LOG_SETTINGS)


def add_parsers(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add all commands but `db`."""
    _add_warm(subparsers)
    _add_demo(subparsers)
    _add_run(subparsers)
    _add_submit(subparsers)
    look_commands.add_parsers(subparsers)
    _add_schedule(subparsers)
    _add_reconcile(subparsers)
    upkeep.add_parsers(subparsers)
    _add_report(subparsers)
    _add_export(subparsers)
    _add_migrate(subparsers)
    _add_filters(subparsers)


def _add_warm(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = options.command(
        subparsers,
        "warm",
        "warm:run",
        "warm sites until they are done",
        "Fetches the pages of each site, most important first, at the pace the site permits. "
        "Interrupted and started again with the same options, it resumes.",
    )
    parser.add_argument("urls", nargs="+", metavar="URL", help="where to start; one job a site")
    _add_warm_options(parser)
    _add_output_options(parser)
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="write the report there too; its form by the name: .html, .json, .csv, .xml, .txt",
    )
    options.add_settings(parser, _WARM_SETTINGS)


def _add_demo(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = options.command(
        subparsers,
        "demo",
        "demo:run",
        "warm eight sites of a small farm on this machine, in under a minute",
        f"Uses the schema {DEMO_SCHEMA} and nothing outside this machine.",
    )
    _add_output_options(parser)
    options.add_settings(parser, _DEMO_SETTINGS)


def _add_run(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = options.command(
        subparsers,
        "run",
        "run:run",
        "work on all submitted jobs until SIGTERM or SIGINT",
        "Start as many as you like on one database: together they keep every limit.",
    )
    options.add_settings(parser, settings())


def _add_submit(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = options.command(
        subparsers,
        "submit",
        "submit:run",
        "create the jobs of `warm` for running processes to work on, and print their ids",
    )
    parser.add_argument("urls", nargs="+", metavar="URL", help="where to start; one job a site")
    _add_warm_options(parser)
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    options.add_settings(parser, (*options.LOOK_SETTINGS, "user_agent", "allow_network", "proxy"))


def _add_schedule(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    schedule = subparsers.add_parser(
        "schedule", help="warm a site again and again", allow_abbrev=False
    )
    actions = schedule.add_subparsers(metavar="ACTION", required=True)
    add = options.command(
        actions,
        "add",
        "schedule:add",
        "create a schedule: running processes make a job of `warm` at each occurrence",
        "None is made while the last one is live; those that nobody was there to make come to one.",
    )
    add.add_argument("name", metavar="NAME", help="what the schedule is to be called")
    add.add_argument("urls", nargs="+", metavar="URL", help="where to start; all of one site")
    when = add.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", metavar="EXPR", help="a cron expression, such as '0 3 * * *'")
    when.add_argument("--every", metavar="TIME", help="an interval, such as 30m, 6h or 1d")
    add.add_argument(
        "--zone", metavar="NAME", default="UTC", help="time zone of --cron (default: UTC)"
    )
    _add_warm_options(add)
    add.add_argument("--json", action="store_true", help="as one JSON object")
    options.add_settings(add, (*options.LOOK_SETTINGS, "user_agent", "allow_network", "proxy"))
    changes = {
        "list": ("schedule:list_all", "list the schedules with their last jobs"),
        "pause": ("schedule:pause", "make no more jobs of a schedule until it is resumed"),
        "resume": ("schedule:resume", "go on with a paused schedule, from its next occurrence"),
        "remove": ("schedule:remove", "remove a schedule; its jobs stay"),
        "run": ("schedule:fire", "make a job of a schedule now, also of a paused one"),
    }
    for name, (function, words) in changes.items():
        parser = options.command(actions, name, function, words)
        if name != "list":
            parser.add_argument("name", metavar="NAME", help="the schedule's name")
        parser.add_argument("--json", action="store_true", help="as JSON, an object a line")
        options.add_settings(parser, options.LOOK_SETTINGS)


def _add_reconcile(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = options.command(
        subparsers,
        "reconcile",
        "reconcile:run",
        "compare the jobs' counters with their tasks, and repair what differs",
        "Running processes do it by themselves; ends with 1 when it found something.",
    )
    parser.add_argument("--job", metavar="ID", help="only this job (default: all, final ones too)")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, only say it")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    options.add_settings(parser, options.LOOK_SETTINGS)


def _add_report(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = options.command(
        subparsers,
        "report",
        "report:run",
        "say what a job came to: pages, caches, politeness, what bound it",
        "Of a job that still runs, what it has come to by now. Ends with 6 when a condition of "
        "--fail-on is met.",
    )
    parser.add_argument("id", metavar="JOB", help="the job's number")
    forms = parser.add_mutually_exclusive_group()
    for form, words in (
        ("html", "as one HTML file that needs no network"),
        ("json", "as JSON"),
        ("csv", "as CSV, a line a finding"),
        ("junit", "as JUnit XML, for CI servers"),
    ):
        forms.add_argument(
            f"--{form}", dest="form", action="store_const", const=form, help=words, default="text"
        )
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there")
    parser.add_argument(
        "--compare", metavar="JOB|previous", help="say what changed since another job of the site"
    )
    parser.add_argument(
        "--fail-on",
        metavar="CONDITIONS",
        help="end with 6 when one is met, such as broken>0,warm_share<0.9,p95_ms>800",
    )
    options.add_settings(parser, options.LOOK_SETTINGS)


def _add_export(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = options.command(
        subparsers,
        "export",
        "export:run",
        "write every task of a job with its last result",
        "A live job's in one snapshot. A thousand at a time: jobs of millions take no more memory.",
    )
    parser.add_argument("id", metavar="JOB", help="the job's number")
    parser.add_argument(
        "--format", choices=("jsonl", "csv"), default="jsonl", help="JSON lines (default) or CSV"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there")
    options.add_settings(parser, options.LOOK_SETTINGS)


def _add_migrate(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = options.command(
        subparsers,
        "migrate",
        "migrate:run",
        "bring the database's schema to the version of this code",
        "Other commands do it too; two at once do no harm.",
    )
    parser.add_argument("--status", action="store_true", help="only say what is missing")
    options.add_settings(parser, options.LOOK_SETTINGS)


def _add_filters(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    groups: dict[str, _SubParsersAction[ArgumentParser]] = {}
    for each in FILTERS:
        if each.group not in groups:
            words = f"filters of standard input for {each.group}"
            group = subparsers.add_parser(each.group, help=words, allow_abbrev=False)
            groups[each.group] = group.add_subparsers(metavar="ACTION", required=True)
        more = f"One JSON object a line on standard input, one on standard output: {each.members}"
        parser = options.command(groups[each.group], each.name, "filters:run", each.title, more)
        parser.set_defaults(filter=each)


def _add_warm_options(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--concurrency",
        metavar="N",
        default=str(CONCURRENCY),
        help=f"requests in flight a site (default: {CONCURRENCY})",
    )
    add(
        "--delay",
        metavar="SECONDS",
        default=str(DELAY_S),
        help="least time between two requests to a site; its Crawl-delay wins if longer "
        f"(default: {DELAY_S})",
    )
    add("--max-pages", metavar="N", help="most pages a site, sitemaps included (default: all)")
    add(
        "--rechecks",
        metavar="N",
        default="1",
        help="how often to ask again for a page whose miss may become a hit, "
        f"0 to {RECHECKS_MOST} (default: 1)",
    )
    add(
        "--rechecks-max",
        metavar="N",
        default=str(RECHECKS_MAX),
        help=f"how often for all pages of a site (default: {RECHECKS_MAX})",
    )
    add(
        "--header",
        metavar="'NAME: VALUE'",
        action="append",
        help="a header for every request to the sites; its value is shown nowhere; repeatable",
    )
    add(
        "--conditional-on",
        metavar="JOB",
        help="without --no-links only for the deepest pages: ask only for what has changed since "
        "this earlier job of the site",
    )
    add(
        "--latency-factor",
        metavar="K",
        default="0",
        help="the next request comes no sooner than K times the last response time (default: 0)",
    )
    _add_page_options(parser)


def _add_page_options(parser: ArgumentParser) -> None:
    """Add what says which pages there are."""
    add = parser.add_argument
    add("--no-links", action="store_true", help="do not follow links")
    add("--no-sitemap", action="store_true", help="do not read sitemaps")
    add(
        "--no-link-record",
        action="store_true",
        help="do not keep which page links to which; the report then knows no linking pages",
    )
    add(
        "--include",
        metavar="PATTERN",
        action="append",
        help="only pages whose path and query match, such as '/blog/*' or 're:^/(en|de)/'; repeatable",
    )
    add("--exclude", metavar="PATTERN", action="append", help="no such pages; repeatable")
    add("--subdomains", action="store_true", help="pages on hosts below the site's belong to it")
    add("--www", action="store_true", help="the host is the same with and without www.")
    add(
        "--drop-tracking",
        action="store_true",
        help="URLs that differ only in tracking parameters (utm_*, gclid, ...) are one page",
    )
    add(
        "--sort-query",
        action="store_true",
        help="URLs that differ only in the order of their parameters are one page",
    )
    add(
        "--max-queries",
        metavar="N",
        default=str(MAX_QUERIES),
        help="different queries of one path that links may lead to, about, or 'all' "
        f"(default: {MAX_QUERIES})",
    )


def _add_output_options(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the summary as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the summary")

"""The options of commands that look after the database; `commands` has those of all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.cli import options

if TYPE_CHECKING:
    from argparse import ArgumentParser, _SubParsersAction

_PRUNE_SETTINGS = (
    *options.DATABASE_SETTINGS,
    *("pooler", "results_keep_days", "jobs_keep_days", "domains_keep_days", "workers_keep_days"),
    *options.LOG_SETTINGS,
)


def add_parsers(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the commands."""
    title = (
        "say which jobs, results, domains and dead processes are old, and remove them with --yes"
    )
    more = "Running processes do it by themselves, by the same settings."
    parser = subparsers.add_parser(
        "prune",
        help=title,
        description=f"{title[0].upper()}{title[1:]}. {more}",
        allow_abbrev=False,
    )
    parser.set_defaults(target="prune:run")
    parser.add_argument("--yes", action="store_true", help="remove it now")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    options.add_settings(parser, _PRUNE_SETTINGS)

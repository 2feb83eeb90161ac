"""`pacewheel db`: the embedded PostgreSQL by hand.

Owns the arguments and the printing; what happens is `pacewheel.embedded`'s. Errors pass through
as PacewheelError, which the caller prints as one line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from pacewheel import embedded
from pacewheel.cli import options
from pacewheel.errors import ConfigInvalid

if TYPE_CHECKING:
    from argparse import ArgumentParser, _SubParsersAction

    from pacewheel.config import Config


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add `db` and its commands; each sets `func(args) -> exit code`."""
    parser = subparsers.add_parser("db", help="the embedded PostgreSQL: start, stop, look inside")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    start = commands.add_parser("start", help="start it; it stays up without users until `db stop`")
    start.set_defaults(func=_start)

    stop = commands.add_parser("stop", help="stop it")
    stop.add_argument("--force", action="store_true", help="also while processes use it")
    stop.set_defaults(func=_stop)

    status = commands.add_parser("status", help="whether it runs, and for whom")
    status.add_argument("--json", action="store_true", help="as one JSON object")
    status.set_defaults(func=_status)

    reset = commands.add_parser("reset", help="stop it and delete all its data")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    reset.set_defaults(func=_reset)

    for command in (start, stop, status, reset):
        options.add_settings(command, ("data_dir",))

    # No prefix: every argument arrives as it is, and those of psql need no "--" before them.
    psql = commands.add_parser(
        "psql",
        prefix_chars="\0",
        add_help=False,
        help="psql on the database; further arguments go to psql",
    )
    psql.add_argument("psql_args", nargs=argparse.REMAINDER)
    psql.set_defaults(func=_psql)


def _config(args: argparse.Namespace) -> embedded.EmbeddedConfig:
    return _embedded(options.load_config(args))


def _embedded(config: Config) -> embedded.EmbeddedConfig:
    if config.data_dir is None:
        return embedded.EmbeddedConfig()
    return embedded.EmbeddedConfig(data_dir=config.data_dir)


def _start(args: argparse.Namespace) -> int:
    now = embedded.start(_config(args))
    print(f"PostgreSQL {now.version} runs (pid {now.pid}) until `pacewheel db stop`: {now.dsn}")
    return 0


def _stop(args: argparse.Namespace) -> int:
    stopped = embedded.stop(_config(args), force=args.force)
    print("stopped" if stopped else "it was not running")
    return 0


def _status(args: argparse.Namespace) -> int:
    now = embedded.status(_config(args))
    if args.json:
        print(json.dumps(asdict(now), default=str))
        return 0
    state = "not running"
    if now.running:
        state = f"running, pid {now.pid}" + (", pinned" if now.pinned else "")
    users = ", ".join(str(pid) for pid in now.users) or "none"
    print(f"state      {state}")
    print(f"version    {now.version or 'not installed'}")
    print(f"data       {now.data_dir} ({now.size_bytes / 2**20:.0f} MB)")
    print(f"socket     {now.socket_dir}")
    print(f"users      {users}")
    if now.dsn:
        print(f"dsn        {now.dsn}")
    return 0


def _psql(args: argparse.Namespace) -> int:
    parser = argparse.ArgumentParser(
        "pacewheel db psql",
        usage="%(prog)s [settings] [arguments of psql]",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("--help", action="help", help="show this; psql's own is `-- --help`")
    options.add_settings(parser, ("dsn", "data_dir"))
    given = list(args.psql_args)
    cut = given.index("--") if "--" in given else len(given)
    own, extra = parser.parse_known_args(given[:cut])
    extra += given[cut + 1 :]
    config = options.load_config(own)
    program = embedded.find_binaries().program("psql")
    dsn = config.dsn
    if dsn is None:
        use = embedded.acquire(_embedded(config))
        # psql becomes the user: the server stays as long as it does.
        use.keep_across_exec()
        dsn = use.dsn
    sys.stdout.flush()
    os.execv(program, [program, "-d", dsn, *extra])  # noqa: S606 - to become psql is the purpose


def _reset(args: argparse.Namespace) -> int:
    config = _config(args)
    if not args.yes:
        where = config.data_dir.expanduser()
        if not sys.stdin.isatty():
            raise ConfigInvalid(f"this deletes all data in {where}: add --yes to confirm")
        if input(f"Delete all data in {where}? [y/N] ").strip().lower() not in {"y", "yes"}:
            print("nothing deleted")
            return 1
    print("deleted" if embedded.reset(config) else "there was nothing to delete")
    return 0

"""The entry point: arguments to a command, errors to one line and an exit code.

Owns the parser, the exit codes and what a failure looks like. Whatever happens, the user sees one
line that starts with `pacewheel:`; a traceback only with `--debug`.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import traceback
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, NoReturn

from pacewheel.cli import commands, db
from pacewheel.errors import PacewheelError
from pacewheel.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXIT_DEFECT = 70
EXIT_INTERRUPTED = 130
EXIT_USAGE = 2
_EPILOG = """\
exit codes:
  0        fine; also Ctrl-C in top and in what runs with --watch
  1        the work ended, but a site could not be warmed at all or its job failed; reconcile
           found something; doctor: something is failing
  2        bad input or configuration
  3        the database can't be reached or refuses
  4        the database's schema or the server has the wrong version
  5        the embedded PostgreSQL can't be installed, started or stopped
  6        report: a condition of --fail-on is met
  7        doctor: nothing is failing, and somebody should look
  70       a defect of pacewheel; --debug shows the traceback
  130/143  interrupted by SIGINT or SIGTERM, after running tasks have ended

Settings come from the environment (PACEWHEEL_*), a TOML file (--config or PACEWHEEL_CONFIG) and
options; later ones win. `pacewheel run --help` lists all of them.
"""


class Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are one line, with the nearest option that exists."""

    def error(self, message: str) -> NoReturn:
        """End the program with 2."""
        line = message.replace("\n", " ")
        self.exit(EXIT_USAGE, f"pacewheel: {line}; see `{self.prog} --help`\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; the chosen one's function is in `func`, or named in `target`."""
    parser: argparse.ArgumentParser = Parser(
        prog="pacewheel",
        description="Warms web sites politely, every one at its own pace, on PostgreSQL.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pacewheel {_version()}")
    subparsers = parser.add_subparsers(metavar="COMMAND", dest="command")
    commands.add_parsers(subparsers)
    db.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the program's) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        parser = build_parser()
        parsed, unknown = parser.parse_known_args(arguments)
        if unknown:
            _refuse(parser, unknown[0], arguments)
        if parsed.command is None:
            parser.print_help(sys.stderr)
            return EXIT_USAGE
        return _run(parsed)
    except PacewheelError as error:
        return _fail(str(error), error.exit_code, debug=debug)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Who read our output has left; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last place that can turn a defect into one line
        line = f"unexpected {type(error).__name__}: {error}; please report it with the output of --debug"
        return _fail(line, EXIT_DEFECT, debug=debug)


def _run(parsed: argparse.Namespace) -> int:
    if "target" in parsed:
        module, _, name = parsed.target.partition(":")
        code = getattr(import_module(f"pacewheel.cli.{module}"), name)(parsed)
    else:
        code = parsed.func(parsed)
    sys.stdout.flush()
    assert isinstance(code, int)
    return code


def _fail(message: str, code: int, *, debug: bool) -> int:
    if debug:
        print(redact(traceback.format_exc()), file=sys.stderr, end="")
    line = " ".join(redact(message).split())
    print(f"pacewheel: {line}", file=sys.stderr)
    return code


def _refuse(parser: argparse.ArgumentParser, unknown: str, arguments: Sequence[str]) -> NoReturn:
    # argparse offers no public way from a parser to its subparsers and options.
    chosen = parser
    for word in arguments:
        chosen = _subparsers(chosen).get(word, chosen)
    if not unknown.startswith("-"):
        chosen.error(f"unexpected argument {unknown!r}")
    known = list(chosen._option_string_actions)  # noqa: SLF001 - as said above
    near = difflib.get_close_matches(unknown.partition("=")[0], known, n=1)
    chosen.error(f"unknown option {unknown}" + (f"; did you mean {near[0]}?" if near else ""))


def _subparsers(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 - as said above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as said above
            return action.choices
    return {}


def _version() -> str:
    try:
        return version("pacewheel")
    except PackageNotFoundError:
        return "(not installed)"

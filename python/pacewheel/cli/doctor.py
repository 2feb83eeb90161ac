"""`pacewheel doctor`: examine server, schema and work; say what is wrong, what follows, and what to do.

Changes nothing, not even an old schema. Ends with 0 when all is well, 7 when somebody should look,
1 when something must be mended; with 3 when the server can't be used and 4 when the schema has
another version, as every command does.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from pacewheel.cli import options
from pacewheel.cli.engines import run_async
from pacewheel.cli.migrate import database
from pacewheel.doctor import Level, examine, worst
from pacewheel.errors import SchemaMismatch, StoreUnavailable
from pacewheel.report.words import printable
from pacewheel.store.doctor import read_facts

if TYPE_CHECKING:
    import argparse

    from pacewheel.config import Config
    from pacewheel.doctor import Finding
    from pacewheel.doctor.facts import Facts

EXIT_FAILING = 1
EXIT_WARNING = 7
CHECK_COLUMNS = 15
LEVEL_COLUMNS = 7
_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILING: "bold red"}


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    # That the database is away is shown, and need not be logged too.
    config = options.load_config(args, log_level="error")
    facts = run_async(_facts(config))
    findings = examine(facts)
    if args.json:
        print(json.dumps(_object(facts, findings)))
    else:
        _print(facts, findings)
    return exit_code(facts, findings)


async def _facts(config: Config) -> Facts:
    async with database(config) as dsn:
        return await read_facts(dsn, config)


def exit_code(facts: Facts, findings: list[Finding]) -> int:
    """Return what the command ends with."""
    if facts.server is None:
        return facts.errors["server"].exit_code if facts.errors else StoreUnavailable.exit_code
    schema = facts.schema
    if schema is not None and schema.version != schema.known:
        return SchemaMismatch.exit_code
    return {Level.OK: 0, Level.WARNING: EXIT_WARNING, Level.FAILING: EXIT_FAILING}[worst(findings)]


def _object(facts: Facts, findings: list[Finding]) -> dict[str, Any]:
    return {
        "state": worst(findings).value,
        "database": facts.where,
        "findings": [
            {
                "check": each.check,
                "level": each.level.value,
                "words": each.words,
                "meaning": each.meaning,
                "next_step": each.next_step,
            }
            for each in findings
        ],
    }


def _print(facts: Facts, findings: list[Finding]) -> None:
    # Wrapped at the edge of a terminal, and nowhere else.
    console = Console(soft_wrap=not sys.stdout.isatty(), highlight=False)
    indent = LEVEL_COLUMNS + 2 + CHECK_COLUMNS + 2
    for each in findings:
        head = Text(f"{each.level.value:<{LEVEL_COLUMNS}}  ", style=_STYLES[each.level])
        head.append(f"{each.check:<{CHECK_COLUMNS}}  ", style="bold")
        _print_line(console, head, each.words, indent)
        if each.meaning is not None:
            _print_line(console, Text(" " * indent), each.meaning, indent)
        if each.next_step is not None:
            _print_line(console, Text(" " * indent), f"-> {each.next_step}", indent)
    counts = Counter(each.level for each in findings)
    sums = ", ".join(f"{counts[level]} {level.value}" for level in Level)
    console.print(Text(f"{facts.where}: {sums}", style="bold"))


def _print_line(console: Console, head: Text, words: str, indent: int) -> None:
    words = printable(words)
    if console.soft_wrap:
        console.print(head + Text(words))
        return
    lines = list(Text(words).wrap(console, max(20, console.width - indent)))
    console.print(head + lines[0])
    for line in lines[1:]:
        console.print(Padding(line, (0, 0, 0, indent)))

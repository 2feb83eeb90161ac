"""The log's vocabulary is what `events` says: every event is said, with fields that are listed, and nothing else is."""

from __future__ import annotations

import ast
import logging
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from pacewheel import events
from pacewheel.events import FIELDS, Event

ROOT = Path(__file__).parents[2] / "python" / "pacewheel"
# The logger itself, and what speaks the standard library's way on purpose.
EXEMPT = {"logs.py"}
RESERVED = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "at", "level", "logger"}
CONSTANTS = {name: value for name, value in vars(events).items() if isinstance(value, Event)}


class Said(NamedTuple):
    """One call of `Logger.say`."""

    where: str
    names: frozenset[str]
    fields: frozenset[str]


def calls() -> list[Said]:
    """Return every call of `say` in the package."""
    found = []
    for file in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "say"
            ):
                # Several events by a condition, or a local name that a condition has given a value.
                names = {n.attr for n in ast.walk(node.args[0]) if isinstance(n, ast.Attribute)}
                fields = frozenset(keyword.arg or "**" for keyword in node.keywords)
                where = f"{file.relative_to(ROOT)}:{node.lineno}"
                found.append(Said(where, frozenset(names), fields - {"traceback"}))
    return found


def test_every_event_is_said_somewhere() -> None:
    """What nobody says is not in the list."""
    text = "".join(file.read_text() for file in ROOT.rglob("*.py") if file.name != "events.py")
    assert [] == [name for name in CONSTANTS if f"events.{name}" not in text]
    assert len(calls()) > 40


def test_what_is_said_has_the_fields_of_its_words_and_no_unknown_ones() -> None:
    """Each field is listed with its meaning; the words name only fields that are given."""
    for call in calls():
        assert call.fields <= FIELDS.keys(), call.where
        for name in call.names:
            assert CONSTANTS[name].named <= call.fields, call.where


def test_nothing_is_logged_but_events() -> None:
    """A line without a name can't be counted, alerted on or found in the list."""
    direct = re.compile(r"\blog(ger)?\.(debug|info|warning|error|exception|critical|log)\(")
    bypassing = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in sorted(ROOT.rglob("*.py"))
        if file.name not in EXEMPT
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if direct.search(line)
    ]
    assert [] == bypassing


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_an_event_is_named_like_its_constant(name: str) -> None:
    """The stable name is the constant in lower case, once; its meaning is said."""
    event = CONSTANTS[name]
    assert name.lower() == event.name
    assert event is events.ALL[event.name]
    assert event.meaning
    assert event.named <= FIELDS.keys()


def test_no_field_has_a_name_that_a_record_has() -> None:
    """The logging module refuses to overwrite its own attributes."""
    assert set() == FIELDS.keys() & RESERVED
    assert all(FIELDS.values())

"""Logging: one line an event, fields kept, passwords gone."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from pacewheel import logs


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    """A record as the logging module makes it."""
    logger = logging.getLogger("pacewheel.leaser")
    made = logger.makeRecord(logger.name, logging.INFO, __file__, 1, message, args, None)
    vars(made).update(extra)
    return made


def test_json_lines_hold_message_and_fields() -> None:
    """One object a line, whatever the message contains."""
    line = logs.JsonFormatter().format(record("leased %d\nof them", 3, held=7, who=object))
    entry = json.loads(line)
    assert "\n" not in line
    assert ("leased 3\nof them", "info", "pacewheel.leaser", 7) == (
        entry["message"],
        entry["level"],
        entry["logger"],
        entry["held"],
    )


def test_human_lines_hold_message_and_fields() -> None:
    """The short logger name, the message, then the fields."""
    line = logs.HumanFormatter().format(record("leased %d", 3, held=7))
    assert line.endswith("info    leaser: leased 3  held=7")


@pytest.mark.parametrize("formatter", [logs.HumanFormatter(), logs.JsonFormatter()])
def test_passwords_are_redacted_everywhere(formatter: logging.Formatter) -> None:
    """In the message, in a field and in a traceback."""
    dsn = "postgresql://me:sesame@host/db"
    made = record("can't reach %s", dsn, dsn=dsn, options={"dsn": dsn})
    try:
        raise ValueError(dsn)
    except ValueError:
        made.exc_info = sys.exc_info()
    line = formatter.format(made)
    assert "host/db" in line
    assert "sesame" not in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://u:p@h/d", "postgres://u:***@h/d"),
        ("postgres://u@h/d", "postgres://u@h/d"),
        ("postgres://u:s/w@rd@h/d", "postgres://u:***@h/d"),
        ("https://example.com:8080/a@b", "https://example.com:8080/a@b"),
        ("host=h password='a b' dbname=d", "host=h password=*** dbname=d"),
        ("?password=x&sslmode=require", "?password=***&sslmode=require"),
    ],
)
def test_redact_hides_the_password_alone(text: str, expected: str) -> None:
    """What is no secret stays readable."""
    assert expected == logs.redact(text)

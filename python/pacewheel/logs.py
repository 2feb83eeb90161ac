"""Structured logging: one line an event, readable on a terminal, JSON elsewhere.

Owns the handler and formats of the `pacewheel` logger; standard library only. What a caller passes
as `extra={...}` becomes fields. Promises that no database password leaves the process in a log
line, however it got into the message, a field or a traceback.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

# A password with a slash or an @ that nobody escaped must not survive either: up to the last @ of
# the word.
_DSN_PASSWORD = re.compile(r"(postgres(?:ql)?://[^\s:/@]*:)\S*@", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^\s:/?#@]*:)[^\s/?#@]*@")
_KEY_PASSWORD = re.compile(
    r"(password['\"]?\s*[=:]\s*)('(?:[^'\\]|\\.)*'|[^\s&,;]+)", re.IGNORECASE
)

_PLAIN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """Return `text` with the passwords of connection strings replaced by `***`."""
    text = _DSN_PASSWORD.sub(r"\1***@", text)
    text = _URL_PASSWORD.sub(r"\1***@", text)
    return _KEY_PASSWORD.sub(r"\1***", text)


def configure(level: str, log_format: str = "auto") -> None:
    """Send the `pacewheel` logger to standard error.

    `level`: debug, info, warning or error. `log_format`: human, json, or auto (human on a
    terminal). A second call replaces what the first one set.
    """
    human = log_format == "human" or (log_format == "auto" and sys.stderr.isatty())
    handler = _StandardError()
    handler.setFormatter(HumanFormatter() if human else JsonFormatter())
    logger = logging.getLogger("pacewheel")
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


class HumanFormatter(logging.Formatter):
    """`12:04:31 info    services.leaser: leased 3 domains  held=12`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and the traceback's lines if there is one."""
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        name = record.name.removeprefix("pacewheel.")
        fields = "".join(f"  {key}={value}" for key, value in _fields(record).items())
        line = f"{clock} {record.levelname.lower():<7} {name}: {record.getMessage()}{fields}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return redact(line)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `at` (UTC), `level`, `logger`, `message`, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line; a traceback is the string `traceback`."""
        entry: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        for key, value in _fields(record).items():
            entry.setdefault(key, _plain(value))
        if record.exc_info:
            entry["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to whatever `sys.stderr` is at that moment: the live progress replaces it while it draws."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        raise AttributeError("the stream is always sys.stderr")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN_FIELDS}


def _plain(value: Any) -> Any:
    """Return `value` as JSON takes it, redacted at every depth."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))

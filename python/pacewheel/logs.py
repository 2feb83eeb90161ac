"""Structured logging: one line an event, readable on a terminal, JSON elsewhere.

Owns the handler and formats of the `pacewheel` logger, and what a line carries of its context: the
fields of the attempt that runs (job_id, task_id, domain, handler, attempt) and of the process
(worker_id), by context variables, so a handler's own lines carry them too. Standard library only.
Promises that no secret leaves the process in a line (`redaction`), however it got into the message,
a field or a traceback; that a line is bounded; that a text from outside makes no second line and
tells the terminal nothing; that a storm of one event is summed up; and that a reader who is slow or
gone harms nobody (`standard_error`).
"""

from __future__ import annotations

import json
import logging
import re
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from pacewheel import events
from pacewheel.redaction import cut, plain, redact, shown
from pacewheel.standard_error import StandardError, is_terminal
from pacewheel.storms import Storms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pacewheel.events import Event

MESSAGE_MAX = 2_000
TRACEBACK_MAX = 6_000
# A line that is still longer loses its fields but for these; what is left is far below.
LINE_MAX = 16_000
_KEPT = ("event", "worker_id", "job_id", "task_id", "domain", "handler", "attempt")

_PLAIN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Control characters, ends of lines, marks of direction.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Attempt(Protocol):
    """What a line says of the attempt it comes from: a `Task` is one."""

    id: int
    job_id: int
    domain: str
    handler: str
    attempt: int


ATTEMPT: ContextVar[Attempt | None] = ContextVar("pacewheel_attempt", default=None)
"""The attempt under way, set round each handler."""
WORKER: ContextVar[Callable[[], int | None] | None] = ContextVar("pacewheel_worker", default=None)
"""Returns the id of the worker that this code runs for; set round the engine's start."""


def context() -> dict[str, Any]:
    """Return the fields that a line logged here carries."""
    fields: dict[str, Any] = {}
    attempt = ATTEMPT.get()
    if attempt is not None:
        fields = {
            "job_id": attempt.job_id,
            "task_id": attempt.id,
            "domain": attempt.domain,
            "handler": attempt.handler,
            "attempt": attempt.attempt,
        }
    worker = WORKER.get()
    if worker is not None and (worker_id := worker()) is not None:
        fields["worker_id"] = worker_id
    return fields


@contextmanager
def as_worker(worker_id: Callable[[], int | None]) -> Iterator[None]:
    """Let what is logged within, and by tasks that are started within, carry the worker's id."""
    token = WORKER.set(worker_id)
    try:
        yield
    finally:
        WORKER.reset(token)


class ContextFilter(logging.Filter):
    """Gives each record the fields of its context; add it to a handler of your own."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what the record does not have."""
        for name, value in context().items():
            vars(record).setdefault(name, value)
        return True


class Logger:
    """Says events under one name; a thin shell round the logger `pacewheel.<name>`."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"pacewheel.{name}")

    def say(
        self, event: Event, /, *, traceback: BaseException | None = None, **fields: Any
    ) -> None:
        """Log an event with its fields; see `events`."""
        if not self._logger.isEnabledFor(event.level):
            return
        self._logger.log(
            event.level,
            event.words.format(**fields),
            exc_info=traceback,
            extra={"event": event.name, **context(), **fields},
            stacklevel=2,
        )


def configure(level: str, log_format: str = "auto", *, also: Sequence[str] = ()) -> None:
    """Send the `pacewheel` logger to standard error.

    `level`: debug, info, warning or error. `log_format`: human, json, or auto (human on a
    terminal). `also`: other loggers whose warnings go the same way. A second call replaces what the
    first one set, and no handler of the program's own.
    """
    human = log_format == "human" or (log_format == "auto" and is_terminal())
    handler = _Handler()
    handler.setFormatter(HumanFormatter() if human else JsonFormatter())
    handler.addFilter(ContextFilter())
    for name in ("pacewheel", *also):
        logger = logging.getLogger(name)
        ours = [before for before in logger.handlers if isinstance(before, _Handler)]
        for before in ours:
            before.close()
        logger.handlers = [*(each for each in logger.handlers if each not in ours), handler]
        logger.propagate = False
    logging.getLogger("pacewheel").setLevel(level.upper())


class HumanFormatter(logging.Formatter):
    """`12:04:31 info    leaser: leased 3 domains, 7 are held  worker_id=2`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and the traceback's lines, set off, if there is one."""
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        name = record.name.removeprefix("pacewheel.")
        fields = _fields(record)
        event = events.ALL.get(str(fields.pop("event", "")))
        said = event.named if event is not None else frozenset()
        more = "".join(f"  {key}={value}" for key, value in fields.items() if key not in said)
        message = shown(record.getMessage(), MESSAGE_MAX)
        line = cut(f"{clock} {record.levelname.lower():<7} {name}: {message}{more}", LINE_MAX)
        lines = [line]
        if record.exc_info:
            lines += _traceback(self.formatException(record.exc_info)).split("\n")
        return "\n  ".join(map(_on_one_line, lines))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `at` (UTC), `level`, `logger`, `message`, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line; a traceback is the string `traceback`."""
        entry: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": shown(record.getMessage(), MESSAGE_MAX),
        }
        fields = _fields(record)
        bare = entry | {name: fields[name] for name in _KEPT if name in fields}
        entry = {**entry, **fields, **entry}
        if record.exc_info:
            entry["traceback"] = _traceback(self.formatException(record.exc_info))
        line = json.dumps(entry, ensure_ascii=False)
        if len(line) > LINE_MAX:
            line = json.dumps({**bare, "left_out": sorted(entry.keys() - bare.keys())})
        return _CONTROL.sub(lambda control: f"\\u{ord(control[0]):04x}", line)


class _Handler(logging.Handler):
    """Writes lines of the formatter to standard error."""

    def __init__(self) -> None:
        super().__init__()
        self._out = StandardError(self._left_out)
        self._storms = Storms(self._sum_up)

    def emit(self, record: logging.LogRecord) -> None:
        event = events.ALL.get(getattr(record, "event", ""))
        if event is None or not event.is_bounded or self._storms.admit(record):
            self._write(record)

    def _write(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - arguments that don't fit, a value that can't be shown
            where = f"{type(error).__name__} at {record.pathname}:{record.lineno}"
            line = self.format(_record_of(events.LINE_UNSHOWN, error=where))
        # The program has closed it: there is nowhere to say so.
        with suppress(OSError, ValueError):
            self._out.write(line)

    def _left_out(self, lines: int) -> str:
        return self.format(_record_of(events.LINES_LEFT_OUT, lines=lines))

    def _sum_up(self, record: logging.LogRecord, repeated: int) -> None:
        words = f"{repeated} more of this, the last: {record.getMessage()}"
        self._write(
            logging.makeLogRecord(
                {**vars(record), "msg": words, "args": (), "exc_info": None, "repeated": repeated}
            )
        )

    def close(self) -> None:
        """Say what is still to be summed up, and let it be written."""
        self._storms.close()
        self._out.close()
        super().close()


def _record_of(event: Event, **fields: Any) -> logging.LogRecord:
    """Return a line about lines, which are past all handlers but this one."""
    return logging.makeLogRecord(
        {
            "name": "pacewheel.logs",
            "levelno": event.level,
            "levelname": logging.getLevelName(event.level),
            "msg": event.words.format(**fields),
            "event": event.name,
            **fields,
        }
    )


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = {key: value for key, value in vars(record).items() if key not in _PLAIN_FIELDS}
    shown_fields: dict[str, Any] = plain(fields)
    return shown_fields


def _traceback(text: str) -> str:
    """Return the end of a traceback, where the error stands."""
    text = redact(text[-10 * TRACEBACK_MAX :])
    return text if len(text) <= TRACEBACK_MAX else f"...{text[-TRACEBACK_MAX:]}"


def _on_one_line(text: str) -> str:
    """Return the text without what ends a line or speaks to a terminal."""
    return _CONTROL.sub(lambda control: control[0].encode("unicode_escape").decode(), text)

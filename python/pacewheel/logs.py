"""Structured logging: one line an event, readable on a terminal, JSON elsewhere.

Owns the handler and formats of the `pacewheel` logger, and what a line carries of its context: the
fields of the attempt that runs (job_id, task_id, domain, handler, attempt) and of the process
(worker_id), by context variables, so a handler's own lines carry them too. Standard library only.
Promises that no secret leaves the process in a line (`redaction`), however it got into the message,
a field or a traceback; that a line is bounded; that a text from outside makes no second line; and
that a storm of one event is summed up.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from pacewheel import events
from pacewheel.redaction import cut, plain, redact, shown
from pacewheel.storms import Storms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pacewheel.events import Event

MESSAGE_MAX = 2_000
TRACEBACK_MAX = 6_000
# A line that is still longer loses its fields; what is left is far below.
LINE_MAX = 16_000

_PLAIN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


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
    first one set.
    """
    human = log_format == "human" or (log_format == "auto" and sys.stderr.isatty())
    handler = _StandardError()
    handler.setFormatter(HumanFormatter() if human else JsonFormatter())
    handler.addFilter(ContextFilter())
    logger = logging.getLogger("pacewheel")
    for before in logger.handlers:
        before.close()
    for name in ("pacewheel", *also):
        logging.getLogger(name).handlers = [handler]
        logging.getLogger(name).propagate = False
    logger.setLevel(level.upper())


class HumanFormatter(logging.Formatter):
    """`12:04:31 info    leaser: leased 3 domains, 7 are held  worker_id=2`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and the traceback's lines if there is one."""
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        name = record.name.removeprefix("pacewheel.")
        fields = _fields(record)
        event = events.ALL.get(str(fields.pop("event", "")))
        said = event.named if event is not None else frozenset()
        more = "".join(
            f"  {key}={_on_one_line(str(plain(value)))}"
            for key, value in fields.items()
            if key not in said
        )
        message = _on_one_line(shown(record.getMessage(), MESSAGE_MAX))
        line = cut(f"{clock} {record.levelname.lower():<7} {name}: {message}{more}", LINE_MAX)
        if record.exc_info:
            line = f"{line}\n{_traceback(self.formatException(record.exc_info))}"
        return line


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
        bare = dict(entry)
        for key, value in plain(_fields(record)).items():
            entry.setdefault(key, value)
        if record.exc_info:
            entry["traceback"] = _traceback(self.formatException(record.exc_info))
        line = json.dumps(entry, ensure_ascii=False)
        if len(line) > LINE_MAX:
            line = json.dumps({**bare, "left_out": sorted(entry.keys() - bare.keys())})
        return line


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to whatever `sys.stderr` is at that moment: the live progress replaces it while it draws."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self._storms = Storms(self._sum_up)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        raise AttributeError("the stream is always sys.stderr")

    def emit(self, record: logging.LogRecord) -> None:
        event = events.ALL.get(getattr(record, "event", ""))
        if event is None or not event.is_bounded or self._storms.admit(record):
            super().emit(record)

    def _sum_up(self, record: logging.LogRecord, repeated: int) -> None:
        words = f"{repeated} more of this, the last: {record.getMessage()}"
        last = logging.makeLogRecord(
            {**vars(record), "msg": words, "args": (), "exc_info": None, "repeated": repeated}
        )
        self.acquire()
        try:
            super().emit(last)
        finally:
            self.release()

    def close(self) -> None:
        """Say what is still to be summed up."""
        self._storms.close()
        super().close()


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN_FIELDS}


def _traceback(text: str) -> str:
    """Return the end of a traceback, where the error stands."""
    text = redact(text[-10 * TRACEBACK_MAX :])
    return text if len(text) <= TRACEBACK_MAX else f"...{text[-TRACEBACK_MAX:]}"


def _on_one_line(text: str) -> str:
    """Return the text without what ends a line or speaks to a terminal."""
    return _CONTROL.sub(lambda control: control[0].encode("unicode_escape").decode(), text)

"""Spans of attempts, requests, claims and settles, by the OpenTelemetry API.

Owns their names and attributes. An attempt is a trace of its own; its requests to sites are its
children, by the semantic conventions for HTTP clients. A claim and a settle serve many attempts, so
they are linked and not parents: an attempt links to the claim that gave it, a settle to the
attempts that it records. No trace header is ever sent to a site. What is known of the links is
bounded, and lost with the process.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import context, trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from pacewheel.redaction import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, Tracer

    from pacewheel.model import Outcome, Task

URL_MAX = 2_000
ERROR_MAX = 200
# Of that many tasks the last span is known: more than a process has claimed at any time.
LINKS_MAX = 20_000


class AttemptSpan:
    """The span of one attempt, current until its end."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._token: Token[Context] = context.attach(trace.set_span_in_context(span))

    def end(self, outcome: Outcome | None) -> None:
        """End it; None means that the attempt was interrupted and does not count."""
        context.detach(self._token)
        said = "interrupted" if outcome is None else outcome.kind.name.lower()
        self._span.set_attribute("pacewheel.outcome", said)
        if outcome is not None and outcome.error is not None:
            error = shown(outcome.error, ERROR_MAX)
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end()


class Spans:
    """Makes spans with one tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._last: dict[int, SpanContext] = {}
        """By task id: of the claim that gave it, then of its attempt."""

    def begin_attempt(self, task: Task) -> AttemptSpan:
        """Begin the span of an attempt, and make it the current one."""
        claim = self._last.pop(task.id, None)
        span = self._tracer.start_span(
            f"attempt {task.handler}",
            context=context.Context(),
            kind=SpanKind.CONSUMER,
            links=None if claim is None else [Link(claim)],
            attributes={
                "pacewheel.job.id": task.job_id,
                "pacewheel.task.id": task.id,
                "pacewheel.domain": task.domain,
                "pacewheel.handler": task.handler,
                "pacewheel.attempt": task.attempt,
            },
        )
        self._note((task.id,), span)
        return AttemptSpan(span)

    @contextmanager
    def claim(self, domains: int) -> Iterator[Callable[[Iterable[int]], None]]:
        """Wrap a claim; tell it the ids of the tasks that it gave."""
        with self._tracer.start_as_current_span(
            "claim", context=context.Context(), attributes={"pacewheel.domains": domains}
        ) as span:

            def gave(task_ids: Iterable[int]) -> None:
                ids = list(task_ids)
                span.set_attribute("pacewheel.tasks", len(ids))
                self._note(ids, span)

            yield gave

    @contextmanager
    def settle(self, task_ids: Iterable[int]) -> Iterator[None]:
        """Wrap a settle of attempts of these tasks."""
        ids = list(task_ids)
        attempts = (self._last.pop(task_id, None) for task_id in ids)
        with self._tracer.start_as_current_span(
            "settle",
            context=context.Context(),
            links=[Link(attempt) for attempt in attempts if attempt is not None],
            attributes={"pacewheel.tasks": len(ids)},
        ):
            yield

    @contextmanager
    def request(self, url: str, host: str, port: int) -> Iterator[Callable[[int], None]]:
        """Wrap a GET; tell it the status of the answer. What it raises ends the span as an error."""
        with self._tracer.start_as_current_span(
            "GET",
            kind=SpanKind.CLIENT,
            attributes={
                "http.request.method": "GET",
                "url.full": shown(url, URL_MAX),
                "server.address": host,
                "server.port": port,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            def answered(status: int) -> None:
                span.set_attribute("http.response.status_code", status)
                if status >= 400:
                    span.set_attribute("error.type", str(status))
                    span.set_status(Status(StatusCode.ERROR))

            try:
                yield answered
            except Exception as error:
                span.set_attribute(
                    "error.type", getattr(error, "error_class", type(error).__name__)
                )
                span.set_status(Status(StatusCode.ERROR, shown(str(error), ERROR_MAX)))
                raise

    def _note(self, task_ids: Iterable[int], span: Span) -> None:
        made = span.get_span_context()
        for task_id in task_ids:
            self._last[task_id] = made
        while len(self._last) > LINKS_MAX:
            del self._last[next(iter(self._last))]

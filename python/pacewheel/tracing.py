"""Tracing, if the program asks for it: it brings an OpenTelemetry SDK and sets a tracer provider.

Owns the switch, one a process as OpenTelemetry's provider is. Off, it costs a look at an attribute
an attempt, a claim, a settle and a request; without the extra `pacewheel[otel]` nothing of
OpenTelemetry is imported. What is traced stands in `spans`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pacewheel.model import Task
    from pacewheel.spans import AttemptSpan, Spans


class _Switch:
    """What is on: None is off."""

    __slots__ = ("spans",)

    def __init__(self) -> None:
        self.spans: Spans | None = None


_SWITCH = _Switch()


def set_up() -> bool:
    """Trace from now on if a tracer provider is set, or else don't; return which."""
    try:
        from opentelemetry import trace  # noqa: PLC0415 - an extra
    except ImportError:
        return False
    from pacewheel.spans import Spans  # noqa: PLC0415 - imports the extra

    unset = (trace.ProxyTracerProvider, trace.NoOpTracerProvider)
    is_on = not isinstance(trace.get_tracer_provider(), unset)
    _SWITCH.spans = Spans(trace.get_tracer("pacewheel", version("pacewheel"))) if is_on else None
    return is_on


def begin_attempt(task: Task) -> AttemptSpan | None:
    """Begin the span of an attempt; whoever gets one ends it."""
    return None if _SWITCH.spans is None else _SWITCH.spans.begin_attempt(task)


def claim(domains: int) -> AbstractContextManager[Callable[[Iterable[int]], None]]:
    """Wrap a claim from so many domains; tell what it gives the ids of the tasks."""
    return nullcontext(_ignore) if _SWITCH.spans is None else _SWITCH.spans.claim(domains)


def settle(task_ids: Iterable[int]) -> AbstractContextManager[None]:
    """Wrap a settle of attempts of these tasks."""
    return nullcontext() if _SWITCH.spans is None else _SWITCH.spans.settle(task_ids)


def request(url: str, host: str, port: int) -> AbstractContextManager[Callable[[int], None]]:
    """Wrap a GET; tell what it gives the status of the answer."""
    return nullcontext(_ignore) if _SWITCH.spans is None else _SWITCH.spans.request(url, host, port)


def _ignore(_value: object) -> None:
    """Take what nobody wants to know."""

"""Spans, as an SDK gets them: attempts with their requests, claims and settles by links, nothing sent to sites."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from pacewheel import Engine, NewTask, Outcome, Task, spans, tracing
from pacewheel.crawl.client import FetchFailed
from tests.conftest import until
from tests.loopback_server import client_of, fetch, hello, serving


class Exported:
    """What the program's exporter got."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def named(self, start: str) -> list[ReadableSpan]:
        """Return the spans whose name begins so, in the order of their ends."""
        return [span for span in self._exporter.get_finished_spans() if span.name.startswith(start)]


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exported]:
    """A program that has set a provider of its own; as before after the test."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield Exported(exporter)
    monkeypatch.undo()
    assert not tracing.set_up()


async def test_an_attempt_is_a_trace_that_claim_and_settle_are_linked_with(
    dsn: str, exported: Exported
) -> None:
    """Two tasks of one claim and one settle; the second fails and is tried again."""
    engine = Engine(dsn)

    @engine.handler("work", attempts=2, backoff_s=0.01)
    async def work(task: Task) -> Outcome:
        if task.target == "bad":
            return (
                Outcome.failed("key token=sesame") if task.attempt == 2 else Outcome.retry("busy")
            )
        trace.get_tracer("mine").start_span("inside").end()
        return Outcome.completed()

    await engine.connect()
    job = await engine.create_job(
        domain="a.example",
        handler="work",
        tasks=[NewTask("good"), NewTask("bad")],
        discovery_open=False,
    )
    with trace.get_tracer("mine").start_as_current_span("the program's own"):
        await engine.run_until_idle()
    attempts = exported.named("attempt work")
    said = {
        (span.attributes["pacewheel.attempt"], span.attributes["pacewheel.outcome"]): span
        for span in attempts
        if span.attributes is not None
    }
    assert {(1, "completed"), (1, "retry"), (2, "failed")} == set(said)
    good = said[1, "completed"]
    assert good.attributes is not None
    assert (job.id, "a.example", "work", SpanKind.CONSUMER, None) == (
        good.attributes["pacewheel.job.id"],
        good.attributes["pacewheel.domain"],
        good.attributes["pacewheel.handler"],
        good.kind,
        good.parent,
    )
    assert StatusCode.UNSET is good.status.status_code
    failed = said[2, "failed"]
    assert failed.attributes is not None
    assert ("key token=***", StatusCode.ERROR) == (
        failed.attributes["error.type"],
        failed.status.status_code,
    )
    (inside,) = exported.named("inside")
    assert inside.parent is not None
    assert inside.parent.span_id == good.context.span_id

    claims = {span.context.span_id for span in exported.named("claim")}
    assert all(link.context.span_id in claims for span in attempts for link in span.links)
    assert [1, 1, 1] == [len(span.links) for span in attempts]
    settled = [link.context.span_id for span in exported.named("settle") for link in span.links]
    assert sorted(span.context.span_id for span in attempts) == sorted(settled)


async def test_many_tasks_make_no_span_of_their_own_in_claims_and_settles(
    dsn: str, exported: Exported
) -> None:
    """A batch is one span, however many it serves."""
    engine = Engine(dsn)

    @engine.handler("work")
    async def work(_task: Task) -> None:
        return

    await engine.connect()
    tasks = [NewTask(str(number)) for number in range(300)]
    await engine.create_job(
        domain="a.example", handler="work", concurrency=100, tasks=tasks, discovery_open=False
    )
    await engine.run_until_idle()
    assert 300 == len(exported.named("attempt"))
    assert len(exported.named("claim")) + len(exported.named("settle")) < 100


async def test_a_request_is_a_span_of_its_attempt_and_sends_nothing_of_it(
    exported: Exported,
) -> None:
    """By the conventions for HTTP clients; without secrets of the URL, and with no header for the site."""
    assert tracing.set_up()

    async with serving(hello) as server, client_of() as client:
        with trace.get_tracer("mine").start_as_current_span("outer") as outer:
            await fetch(client, f"{server.url}ok?page=2&token=sesame")
        sent = server.requests[-1].decode().lower()
        with pytest.raises(FetchFailed):
            await fetch(client, "http://127.0.0.1:1/")
    answered, refused = exported.named("GET")
    assert answered.parent is not None
    assert outer.get_span_context().span_id == answered.parent.span_id
    attributes = dict(answered.attributes or {})
    assert str(attributes.pop("url.full")).endswith("/ok?page=2&token=***")
    assert {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "http.response.status_code": 200,
    } == attributes
    assert SpanKind.CLIENT is answered.kind
    assert ("connect", StatusCode.ERROR) == (
        (refused.attributes or {})["error.type"],
        refused.status.status_code,
    )
    assert not [name for name in ("traceparent", "tracestate", "baggage", "b3:") if name in sent]


def test_what_is_known_of_links_is_bounded(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks that are never settled here would fill the memory."""
    monkeypatch.setattr(spans, "LINKS_MAX", 3)
    assert tracing.set_up()
    with tracing.claim(1) as gave:
        gave(range(10))
    assert [7, 8, 9] == list(tracing._SWITCH.spans._last)  # type: ignore[union-attr] # it is set up
    assert exported.named("claim")


async def test_without_a_provider_nothing_is_traced(dsn: str) -> None:
    """The API alone, as it comes with other packages, costs nothing."""
    engine = Engine(dsn)
    seen: list[str] = []

    @engine.handler("work")
    async def work(task: Task) -> None:
        seen.append(task.target)

    async with engine:
        await engine.create_job(domain="a.example", handler="work", tasks=[NewTask("x")])
        await until(lambda: seen == ["x"])
        assert tracing._SWITCH.spans is None


def test_nothing_of_opentelemetry_is_imported_before_an_engine_starts() -> None:
    """It is an extra: everything works without it."""
    code = (
        "import sys; sys.modules['opentelemetry'] = None; from pacewheel import tracing, Engine;"
        "print(tracing.set_up(), tracing.begin_attempt(None))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False None" == done.stdout.strip()

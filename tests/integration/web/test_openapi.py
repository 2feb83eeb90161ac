"""The OpenAPI document is true: every route it names answers as it says, and no other is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import jsonschema
from prometheus_client.parser import text_string_to_metric_families as parse

from pacewheel import NewTask
from pacewheel.errors import StoreUnavailable
from tests.conftest import until

if TYPE_CHECKING:
    import pytest

    from pacewheel import Engine
    from pacewheel.job import Job
    from tests.integration.web.conftest import Client

BODIES = {"priority": {"priority": 1.5}, "delay": {"delay_ms": 7}}
# In an order in which each has something to do.
LAST = ("pause", "resume", "priority", "retry", "cancel", "delay")


def strict(schema: Any) -> Any:
    """The schema, with objects that have no other fields than those it names."""
    if isinstance(schema, dict):
        made = {key: strict(value) for key, value in schema.items()}
        if made.get("type") == "object" and "properties" in made:
            made["additionalProperties"] = False
        return made
    return [strict(each) for each in schema] if isinstance(schema, list) else schema


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Hold a value against a schema of the document."""
    whole = {**strict(schema), "components": strict(document["components"])}
    jsonschema.Draft202012Validator(
        whole, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(value)


async def test_every_route_answers_as_the_document_says(
    client: Client, engine: Engine, job: Job
) -> None:
    """Answers of all reading routes and all changes, of a job that has tasks in every state."""
    await engine.create_job(domain="b.example", handler="hold", tasks=[NewTask("held")])

    async def running() -> bool:
        return (await engine.store.overview.count_totals()).running == 1

    await until(running)
    document = await client.get("/api/v1/openapi.json")
    assert "3.1.0" == document["openapi"]
    tasks = (await client.get(f"/api/v1/jobs/{job.id}/tasks"))["tasks"]
    values = {"job_id": str(job.id), "task_id": tasks[0]["id"], "name": "a.example%3A8080"}
    called = 0
    paths = document["paths"]
    for path in sorted(
        paths, key=lambda path: LAST.index(last) if (last := path.split("/")[-1]) in LAST else -1
    ):
        url = re.sub(r"\{(\w+)\}", lambda found: values[found[1]], path)
        for method, operation in paths[path].items():
            content = operation["responses"]["200"]["content"]
            if "application/json" not in content:
                continue
            if method == "get":
                answer = await client.get(url)
            else:
                answer = await client.post(url, BODIES.get(path.split("/")[-1], {}))
            check(document, content["application/json"]["schema"], answer)
            called += 1
    assert 18 == called
    assert set() == set(document["components"]["schemas"]) - {
        *re.findall(r"#/components/schemas/(\w+)", str(document))
    }


async def test_errors_have_the_form_that_the_document_says(client: Client) -> None:
    """Unknown things, wrong values, wrong methods, wrong paths."""
    document = await client.get("/api/v1/openapi.json")
    schema = document["components"]["schemas"]["Error"]
    for path, status, code in (
        ("/api/v1/jobs/9", 404, "job_unknown"),
        ("/api/v1/jobs/9/tasks", 404, "job_unknown"),
        ("/api/v1/jobs/9/failed", 404, "job_unknown"),
        ("/api/v1/jobs/9/tasks/1", 404, "job_unknown"),
        ("/api/v1/domains/nowhere", 404, "domain_unknown"),
        ("/api/v1/jobs/seven", 400, "config_invalid"),
        ("/api/v1/jobs/0", 400, "config_invalid"),
        ("/api/v1/jobs/9999999999999999999", 400, "config_invalid"),
        ("/api/v1/jobs?limit=501", 400, "config_invalid"),
        ("/api/v1/jobs?before=x", 400, "config_invalid"),
        ("/api/v1/jobs?live=maybe", 400, "config_invalid"),
        ("/api/v1/jobs?domain=%00", 400, "config_invalid"),
        ("/api/v1/jobs?domain=" + 257 * "x", 400, "config_invalid"),
        ("/api/v1/jobs/1/tasks?state=asleep", 400, "config_invalid"),
        ("/api/v1/jobs/1/tasks?after=nonsense", 400, "config_invalid"),
        ("/api/v1/jobs/1/tasks/x", 400, "config_invalid"),
        ("/api/v1/domains?sort=colour", 400, "config_invalid"),
        ("/api/v1/domains?live=false&sort=gap", 400, "config_invalid"),
        ("/api/v1/domains?offset=-1", 400, "config_invalid"),
        ("/api/v1/jobs/1/pause", 405, "method_not_allowed"),
        ("/api/v1/nothing", 404, "not_found"),
        ("/nothing", 404, "not_found"),
    ):
        answer = await client.get(path, status)
        check(document, schema, answer)
        assert code == answer["error"]["code"], path


async def test_the_document_names_every_route(client: Client) -> None:
    """A route that the server has and the document lacks is found."""
    document = await client.get("/api/v1/openapi.json")
    documented = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    served = {
        (route.method, route.resource.canonical)
        for route in client.web.routes()
        if route.resource is not None and route.resource.canonical.startswith("/api/")
    }
    assert {each for each in served if each[0] != "HEAD"} == documented


async def test_probes_answer(
    client: Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What machines ask: alive, ready and why, and the metrics in Prometheus's form."""
    await until(lambda: engine.metrics.value("pacewheel_listener_up") == 1)
    assert {"alive": True, "phase": "running"} == await client.get("/healthz")
    ready = await client.get("/readyz")
    assert {"running": True, "lease": True, "listener": True, "database": True} == ready["checks"]
    status, headers, body = await client.answer("GET", "/metrics")
    assert (200, "text/plain; version=0.0.4; charset=utf-8") == (status, headers["Content-Type"])
    assert "pacewheel_slots" in {family.name for family in parse(body.decode())}

    async def away() -> None:
        raise StoreUnavailable("it is away")

    monkeypatch.setattr(engine.store, "ping", away)
    checks = (await client.get("/readyz", 503))["checks"]
    assert {"running": True, "lease": True, "listener": True, "database": False} == checks

"""The OpenAPI document of the JSON API: every route, what it takes, what it answers and refuses.

Made of the classes whose values are answered, so it can't say less than the code does; a test calls
every route and holds the answers against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pacewheel.job_summary import JobSummary
from pacewheel.model import FailedTask, JobInfo, TaskInfo, TaskState, Waiting
from pacewheel.overview import Attempt, DomainInfo, DomainSort, TaskRow, Totals, WorkerInfo
from pacewheel.report.bottleneck import Bottleneck
from pacewheel.report.eta import Eta
from pacewheel.web.figures import Overview
from pacewheel.web.history import SERIES
from pacewheel.web.schemas import Schema, Schemas, array, nullable, obj

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE = "/api/v1"
ABOUT = """\
What the dashboard and `pacewheel` itself know, and the changes they make.

Without a token (`http_token`) the server listens on loopback and is for whoever can reach it there,
under a loopback name. With one, send `Authorization: Bearer <token>`, or log in at `/login`, which
sets a cookie. A change without a bearer token must carry the header `X-Pacewheel-CSRF` with the
`csrf` of `/api/v1/session`; when it is refused with the code `csrf`, take a new one.

Every error is `{"error": {"code", "message"}}`; the message is the line that the command line
prints. 503 with `Retry-After` means that the database is away or slow. Ids of tasks are 64-bit
hashes, so they are texts. Durations carry their unit in the name. New fields may come at any time.
"""
_STRING: Schema = {"type": "string"}
_TEXT: Schema = {"type": "string", "maxLength": 256}
_ID: Schema = {"type": "integer", "minimum": 1}
_TASK_ID: Schema = {"type": "string", "pattern": "^-?[0-9]+$"}
_LIMIT = ("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}, "most rows")
_LIVE = ("live", {"enum": ["true", "false"], "default": "true"}, "only those with live tasks")
_KEYS = array(_STRING) | {"minItems": 1, "maxItems": 1000, "description": "only these tasks"}

_NO_JOB = {404: "there is no such job"}

_OF_BODIES = {408: "the body is too slow", 413: "it is too large", 415: "it is no JSON"}

Parameter = tuple[str, Schema, str]


@dataclass(frozen=True, slots=True)
class Operation:
    """One route: what it is for, what it takes and what it answers."""

    method: str
    path: str
    summary: str
    answer: Schema
    query: tuple[Parameter, ...] = ()
    body: Schema | None = None
    refuses: Mapping[int, str] = field(default_factory=dict)
    media_type: str = "application/json"


@cache
def document() -> dict[str, Any]:
    """Return the document."""
    schemas = Schemas()
    operations = (
        *_looking(schemas), *_of_jobs(schemas), *_of_tasks(schemas), *_of_domains(schemas),
        *_changing(),
    )  # fmt: skip
    paths: dict[str, Any] = {}
    for each in operations:
        paths.setdefault(f"{BASE}{each.path}", {})[each.method] = _described(each)
    error = obj(error=obj(code=_STRING, message=_STRING))
    return {
        "openapi": "3.1.0",
        "info": {"title": "pacewheel", "version": version("pacewheel"), "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{}, {"bearer": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas.components, "Error": error},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "pacewheel_session"},
            },
        },
    }


def _looking(schemas: Schemas) -> tuple[Operation, ...]:
    schemas.components["Totals"] = schemas.extended(Totals, live={"type": "integer"})
    shown = schemas.of(Overview)
    numbers = array({"type": ["number", "null"]})
    series = dict.fromkeys(SERIES, numbers)
    by_reason: Schema = {"type": "object", "additionalProperties": numbers}
    return (
        Operation("get", "/openapi.json", "this document", {"type": "object"}),
        Operation(
            "get",
            "/session",
            "who is served, and what changes must prove (`csrf`: null with a bearer token)",
            obj(
                csrf=nullable(_STRING),
                needs_token={"type": "boolean"},
                version=_STRING,
                worker_id=nullable(_ID),
            ),
        ),
        Operation("get", "/overview", "everything at once, about a second old at most", shown),
        Operation(
            "get",
            "/history",
            "the last quarter of an hour of this process, side by side, oldest first; null where "
            "nobody watched and the database was not asked",
            obj(
                at=array({"type": "string", "format": "date-time"}),
                series=obj(**series, waiting_by_reason=by_reason),
            ),
        ),
        Operation(
            "get",
            "/events",
            "server-sent events: `overview`, about one a second, each the data of /overview; a "
            "watcher that is too slow misses some, and is cut off when it takes none",
            _STRING,
            media_type="text/event-stream",
            refuses={503: "too many watch already"},
        ),
    )


def _of_jobs(schemas: Schemas) -> tuple[Operation, ...]:
    return (
        Operation(
            "get",
            "/jobs",
            "jobs, newest first; `before` is where to read on, null at the end",
            obj(jobs=array(_listed(schemas)), before=nullable(_ID)),
            query=(_LIVE, _LIMIT, ("domain", _TEXT, "of this domain"), ("before", _ID, "read on")),
        ),
        Operation(
            "get",
            "/jobs/{job_id}",
            "a job: why its tasks wait, what bound it, when it may end; `computing` says that "
            "verdict and summary are being read, for another call",
            obj(
                job=schemas.of(JobInfo),
                waiting=array(schemas.of(Waiting)),
                eta=nullable(schemas.of(Eta)),
                verdict=nullable(schemas.of(Bottleneck)),
                summary=nullable(schemas.of(JobSummary)),
                computing={"type": "boolean"},
            ),
            refuses=_NO_JOB,
        ),
    )


def _listed(schemas: Schemas) -> Schema:
    return schemas.extended(JobInfo, eta=nullable(schemas.of(Eta)))


def _of_tasks(schemas: Schemas) -> tuple[Operation, ...]:
    after = ("after", _TEXT, "where the answer before said to read on")
    states: Schema = {"enum": [state.name.lower() for state in TaskState]}
    return (
        Operation(
            "get",
            "/jobs/{job_id}/tasks",
            "tasks of a job; a page may be empty and yet not the last: that one's `after` is null",
            obj(tasks=array(schemas.extended(TaskRow, id=_TASK_ID)), after=nullable(_STRING)),
            query=(("state", states, "only of this state"), _LIMIT, after),
            refuses=_NO_JOB,
        ),
        Operation(
            "get",
            "/jobs/{job_id}/failed",
            "the tasks that failed for good, with what their last attempts said",
            obj(
                job_id=_ID,
                failed=array(schemas.extended(FailedTask, id=_TASK_ID)),
                after=nullable(_TASK_ID),
            ),
            query=(_LIMIT, after),
            refuses=_NO_JOB,
        ),
        Operation(
            "get",
            "/jobs/{job_id}/tasks/{task_id}",
            "a task with its attempts, the last one first; while it waits, why and until when",
            schemas.extended(TaskInfo, id=_TASK_ID, attempts=array(schemas.of(Attempt))),
            refuses={404: "there is no such job or task"},
        ),
    )


def _of_domains(schemas: Schemas) -> tuple[Operation, ...]:
    number: Schema = {"type": "number", "minimum": 0}
    schemas.components["Domain"] = schemas.extended(
        DomainInfo,
        live={"type": "integer"},
        pace_used=nullable(number),
        latency_delay_ms=nullable(number),
    )
    domain: Schema = {"$ref": "#/components/schemas/Domain"}
    sorts: Schema = {"enum": [sort.value for sort in DomainSort]}
    offset: Schema = {"type": "integer", "minimum": 0}
    return (
        Operation(
            "get",
            "/domains",
            "domains; `offset` is where to read on, null at the end",
            obj(domains=array(domain), offset=nullable(offset)),
            query=(
                ("search", _TEXT, "part of the name"),
                ("sort", sorts, "what comes first: `live`; of all domains only `name`"),
                _LIVE,
                _LIMIT,
                ("offset", offset, "how many to pass over"),
            ),
        ),
        Operation(
            "get",
            "/domains/{name}",
            "a domain, a hundred of its jobs, live ones first, and why their tasks wait",
            obj(
                domain=domain,
                jobs=array(_listed(schemas)),
                waiting=array(schemas.of(Waiting)),
            ),
            refuses={404: "there is no such domain"},
        ),
        Operation("get", "/workers", "the processes", obj(workers=array(schemas.of(WorkerInfo)))),
    )


def _changing() -> tuple[Operation, ...]:
    count: Schema = {"type": "integer", "minimum": 0}
    said = {"job_id": _ID, "words": _STRING}
    final = {404: "there is no such job or task", 409: "the job is final"}
    changed = obj(**said, changed={"type": "boolean"})
    keys = obj(keys=_KEYS) | {"required": []}
    cancelled = obj(**said, tasks_cancelled=count)
    retried = obj(**said, tasks_retried=count, retried_in_job_id=_ID)
    prioritised = obj(**said, tasks_changed=count) | {"required": list(said)}
    priority = obj(priority={"type": "number"}, keys=_KEYS) | {"required": ["priority"]}
    delay: Schema = {"type": "integer", "minimum": 0, "maximum": 3_600_000}
    jobs = "/jobs/{job_id}"
    return (
        Operation("post", f"{jobs}/pause", "start nothing more of it", changed, refuses=final),
        Operation("post", f"{jobs}/resume", "go on with it", changed, refuses=final),
        Operation(
            "post", f"{jobs}/cancel", "end it, or only tasks of it", cancelled, (), keys, final
        ),
        Operation(
            "post",
            f"{jobs}/retry",
            "run failed tasks again, in a new job if it is final",
            retried,
            (),
            keys,
            {404: "there is no such job or task"},
        ),
        Operation(
            "post", f"{jobs}/priority", "another weight for it, or tasks", prioritised, (),
            priority, final,
        ),
        Operation(
            "post",
            "/domains/{name}/delay",
            "set the least gap between two of its requests; `gap_ms` is in force now",
            obj(domain=_STRING, delay_ms=delay, gap_ms=count, words=_STRING),
            (),
            obj(delay_ms=delay),
            {404: "there is no such domain"},
        ),
    )  # fmt: skip


def _described(operation: Operation) -> dict[str, Any]:
    in_path: list[dict[str, Any]] = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": _STRING}
        for part in operation.path.split("/")
        if part.startswith("{")
    ]
    in_query = [
        {"name": name, "in": "query", "schema": schema, "description": words}
        for name, schema, words in operation.query
    ]
    refuses = {
        400: "a value is refused",
        401: "the token is missing or wrong",
        403: "it comes from elsewhere, or the proof is missing",
        421: "without a token only names of loopback are served",
        429: "too many wrong tokens at once",
        503: "the database is away or slow",
        **(_OF_BODIES if operation.method == "post" else {}),
        **operation.refuses,
    }
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": f"{operation.method}{operation.path}",
        "parameters": in_path + in_query,
        "responses": {
            "200": {
                "description": "done" if operation.method == "post" else "as it is now",
                "content": {operation.media_type: {"schema": operation.answer}},
            },
            **{
                str(status): {"description": words, "content": error}
                for status, words in sorted(refuses.items())
            },
        },
    }
    if operation.body is not None:
        content = {"application/json": {"schema": operation.body}}
        described["requestBody"] = {"content": content}
    return described

"""How requests are answered: JSON, and every error as one object with its HTTP status.

Owns the table from the exception tree to statuses. The message is the exception's own line, the one
that the command line prints; passwords of connection strings are replaced on the way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from pacewheel import events
from pacewheel.errors import (
    ConfigInvalid,
    DataRefused,
    JobFinal,
    LoadFailed,
    PacewheelError,
    SchemaMismatch,
    StoreUnavailable,
)
from pacewheel.logs import Logger
from pacewheel.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

log = Logger("web")

_RETRY_AFTER_S = "2"


class Refused(Exception):
    """A request that is not served: its status, a code for programs, and a line for people.

    An answer more than an error: it never leaves this package.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})


def as_json(value: Any) -> bytes:
    """Return the value as JSON; what JSON doesn't know (times, enumerations) must be plain by now."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


def answer(value: Any, *, status: int = 200) -> web.Response:
    """Return a JSON response."""
    return web.Response(body=as_json(value), status=status, content_type="application/json")


def refusal(error: Refused) -> web.Response:
    """Return the response that says why a request is not served."""
    response = answer({"error": {"code": error.code, "message": str(error)}}, status=error.status)
    response.headers.update(error.headers)
    return response


def refused_of(error: Exception) -> Refused:
    """Return what to answer to an exception; a defect is logged here, with its traceback."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, web.HTTPException):
        return _refused_by_aiohttp(error)
    message = redact(str(error))
    if isinstance(error, PacewheelError):
        headers = {"Retry-After": _RETRY_AFTER_S} if isinstance(error, StoreUnavailable) else None
        return Refused(_status_of(error), code_of(error), message, headers)
    log.say(events.HTTP_DEFECT, error=error, traceback=error)
    words = f"unexpected {type(error).__name__}: {message}; please report it with the log"
    return Refused(500, "defect", words)


def code_of(error: Exception) -> str:
    """Return the exception's name as a code: `JobUnknown` is `job_unknown`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()


def _status_of(error: PacewheelError) -> int:
    if type(error).__name__.endswith("Unknown"):
        return 404
    if isinstance(error, JobFinal):
        return 409
    if isinstance(error, ConfigInvalid | DataRefused):
        return 400
    if isinstance(error, StoreUnavailable | SchemaMismatch | LoadFailed):
        return 503
    return 500


def _refused_by_aiohttp(error: web.HTTPException) -> Refused:
    known = {
        404: ("not_found", "there is nothing here: see /api/v1/openapi.json"),
        405: ("method_not_allowed", "this method is not for this path: see /api/v1/openapi.json"),
        413: ("too_large", "the request's body is too large"),
    }
    code, words = known.get(error.status, ("bad_request", error.reason))
    allow = error.headers.get("Allow")
    return Refused(error.status, code, words, {"Allow": allow} if allow else None)

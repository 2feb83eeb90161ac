"""What every request passes: whom it is for, who sent it, and the headers of its answer.

Against pages of other sites in a browser on this machine. A page that rebinds its own name to our
address (DNS rebinding) shows by its Host; one that sends requests to us shows by Origin and
Sec-Fetch-Site; neither can read /api/v1/session, so neither has the proof that actions need. With a
token any Host is served, since a session belongs to the name it was given under, and no other name's
page has it.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from pacewheel.web.answers import Refused, refusal, refused_of

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from pacewheel.web.sessions import Sessions

API = "/api/"
# Probes and the page itself say nothing that is worth a token.
OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/login"})
STATIC = "/static/"
SAFE_METHODS = frozenset({"GET", "HEAD"})
BODY_PATIENCE_S = 10.0
SESSION: web.RequestKey[str | None] = web.RequestKey("session")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # With no-referrer, browsers send the log-in form with "Origin: null".
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def middlewares(sessions: Sessions) -> list[Middleware]:
    """Return what stands before every handler, outermost first."""

    @web.middleware
    async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPRedirection:
            raise
        except Exception as error:  # noqa: BLE001 - the place where an error becomes an answer
            return refusal(refused_of(error))

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host")
        # No browser leaves it out; probes do.
        if host is not None and not sessions.needs_token:
            check_host(host)
        check_origin(request)
        path = request.path
        if path not in OPEN_PATHS and not path.startswith(STATIC):
            request[SESSION] = await sessions.admit(request)
            if request.method not in SAFE_METHODS:
                sessions.check_meant(request, request[SESSION])
        if request.method not in SAFE_METHODS:
            await _read_body(request)
        return await handler(request)

    return [answer_errors, check]


async def _read_body(request: web.Request) -> None:
    """Read the body, which the request keeps, within a time and up to the server's limit."""
    try:
        async with asyncio.timeout(BODY_PATIENCE_S):
            await request.read()
    except TimeoutError:
        raise Refused(408, "too_slow", "the request's body did not come in time") from None
    except ConnectionError:
        raise Refused(400, "bad_request", "the request's body has not come as it said") from None


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add to every answer what keeps browsers from misusing it."""
    response.headers["Server"] = "pacewheel"
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    caching = "no-cache" if request.path.startswith(STATIC) else "no-store"
    response.headers.setdefault("Cache-Control", caching)


def check_host(host: str) -> None:
    """Serve only who calls us by a loopback name.

    Raises:
        Refused: another name, as of a page that rebinds its own.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost" or name.endswith(".localhost") or ip_address(name).is_loopback:
            return
    except ValueError:
        # No address, or no host at all.
        pass
    raise Refused(
        421,
        "host_refused",
        "without a token only localhost is served, under its own name: open "
        "http://localhost with the port, or set http_token",
    )


def check_origin(request: web.Request) -> None:
    """Serve no request that a page of another origin caused; links to our pages are fine.

    Raises:
        Refused: it comes from elsewhere.
    """
    site = request.headers.get("Sec-Fetch-Site", "none")
    is_action = request.method not in SAFE_METHODS
    origin = request.headers.get("Origin")
    is_foreign = (is_action or request.path.startswith(API)) and site not in {"same-origin", "none"}
    if is_action and origin is not None:
        host = request.headers.get("Host", "").lower()
        is_foreign |= origin.lower() not in {f"http://{host}", f"https://{host}"}
    if is_foreign:
        raise Refused(
            403, "origin_refused", "pages of other origins are not served: open the dashboard"
        )

"""The dashboard's files, its one page, and the page where the token is said.

The files hold nothing secret, so they are served to everybody; the page is not, for it is of no use
without the API. All links in it are relative, so a proxy may serve it under a path.
"""

from __future__ import annotations

import html
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from pacewheel.web.answers import Refused
from pacewheel.web.sessions import COOKIE, SESSION_S

if TYPE_CHECKING:
    from pacewheel.web.sessions import Sessions

STATIC = Path(str(files("pacewheel.web"))) / "static"
INDEX = STATIC / "index.html"
LOGIN = Path(str(files("pacewheel.web"))) / "login.html"
TOKEN_CHARS_MAX = 256


class Pages:
    """Serves pages and sessions."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get("/", self.index)
        router.add_get("/login", self.login_page)
        router.add_post("/login", self.login)
        router.add_post("/logout", self.logout)
        if STATIC.is_dir():
            router.add_static("/static", STATIC)

    async def index(self, _request: web.Request) -> web.StreamResponse:
        """Serve the dashboard's one page."""
        if not INDEX.is_file():
            raise Refused(404, "not_found", "this build has no dashboard; the API is at /api/v1/")
        return web.FileResponse(INDEX)

    async def login_page(self, _request: web.Request) -> web.StreamResponse:
        """Serve the page that asks for the token; without one there is nothing to ask."""
        if not self._sessions.needs_token:
            raise web.HTTPSeeOther("./")
        return _login_page("", 200)

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Begin a session with the right token."""
        given = (await request.post()).get("token")
        if not isinstance(given, str) or len(given) > TOKEN_CHARS_MAX:
            given = ""
        if not self._sessions.is_token(given.strip()):
            try:
                await self._sessions.refuse_wrong()
            except Refused as error:
                return _login_page(str(error), error.status)
        response = web.HTTPSeeOther("./")
        response.set_cookie(
            COOKIE,
            self._sessions.make(),
            max_age=SESSION_S,
            httponly=True,
            samesite="Strict",
            # Behind a proxy that speaks TLS.
            secure=request.headers.get("X-Forwarded-Proto") == "https",
        )
        raise response

    async def logout(self, _request: web.Request) -> web.StreamResponse:
        """End the session of this browser."""
        response = web.HTTPSeeOther("./")
        response.del_cookie(COOKIE, httponly=True, samesite="Strict")
        raise response


def _login_page(message: str, status: int) -> web.Response:
    text = LOGIN.read_text("utf-8").replace("<!-- message -->", html.escape(message))
    return web.Response(text=text, status=status, content_type="text/html")

"""The dashboard's files, its one page, and the page where the token is said.

They hold nothing secret, so they are served to everybody; the page asks the API, and leads to where
the token is said if it must. All links in it are relative, so a proxy may serve it under a path.
"""

from __future__ import annotations

import html
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from aiohttp import web

from pacewheel.web.answers import Refused, answer
from pacewheel.web.sessions import COOKIE, SESSION_S

if TYPE_CHECKING:
    from pacewheel.web.sessions import Sessions

HERE = Path(str(files("pacewheel.web")))
STATIC = HERE / "static"
INDEX = STATIC / "index.html"
LOGIN = HERE / "login.html"


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
        router.add_static("/static", STATIC)

    async def index(self, _request: web.Request) -> web.StreamResponse:
        """Serve the dashboard's one page."""
        return web.FileResponse(INDEX)

    async def login_page(self, _request: web.Request) -> web.StreamResponse:
        """Serve the page that asks for the token; without one there is nothing to ask."""
        if not self._sessions.needs_token:
            raise web.HTTPSeeOther("./")
        return _login_page("", 200)

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Begin a session with the right token."""
        form = parse_qs((await request.read()).decode("ascii", "replace"))
        if not self._sessions.is_token(form.get("token", [""])[0].strip()):
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
        response = answer({})
        response.del_cookie(COOKIE, httponly=True, samesite="Strict")
        return response


def _login_page(message: str, status: int) -> web.Response:
    text = LOGIN.read_text("utf-8").replace("<!-- message -->", html.escape(message))
    return web.Response(text=text, status=status, content_type="text/html")

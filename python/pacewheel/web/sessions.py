"""Who may come in: the token, sessions of browsers, and proof that an action is meant.

Owns the secrets of the server. A session is a signed, dated text in a cookie that scripts can't read
and other sites' pages can't make a browser send; nothing is kept of it here, so it survives a
restart, and a new token ends all of them. The proof against forged requests (CSRF) is derived from
it. Everything is compared in constant time. Wrong tokens are answered one after another with a
pause, so guessing is slow, while right ones never wait.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING

from pacewheel.web.answers import Refused

if TYPE_CHECKING:
    from aiohttp import web

COOKIE = "pacewheel_session"
CSRF_HEADER = "X-Pacewheel-CSRF"
SESSION_S = 12 * 3600
WRONG_PAUSE_S = 0.2
WRONG_AT_ONCE_MAX = 16


class Sessions:
    """Checks and makes what lets requests in; without a token everybody who reaches us may."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        # Of a token, so that every process that shares it takes its sessions.
        seed = secrets.token_bytes(32) if token is None else token.encode()
        self._key = hashlib.sha256(b"pacewheel session\0" + seed).digest()
        self._wrong = 0
        self._pause = asyncio.Lock()

    @property
    def needs_token(self) -> bool:
        """True when only who knows the token may come in."""
        return self._token is not None

    def is_token(self, given: str) -> bool:
        """Tell whether this is the token."""
        return self._token is not None and _same(given, self._token)

    def make(self) -> str:
        """Return a new session."""
        dated = f"{int(time.time()) + SESSION_S}.{secrets.token_urlsafe(16)}"
        return f"{dated}.{self._sign('session', dated)}"

    def is_session(self, given: str) -> bool:
        """Tell whether this is a session of ours that has not run out."""
        dated, _, signature = given.rpartition(".")
        if not _same(signature, self._sign("session", dated)):
            return False
        return int(dated.partition(".")[0]) > time.time()

    def csrf(self, session: str) -> str:
        """Return the proof that whoever holds this session must send with an action."""
        return self._sign("csrf", session)

    async def admit(self, request: web.Request) -> str | None:
        """Return the session that the request is part of, "" without a token, None for a bearer.

        Raises:
            Refused: it has no valid token and no valid session.
        """
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if self._token is not None and not self.is_token(given.strip()):
                await self.refuse_wrong()
            return None
        if self._token is None:
            return ""
        session = request.cookies.get(COOKIE, "")
        if session and self.is_session(session):
            return session
        raise Refused(
            401,
            "token_needed",
            "this server needs its token (http_token): log in at /login, or send it as "
            "'Authorization: Bearer ...'",
            {"WWW-Authenticate": 'Bearer realm="pacewheel"'},
        )

    def check_meant(self, request: web.Request, session: str | None) -> None:
        """Refuse an action that a page of another site may have caused.

        A bearer token proves enough: no browser sends one by itself.

        Raises:
            Refused: the proof is missing or wrong.
        """
        if session is None:
            return
        if not _same(request.headers.get(CSRF_HEADER, ""), self.csrf(session)):
            raise Refused(
                403,
                "csrf",
                f"the header {CSRF_HEADER} is missing or out of date: take it from "
                "/api/v1/session and try again",
            )

    async def refuse_wrong(self) -> None:
        """Answer to a wrong token, slowly.

        Raises:
            Refused: always.
        """
        if self._wrong >= WRONG_AT_ONCE_MAX:
            raise Refused(
                429, "too_many_tries", "too many wrong tokens at once: wait", {"Retry-After": "5"}
            )
        self._wrong += 1
        try:
            async with self._pause:
                await asyncio.sleep(WRONG_PAUSE_S)
        finally:
            self._wrong -= 1
        raise Refused(401, "token_wrong", "this is not the token of this server (http_token)")

    def _sign(self, purpose: str, text: str) -> str:
        signed = _bytes(f"{purpose}\0{text}")
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(_bytes(given), _bytes(right))


def _bytes(text: str) -> bytes:
    # What is no UTF-8 in a header comes as surrogates.
    return text.encode("utf-8", "surrogateescape")

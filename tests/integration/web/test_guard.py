"""Who is served: Hosts, origins, tokens, sessions, proofs, sizes, and the headers of every answer."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel import Config, Engine
from pacewheel.web import sessions
from pacewheel.web.ports import Phase
from pacewheel.web.sessions import WRONG_AT_ONCE_MAX, Sessions
from tests.conftest import until
from tests.integration.web.conftest import TOKEN, served, web_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.web.conftest import Client

PAUSE = "/api/v1/jobs/9/pause"


@pytest.fixture
async def idle() -> AsyncIterator[Client]:
    """The server of an engine that is not connected, without a token."""
    async with served(Engine(config=web_config()), phase=Phase.STARTING) as client:
        yield client


@pytest.fixture
async def guarded() -> AsyncIterator[Client]:
    """The same with a token."""
    engine = Engine(config=web_config(http_token=TOKEN))
    async with served(engine, phase=Phase.STARTING) as client:
        yield client


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:9000", 200),
        ("LOCALHOST:1", 200),
        ("a.localhost", 200),
        ("127.0.0.1", 200),
        ("127.8.9.1:80", 200),
        ("[::1]:8470", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("10.0.0.1", 421),
        ("0.0.0.0", 421),
        ("[::ffff:10.0.0.1]", 421),
        ("localhost@evil.example", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
async def test_only_loopback_names_are_served_without_a_token(
    idle: Client, host: str, status: int
) -> None:
    """Else a page whose name was bound anew to our address could read and act."""
    for path in ("/healthz", "/api/v1/session", "/login"):
        found, _, body = await idle.answer("GET", path, headers={"Host": host})
        assert (status if path != "/login" or status != 200 else 303) == found, body


async def test_any_host_is_served_with_a_token(guarded: Client) -> None:
    """A session belongs to the name it was given under, so another name's page has none."""
    auth = {"Authorization": f"Bearer {TOKEN}"}
    await guarded.get("/api/v1/session", headers={"Host": "dash.example", **auth})
    code, _ = await guarded.refused("/api/v1/session", 401, headers={"Host": "evil.example"})
    assert "token_needed" == code


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "store_unavailable"),
        ({"Sec-Fetch-Site": "same-origin"}, "store_unavailable"),
        ({"Sec-Fetch-Site": "cross-site"}, "origin_refused"),
        ({"Sec-Fetch-Site": "same-site"}, "origin_refused"),
        ({"Origin": "http://evil.example"}, "origin_refused"),
        ({"Origin": "null"}, "origin_refused"),
        ({"Origin": "http://127.0.0.1:1"}, "origin_refused"),
        ({"X-Pacewheel-CSRF": ""}, "csrf"),
        ({"X-Pacewheel-CSRF": "0" * 64}, "csrf"),
        ({"X-Pacewheel-CSRF": "ä"}, "csrf"),
    ],
)
async def test_a_change_must_come_from_our_own_page(
    idle: Client, headers: dict[str, str], code: str
) -> None:
    """Origin, Sec-Fetch-Site and the session's proof; what passes all is stopped by the missing database."""
    status = 503 if code == "store_unavailable" else 403
    assert code == (await idle.post(PAUSE, {}, status, **headers))["error"]["code"]


async def test_our_own_origin_may_change(idle: Client) -> None:
    """As a browser says it, by either name of ours, and behind a proxy that speaks TLS."""
    for headers in (
        {"Origin": idle.base},
        {"Origin": "http://localhost:9000", "Host": "localhost:9000"},
        {"Origin": "https://localhost", "Host": "localhost"},
    ):
        await idle.post(PAUSE, {}, 503, **headers)


async def test_a_change_without_a_proof_is_refused(idle: Client) -> None:
    """A form of another site's page can send a body, and no header."""
    status, _, body = await idle.answer("POST", PAUSE, data={"a": "b"})
    assert (403, "csrf") == (status, body["error"]["code"])


async def test_pages_of_other_sites_read_nothing_of_the_api(idle: Client) -> None:
    """A link to a page of ours is fine, a request of theirs to the API is not."""
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site}
        code, _ = await idle.refused("/api/v1/events", 403, headers=headers)
        assert "origin_refused" == code
        await idle.get("/healthz", headers=headers)


async def test_a_token_is_asked_of_everything_but_probes(guarded: Client) -> None:
    """The page holds nothing secret, and is served; right ones pass."""
    for path in ("/api/v1/session", "/api/v1/events", "/metrics", "/api/v1/nothing", "/nothing"):
        status, headers, body = await guarded.answer("GET", path)
        assert (401, "token_needed") == (status, body["error"]["code"])
        assert "Bearer" in headers["WWW-Authenticate"]
    for path in ("/", "/login", "/static/app.js", "/healthz"):
        await guarded.get(path)
    await guarded.get("/readyz", 503)
    for scheme in ("Bearer", "bearer"):
        auth = {"Authorization": f"{scheme} {TOKEN}"}
        assert (await guarded.get("/api/v1/session", headers=auth))["needs_token"]
        await guarded.get("/metrics", headers=auth)
        # No proof is needed: no browser sends this by itself.
        status, _, body = await guarded.answer("POST", PAUSE, headers=auth)
        assert (503, "store_unavailable") == (status, body["error"]["code"])


@pytest.mark.parametrize(
    "given",
    [
        "Bearer wrong",
        "Bearer ",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer \xff",
    ],
)
async def test_a_wrong_token_is_refused(guarded: Client, given: str) -> None:
    """Whatever it looks like."""
    code, message = await guarded.refused("/metrics", 401, headers={"Authorization": given})
    assert code in {"token_wrong", "token_needed"}
    assert TOKEN not in message


async def log_in(client: Client, token: str) -> tuple[int, Any, Any]:
    """Say the token as the form does."""
    return await client.answer("POST", "/login", data={"token": token})


async def test_a_browser_logs_in_acts_and_logs_out(guarded: Client) -> None:
    """The cookie is out of scripts' and other sites' reach, and its proof is its own."""
    page = await guarded.get("/login")
    assert b'name="token"' in page
    status, headers, _ = await log_in(guarded, TOKEN)
    assert (303, "./") == (status, headers["Location"])
    cookie = headers["Set-Cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="))
    assert TOKEN not in cookie
    assert "Secure" not in cookie
    session = await guarded.get("/api/v1/session")
    assert session["needs_token"]
    assert (
        "csrf" == (await guarded.post(PAUSE, {}, 403, **{"X-Pacewheel-CSRF": "x"}))["error"]["code"]
    )
    await guarded.post(PAUSE, {}, 503)
    status, _, _ = await guarded.answer(
        "POST", "/logout", headers={"X-Pacewheel-CSRF": session["csrf"]}
    )
    assert 200 == status
    assert "token_needed" == (await guarded.refused("/api/v1/session", 401))[0]


async def test_a_session_behind_tls_keeps_to_tls(guarded: Client) -> None:
    """A proxy that speaks TLS says so."""
    _, headers, _ = await guarded.answer(
        "POST", "/login", data={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"}
    )
    assert "Secure" in headers["Set-Cookie"]


async def test_a_wrong_login_says_so_and_gives_no_session(guarded: Client) -> None:
    """An empty one, a long one, one of another form, and one from another site's page."""
    for token in ("", "wrong", "x" * 10_000):
        status, headers, page = await log_in(guarded, token)
        assert 401 == status
        assert "Set-Cookie" not in headers
        assert b"this is not the token" in page
    status, _, _ = await guarded.answer(
        "POST", "/login", data={"token": TOKEN}, headers={"Origin": "http://evil.example"}
    )
    assert 403 == status


async def test_wrong_tokens_are_answered_one_by_one_and_right_ones_at_once(
    guarded: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guessing is slow, and hinders nobody who knows."""
    pause_s = 0.05
    monkeypatch.setattr(sessions, "WRONG_PAUSE_S", pause_s)
    wrong = {"Authorization": "Bearer wrong"}
    tries = [
        asyncio.create_task(guarded.answer("GET", "/metrics", headers=wrong))
        for _ in range(WRONG_AT_ONCE_MAX + 4)
    ]
    began_s = time.monotonic()
    await until(lambda: sum(each.done() for each in tries) >= 4)
    await guarded.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert not all(each.done() for each in tries)
    statuses = [status for status, _, _ in await asyncio.gather(*tries)]
    assert 4 == statuses.count(429)
    assert WRONG_AT_ONCE_MAX * pause_s <= time.monotonic() - began_s


async def test_sessions_are_bound_to_the_token_and_to_their_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every process that shares the token takes them; another token, a later time or a changed text doesn't."""
    mine, same, other = Sessions(TOKEN), Sessions(TOKEN), Sessions(TOKEN + "x")
    session = mine.make()
    assert same.is_session(session)
    assert same.csrf(session) == mine.csrf(session)
    assert not other.is_session(session)
    assert not mine.is_session("9" + session)
    for wrong in ("", ".", "..", "9999999999.x", session[:-1], session.upper(), "\udcff.x.y"):
        assert not mine.is_session(wrong)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 13 * 3600)
    assert not mine.is_session(session)
    assert Sessions(None).csrf("") != Sessions(None).csrf("")


async def test_every_answer_carries_the_headers(idle: Client) -> None:
    """Pages, errors, API and metrics alike; nothing says what serves them."""
    for path in ("/healthz", "/api/v1/session", "/nothing", "/metrics", "/login"):
        _, headers, _ = await idle.answer("GET", path)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "nosniff" == headers["X-Content-Type-Options"]
        assert "DENY" == headers["X-Frame-Options"]
        assert "same-origin" == headers["Referrer-Policy"]
        assert "same-origin" == headers["Cross-Origin-Resource-Policy"]
        assert "no-store" == headers["Cache-Control"]
        assert "pacewheel" == headers["Server"]
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"x" * 70_000, "application/json", 413, "too_large"),
        (b"{", "application/json", 400, "config_invalid"),
        (b"[]", "application/json", 400, "config_invalid"),
        (b"null", "application/json", 400, "config_invalid"),
        (b'{"kyes": []}', "application/json", 400, "config_invalid"),
        (b"{}", "text/plain", 415, "no_json"),
        (b"\xff", "application/json", 400, "config_invalid"),
    ],
    ids=["too large", "half", "list", "null", "unknown key", "text", "no UTF-8"],
)
async def test_bodies_are_small_json_objects(
    idle: Client, body: bytes, content_type: str, status: int, code: str
) -> None:
    """Anything else is refused with what is expected."""
    csrf = (await idle.get("/api/v1/session"))["csrf"]
    headers = {"X-Pacewheel-CSRF": csrf, "Content-Type": content_type}
    found, _, answer = await idle.answer(
        "POST", "/api/v1/jobs/1/cancel", data=body, headers=headers
    )
    assert (status, code) == (found, answer["error"]["code"])


async def test_a_body_that_does_not_come_is_given_up(
    idle: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a login as of a change, after a while, with 408."""
    monkeypatch.setattr("pacewheel.web.guard.BODY_PATIENCE_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", idle.port)
    writer.write(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\ntoken=")
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 60)
    writer.close()


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ("Origin: http://[::1", b"", 403),
        ("Content-Type: multipart/form-data", b"token", 401),
        ("Content-Type: multipart/form-data; boundary=x", b"token", 401),
        ("Content-Type: application/x-www-form-urlencoded; charset=none", b"token=a", 401),
        ("Content-Type: application/x-www-form-urlencoded", b"token=\xff\xfe", 401),
        ("Content-Encoding: gzip", b"token", 401),
        ("Transfer-Encoding: chunked", b"no chunk\r\n", 400),
        ("X-Control: \0", b"", 400),
    ],
    ids=["origin", "form", "parts", "charset", "no UTF-8", "gzip", "chunks", "control"],
)
async def test_nonsense_is_refused_and_no_defect(
    guarded: Client, caplog: pytest.LogCaptureFixture, headers: str, body: bytes, status: int
) -> None:
    """Whoever reaches the port can't make it write errors into the log."""
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.port)
    length = "" if "chunked" in headers else f"Content-Length: {len(body)}\r\n"
    head = f"POST /login HTTP/1.1\r\nHost: localhost\r\n{length}{headers}\r\n\r\n"
    writer.write(head.encode())
    await until(lambda: guarded.web.connections == 1)
    writer.write(body)
    assert f" {status} ".encode() in await asyncio.wait_for(reader.readline(), 30)
    writer.close()
    assert [] == [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]


async def test_a_client_that_leaves_amid_its_body_is_no_defect(
    idle: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is there to be answered, and nobody needs to know."""
    _, writer = await asyncio.open_connection("127.0.0.1", idle.port)
    writer.write(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\ntoken=")
    await until(lambda: idle.web.connections == 1)
    await idle.get("/healthz")
    writer.close()
    await until(lambda: idle.web.connections == 1)
    await idle.get("/healthz")
    assert [] == [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]


async def test_a_probe_without_a_host_is_served(idle: Client) -> None:
    """As load balancers ask, by HTTP/1.0; no browser leaves the Host out."""
    reader, writer = await asyncio.open_connection("127.0.0.1", idle.port)
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert b" 200 " in await asyncio.wait_for(reader.readline(), 60)
    writer.close()


async def test_headers_are_bounded(idle: Client) -> None:
    """A header of 10 KB, and an address of as much, end the request."""
    status, _, _ = await idle.answer("GET", "/healthz", headers={"X-Long": "x" * 10_000})
    assert 400 == status
    status, _, _ = await idle.answer("GET", "/healthz?" + "x" * 10_000)
    assert 400 == status


def test_the_token_is_shown_by_no_repr() -> None:
    """Nor by the message that refuses it."""
    assert TOKEN not in repr(Config(http_token=TOKEN))
    with pytest.raises(Exception, match="16 to 256") as error:
        Config(http_token="too-short")
    assert "too-short" not in str(error.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_beyond_loopback_a_token_is_required(host: str) -> None:
    """Before anything starts; without an HTTP server there is nothing to guard."""
    with pytest.raises(Exception, match=r"http_host=\S+ lets others reach"):
        Config(http_host=host)
    Config(http_host=host, http_token=TOKEN)
    Config(http_host=host, http_port=0)

"""The guarded client against real, mostly hostile servers on loopback sockets."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import ssl
import subprocess
import tracemalloc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from pacewheel.crawl import urls
from pacewheel.crawl.client import FetchFailed, GuardedClient, Response
from pacewheel.crawl.guard import AddressGuard
from pacewheel.crawl.transport import PhaseLimits, tls_context
from pacewheel.crawl.warm import WarmHandler, initial_tasks, validate_options
from pacewheel.errors import LeaseLost
from pacewheel.model import NewTask, Outcome, OutcomeKind, Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Script = Callable[["Server", "Exchange"], Awaitable[None]]

LOOPBACK = AddressGuard([ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")])
QUICK = PhaseLimits(connect_s=2, first_byte_s=0.4, total_s=1.0)


class Exchange:
    """One request as the server sees it, and the way to answer it."""

    def __init__(self, head: bytes, connection: int, writer: asyncio.StreamWriter) -> None:
        self.head = head
        self.connection = connection
        self.writer = writer

    @property
    def path(self) -> str:
        """The request target."""
        return self.head.split(b" ")[1].decode()

    async def send(self, data: bytes) -> None:
        """Write and flush."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes, status: str = "200 OK", **headers: str) -> None:
        """Send a whole response."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def reset(self) -> None:
        """Abort the connection with RST."""
        self.writer.transport.abort()


class Server:
    """A loopback server that runs a script for each request and counts what it sees."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.requests: list[bytes] = []
        self.arrived = asyncio.Event()
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        """The server's root."""
        return f"http://127.0.0.1:{self.port}/"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        self.connections += 1
        connection = self.connections
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head)
                self.arrived.set()
                await self._script(self, Exchange(head, connection, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Run a server for the test."""
    server = Server(script)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()


@asynccontextmanager
async def client_of(limits: PhaseLimits = QUICK) -> AsyncIterator[GuardedClient]:
    """A client that may connect to loopback."""
    async with GuardedClient(LOOPBACK, limits=limits) as client:
        yield client


async def go() -> None:
    """A gate that is open."""


async def fetch(client: GuardedClient, url: str, **how: object) -> Response:
    """Fetch with an open gate."""
    options: dict[str, object] = {"depart": go, "user_agent": "pacewheel-test/1", **how}
    return await client.fetch(urls.parse(url), **options)  # type: ignore[arg-type]  # any


async def hello(_server: Server, exchange: Exchange) -> None:
    """Answer every request with a small page."""
    await exchange.answer(b"<p>hello</p>", Content_Type="text/html")


async def test_fetch_returns_status_headers_body_and_timings() -> None:
    """Defaults: one GET, its answer, what each phase took."""
    async with serving(hello) as server, client_of() as client:
        answer = await fetch(client, server.url + "a%7Eb?x='1'#frag")
    assert answer.status == 200
    assert answer.body == b"<p>hello</p>"
    assert answer.headers["content-type"] == "text/html"
    assert (12, 12, False) == (answer.bytes_received, answer.bytes_decoded, answer.truncated)
    assert {"connect", "first_byte", "total"} == set(answer.timings.as_dict())
    head = server.requests[0]
    assert head.startswith(b"GET /a%7Eb?x=%271%27 HTTP/1.1\r\n")
    assert b"User-Agent: pacewheel-test/1\r\n" in head
    assert b"Accept-Encoding: gzip, deflate\r\n" in head
    assert b"ookie" not in head


async def test_a_kept_alive_connection_that_is_reset_sees_exactly_one_request() -> None:
    """Lesson 56: the library's silent repetition is off."""

    async def reset_second(server: Server, exchange: Exchange) -> None:
        if len(server.requests) == 1:
            await hello(server, exchange)
        else:
            exchange.reset()

    departures = 0

    async def depart() -> None:
        nonlocal departures
        departures += 1

    async with serving(reset_second) as server, client_of() as client:
        await fetch(client, server.url, depart=depart)
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url, depart=depart)
        await asyncio.sleep(0.1)  # a repetition would come at once
        assert (2, 1, 2) == (len(server.requests), server.connections, departures)
    assert failed.value.error_class == "connect"
    assert failed.value.is_transient


async def test_a_kept_alive_connection_that_is_closed_sees_exactly_one_request() -> None:
    """The same for an orderly close instead of an answer."""

    async def close_second(server: Server, exchange: Exchange) -> None:
        if len(server.requests) == 1:
            await hello(server, exchange)
        else:
            exchange.writer.close()

    async with serving(close_second) as server, client_of() as client:
        await fetch(client, server.url)
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url)
        await asyncio.sleep(0.1)  # a repetition would come at once
        assert 2 == len(server.requests)
    assert failed.value.error_class == "connect"


async def test_the_request_leaves_only_after_the_gate_has_opened() -> None:
    """The connection is set up before the gate, the bytes are sent after it, first and reused."""
    async with serving(hello) as server, client_of() as client:
        for _ in range(2):
            gate, waiting = asyncio.Event(), asyncio.Event()

            async def depart(gate: asyncio.Event = gate, waiting: asyncio.Event = waiting) -> None:
                waiting.set()
                await gate.wait()

            server.arrived.clear()
            fetching = asyncio.create_task(fetch(client, server.url, depart=depart))
            await asyncio.wait_for(waiting.wait(), 2)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(server.arrived.wait(), 0.6)  # longer than first_byte_s
            assert 1 == server.connections  # set up before the gate, kept for the second round
            gate.set()
            answer = await asyncio.wait_for(fetching, 2)
            assert answer.status == 200
            assert answer.timings.total_ms is not None
            assert answer.timings.total_ms < 400
        assert 1 == server.connections


async def test_a_gate_that_refuses_sends_nothing_and_closes_the_connection() -> None:
    """LeaseLost is passed on unchanged; no connection is leaked."""
    closed = asyncio.Event()

    async def refuse() -> None:
        raise LeaseLost("not ours")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"" == await reader.read()
        writer.close()
        closed.set()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with client_of() as client:
        with pytest.raises(LeaseLost, match="not ours"):
            await fetch(client, f"http://127.0.0.1:{port}/", depart=refuse)
        await asyncio.wait_for(closed.wait(), 2)
    listener.close()


async def test_redirects_are_not_followed() -> None:
    """A 302 is an answer like any other."""

    async def redirect(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(b"", "302 Found", Location="/elsewhere")

    async with serving(redirect) as server, client_of() as client:
        answer = await fetch(client, server.url)
        assert 1 == len(server.requests)
    assert (302, "/elsewhere") == (answer.status, answer.headers["Location"])


async def test_cookies_are_neither_kept_nor_sent() -> None:
    """A Set-Cookie has no effect on the next request."""

    async def cookie(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(b"", Set_Cookie="a=b; Path=/")

    async with serving(cookie) as server, client_of() as client:
        await fetch(client, server.url)
        await fetch(client, server.url)
        assert b"ookie" not in server.requests[1]


@pytest.mark.parametrize("phase", ["head", "body"])
async def test_a_dripping_server_times_out(phase: str) -> None:
    """Bytes that trickle don't extend the deadline, neither in the headers nor in the body."""

    async def drip(_server: Server, exchange: Exchange) -> None:
        if phase == "body":
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        else:
            await exchange.send(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(200):
            await exchange.send(b"x")
            await asyncio.sleep(0.02)

    async with serving(drip) as server, client_of() as client:
        started = asyncio.get_running_loop().time()
        with pytest.raises(FetchFailed, match="body" if phase == "body" else "headers") as failed:
            await fetch(client, server.url)
        assert asyncio.get_running_loop().time() - started < 2
    assert ("timeout", True) == (failed.value.error_class, failed.value.is_transient)


async def test_a_server_that_never_answers_times_out() -> None:
    """The request is read and nothing comes."""

    async def silence(_server: Server, _exchange: Exchange) -> None:
        await asyncio.sleep(5)

    async with serving(silence) as server, client_of() as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url)
        assert 1 == len(server.requests)
    assert failed.value.error_class == "timeout"


@pytest.mark.parametrize("shape", ["many", "long"])
async def test_endless_headers_are_refused(shape: str) -> None:
    """Neither their number nor the length of one is unbounded."""

    async def endless(_server: Server, exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n" + (b"X: " if shape == "long" else b""))
        while True:
            await exchange.send(b"y" * 4096 if shape == "long" else b"X-More: 1\r\n" * 100)

    limits = PhaseLimits(first_byte_s=5, total_s=10)
    async with serving(endless) as server, client_of(limits) as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url)
    assert ("protocol", False) == (failed.value.error_class, failed.value.is_transient)


async def test_garbage_instead_of_http_is_a_protocol_failure() -> None:
    """What is not HTTP is named so."""

    async def garbage(_server: Server, exchange: Exchange) -> None:
        await exchange.send(b"220 mail.example ESMTP\r\n")

    async with serving(garbage) as server, client_of() as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url)
    assert failed.value.error_class == "protocol"


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_a_huge_body_is_cut_and_memory_stays_bounded(*, is_wanted: bool) -> None:
    """The server offers 200 MB; what is kept is max_bytes, or nothing."""

    async def huge(_server: Server, exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        for _ in range(3000):
            await exchange.send(b"x" * 65536)

    limits = PhaseLimits(first_byte_s=5, total_s=20)
    async with serving(huge) as server, client_of(limits) as client:
        tracemalloc.start()
        answer = await fetch(
            client, server.url, max_bytes=3_000_000, want_body=lambda _status, _headers: is_wanted
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (3_000_000, True) == (answer.bytes_decoded, answer.truncated)
    assert (3_000_000 if is_wanted else 0) == len(answer.body)
    assert peak < (12_000_000 if is_wanted else 3_000_000)


async def test_a_gzip_bomb_is_refused() -> None:
    """100 MB of zeros in 100 KB: refused soon after the first megabyte."""
    bomb = gzip.compress(b"\0" * 100_000_000, 9)

    async def send_bomb(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(bomb, Content_Encoding="gzip")

    limits = PhaseLimits(first_byte_s=5, total_s=20)
    async with serving(send_bomb) as server, client_of(limits) as client:
        tracemalloc.start()
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url, max_bytes=200_000_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert ("too_large", False) == (failed.value.error_class, failed.value.is_transient)
    assert peak < 30_000_000


async def test_a_compressed_body_is_decoded_and_counted_both_ways() -> None:
    """`bytes_received` is what crossed the wire."""
    page = b"<p>text</p>" * 1000
    packed = gzip.compress(page)

    async def send(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(packed, Content_Encoding="gzip")

    async with serving(send) as server, client_of() as client:
        answer = await fetch(client, server.url)
    assert page == answer.body
    assert (len(packed), len(page)) == (answer.bytes_received, answer.bytes_decoded)


async def test_a_body_that_ends_early_is_a_transient_failure() -> None:
    """Half a page is no page."""

    async def half(_server: Server, exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        exchange.writer.close()

    async with serving(half) as server, client_of() as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url)
    assert ("protocol", True) == (failed.value.error_class, failed.value.is_transient)


async def test_an_answer_without_a_body_is_complete() -> None:
    """204 has neither body nor length."""

    async def nothing(_server: Server, exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with serving(nothing) as server, client_of() as client:
        answer = await fetch(client, server.url)
    assert (204, b"", 0) == (answer.status, answer.body, answer.bytes_received)


async def test_the_feed_gets_the_body_in_pieces_and_may_stop_it() -> None:
    """Nothing is kept when a feed takes the body."""
    pieces: list[bytes] = []

    async def send(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(b"x" * 500_000)

    def feed(piece: bytes) -> bool:
        pieces.append(piece)
        return sum(map(len, pieces)) < 100_000

    async with serving(send) as server, client_of() as client:
        answer = await fetch(client, server.url, feed=feed)
    assert (b"", True) == (answer.body, answer.truncated)
    assert 100_000 <= sum(map(len, pieces)) < 400_000


async def test_nothing_listens_is_a_connect_failure() -> None:
    """A refused connection is transient."""
    async with serving(hello) as server:
        port = server.port
    async with client_of() as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, f"http://127.0.0.1:{port}/")
    assert ("connect", True) == (failed.value.error_class, failed.value.is_transient)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f.1", "017700000001", "[::1]", "[::ffff:127.0.0.1]", "0"],
)
async def test_literal_addresses_are_checked_although_nobody_resolves_them(host: str) -> None:
    """Every spelling of loopback is refused before a connection is opened."""
    async with serving(hello) as server, GuardedClient(limits=QUICK) as client:
        with pytest.raises(FetchFailed, match="--allow-network") as failed:
            await fetch(client, f"http://{host}:{server.port}/")
        assert 0 == server.connections
    assert ("refused", False) == (failed.value.error_class, failed.value.is_transient)


async def test_a_rebinding_name_never_reaches_the_private_address() -> None:
    """Public when first asked, loopback when asked again: both answers are checked."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    asked: list[str] = []

    async def lookup(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), 2) - 1]

    async with serving(hello) as server:
        guard = AddressGuard()
        async with GuardedClient(guard, limits=QUICK, lookup=lookup) as client:
            client._resolver._guard = guard
            addresses = await client._resolver.resolve("rebind.example", 80)
            assert ["93.184.216.34"] == [entry["host"] for entry in addresses]
            with pytest.raises(FetchFailed) as failed:
                await fetch(client, f"http://rebind.example:{server.port}/")
        assert 0 == server.connections
    assert failed.value.error_class == "refused"


async def test_the_checked_address_is_the_one_connected_to() -> None:
    """One look-up, no second one before connecting; the next fetch uses the cache."""
    asked: list[str] = []

    async def lookup(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["10.0.0.1", "127.0.0.1"]

    async def hello_and_close(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(b"", Connection="close")

    async with (
        serving(hello_and_close) as server,
        GuardedClient(LOOPBACK, limits=QUICK, lookup=lookup) as client,
    ):
        first = await fetch(client, f"http://two.example:{server.port}/")
        second = await fetch(client, f"http://two.example:{server.port}/")
        assert 2 == server.connections
        assert b"Host: two.example" in server.requests[0]
    assert ["two.example"] == asked
    assert first.timings.dns_ms is not None
    assert second.timings.dns_ms is None


async def test_a_name_that_does_not_resolve_says_so() -> None:
    """`.invalid` never resolves (RFC 6761)."""
    async with GuardedClient(limits=PhaseLimits(connect_s=20)) as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, "http://no-such-host.invalid/")
    assert failed.value.error_class == "dns"


async def test_many_requests_run_at_once() -> None:
    """Lesson 55: the library holds nothing back (its default limit would be 100)."""
    everybody = asyncio.Event()

    async def wait_for_all(server: Server, exchange: Exchange) -> None:
        if len(server.requests) == 150:
            everybody.set()
        await everybody.wait()
        await exchange.answer(b"")

    limits = PhaseLimits(connect_s=10, first_byte_s=10, total_s=10)
    async with serving(wait_for_all) as server, client_of(limits) as client:
        fetches = [fetch(client, f"{server.url}{number}") for number in range(150)]
        answers = await asyncio.wait_for(asyncio.gather(*fetches), 15)
    assert {200} == {answer.status for answer in answers}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(path) + ".key", "-out", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + (path.parent / "both.pem.key").read_bytes())
    return path


async def test_tls_is_verified_and_timed(certificate: Path) -> None:
    """A trusted certificate works and its handshake is timed; an unknown one is final."""
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(certificate)
    trusting = tls_context()
    trusting.load_verify_locations(certificate)

    async def lookup(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    async with serving(hello, server_tls) as server:
        url = f"https://localhost:{server.port}/"
        async with GuardedClient(LOOPBACK, lookup=lookup, tls=trusting) as client:
            answer = await fetch(client, url)
        assert answer.timings.tls_ms is not None
        assert answer.timings.connect_ms is not None
        async with GuardedClient(LOOPBACK, lookup=lookup) as client:
            with pytest.raises(FetchFailed) as failed:
                await fetch(client, url)
        assert 1 == len(server.requests)
    assert ("tls", False) == (failed.value.error_class, failed.value.is_transient)


async def test_cancelling_a_fetch_leaves_no_connection_behind() -> None:
    """The engine's deadline cancels handlers."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        reading.set()
        await reader.read()
        gone.set()
        writer.close()

    reading = asyncio.Event()
    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with client_of(PhaseLimits()) as client:
        fetching = asyncio.create_task(fetch(client, f"http://127.0.0.1:{port}/"))
        await asyncio.wait_for(reading.wait(), 2)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        await asyncio.wait_for(gone.wait(), 2)
    listener.close()


async def drain_job(
    handler: WarmHandler, start: str, **options: object
) -> list[tuple[NewTask, Outcome]]:
    """Run a whole warm job in memory, best priority first, as the engine would."""
    checked = validate_options({"start": [start], **options})
    domain = urls.authority(start)
    documents: dict[str, str] = {}
    queue = initial_tasks([start], checked)
    seen = {task.key for task in queue}
    done: list[tuple[NewTask, Outcome]] = []

    class JobLease:
        """An open gate and the job's documents."""

        async def depart(self) -> None:
            """The gate is open."""

        async def document(self, _job_id: int, name: str) -> str | None:
            """What an earlier task left."""
            return documents.get(name)

    while queue and len(done) < 100:
        queue.sort(key=lambda task: -task.priority)
        new = queue.pop(0)
        task = Task(
            len(done) + 1, 1, 1, domain, "warm", new.target, new.priority, 1, new.payload, checked,
            lease=JobLease(),
        )  # fmt: skip
        outcome = await handler(task)
        done.append((new, outcome))
        documents.update(outcome.documents)
        for found in outcome.discovered:
            if found.key not in seen:
                seen.add(found.key)
                queue.append(found)
    return done


SITE = {
    "/robots.txt": (
        "200 OK",
        b"User-agent: *\nDisallow: /private\nCrawl-delay: 2\nSitemap: /map.xml",
    ),
    "/map.xml": (
        "200 OK",
        b"<urlset><url><loc>/deep</loc><priority>0.7</priority></url></urlset>",
    ),
    "/": (
        "200 OK",
        b"""<header><nav><a href=/about>a</a></nav></header><main><a href=/private/x>p</a>
        <a href=/old>o</a><a href=/gone>g</a><a href=http://other.example/>x</a></main>
        <footer><a href=/imprint>i</a></footer>""",
    ),
    "/old": ("301 Moved Permanently", b"/new"),
}


async def test_a_whole_site_is_warmed_one_request_a_task() -> None:
    """Robots, sitemap, links, redirect and 404 in the order of priority; /private never."""

    async def site(_server: Server, exchange: Exchange) -> None:
        default = ("404 Not Found", b"") if exchange.path == "/gone" else ("200 OK", b"<p>x")
        status, body = SITE.get(exchange.path, default)
        if status.startswith("301"):
            await exchange.answer(b"", status, Location=body.decode())
        else:
            await exchange.answer(body, status, Content_Type="text/html", X_Cache="HIT")

    async with serving(site) as server, client_of() as client:
        done = await drain_job(WarmHandler(client), server.url)
        paths = [head.split(b" ")[1].decode() for head in server.requests]
    assert paths[:2] == ["/robots.txt", "/"]
    assert sorted(paths[2:]) == sorted(
        ["/map.xml", "/about", "/imprint", "/old", "/new", "/gone", "/deep"]
    )
    assert paths.index("/about") < paths.index("/imprint") < paths.index("/old")
    assert paths[-1] == "/deep"
    outcomes = {new.target.partition(str(server.port))[2]: outcome for new, outcome in done}
    assert 2000 == outcomes["/robots.txt"].robots_delay_ms
    assert (OutcomeKind.FAILED, "http_4xx") == (outcomes["/gone"].kind, outcomes["/gone"].error)
    assert "hit" == outcomes["/"].cache
    detail = outcomes["/"].detail
    assert detail is not None
    assert {"robots": 1, "other_site": 1} == detail["left_out"]

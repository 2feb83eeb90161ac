"""The HTTP server's life: a port, the application, and an orderly end.

Starts before the engine does, so that `/healthz` answers while the database is away, and ends after
it. Promises that nothing here outlives `stop`, and that a port that was asked for by number is that
one or an error.
"""

from __future__ import annotations

import errno
import logging
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from pacewheel import events
from pacewheel.errors import ConfigInvalid, PortTaken
from pacewheel.logs import Logger
from pacewheel.web.actions import Actions
from pacewheel.web.api import Api
from pacewheel.web.clients import Clients
from pacewheel.web.database import Database
from pacewheel.web.events import Events
from pacewheel.web.guard import add_headers, middlewares
from pacewheel.web.insights import Insights
from pacewheel.web.pages import Pages
from pacewheel.web.ports import Life
from pacewheel.web.probes import Probes
from pacewheel.web.reading import Reading
from pacewheel.web.sessions import Sessions
from pacewheel.web.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pacewheel.web.ports import Engine

log = Logger("web")

FIRST_PORT = 8470
PORTS = 20
BODY_BYTES_MAX = 65_536
KEEPALIVE_S = 30.0
SHUTDOWN_S = 2.0
BACKLOG = 128

# Whoever reaches the port could fill the log with what is no HTTP.
aiohttp_log = logging.getLogger("aiohttp.server.pacewheel")
aiohttp_log.addFilter(
    lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
)


class WebServer:
    """Serves one engine; the daemon tells it, in `life`, where it is."""

    def __init__(self, engine: Engine) -> None:
        config = engine.config
        self.life = Life()
        self.address: tuple[str, int] | None = None
        """Where it listens, once started; None: it doesn't."""
        self._host = config.http_host
        self._port = config.http_port
        database = self._database = Database(engine, self.life)
        sessions = Sessions(config.http_token)
        self.watch = Watch(engine, self.life, Reading(engine, self.life))
        """The look at everything."""
        self._events = Events(self.watch)
        self._insights = Insights(engine, database)
        app = web.Application(middlewares=middlewares(sessions), client_max_size=BODY_BYTES_MAX)
        app.on_response_prepare.append(add_headers)
        Probes(engine, self.life, database).add_to(app.router)
        api = Api(
            engine=engine,
            database=database,
            sessions=sessions,
            watch=self.watch,
            events=self._events,
            insights=self._insights,
        )
        api.add_to(app.router)
        Actions(engine, database).add_to(app.router)
        Pages(sessions).add_to(app.router)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=aiohttp_log,
            auto_decompress=False,
            keepalive_timeout=KEEPALIVE_S,
            shutdown_timeout=SHUTDOWN_S,
        )
        self._clients: Clients | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    @property
    def connections(self) -> int:
        """How many are open."""
        server = self._runner.server
        return 0 if server is None else len(server.connections)

    def routes(self) -> Iterable[web.AbstractRoute]:
        """Return all that is served."""
        return self._runner.app.router.routes()

    async def start(self) -> None:
        """Listen, unless the port is 0.

        Raises:
            ConfigInvalid: the address or the port can't be had.
        """
        if self._port == 0:
            return
        bound = self._bind()
        if bound is None:
            ports = f"{FIRST_PORT} to {FIRST_PORT + PORTS - 1}"
            log.say(events.HTTP_PORTS_TAKEN, ports=ports)
            return
        await self._runner.setup()
        assert self._runner.server is not None
        self._clients = Clients(self._runner.server)
        await self._clients.listen(bound, backlog=BACKLOG)
        self.watch.start()
        host, port = bound.getsockname()[:2]
        self.address = (host, port)
        shown = f"[{host}]" if ":" in host else host
        log.say(events.HTTP_SERVING, url=f"http://{shown}:{port}/")

    async def stop(self) -> None:
        """End all streams, let answers under way go out, and close the port."""
        if self._clients is None:
            return
        self._clients.close()
        await self._events.stop()
        await self.watch.stop()
        await self._insights.stop()
        await self._database.stop()
        await self._runner.cleanup()
        self._clients = None
        self.address = None

    def _bind(self) -> socket.socket | None:
        if self._port is not None:
            return self._bind_to(self._port)
        for port in range(FIRST_PORT, FIRST_PORT + PORTS):
            try:
                return self._bind_to(port)
            except PortTaken:
                continue
        return None

    def _bind_to(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ip_address(self._host).version == 6 else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self._host, port))
            # Two may be bound to one port until one of them listens.
            bound.listen(BACKLOG)
        except OSError as error:
            bound.close()
            where = f"http_host={self._host}, http_port={port}"
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"{where} is taken by another program: give another --http-port, or 0 for none"
                ) from error
            raise ConfigInvalid(
                f"{where} can't be listened on ({error.strerror}): give others"
            ) from error
        bound.setblocking(False)
        return bound

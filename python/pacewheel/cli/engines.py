"""How commands get an engine, and how their coroutines are run.

Owns the choice of the event loop and the order in which an engine is opened, given the warm
handler and closed again, also when a signal cuts in.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib import import_module
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, TypeVar

from pacewheel.crawl.client import GuardedClient
from pacewheel.crawl.guard import AddressGuard
from pacewheel.crawl.transport import PhaseLimits
from pacewheel.crawl.warm import BREAKER, WarmHandler
from pacewheel.engine import Engine
from pacewheel.registry import Handler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from pacewheel.cli.interrupt import Interrupt
    from pacewheel.config import Config

HANDLER = "warm"
# A task waits at its domain's gate for milliseconds, unless the gap has just become longer.
GATE_TIMEOUT_S = 60.0

Value = TypeVar("Value")


def run_async(main: Coroutine[Any, Any, Value]) -> Value:
    """Run `main` to its end, on uvloop where it is installed."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


@asynccontextmanager
async def connected(config: Config) -> AsyncIterator[Engine]:
    """Yield an engine that can create, list and cancel jobs and runs nothing."""
    engine = Engine(config=config)
    try:
        await engine.connect()
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def warm_engine(config: Config) -> AsyncIterator[Engine]:
    """Yield an engine that knows the warm handler, neither connected nor started; its user stops it."""
    guard = AddressGuard([ip_network(network) for network in config.allow_network])
    limits = PhaseLimits(
        config.connect_timeout_s, config.first_byte_timeout_s, config.fetch_timeout_s
    )
    async with GuardedClient(guard, limits=limits, proxy=config.proxy) as client:
        engine = Engine(config=config)
        warm = Handler(
            HANDLER,
            WarmHandler(client, body_bytes_max=config.body_bytes_max),
            timeout_s=limits.connect_s + GATE_TIMEOUT_S + limits.total_s,
            own_departure=True,
            breaker=BREAKER,
        )
        engine.add_handler(warm)
        yield engine


@asynccontextmanager
async def stopping(engine: Engine, interrupt: Interrupt) -> AsyncIterator[None]:
    """Connect the engine; stop it at the end, at once if the user interrupted twice."""
    try:
        await engine.connect()
        yield
    finally:
        await engine.stop(0.0 if interrupt.at_once else None)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return factory

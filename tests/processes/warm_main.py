"""A process that warms sites, each page tried once: `python -m tests.processes.warm_main URL...`.

The database and the limits come from the environment, as for `pacewheel warm`. It prints the most
memory it had, in MB.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from ipaddress import ip_network

from pacewheel import Engine
from pacewheel.config import Config
from pacewheel.crawl import urls
from pacewheel.crawl.client import GuardedClient
from pacewheel.crawl.guard import AddressGuard
from pacewheel.crawl.transport import PhaseLimits
from pacewheel.crawl.warm import WarmHandler, initial_tasks, validate_options
from pacewheel.registry import Handler


async def warm(starts: list[str]) -> None:
    """Warm all sites until nothing is left to do."""
    config = Config.load(os.environ, None, {})
    limits = PhaseLimits(
        config.connect_timeout_s, config.first_byte_timeout_s, config.fetch_timeout_s
    )
    guard = AddressGuard([ip_network("127.0.0.0/8")])
    async with GuardedClient(guard, limits=limits) as client:
        handler = WarmHandler(client, body_bytes_max=config.body_bytes_max)
        engine = Engine(config=config)
        engine.add_handler(Handler("warm", handler, attempts=1, own_departure=True))
        await engine.connect()
        for start in starts:
            options = validate_options({"start": [start]})
            await engine.create_job(
                domain=urls.authority(start),
                handler="warm",
                concurrency=8,
                domain_delay_ms=10,
                options=options,
                tasks=initial_tasks([start], options),
                discovery_open=False,
            )
        await engine.run_until_idle()


if __name__ == "__main__":
    asyncio.run(warm(sys.argv[1:]))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)  # noqa: T201 - its answer

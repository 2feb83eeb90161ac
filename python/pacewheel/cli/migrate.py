"""`pacewheel migrate`: bring the schema to this code's version, or say what is missing.

With `--status` it changes nothing and ends with 4 when something is missing.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pacewheel import embedded, store
from pacewheel.cli import options
from pacewheel.cli.engines import run_async
from pacewheel.errors import SchemaMismatch
from pacewheel.store.migrate import pending

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator

    from pacewheel.config import Config


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    lines, code = run_async(_status(config) if args.status else _migrate(config))
    print("\n".join(lines))
    return code


async def _migrate(config: Config) -> tuple[list[str], int]:
    async with database(config) as dsn:
        applied = await store.migrate(dsn, config.schema, pooler=config.pooler)
    lines = [f"applied {step.version:04d} {step.name}" for step in applied]
    return [*lines, f"schema {config.schema} is up to date"], 0


async def _status(config: Config) -> tuple[list[str], int]:
    async with database(config) as dsn:
        missing = await pending(dsn, config.schema, pooler=config.pooler)
    if not missing:
        return [f"schema {config.schema} is up to date"], 0
    lines = [f"missing {step.version:04d} {step.name}" for step in missing]
    return [*lines, "run `pacewheel migrate` to apply it"], SchemaMismatch.exit_code


@asynccontextmanager
async def database(config: Config) -> AsyncIterator[str]:
    """Yield the DSN, the embedded server running if there is no other; migrate nothing."""
    if config.dsn is not None:
        yield config.dsn
        return
    settings = embedded.EmbeddedConfig(config.data_dir or embedded.default_data_dir())
    server = await asyncio.to_thread(embedded.acquire, settings)
    try:
        yield server.dsn
    finally:
        await asyncio.to_thread(server.release)

"""What several of these tests begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pacewheel import Engine
from tests.integration.old_rows import past_engine
from tests.integration.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[Engine]:
    """An engine that is connected and runs nothing."""
    made = Engine(dsn)
    await made.connect()
    yield made
    await made.close()


@pytest.fixture
async def past(dsn: str) -> AsyncIterator[Engine]:
    """An engine with its handler, connected."""
    made = past_engine(dsn)
    await made.connect()
    yield made
    await made.stop()
    await made.close()


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[World]:
    """A worker whose claims and settles are made by hand."""
    made = World(dsn)
    await made.start()
    yield made
    await made.engine.close()

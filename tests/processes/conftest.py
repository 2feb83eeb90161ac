"""The fleet: worker processes that never outlive their test, and whose crashes fail it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.fleet import Fleet

# What a service or the interpreter writes when something broke that no test meant to break.
CRASH_WORDS = ("Traceback", "failed and is started again", "never retrieved")


@pytest.fixture
def fleet(dsn: str, tmp_path: Path) -> Iterator[Fleet]:
    """Worker processes on the test's own database."""
    started = Fleet(dsn, tmp_path)
    yield started
    errors = started.end()
    if any(word in errors for word in CRASH_WORDS):
        pytest.fail(f"a worker crashed:\n{errors}")

"""Data directories of the embedded server, and a user who is not root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel import embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

from tests.integration.embedded.users import AS_ROOT, NOBODY, PACKAGES
from tests.waiting import wait_until


def removed(place: Path) -> bool:
    """Delete a folder in which a process may still be tidying up; say whether it is gone."""
    shutil.rmtree(place, ignore_errors=True)
    return not place.exists()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[embedded.EmbeddedConfig]:
    """A data directory that doesn't exist yet, whose server is stopped at the test's end."""
    made = embedded.EmbeddedConfig(
        data_dir=tmp_path / "postgres", settings={"shared_buffers": "32MB"}
    )
    yield made
    embedded.stop(made, force=True)


@pytest.fixture(scope="session")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory made once, for tests that don't watch the making (copying syncs nothing)."""
    made = embedded.EmbeddedConfig(data_dir=tmp_path_factory.mktemp("pattern") / "postgres")
    embedded.acquire(made).release()
    return made.data_dir


@pytest.fixture
def config(fresh: embedded.EmbeddedConfig, pattern: Path) -> embedded.EmbeddedConfig:
    """A data directory with a cluster, not running."""
    subprocess.run(["cp", "-a", str(pattern), str(fresh.data_dir)], check=True)
    return fresh


@pytest.fixture
def ordinary() -> Iterator[tuple[Path, str, dict[str, Any]]]:
    """An ordinary user's home directory, a Python and the options to run it as that user."""
    place = Path(tempfile.mkdtemp(prefix="pacewheel-test-"))
    shelf = embedded.find_binaries().package.parent
    environment = {"PATH": os.defpath, "HOME": str(place), "PYTHONPATH": f"{PACKAGES}:{shelf}"}
    options: dict[str, Any] = {"env": environment, "cwd": "/"}
    if AS_ROOT:
        os.chown(place, NOBODY, NOBODY)
        options |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    probe = "from pacewheel import embedded; embedded.find_binaries()"
    for python in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        with suppress(OSError, subprocess.CalledProcessError):
            subprocess.run([python, "-c", probe], check=True, capture_output=True, **options)
            yield place, python, options
            break
    else:
        pytest.skip("no ordinary user can read this checkout, its packages and a Python >= 3.11")
    wait_until(lambda: removed(place), "the guardian, which ends after its server, is gone")

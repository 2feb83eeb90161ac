"""Other processes that use the embedded server, and what is asked of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pacewheel
from pacewheel import embedded
from pacewheel.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Iterator


PACKAGES = str(Path(next(iter(pacewheel.__path__))).parent)


AS_ROOT = os.geteuid() == 0


NOBODY = 65534


USER = """
import json, os, sys
from pathlib import Path
from pacewheel import embedded
from pacewheel.errors import PacewheelError
data_dir = [Path(arg) for arg in sys.argv[1:]]
config = embedded.EmbeddedConfig(*data_dir)
try:
    use = embedded.acquire(config)
except PacewheelError as error:
    print(json.dumps({"error": str(error)}), flush=True)
    sys.exit(error.exit_code)
now = embedded.status(config)
print(json.dumps({"dsn": use.dsn, "postmaster": now.pid, "data": str(now.data_dir)}), flush=True)
sys.stdin.readline()
use.release()
"""


def query(dsn: str, sql: str) -> str:
    """The answer to `sql`, by psql; AssertionError with psql's words if there is none."""
    psql = [embedded.find_binaries().program("psql"), "-XAt", "-v", "ON_ERROR_STOP=1", "-d", dsn]
    done = subprocess.run(
        [*psql, "-c", sql], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def lives(pid: int) -> bool:
    """Whether `pid` runs; one that nobody has waited for does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextmanager
def user(
    *arguments: str, python: str = sys.executable, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server; it releases when a line is sent to it."""
    options = {"env": {**os.environ, "PYTHONPATH": PACKAGES}, **options}
    child = subprocess.Popen(
        [python, "-c", USER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


def answer(child: subprocess.Popen[str]) -> dict[str, Any]:
    """What a `user` says once it has the server, or why it hasn't."""
    assert child.stdout is not None
    said: dict[str, Any] = json.loads(child.stdout.readline())
    return said


def release(child: subprocess.Popen[str]) -> None:
    """Tell a `user` to release, and wait until it has ended well."""
    child.communicate("\n", timeout=120)
    assert child.returncode == 0


def error_of(config: embedded.EmbeddedConfig) -> str:
    """The message with which `acquire` refuses; it is one line."""
    with pytest.raises(EmbeddedError) as refused:
        embedded.acquire(config).release()
    assert "\n" not in str(refused.value)
    return str(refused.value)

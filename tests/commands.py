"""The command line as tests use it: in a process of its own, or within the process of the tests.

Within it a command takes a tenth of the time, and ends and prints the same; what catches signals or
draws on a terminal needs its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

from pacewheel.cli.app import main

README = (Path(__file__).parents[1] / "README.md").read_text()
NO_SERVER = "postgresql://me:sesame@127.0.0.1:1/db"
LOOPBACK = ("--allow-network", "127.0.0.0/8")
PROCESS_TIMEOUT_S = 200.0


def environment(**more: str) -> dict[str, str]:
    """The environment without settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PACEWHEEL_")}
    return {**kept, **more}


def pacewheel(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "pacewheel", *arguments],
        capture_output=True,
        text=True,
        env=environment(**env),
        timeout=PROCESS_TIMEOUT_S,
        check=False,
    )


def called(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command within this process, in a thread, since it has an event loop of its own."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))

    def run() -> int:
        try:
            return main(arguments)
        except SystemExit as ended:
            # How argparse refuses.
            return int(ended.code or 0)

    with (
        mock.patch.dict(os.environ, environment(**env), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        ThreadPoolExecutor(1) as thread,
    ):
        code = thread.submit(run).result()
    said = []
    for stream in (out, err):
        stream.flush()
        said.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined] # a BytesIO
    return subprocess.CompletedProcess(arguments, code, *said)


def refused(code: int, *arguments: str, **env: str) -> str:
    """The one line with which the command line refuses these arguments."""
    done = called(*arguments, **env)
    assert code == done.returncode, done.stderr
    assert "" == done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("pacewheel: ")
    assert f"| {code} |" in README
    return line


async def ran(*arguments: str) -> tuple[int, str, str]:
    """Run a command within this process, which goes on; return its exit code and what it printed."""
    done = await asyncio.to_thread(called, *arguments)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


async def said(dsn: str, *arguments: str) -> str:
    """Return what a command prints that ends well and has nothing to complain of."""
    code, out, err = await ran(*arguments, "--dsn", dsn)
    assert (0, "") == (code, err), err
    return out


async def objects(dsn: str, *arguments: str) -> list[dict[str, Any]]:
    """Return the JSON objects that a command prints."""
    return [json.loads(line) for line in (await said(dsn, *arguments, "--json")).splitlines()]

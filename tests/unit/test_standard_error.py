"""Standard error that nobody reads, or not now: lines wait or are counted, and nobody is held up."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from pacewheel import logs, standard_error

LINES = 1_000
PIPE_BYTES = 65_536
WAITING_MAX = 100
HANGS_AFTER_S = 60.0


@contextmanager
def piped(monkeypatch: pytest.MonkeyPatch, *, blocking: bool) -> Iterator[int]:
    """A pipe is this process's standard error; yield the end that nobody reads yet."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(writing, blocking)
    # Not in a fixture: pytest replaces standard error before each phase of a test.
    with os.fdopen(writing, "w", encoding="utf-8") as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        patched.setattr(sys, "__stderr__", stream)
        patched.setattr(standard_error, "CLOSE_S", HANGS_AFTER_S)
        patched.setattr(standard_error, "WAITING_MAX", WAITING_MAX)
        logs.configure("info", "json")
        yield reading


def read(reading: int) -> list[dict[str, Any]]:
    """Read all there is, and what comes until the end."""
    with os.fdopen(reading, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def say_many(first: int = 0, lines: int = LINES, **fields: str) -> None:
    """Log more than a pipe holds and may wait."""
    for number in range(first, first + lines):
        logging.getLogger("pacewheel.mine").info("x", extra={"number": number, **fields})


@pytest.mark.parametrize(
    ("lines", "fields", "blocking"),
    [(LINES, {}, True), (150, {f"long_{n}": "v" * 900 for n in range(5)}, False)],
    ids=["short lines", "lines longer than a pipe takes at once"],
)
def test_a_pipe_that_nobody_reads_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, lines: int, fields: dict[str, str], *, blocking: bool
) -> None:
    """What it holds and what may wait comes later, in its order; how many lines are missing is said there."""
    with piped(monkeypatch, blocking=blocking) as reading, ThreadPoolExecutor() as threads:
        saying = threading.Thread(target=say_many, args=(0, lines), kwargs=fields, daemon=True)
        saying.start()
        saying.join(HANGS_AFTER_S)
        assert not saying.is_alive()
        reader = threads.submit(read, reading)
        say_many(lines, lines, **fields)
        logging.getLogger("pacewheel").handlers[0].close()
        sys.stderr.close()
        got = reader.result(HANGS_AFTER_S)
    numbers = [line["number"] for line in got if "number" in line]
    assert sorted(numbers) == numbers
    assert len(numbers) > WAITING_MAX
    missing = [line["lines"] for line in got if line.get("event") == "lines_left_out"]
    assert missing
    assert 2 * lines == len(numbers) + sum(missing)


@pytest.mark.parametrize("reader", ["a terminal that is stopped", "gone", "none"])
def test_a_process_ends_in_order_whoever_reads(reader: str) -> None:
    """With its own exit code: the interpreter has nothing left to write, or no standard error at all."""
    code = "from tests.unit.test_standard_error import *; logs.configure('info'); say_many(); sys.exit(3)"
    command = [sys.executable, "-c", code]
    if reader == "none":
        command = ["sh", "-c", 'exec "$0" "$@" 2>&-', *command]
    reading, writing = os.pipe() if reader == "gone" else os.openpty()
    with os.fdopen(writing, "wb") as errors, os.fdopen(reading, "rb") as unread:
        if reader == "gone":
            unread.close()
        done = subprocess.run(command, stderr=errors, timeout=HANGS_AFTER_S, check=False)
    assert 3 == done.returncode


def test_a_standard_error_that_was_closed_hurts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nowhere to say so."""
    with piped(monkeypatch, blocking=True) as reading:
        os.close(reading)
        sys.stderr.close()
        say_many(lines=1)

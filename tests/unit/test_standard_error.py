"""Standard error that nobody reads, or not now: lines wait or are counted, and nobody is held up."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from pacewheel import logs
from pacewheel.standard_error import WAITING_MAX

LINES = 5_000
HANGS_AFTER_S = 60.0


@contextmanager
def piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A pipe is this process's standard error; yield the end that nobody reads yet."""
    reading, writing = os.pipe()
    # Not in a fixture: pytest replaces standard error before each phase of a test.
    with os.fdopen(writing, "w", encoding="utf-8") as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        patched.setattr(sys, "__stderr__", stream)
        logs.configure("info", "json")
        yield reading


def read(reading: int) -> list[dict[str, object]]:
    """Read all there is, and what comes until the end."""
    with os.fdopen(reading, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def catch_up() -> None:
    """Wait until everything is written."""
    for thread in threading.enumerate():
        if "_catch_up" in thread.name:
            thread.join(HANGS_AFTER_S)


def say_many() -> None:
    """Log more than a pipe holds and may wait."""
    for number in range(LINES):
        logging.getLogger("pacewheel.mine").info("%d", number, extra={"number": number})


def test_a_pipe_that_nobody_reads_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it holds and what may wait comes in its order later, then how many lines are missing."""
    with piped(monkeypatch) as reading, ThreadPoolExecutor() as threads:
        saying = threading.Thread(target=say_many, daemon=True)
        saying.start()
        saying.join(HANGS_AFTER_S)
        assert not saying.is_alive()
        lines = threads.submit(read, reading)
        catch_up()
        logging.getLogger("pacewheel.mine").info("after", extra={"number": -1})
        catch_up()
        sys.stderr.close()
        *shown, missing, after = lines.result(HANGS_AFTER_S)
    assert list(range(len(shown))) == [line["number"] for line in shown]
    assert len(shown) > WAITING_MAX
    assert ("lines_left_out", LINES - len(shown)) == (missing["event"], missing["lines"])
    assert -1 == after["number"]


@pytest.mark.parametrize("reader", ["stopped", "gone", "none"])
def test_a_process_ends_in_order_whoever_reads(reader: str) -> None:
    """With its own exit code: the interpreter has nothing left to write, or no standard error at all."""
    code = "from tests.unit.test_standard_error import *; logs.configure('info'); say_many(); sys.exit(3)"
    command = [sys.executable, "-c", code]
    if reader == "none":
        command = ["sh", "-c", 'exec "$0" "$@" 2>&-', *command]
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as errors, os.fdopen(reading, "rb") as unread:
        if reader == "gone":
            unread.close()
        done = subprocess.run(command, stderr=errors, timeout=HANGS_AFTER_S, check=False)
    assert 3 == done.returncode

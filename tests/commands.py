"""Commands of pacewheel within the process of the tests: what they print and how they end.

A tenth of the time that a process of its own takes. Signals and terminals need one.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
from typing import Any
from unittest import mock

from pacewheel.cli.app import main
from tests.integration.test_cli_errors import environment


async def ran(*arguments: str) -> tuple[int, str, str]:
    """Run a command; return its exit code, and what it printed on standard output and error."""
    out, err = io.StringIO(), io.StringIO()

    def run() -> int:
        try:
            return main(arguments)
        except SystemExit as ended:
            # How argparse refuses.
            return int(ended.code or 0)

    with (
        mock.patch.dict(os.environ, environment(), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = await asyncio.to_thread(run)
    return code, out.getvalue().strip(), err.getvalue().strip()


async def said(dsn: str, *arguments: str) -> str:
    """Return what a command prints that ends well and has nothing to complain of."""
    code, out, err = await ran(*arguments, "--dsn", dsn)
    assert (0, "") == (code, err), err
    return out


async def objects(dsn: str, *arguments: str) -> list[dict[str, Any]]:
    """Return the JSON objects that a command prints."""
    return [json.loads(line) for line in (await said(dsn, *arguments, "--json")).splitlines()]

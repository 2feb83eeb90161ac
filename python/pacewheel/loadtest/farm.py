"""The deterministic site farm: many sites on loopback, each its own origin, all of them logged.

``Farm`` serves in the current event loop; ``FarmProcess`` serves from a process of its own, which
is what a test or demo of the engine wants: a busy engine in the same loop would delay the arrival
clock, and a killed crawler must not take the farm's log with it. As a program,

    python -m pacewheel.loadtest.farm --sites demo --log arrivals.jsonl

prints the start URLs as one line of JSON and runs until SIGTERM or SIGINT. ``--sites 50x20000``
serves 50 sites with 20,000 pages; ``--sites -`` reads specifications as one line of JSON from its
standard input and stops when that input ends, so that it never outlives the process it serves.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

import orjson

from pacewheel.errors import ConfigInvalid, PacewheelError
from pacewheel.loadtest.farm_answers import SiteAnswers
from pacewheel.loadtest.farm_http import SiteServer
from pacewheel.loadtest.farm_log import ArrivalLog
from pacewheel.loadtest.farm_pages import Site
from pacewheel.loadtest.farm_presets import demo_sites, farm_sites
from pacewheel.loadtest.farm_sites import SiteSpec, specs_from_json, specs_to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = "127.0.0.1"
STOP_TIMEOUT_S = 5.0


class Farm:
    """Serves sites in the running loop until stopped. Its log outlives it.

    Ports are the system's choice, or ``base_port``, ``base_port + 1``, ... (for a farm that comes
    back at the same addresses). Raises ConfigInvalid for no sites or two of one name.
    """

    def __init__(
        self,
        sites: Sequence[SiteSpec],
        *,
        log_file: Path | None = None,
        base_port: int = 0,
    ) -> None:
        """Prepare the sites; no socket is opened before ``start``."""
        if not sites or len({spec.name for spec in sites}) != len(sites):
            message = "a farm needs at least one site and a name of its own for each; rename them"
            raise ConfigInvalid(message)
        self.log = ArrivalLog(log_file)
        self._base_port = base_port
        self._contents = [Site(spec) for spec in sites]
        self._servers = [SiteServer(SiteAnswers(site), self.log) for site in self._contents]

    async def __aenter__(self) -> Self:
        """Start; leaving the block stops."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Listen at every site. Raises OSError if a port is in use; then nothing is left open."""
        try:
            for number, server in enumerate(self._servers):
                port = await server.listen(HOST, self._base_port and self._base_port + number)
                self._contents[number].origin = f"http://{HOST}:{port}"
        except OSError:
            await self.stop()
            raise
        for number, site in enumerate(self._contents):
            site.neighbour = self._contents[(number + 1) % len(self._contents)].origin

    async def stop(self) -> None:
        """Close every socket and the log's file; a second call does nothing."""
        for server in self._servers:
            server.close()
        self.log.close()

    @property
    def urls(self) -> list[str]:
        """The start URLs in the order of the sites; valid once started."""
        return [f"{site.origin}/" for site in self._contents]


class FarmProcess:
    """A farm in a process of its own, started and stopped like a file is opened and closed.

    The process ends with its ``with`` block, with ``stop``, or when this process dies in any way.
    Read the arrivals with ``log()``, while it runs or afterwards.
    """

    def __init__(self, sites: Sequence[SiteSpec], log_file: Path, *, base_port: int = 0) -> None:
        """Prepare; the log file is appended to if it exists."""
        self.urls: list[str] = []
        self._specs = specs_to_json(tuple(sites))
        self._log_file = log_file
        self._command = [
            *(sys.executable, "-m", "pacewheel.loadtest.farm", "--sites", "-"),
            *("--log", str(log_file), "--base-port", str(base_port)),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start; leaving the block stops."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Start the process and wait until all sites listen. Raises ConfigInvalid if it can't."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(self._specs + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            message = "the site farm did not start; see the line it wrote to standard error"
            raise ConfigInvalid(message)
        self.urls = orjson.loads(line)

    def stop(self) -> None:
        """End the process and wait for it; a second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def log(self) -> ArrivalLog:
        """The arrivals so far, read from the file."""
        return ArrivalLog.load(self._log_file)


async def serve(
    sites: Sequence[SiteSpec], log_file: Path | None, base_port: int, *, stop_on_eof: bool
) -> None:
    """Run a farm until SIGTERM, SIGINT or, if asked, the end of standard input; print its URLs."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if stop_on_eof:
        loop.add_reader(sys.stdin.fileno(), stopping.set)
    async with Farm(sites, log_file=log_file, base_port=base_port) as farm:
        print(orjson.dumps(farm.urls).decode(), flush=True)
        await stopping.wait()


def main(arguments: list[str] | None = None) -> int:
    """Run as ``python -m pacewheel.loadtest.farm``; returns the exit code."""
    parser = argparse.ArgumentParser(prog="pacewheel.loadtest.farm", description="A site farm.")
    add = parser.add_argument
    add("--sites", default="demo", help="demo, COUNTxPAGES, or - to read standard input")
    add("--log", type=Path, help="append every arrival to this file as JSON lines")
    add("--seed", type=int, default=0, help="seed of COUNTxPAGES")
    add("--base-port", type=int, default=0, help="first port (default: the system's choice)")
    options = parser.parse_args(arguments)
    from_input = options.sites == "-"
    try:
        sites = _sites_from(options.sites, options.seed)
        asyncio.run(serve(sites, options.log, options.base_port, stop_on_eof=from_input))
    except PacewheelError as error:
        print(f"farm: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"farm: cannot serve ({error}); choose another --base-port or --log", file=sys.stderr)
        return ConfigInvalid.exit_code
    return 0


def _sites_from(text: str, seed: int) -> tuple[SiteSpec, ...]:
    if text == "demo":
        return demo_sites()
    if text == "-":
        return specs_from_json(sys.stdin.buffer.readline())
    count, _, pages_total = text.partition("x")
    if not (count.isdecimal() and pages_total.isdecimal()):
        message = f"--sites {text!r} is not known; give demo, -, or for example 50x20000"
        raise ConfigInvalid(message)
    return farm_sites(int(count), int(pages_total), seed)


if __name__ == "__main__":
    sys.exit(main())

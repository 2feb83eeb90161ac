"""PgBouncer in transaction mode, in front of a PostgreSQL of a test's own.

Debian's program, from the machine or from build/pgbouncer, where `make pgbouncer` puts it. Where it
can't be had, what needs it is skipped, with the reason.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.own_server import PASSWORD, OwnServer, free_port
from tests.waiting import wait_until

BUILD = Path(__file__).parents[1] / "build" / "pgbouncer"
NOBODY = 65534
CONFIG = """
[databases]
* = host=127.0.0.1 port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
admin_users = owner
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 1000
server_round_robin = 1
query_wait_timeout = 60
ignore_startup_parameters = extra_float_digits
"""


def find() -> Path:
    """Return the program; skip the test, loudly, where there is none."""
    found = shutil.which("pgbouncer")
    program = Path(found) if found else BUILD / "pgbouncer"
    reason = BUILD / "reason"
    if not found and reason.exists():
        pytest.skip(f"NOT TESTED behind a pooler: {reason.read_text().strip()}")
    if not program.exists():
        pytest.skip(f"NOT TESTED behind a pooler: no PgBouncer at {program}; run 'make pgbouncer'")
    return program


class PgBouncer:
    """One PgBouncer; it gives each database and user `pool_size` connections of the server.

    The server's connections take turns, so that what one client leaves behind on one is met by
    another.
    """

    def __init__(self, server: OwnServer, pool_size: int) -> None:
        program = find()
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="pacewheel-test-"))
        # A copy that another user can read, wherever the checkout is: it refuses to run as root.
        for file in (program, *(BUILD / "lib").glob("*")):
            shutil.copy(file, self._folder)
        (self._folder / "users").write_text(f'"owner" "{PASSWORD}"\n')
        (self._folder / "ini").write_text(
            CONFIG.format(
                server_port=server.port, port=self.port, folder=self._folder, pool_size=pool_size
            )
        )
        options: dict[str, Any] = {"env": {"LD_LIBRARY_PATH": str(self._folder)}, "cwd": "/"}
        if os.geteuid() == 0:
            self._folder.chmod(0o755)
            options |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self._log = self._folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._folder / program.name, self._folder / "ini"],
                stdout=log,
                stderr=log,
                **options,
            )
        wait_until(self._answers, f"PgBouncer answers: {self._log}")

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def through(self, dsn: str) -> str:
        """Return the DSN that leads to the same database through here."""
        parts = urlsplit(dsn)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self.port}"))

    def log(self) -> str:
        """What it has said."""
        return self._log.read_text()

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder)

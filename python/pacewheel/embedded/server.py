"""Making the cluster and starting the postmaster; the caller holds the decision lock.

Promises: a cluster that exists is whole (it is made in a temporary sibling, with its database,
and then renamed); when `ensure_running` returns, the server takes connections. Survives a killed
server, its stale postmaster.pid and sockets, and a killed pacewheel at any point of making or
starting one.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pacewheel.embedded import guardian, settings
from pacewheel.embedded.home import DATABASE, PORT, ROLE, Home, RunAs, disk_full
from pacewheel.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pacewheel.embedded.binaries import Binaries

START_TIMEOUT_S = 300.0  # recovery after a crash replays up to max_wal_size
_FULL_BYTES = (
    17 * 2**20
)  # below one WAL segment the server can't start, whatever it could still log
# The data must not depend on the machine: built-in C.UTF-8 sorts and folds alike everywhere.
_INITDB_OPTIONS = (
    f"--username={ROLE}",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth=trust",
    "--no-instructions",
)


def _child_options(run_as: RunAs, descriptors: Sequence[int]) -> dict[str, Any]:
    # A clean environment: PGDATA, PGPORT, PGOPTIONS and the like would be taken for settings.
    options: dict[str, Any] = {
        "cwd": "/",
        "env": {"PATH": os.defpath, "LC_ALL": "C"},
        "pass_fds": tuple(descriptors),
        "start_new_session": True,
        "umask": 0o077,
    }
    if run_as.switch:
        options |= {"user": run_as.uid, "group": run_as.gid, "extra_groups": []}
    return options


def detach(command: Sequence[str], **options: Any) -> None:
    """Start `command` as nobody's child: it outlives us, and leaves no zombie behind."""
    shell = ["/bin/sh", "-c", '"$@" &', "sh", *command]
    subprocess.run(shell, check=True, stdin=subprocess.DEVNULL, timeout=30, **options)


def ensure_cluster(home: Home, binaries: Binaries, run_as: RunAs) -> None:
    """The cluster, of the binaries' major version; made when there is none."""
    for leftover in home.path.glob("cluster.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if home.cluster.exists():
        with suppress(FileNotFoundError):
            found = (home.cluster / "PG_VERSION").read_text("utf-8").strip()
            if found == str(binaries.major):
                return
            raise EmbeddedError(
                f"{home.path} holds data of PostgreSQL {found}, the installed one is "
                f"{binaries.version}: install the package of that version, choose another "
                "--data-dir, or delete the data with `pacewheel db reset`"
            )
        raise EmbeddedError(
            f"{home.cluster} is damaged (it has no PG_VERSION): restore it from a backup, "
            "or delete the data with `pacewheel db reset`"
        )
    try:
        pwd.getpwuid(run_as.uid)
    except KeyError:
        raise EmbeddedError(
            f"user id {run_as.uid} has no entry in the user database and initdb needs one: "
            "add it to /etc/passwd, or give --dsn"
        ) from None
    fresh = home.path / f"cluster.new-{secrets.token_hex(4)}"
    try:
        run_as.own(fresh)
        with home.seen_by(run_as) as (base, descriptors):
            options = _child_options(run_as, descriptors)
            where = f"{base}/{fresh.name}"
            initdb = [binaries.program("initdb"), "-D", where, *_INITDB_OPTIONS]
            _run(home, initdb, options)
            single = [binaries.program("postgres"), "--single", "-D", where, "postgres"]
            _run(home, single, options, typed=f"CREATE DATABASE {DATABASE}\n")
        fresh.rename(home.cluster)
        _sync(home.path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _run(home: Home, command: Sequence[str], options: Mapping[str, Any], typed: str = "") -> None:
    try:
        ended = subprocess.run(
            command,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            **options,
        )
    except subprocess.TimeoutExpired:
        raise EmbeddedError(
            f"the new PostgreSQL in {home.path} was not made within 300 s: check that disk, then "
            "try again"
        ) from None
    except OSError as error:
        # Root without the right to change its user, or a user that this container doesn't know.
        raise EmbeddedError(
            f"PostgreSQL can't be run as user id {options.get('user', os.geteuid())} "
            f"({error.strerror}): run pacewheel as an ordinary user, or give --dsn"
        ) from error
    # The stand-alone server answers a failed statement with an ERROR line and exit code 0.
    if ended.returncode != 0 or "ERROR:" in ended.stderr:
        raise _failure(home, ended.stderr)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _failure(home: Home, said: str) -> EmbeddedError:
    """One line for why PostgreSQL gave up, from what it said last."""
    if "No space left on device" in said or shutil.disk_usage(home.path).free < _FULL_BYTES:
        return disk_full(home)
    # A wrong setting is told in the line before the one that gives up; programs say "error:".
    telling = ("unrecognized configuration", "invalid value for parameter", "FATAL:", "error:")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    found = (line for mark in telling for line in reversed(lines) if mark in line)
    reason = re.sub(r"^.*?(LOG|FATAL|error):\s*", "", next(found, "it said nothing of why"))
    return EmbeddedError(
        f"the embedded PostgreSQL did not start ({reason}): see {home.log}, "
        "or delete the data with `pacewheel db reset`"
    )


def is_ready(home: Home) -> bool:
    """Whether the server takes connections (its pid file says so, and its socket answers)."""
    lines = guardian.postmaster_lines(home.path)
    if len(lines) < 8 or lines[7].strip() != "ready":
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(home.socket_dir / f".s.PGSQL.{PORT}"))
        except OSError:
            return False
    return True


def ensure_running(home: Home, binaries: Binaries, run_as: RunAs, extra: Mapping[str, str]) -> None:
    """Start the server unless it runs, and wait until it takes connections.

    One that another process began to start, or whose orphans still linger after a kill, is
    waited for. EmbeddedError says why it doesn't come up.
    """
    deadline_s = time.monotonic() + START_TIMEOUT_S
    before: dict[Path, int] | None = None
    while time.monotonic() < deadline_s:
        fd = guardian.try_lock(home.server_lock)
        if fd is not None:
            try:
                if before is not None:
                    raise _failure(home, _said_since(home, before))
                before = _launch(home, binaries, run_as, extra, fd)
            finally:
                os.close(fd)
        elif is_ready(home):
            return
        time.sleep(guardian.POLL_S)
    raise EmbeddedError(
        f"the embedded PostgreSQL in {home.path} is not ready after {START_TIMEOUT_S:.0f} s: "
        f"see {home.log}, then try again"
    )


def _launch(
    home: Home, binaries: Binaries, run_as: RunAs, extra: Mapping[str, str], lock_fd: int
) -> dict[Path, int]:
    # We hold server.lock, so no process of an earlier server lives: its pid file and sockets are
    # stale, even when they name a process id that another program has by now.
    (home.cluster / "postmaster.pid").unlink(missing_ok=True)
    home.make_socket_dir(run_as)
    run_as.own(home.log)
    beside = home.socket_dir.parent == home.path
    config = settings.render("../run" if beside else str(home.socket_dir), extra)
    for name, text in (("postgresql.conf", config), ("pg_hba.conf", settings.HBA)):
        path = home.path / name
        path.write_text(text, "utf-8")
        path.chmod(0o644 if run_as.switch else 0o600)
    before = {path: path.stat().st_size for path in home.log.iterdir()}
    early = home.log / "start.log"
    before[early] = 0
    with home.seen_by(run_as) as (base, descriptors):
        command = [binaries.program("postgres"), "-D", f"{base}/cluster"]
        command += ["-c", f"config_file={base}/postgresql.conf"]
        command += ["-c", f"hba_file={base}/pg_hba.conf"]
        with early.open("wb") as out:
            options = _child_options(run_as, (*descriptors, lock_fd))
            detach(command, stdout=out, stderr=out, **options)
    return before


def _said_since(home: Home, before: Mapping[Path, int]) -> str:
    said = []
    for path in sorted(home.log.iterdir(), key=lambda path: path.stat().st_mtime):
        with path.open("rb") as log:
            size = path.stat().st_size
            start = before.get(path, 0)
            # A file of last week was overwritten: all of it is new.
            log.seek(max(start if start <= size else 0, size - 65536))
            said.append(log.read().decode("utf-8", "replace"))
    return "\n".join(said)

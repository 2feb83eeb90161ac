"""Using, pinning, stopping and deleting the embedded server.

Every change happens under the data directory's decision lock, so of several processes that come
at once one makes and starts the server and the others find it running. A user is a locked file:
released by hand, or by the kernel when the process dies. The last one to release stops the
server; for one that was killed the guardian does. Nothing here is asynchronous: call it in a
thread (`asyncio.to_thread`).
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pacewheel.embedded import guardian, server
from pacewheel.embedded.binaries import find_binaries
from pacewheel.embedded.home import EmbeddedConfig, Home, clear_errors, find_home, make_home
from pacewheel.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

# Longer than a start, so that who waits for one that fails learns why it failed.
_DECISION_TIMEOUT_S = server.START_TIMEOUT_S + 30.0


@dataclass(frozen=True)
class ServerStatus:
    """What is known of a data directory's server; `version` is that of the installed binaries."""

    running: bool
    pid: int | None
    version: str | None
    data_dir: Path
    socket_dir: Path
    users: list[int]
    size_bytes: int
    dsn: str | None
    pinned: bool


class ServerUse:
    """One use of the server, which keeps it up until `release` or the end of this process."""

    def __init__(self, config: EmbeddedConfig, home: Home, path: Path, fd: int) -> None:
        self._config = config
        self._home = home
        self._path = path
        self._fd: int | None = fd
        self.dsn = home.dsn
        """URL of the database over its unix socket, for asyncpg, libpq and psql."""

    def ensure_running(self) -> None:
        """Start the server again if it was killed; EmbeddedError if it doesn't come up."""
        if self._fd is None:
            raise EmbeddedError("this use of the embedded PostgreSQL is released: acquire it anew")
        with _decisions(self._home):
            _bring_up(self._config, self._home)

    def keep_across_exec(self) -> None:
        """Let the use last until the end of the program that replaces this one by exec."""
        if self._fd is not None:
            os.set_inheritable(self._fd, True)

    def release(self) -> None:
        """Leave; the last user stops the server, unless it is pinned. May be called again."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        try:
            with _decisions(self._home):
                _leave(self._home, self._path, fd)
        except FileNotFoundError:
            os.close(fd)  # the data directory was deleted under us: nothing is left to stop

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def acquire(config: EmbeddedConfig) -> ServerUse:
    """Use the server of `config.data_dir`: made if new, started if it isn't running.

    EmbeddedError, with the data directory as it was, when it can't be made or started.
    """
    while True:
        home = make_home(config)
        # A reset that deletes the directory at this moment sends us back to making it.
        with suppress(FileNotFoundError), _decisions(home):
            home.marker.touch(mode=0o600)
            path, fd = guardian.add_user(home.path)
            try:
                _post_guardian(home)
                _bring_up(config, home)
            except BaseException:
                _leave(home, path, fd)
                raise
            return ServerUse(config, home, path, fd)


def start(config: EmbeddedConfig) -> ServerStatus:
    """Start the server and pin it: it stays up without users until `stop`."""
    with acquire(config) as use, _decisions(use._home):  # noqa: SLF001 - one module, one thing
        use._home.pinned.touch(mode=0o600)  # noqa: SLF001 - as above
    return status(config)


def stop(config: EmbeddedConfig, *, force: bool = False) -> bool:
    """Unpin the server and stop it; False if it wasn't running.

    EmbeddedError while other processes use it, unless `force`.
    """
    home = find_home(config)
    if home is None:
        return False
    with _decisions(home):
        if not force:
            _refuse_users(home, "add --force to stop it under them")
        return _take_down(home)


def reset(config: EmbeddedConfig) -> bool:
    """Stop the server and delete the data directory; False if there was none of ours.

    EmbeddedError while other processes use it.
    """
    home = find_home(config)
    if home is None:
        return False
    with _decisions(home):
        _refuse_users(home, "stop them first")
        _take_down(home)
        if home.cluster.exists():
            # Renamed first: a half-deleted cluster must not look whole.
            home.cluster.rename(home.path / f"cluster.old-{secrets.token_hex(4)}")
        shutil.rmtree(home.socket_dir, ignore_errors=True)
        own = ["users", "log", "postgresql.conf", "pg_hba.conf", "server.lock", "guardian.lock"]
        # The marker and the lock go last: until then an interrupted reset can be repeated.
        for path in (*home.path.glob("cluster.*"), *(home.path / name for name in own)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        home.marker.unlink()
        (home.path / "lock").unlink()
        with suppress(OSError):  # a mount point, or files of someone else: the directory stays
            home.path.rmdir()
    return True


def status(config: EmbeddedConfig) -> ServerStatus:
    """How the server is; takes no lock, starts and changes nothing."""
    home = find_home(config)
    version = None
    with suppress(EmbeddedError):
        version = find_binaries().version
    if home is None:
        home = Home(config.data_dir.expanduser().resolve())
        return ServerStatus(
            running=False,
            pid=None,
            version=version,
            data_dir=home.path,
            socket_dir=home.socket_dir,
            users=[],
            size_bytes=0,
            dsn=None,
            pinned=False,
        )
    with clear_errors(home):
        running = guardian.is_held(home.server_lock) and server.is_ready(home)
        lines = guardian.postmaster_lines(home.path)
        return ServerStatus(
            running=running,
            pid=int(lines[0]) if running and lines else None,
            version=version,
            data_dir=home.path,
            socket_dir=home.socket_dir,
            users=sorted(guardian.live_users(home.path, prune=False).values()),
            size_bytes=home.size_bytes(),
            dsn=home.dsn if running else None,
            pinned=home.pinned.exists(),
        )


@contextmanager
def _decisions(home: Home) -> Iterator[None]:
    """The decision lock, held; FileNotFoundError if the data directory has gone."""
    try:
        fd = guardian.lock_decisions(home.path, _DECISION_TIMEOUT_S)
    except FileNotFoundError:
        raise
    except OSError as error:
        with clear_errors(home):
            raise error from None
    if fd is None:
        raise EmbeddedError(
            f"another process has been starting or stopping the server in {home.path} for "
            f"{_DECISION_TIMEOUT_S:.0f} s: see `pacewheel db status`, then try again"
        )
    try:
        with clear_errors(home):
            yield
    finally:
        os.close(fd)


def _post_guardian(home: Home) -> None:
    fd = guardian.try_lock(home.path / "guardian.lock")
    if fd is None:
        return
    try:
        command = [sys.executable, "-I", "-S", guardian.__file__, str(home.path), str(fd)]
        server.detach(
            command,
            cwd="/",
            pass_fds=(fd,),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    finally:
        os.close(fd)


def _bring_up(config: EmbeddedConfig, home: Home) -> None:
    run_as = home.run_as()
    binaries = find_binaries().readable_for(run_as)
    server.ensure_cluster(home, binaries, run_as)
    server.ensure_running(home, binaries, run_as, config.settings)


def _leave(home: Home, path: Path, fd: int) -> None:
    path.unlink(missing_ok=True)
    os.close(fd)
    if not guardian.live_users(home.path, prune=True) and not home.pinned.exists():
        _take_down(home)


def _take_down(home: Home) -> bool:
    home.pinned.unlink(missing_ok=True)
    was_running = guardian.is_held(home.server_lock)
    if not guardian.stop_server(home.path):
        raise EmbeddedError(
            f"the server in {home.path} does not stop: see {home.log}, end its processes by hand"
        )
    return was_running


def _refuse_users(home: Home, next_step: str) -> None:
    users = guardian.live_users(home.path, prune=True)
    if users:
        pids = ", ".join(str(pid) for pid in sorted(users.values()))
        raise EmbeddedError(
            f"{len(users)} process(es) use the server in {home.path} ({pids}): {next_step}"
        )

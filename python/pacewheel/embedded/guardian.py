"""The locks of an embedded server, and the guardian that stops it when its last user was killed.

Owns the files of the data directory that say who is alive. Each is locked with flock, which the
kernel drops at the death of its holder, however it dies, so no process id is ever trusted and
none can be confused with a recycled one:

    lock           held by whoever decides: every start, stop and change of users happens under it
    server.lock    held by the postmaster and, by inheritance, by each of its children: once it is
                   free, nothing of that server runs any more
    guardian.lock  held by the guardian, so that there is one
    users/<pid>-*  one for each user, held by it

Run as a program, this module is the guardian: it sleeps in the kernel until a user's file is
free, and stops the server when none is left and the server isn't pinned. It needs the standard
library only (no site-packages: a process of 15 MB), and killing it loses nothing: the next
acquire starts another.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

POLL_S = 0.02
_STOP_SIGNALS = (
    (signal.SIGINT, 60.0),  # fast: roll back, write a checkpoint, leave
    (signal.SIGQUIT, 15.0),  # immediate: as a crash, recovered at the next start
)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def try_lock(path: Path) -> int | None:
    """A descriptor that holds `path` exclusively, or None while another process does."""
    fd = _open(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError:
        os.close(fd)
        raise
    return fd


def is_held(path: Path) -> bool:
    """Whether a living process holds `path`; asks with a shared lock, so that askers never meet."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def lock_decisions(data_dir: Path, timeout_s: float) -> int | None:
    """Hold the data directory's decision lock; None after `timeout_s`.

    FileNotFoundError when the directory is gone. A reset deletes the file that others wait for, so
    a lock counts only while its file is still the one of that name.
    """
    path = data_dir / "lock"
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        fd = try_lock(path)
        if fd is not None:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), path.stat()):
                    return fd
            os.close(fd)
            continue
        time.sleep(POLL_S)
    return None


def add_user(data_dir: Path) -> tuple[Path, int]:
    """Register this process as a user; the caller holds the decision lock."""
    path = data_dir / "users" / f"{os.getpid()}-{secrets.token_hex(4)}"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fd = try_lock(path)
    assert fd is not None, f"{path} is held although its name is new"
    return path, fd


def live_users(data_dir: Path, *, prune: bool) -> dict[Path, int]:
    """The living users' files and process ids; `prune`, under the lock, forgets the dead."""
    live: dict[Path, int] = {}
    with suppress(FileNotFoundError):
        for path in sorted((data_dir / "users").iterdir()):
            if is_held(path):
                live[path] = int(path.name.partition("-")[0])
            elif prune:
                path.unlink(missing_ok=True)
    return live


def postmaster_lines(data_dir: Path) -> list[str]:
    """The lines of postmaster.pid ([0] its process id, [7] its state); empty when there is none."""
    try:
        return (data_dir / "cluster" / "postmaster.pid").read_text("utf-8").splitlines()
    except OSError:
        return []


def stop_server(data_dir: Path) -> bool:
    """Stop the server, fast, or else at once; True when nothing of it runs any more.

    The caller holds the decision lock. postmaster.pid is only believed while server.lock is held.
    """
    server_lock = data_dir / "server.lock"
    for number, patience_s in _STOP_SIGNALS:
        deadline_s = time.monotonic() + patience_s
        signalled = False
        while is_held(server_lock):
            if time.monotonic() > deadline_s:
                break
            lines = postmaster_lines(data_dir)
            if lines and not signalled:
                # ProcessLookupError: the postmaster was killed, its children are just leaving.
                with suppress(ProcessLookupError, ValueError):
                    os.kill(int(lines[0]), number)
                signalled = True
            time.sleep(POLL_S)
        else:
            return True
    return False


def _wait_for_the_end_of(user: Path) -> None:
    with suppress(FileNotFoundError):
        fd = os.open(user, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_SH)
        os.close(fd)


def guard(data_dir: Path, guardian_fd: int) -> None:
    """Wait until no user is left, then stop the server unless it is pinned."""
    while True:
        try:
            decisions = lock_decisions(data_dir, timeout_s=600.0)
        except FileNotFoundError:
            return
        if decisions is None:
            continue
        users = live_users(data_dir, prune=True)
        if not users:
            if not (data_dir / "pinned").exists():
                stop_server(data_dir)
            # Given back under the decision lock: who finds it held, finds a guardian that goes on.
            os.close(guardian_fd)
            os.close(decisions)
            return
        os.close(decisions)
        _wait_for_the_end_of(next(iter(users)))


if __name__ == "__main__":
    guard(Path(sys.argv[1]), int(sys.argv[2]))

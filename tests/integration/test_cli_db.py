"""`pacewheel db` as a user types it: real processes, exit codes and what is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pacewheel
from pacewheel import embedded
from pacewheel.errors import ConfigInvalid, EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = str(Path(next(iter(pacewheel.__path__))).parent)


def db(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `pacewheel db ARGUMENTS`; nothing ever prints a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "pacewheel", "db", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": PACKAGES, **environment},
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A data directory that the tests of this file share, each leaving it stopped."""
    path = tmp_path_factory.mktemp("db") / "postgres"
    yield str(path)
    embedded.stop(embedded.EmbeddedConfig(data_dir=path), force=True)


def test_start_pins_the_server_until_stop(data_dir: str) -> None:
    """It runs without users, `status` says so in both forms, `stop` ends it, twice is no error."""
    where = ("--data-dir", data_dir)
    assert db("start", *where).returncode == 0
    told = json.loads(db("status", *where, "--json").stdout)
    assert (True, True, []) == (told["running"], told["pinned"], told["users"])
    assert f"running, pid {told['pid']}, pinned" in db("status", *where).stdout
    embedded.acquire(embedded.EmbeddedConfig(data_dir=Path(data_dir))).release()
    assert json.loads(db("status", *where, "--json").stdout)["pid"] == told["pid"]
    assert db("stop", *where).stdout == "stopped\n"
    assert not json.loads(db("status", *where, "--json").stdout)["running"]
    assert db("stop", *where).stdout == "it was not running\n"


def test_stop_refuses_under_users_unless_forced(data_dir: str) -> None:
    """The refusal is one line that names them and the way out."""
    where = ("--data-dir", data_dir)
    with embedded.acquire(embedded.EmbeddedConfig(data_dir=Path(data_dir))):
        refused = db("stop", *where)
        assert refused.returncode == EmbeddedError.exit_code
        assert refused.stderr.count("\n") == 1
        assert str(os.getpid()) in refused.stderr
        assert "--force" in refused.stderr
        assert db("stop", *where, "--force").returncode == 0
        assert not json.loads(db("status", *where, "--json").stdout)["running"]


def test_psql_gets_the_remaining_arguments_and_its_own_exit_code(data_dir: str) -> None:
    """With or without `--`; the server starts for it and ends with it."""
    where = ("--data-dir", data_dir)
    for arguments in (["-XAtc", "SELECT 6 * 7"], ["--", "-XAt", "-c", "SELECT 6 * 7"]):
        assert db("psql", *where, *arguments).stdout == "42\n"
    failed = db("psql", *where, "-v", "ON_ERROR_STOP=1", "-Xc", "SELECT 1 / 0")
    assert (failed.returncode, "division by zero" in failed.stderr) == (1, True)


def test_psql_goes_to_the_database_that_is_given(data_dir: str) -> None:
    """PACEWHEEL_DSN and --dsn come before the embedded server, which then isn't started."""
    with embedded.acquire(embedded.EmbeddedConfig(data_dir=Path(data_dir))) as use:
        elsewhere = {"HOME": "/nonexistent", "XDG_DATA_HOME": "/nonexistent"}
        ask = ("-XAtc", "SELECT current_database()")
        assert db("psql", *ask, **elsewhere, PACEWHEEL_DSN=use.dsn).stdout == "pacewheel\n"
        assert db("psql", "--dsn", use.dsn, *ask, **elsewhere).stdout == "pacewheel\n"


def test_reset_deletes_only_when_confirmed(data_dir: str) -> None:
    """Without a terminal it wants --yes; then the directory is gone."""
    embedded.acquire(embedded.EmbeddedConfig(data_dir=Path(data_dir))).release()
    unconfirmed = db("reset", "--data-dir", data_dir)
    assert unconfirmed.returncode == ConfigInvalid.exit_code
    assert "--yes" in unconfirmed.stderr
    assert Path(data_dir, "cluster").exists()
    assert db("reset", "--data-dir", data_dir, "--yes").stdout == "deleted\n"
    assert not Path(data_dir).exists()
    assert db("reset", "--data-dir", data_dir, "--yes").returncode == 0

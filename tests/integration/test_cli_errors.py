"""Bad input on the command line: one line, a documented exit code, no traceback, nothing half-done."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.commands import LOOPBACK, NO_SERVER, README, called, environment, pacewheel, refused
from tests.conftest import execute, fetch


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("warmm", "https://example.com"), "invalid choice: 'warmm'"),
        (("warm",), "URL"),
        (("warm", "https://example.com", "--concurency", "3"), "did you mean --concurrency?"),
        (("job", "show", "1", "--jsn"), "did you mean --json?"),
        (("jobs", "surplus"), "unexpected argument 'surplus'"),
        (("warm", "example.com"), "no scheme"),
        (("warm", "https://"), "malformed"),
        (("warm", "https://exa mple.com"), "malformed"),
        (("warm", "ftp://example.com"), "only http and https"),
        (("warm", "https://me:sesame@example.com"), "credentials"),
        (("warm", ""), "empty"),
        (("warm", "http://127.0.0.1:8080/"), "--allow-network 127.0.0.1/32"),
        (("warm", "http://[::1]/"), "--allow-network ::1/128"),
        (("warm", "http://[::ffff:10.0.0.1]/"), "--allow-network"),
        (("warm", "http://2130706433/"), "--allow-network 127.0.0.1/32"),
        (("warm", "http://169.254.169.254/latest"), "link-local"),
        (("warm", "http://localhost/"), "--allow-network 127.0.0.0/8"),
        (("submit", "http://localhost/"), "--allow-network 127.0.0.0/8"),
        (("warm", "http://no-such-host.invalid/"), "does not resolve"),
        (("warm", "http://127.0.0.1/", *LOOPBACK, "--delay", "-1"), "--delay '-1'"),
        (("warm", "http://127.0.0.1/", *LOOPBACK, "--delay", "nan"), "--delay 'nan'"),
        (("warm", "http://127.0.0.1/", *LOOPBACK, "--concurrency", "0"), "--concurrency '0'"),
        (("warm", "http://127.0.0.1/", *LOOPBACK, "--max-pages", "ten"), "--max-pages 'ten'"),
        (("warm", "http://127.0.0.1/", *LOOPBACK, "--include", "re:("), "regular expression"),
        (("warm", "http://127.0.0.1/", "--allow-network", "all"), "networks such as"),
        (("job", "show", "seven"), "job id 'seven'"),
        (("job", "cancel", "9" * 30), "job id"),
        (("run", "--capacity", "0"), "from --capacity"),
        (("run", "--lease-ttl-s", "3"), "heartbeat_s"),
        (("run", "--config", "/no/such/file.toml"), "can't be read"),
        (("jobs", "--dsn", "host=db"), "postgresql://"),
        (("jobs", "--log-level", "loud"), "one of debug"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(
    arguments: tuple[str, ...], words: str
) -> None:
    """No database is touched: none is named, and the embedded one would take longer to start."""
    line = refused(2, *arguments, PACEWHEEL_DATA_DIR="/proc/none")
    assert words in line
    assert "sesame" not in line


def test_a_refusal_of_the_program_is_what_its_main_function_says() -> None:
    """As a user meets it; the other tests spare themselves the process."""
    done = pacewheel("warmm", "https://example.com")
    assert (2, "") == (done.returncode, done.stdout)
    assert refused(2, "warmm", "https://example.com") == done.stderr.strip()


def test_bad_environment_is_refused() -> None:
    """A misspelt variable changes nothing silently."""
    line = refused(2, "jobs", PACEWHEEL_CAPACTY="3")
    assert "the nearest known is PACEWHEEL_CAPACITY" in line


# They catch signals.
NEED_A_PROCESS = ("warm", "demo")


@pytest.mark.parametrize(
    "command",
    [
        ("warm", "http://127.0.0.1/", *LOOPBACK, "--quiet"),
        ("submit", "http://127.0.0.1/", *LOOPBACK),
        ("jobs",),
        ("job", "show", "1"),
        ("migrate",),
        ("migrate", "--status"),
        ("demo", "--quiet"),
    ],
)
def test_a_database_that_does_not_answer_is_one_line(command: tuple[str, ...]) -> None:
    """Exit code 3, host and port named, the password not."""
    run = pacewheel if command[0] in NEED_A_PROCESS else called
    done = run(*command, PACEWHEEL_DSN=NO_SERVER)
    assert 3 == done.returncode, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("pacewheel: ")]
    assert 1 == len(lines)
    assert "127.0.0.1:1" in lines[0]
    assert "Traceback" not in done.stderr
    assert "sesame" not in done.stderr


def test_a_database_that_is_missing_is_one_line(empty_dsn: str) -> None:
    """The server answers, the database does not exist."""
    dsn = urlunsplit(urlsplit(empty_dsn)._replace(path="/no_such_database"))
    assert "no_such_database" in refused(3, "jobs", "--dsn", dsn)


async def test_a_newer_schema_is_refused_and_left_alone(dsn: str) -> None:
    """Exit code 4; what stands in the database stays."""
    await execute(dsn, "INSERT INTO pacewheel.migrations (version, name) VALUES (9000, 'future')")
    for command in (("jobs",), ("migrate",), ("migrate", "--status")):
        line = refused(4, *command, "--dsn", dsn)
        assert "upgrade pacewheel" in line
    assert [9000] == [
        row["version"]
        for row in await fetch(dsn, "SELECT max(version) AS version FROM pacewheel.migrations")
    ]


def test_migrate_says_what_is_missing_then_applies_it(empty_dsn: str) -> None:
    """`--status` changes nothing and ends with 4; twice is once."""
    status = called("migrate", "--status", "--dsn", empty_dsn)
    assert 4 == status.returncode, status.stderr
    assert "missing 0001" in status.stdout
    applied = called("migrate", "--dsn", empty_dsn)
    assert (0, True) == (applied.returncode, "applied 0001" in applied.stdout), applied.stderr
    again = called("migrate", "--dsn", empty_dsn)
    assert "schema pacewheel is up to date\n" == again.stdout
    assert 0 == called("migrate", "--status", "--dsn", empty_dsn).returncode


def test_jobs_that_do_not_exist_are_one_line(dsn: str) -> None:
    """Show and cancel; an empty list is no error."""
    assert "there is no job 7" in refused(2, "job", "show", "7", "--dsn", dsn)
    assert "there is no job 7" in refused(2, "job", "cancel", "7", "--dsn", dsn)
    assert "no live jobs" in called("jobs", "--dsn", dsn).stdout


def test_debug_shows_the_traceback() -> None:
    """And still the one line, last."""
    done = pacewheel("warm", "example.com", "--debug")
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("pacewheel: URL")


def test_help_documents_commands_and_exit_codes() -> None:
    """Every code of the README stands in the help, and every command has its own."""
    text = called("--help").stdout
    codes = re.findall(r"^\| (\d+)(?:, (\d+))? \|", README, re.MULTILINE)
    for code in (code for pair in codes for code in pair if code):
        assert re.search(rf"\b{code}\b", text), code
    for command in ("warm", "demo", "run", "submit", "jobs", "job", "migrate", "db"):
        assert command in text
        assert 0 == called(command, "--help").returncode
    assert "--lease-ttl-s" in called("run", "--help").stdout


def test_without_a_command_the_help_is_shown() -> None:
    """On standard error, with 2."""
    done = pacewheel()
    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("usage: pacewheel")


def test_a_reader_that_leaves_is_no_error() -> None:
    """`pacewheel run --help | head -1` prints no traceback."""
    command = f"{sys.executable} -m pacewheel run --help | head -1"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env=environment(), check=False
    )
    assert "" == done.stderr
    assert done.stdout.startswith("usage: pacewheel run")


def test_an_interrupt_while_connecting_ends_at_once() -> None:
    """A database that accepts and never answers: Ctrl-C ends with 130 and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dsn = f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/db?sslmode=disable"
        process = subprocess.Popen(
            [sys.executable, "-m", "pacewheel", "warm", "http://127.0.0.1/", *LOOPBACK],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(PACEWHEEL_DSN=dsn),
        )
        silent.settimeout(60)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        connection.close()
    assert 130 == process.returncode, errors
    assert "Traceback" not in errors

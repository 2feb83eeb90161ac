"""`pacewheel schedule ...`: what it makes, what it says, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pacewheel.cli.schedule import seconds
from pacewheel.errors import ConfigInvalid
from tests.commands import LOOPBACK, called, refused
from tests.conftest import execute, fetch

URL = "http://127.0.0.1:8080/"
ADD = ("schedule", "add", "nightly", URL, *LOOPBACK)


def said(dsn: str, *arguments: str) -> str:
    """What a command that succeeds prints."""
    done = called(*arguments, "--dsn", dsn)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.strip()


def objects_of(dsn: str, *arguments: str) -> list[dict[str, Any]]:
    """The JSON objects that a command prints."""
    return [json.loads(line) for line in said(dsn, *arguments, "--json").splitlines()]


async def test_a_schedule_is_added_listed_fired_paused_and_removed(dsn: str) -> None:
    """The life of one, by its command line."""
    assert "no schedules" == said(dsn, "schedule", "list")
    cron = ("--cron", "0 3 * * *", "--zone", "Europe/Berlin")
    words = said(dsn, *ADD, *cron, "--max-pages", "10", "--delay", "0.25", "--no-links")
    assert words.startswith(
        "schedule nightly warms 127.0.0.1:8080 at 0 3 * * * Europe/Berlin, first at "
    )
    (listed,) = objects_of(dsn, "schedule", "list")
    assert ("nightly", "0 3 * * *", None) == (listed["name"], listed["cron"], listed["every_s"])
    assert (250, 11, True) == (
        listed["domain_delay_ms"],
        listed["max_tasks"],
        listed["expiring_first"],
    )
    assert ([URL], False) == (listed["options"]["start"], listed["options"]["links"])
    assert ["http://127.0.0.1:8080/robots.txt"] == [task["target"] for task in listed["tasks"]]
    assert "schedule nightly: job 1 of 127.0.0.1:8080" == said(dsn, "schedule", "run", "nightly")
    assert "job 1 of schedule 'nightly' is still live" in refused(
        2, "schedule", "run", "nightly", "--dsn", dsn
    )
    header, row = said(dsn, "schedule", "list").splitlines()
    assert header.split() == ["name", "site", "when", "next", "last", "job", "fired", "skipped"]
    assert ["1", "pending", "1", "0"] == row.split()[-4:]
    assert "schedule nightly is paused; what runs of it goes on" == said(
        dsn, "schedule", "pause", "nightly"
    )
    assert "schedule nightly was paused already" == said(dsn, "schedule", "pause", "nightly")
    resumed = objects_of(dsn, "schedule", "resume", "nightly")
    assert [{"schedule": "nightly", "changed": True}] == resumed
    assert "schedule nightly was not paused" == said(dsn, "schedule", "resume", "nightly")
    assert "schedule nightly is removed; its jobs stay" == said(
        dsn, "schedule", "remove", "nightly"
    )
    assert [(1,)] == list(map(tuple, await fetch(dsn, "SELECT id FROM pacewheel.jobs")))


def test_an_interval_is_said_in_its_largest_unit_and_no_secret_at_all(dsn: str) -> None:
    """As it was given, or as short."""
    assert "127.0.0.1:8080 every 6h, first at" in said(dsn, *ADD, "--every", "360m")
    add_b = ("schedule", "add", "b", URL, *LOOPBACK, "--every", "90s")
    (added,) = objects_of(dsn, *add_b, "--header", "Authorization: Bearer s3cret")
    assert ("b", True) == (added["schedule"], added["next_at"].endswith("+00:00"))
    assert "every 90s" in said(dsn, "schedule", "list")
    # The values of headers may be secrets.
    shown = [listed["options"]["headers"] for listed in objects_of(dsn, "schedule", "list")]
    assert [{"Authorization": "***"}, {}] == sorted(shown, key=len, reverse=True)


@pytest.mark.parametrize(
    ("text", "expected_s"), [("90s", 90.0), ("30m", 1800.0), ("6h", 21_600.0), ("1d", 86_400.0)]
)
def test_a_duration_is_a_number_with_a_unit(text: str, expected_s: float) -> None:
    """Seconds, minutes, hours, days."""
    assert expected_s == seconds(text)


@pytest.mark.parametrize(
    "text", ["", "6", "h", "6w", "-1h", "1.5h", "6 h", "1h30m", "9" * 20 + "s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """With the form that is understood."""
    with pytest.raises(ConfigInvalid, match="90s, 30m, 6h or 1d"):
        seconds(text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*ADD,), "--cron --every is required"),
        ((*ADD, "--cron", "0 3 * * *", "--every", "6h"), "not allowed with"),
        ((*ADD, "--cron", "0 3 * *"), "has not five fields"),
        ((*ADD, "--cron", "0 3 * * *", "--zone", "Berlin"), "time zone 'Berlin' is unknown"),
        ((*ADD, "--every", "soon"), "--every 'soon'"),
        ((*ADD, "--every", "0s"), "an interval of 0 s"),
        ((*ADD, "--every", ""), "--every ''"),
        (
            ("schedule", "add", "n", URL, "http://127.0.0.1:8081/", *LOOPBACK, "--every", "6h"),
            "a schedule warms one site, not 127.0.0.1:8080, 127.0.0.1:8081",
        ),
        ((*ADD, "--cron", "0 25 * * *"), "can't be read (Bad hour)"),
        ((*ADD, "--every", "6h", "--delay", "-1"), "--delay '-1'"),
        ((*ADD, "--every", "6h", "--include", "re:("), "regular expression"),
        (("schedule", "add", "n", URL, "--every", "6h"), "--allow-network"),
        (("schedule", "remove"), "NAME"),
        (("schedule",), "ACTION"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(
    arguments: tuple[str, ...], words: str
) -> None:
    """One line, and no database is asked."""
    assert words in refused(2, *arguments, PACEWHEEL_DATA_DIR="/proc/none")


async def test_what_the_database_knows_better_is_refused(dsn: str) -> None:
    """Names that are taken, unknown or no names."""
    said(dsn, *ADD, "--every", "6h")
    for arguments, words in (
        ((*ADD, "--every", "1d"), "there is a schedule 'nightly' already"),
        (("schedule", "add", "a b", URL, *LOOPBACK, "--every", "1d"), "schedule name 'a b'"),
        (("schedule", "pause", "weekly"), "there is no schedule 'weekly'"),
        (("schedule", "resume", "weekly"), "there is no schedule 'weekly'"),
        (("schedule", "remove", "weekly"), "there is no schedule 'weekly'"),
        (("schedule", "run", "weekly"), "there is no schedule 'weekly'"),
    ):
        assert words in refused(2, *arguments, "--dsn", dsn)
    rows = await fetch(dsn, "SELECT name, interval_ms FROM pacewheel.schedules")
    assert [("nightly", 21_600_000)] == list(map(tuple, rows))


async def test_a_list_bears_a_zone_that_is_unknown_here(dsn: str) -> None:
    """The instant is then in UTC."""
    said(dsn, *ADD, "--every", "6h")
    await execute(dsn, "UPDATE pacewheel.schedules SET zone = 'Mars/Olympus'")
    assert "+00:00" in said(dsn, "schedule", "list")

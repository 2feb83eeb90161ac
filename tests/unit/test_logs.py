"""Logging: one line an event, fields kept, passwords gone, lines bounded, storms summed up."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from pacewheel import Task, events, logs
from pacewheel.redaction import redact


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    """A record as the logging module makes it."""
    logger = logging.getLogger("pacewheel.leaser")
    made = logger.makeRecord(logger.name, logging.INFO, __file__, 1, message, args, None)
    vars(made).update(extra)
    return made


def test_json_lines_hold_message_and_fields() -> None:
    """One object a line, whatever the message contains."""
    line = logs.JsonFormatter().format(record("leased %d\nof them", 3, held=7, who=object))
    entry = json.loads(line)
    assert "\n" not in line
    assert ("leased 3\nof them", "info", "pacewheel.leaser", 7) == (
        entry["message"],
        entry["level"],
        entry["logger"],
        entry["held"],
    )


def test_human_lines_hold_message_and_fields() -> None:
    """The short logger name, the message, then the fields."""
    line = logs.HumanFormatter().format(record("leased %d", 3, held=7))
    assert line.endswith("info    leaser: leased 3  held=7")


@pytest.mark.parametrize("formatter", [logs.HumanFormatter(), logs.JsonFormatter()])
def test_passwords_are_redacted_everywhere(formatter: logging.Formatter) -> None:
    """In the message, in a field and in a traceback."""
    dsn = "postgresql://me:sesame@host/db"
    made = record("can't reach %s", dsn, dsn=dsn, options={"dsn": dsn})
    try:
        raise ValueError(dsn)
    except ValueError:
        made.exc_info = sys.exc_info()
    line = formatter.format(made)
    assert "host/db" in line
    assert "sesame" not in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://u:p@h/d", "postgres://u:***@h/d"),
        ("postgres://u@h/d", "postgres://u@h/d"),
        ("postgres://u:s/w@rd@h/d", "postgres://u:***@h/d"),
        ("https://example.com:8080/a@b", "https://example.com:8080/a@b"),
        ("host=h password='a b' dbname=d", "host=h password='***' dbname=d"),
        ("?password=x&sslmode=require", "?password=***&sslmode=require"),
    ],
)
def test_redact_hides_the_password_alone(text: str, expected: str) -> None:
    """What is no secret stays readable."""
    assert expected == redact(text)


def test_a_line_is_bounded_and_stays_json() -> None:
    """Whatever a message, a field or a traceback holds."""
    made = record("%s", "m" * 100_000, **{f"field_{n}": "v" * 5_000 for n in range(200)})
    try:
        raise ValueError("e" * 100_000)
    except ValueError:
        made.exc_info = sys.exc_info()
    line = logs.JsonFormatter().format(made)
    assert len(line) <= logs.LINE_MAX
    assert "leaser" in json.loads(line)["logger"]
    human = logs.HumanFormatter().format(made)
    assert len(human) <= logs.LINE_MAX + logs.TRACEBACK_MAX + 100


def test_a_text_from_outside_makes_no_line_of_its_own() -> None:
    """Line breaks and the terminal's escapes are shown, not obeyed."""
    line = logs.HumanFormatter().format(
        record("%s", "a\n12:00:00 error x: forged\x1b[2J", error="b\r\nc\u2028d")
    )
    assert [line] == line.splitlines()
    assert "\x1b" not in line
    assert line.endswith("a\\n12:00:00 error x: forged\\x1b[2J  error=b\\r\\nc\\u2028d")


def test_what_an_error_holds_makes_no_line_and_tells_the_terminal_nothing() -> None:
    """The traceback's lines are set off, so that none of them can be taken for a line of the log."""
    made = record("failed")
    try:
        raise ValueError("a\n12:00:00 error x: forged\x1b[2J\r\u202eb")
    except ValueError:
        made.exc_info = sys.exc_info()
    first, *others = logs.HumanFormatter().format(made).split("\n")
    assert first.endswith("leaser: failed")
    assert "  12:00:00 error x: forged\\x1b[2J\\r\\u202eb" == others[-1]
    assert all(line.startswith("  ") for line in others)


def test_a_line_of_json_tells_the_terminal_nothing() -> None:
    """What JSON would let through is escaped, and read as it was."""
    text = "\x1b[2J \x9b2J \u2028 \u202e \udc80 \xe4"
    line = logs.JsonFormatter().format(record("%s", text))
    assert text == json.loads(line)["message"]
    assert [] == [char for char in line if not (char.isprintable() or char == "\udc80")]


@pytest.mark.parametrize("formatter", [logs.HumanFormatter(), logs.JsonFormatter()])
def test_a_field_that_is_named_like_a_secret_is_none(formatter: logging.Formatter) -> None:
    """However short, and whatever it holds."""
    made = record("x", api_token="se same", cookies={"a": "se same"})
    assert "same" not in formatter.format(made)


def test_a_line_that_is_too_long_still_says_what_it_is_and_whose() -> None:
    """The other fields are named."""
    fields = {f"field_{n}": "v" * 900 for n in range(30)}
    made = record("x", event="job_ended", job_id=7, domain="a.example", **fields)
    entry = json.loads(logs.JsonFormatter().format(made))
    assert ("job_ended", 7, "a.example") == (entry["event"], entry["job_id"], entry["domain"])
    assert "field_29" in entry["left_out"]


class Unshowable:
    """A value without a text."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("sesame")


def test_a_line_that_can_not_be_shown_is_said_to_be_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the place that logged it; the logging module would print its arguments, secrets too."""
    logs.configure("info", "json")
    log = logging.getLogger("pacewheel.mine")
    log.info("only %d", "sesame")
    log.info("fine", extra={"value": Unshowable()})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert ["line_unshown"] * 2 == [line["event"] for line in lines]
    assert "TypeError at " in lines[0]["error"]
    assert "test_logs.py" in lines[1]["error"]
    assert "sesame" not in json.dumps(lines)


def test_an_event_has_its_name_its_words_and_its_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In JSON all fields; for people those that the words don't name."""
    logs.configure("info", "json")
    log = logs.Logger("leaser")
    log.say(events.DOMAIN_LOST, domain="a.example", worker_id=3)
    logs.configure("info", "human")
    log.say(events.DOMAIN_LOST, domain="a.example", worker_id=3)
    log.say(events.HINT_UNKNOWN, verb="below the level")
    first, second = capsys.readouterr().err.splitlines()
    entry = json.loads(first)
    del entry["at"]
    words = "the lease of a.example is lost"
    assert {
        "level": "warning",
        "logger": "pacewheel.leaser",
        "message": words,
        "event": "domain_lost",
        "domain": "a.example",
        "worker_id": 3,
    } == entry
    assert second.endswith(f" warning leaser: {words}  worker_id=3")


def test_handlers_of_the_programs_own_stay(capsys: pytest.CaptureFixture[str]) -> None:
    """However often it configures; our own is replaced."""
    mine = logging.NullHandler()
    logging.getLogger("pacewheel").addHandler(mine)
    for log_format in ("json", "human", "json"):
        logs.configure("info", log_format)
    logs.Logger("x").say(events.JOB_PAUSED, job_id=3)
    assert mine in logging.getLogger("pacewheel").handlers
    (line,) = capsys.readouterr().err.splitlines()
    assert 3 == json.loads(line)["job_id"]
    logging.getLogger("pacewheel").removeHandler(mine)


async def test_a_storm_of_one_warning_is_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand leases lost at once are eleven lines; the ends of jobs are all said."""
    logs.configure("info", "json")
    log = logs.Logger("runtime")
    for number in range(1_000):
        log.say(events.DOMAIN_LOST, domain=f"{number}.example")
        log.say(events.JOB_PAUSED, job_id=number)
    logs.configure("info", "json")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    lost = [line for line in lines if line["event"] == "domain_lost"]
    assert (11, 1_000) == (len(lost), len(lines) - len(lost))
    assert 990 == lost[-1]["repeated"]
    assert "990 more of this, the last: the lease of 999.example is lost" == lost[-1]["message"]


def test_the_context_is_in_events_and_in_lines_of_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The filter gives it to records that were not made by an event; what they say themselves wins."""
    task = Task(7, 3, 1, "a.example", "fetch", "t", 0.0, 2, None, {})
    caplog.handler.addFilter(logs.ContextFilter())
    with logs.as_worker(lambda: 5):
        token = logs.ATTEMPT.set(task)
        logging.getLogger("users.own").warning("mine", extra={"domain": "other.example"})
        logs.Logger("x").say(events.DOMAIN_LOST, domain="b.example")
        logs.ATTEMPT.reset(token)
    logging.getLogger("users.own").warning("outside")
    mine, ours, outside = caplog.records
    for made, domain in ((mine, "other.example"), (ours, "b.example")):
        said = {name: vars(made)[name] for name in ("job_id", "task_id", "handler", "attempt")}
        assert {"job_id": 3, "task_id": 7, "handler": "fetch", "attempt": 2} == said
        assert (domain, 5) == (vars(made)["domain"], vars(made)["worker_id"])
    assert "worker_id" not in vars(outside)

"""The runner of the filters: one answer for each line, whatever the line is."""

from __future__ import annotations

import base64
import importlib
import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacewheel.cli import filters
from pacewheel.cli.filters import FILTERS, serve

LIMIT = 1000
COMMAND = (sys.executable, "-m", "pacewheel", "sitemap", "parse")
BODY = base64.b64encode(b"https://example.com/a\n").decode()
GOOD = {"url": "https://example.com/sitemap.txt", "body_base64": BODY, "max_urls": None}


def doubled(row: Mapping[str, Any]) -> dict[str, Any]:
    """The filter of these tests."""
    number = filters.whole_or_none(row, "number")
    return {"twice": None if number is None else 2 * number, "text": filters.text(row, "text")}


def answers(data: bytes, piece: int = 65536, answer: filters.Answer = doubled) -> list[Any]:
    """What `serve` writes when `data` arrives in pieces."""
    source = io.BytesIO(data)
    output = io.BytesIO()
    serve(answer, lambda: source.read(piece), output, LIMIT)
    lines = output.getvalue().split(b"\n")
    assert b"" == lines.pop()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("piece", [1, 3, 65536])
def test_lines_are_answered_in_order(piece: int) -> None:
    """However they arrive; the last one may lack its end, CR does no harm."""
    data = b'{"text": "a", "number": 1}\r\n{"text": "b"}\n{"text": "c", "number": null}'
    assert [
        {"twice": 2, "text": "a"},
        {"twice": None, "text": "b"},
        {"twice": None, "text": "c"},
    ] == answers(data, piece)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b'{"text": NaN}', "no JSON"),
        (b'{"text": "\xff"}', "no JSON"),
        (b"[" * 900, "no JSON"),
        (b"[1]", "the line is a list: give one JSON object a line"),
        (b"null", "the line is null"),
        (b"{}", "member 'text' is missing: give a text"),
        (b'{"text": 1.5}', "member 'text' is a number"),
        (b'{"text": {}}', "member 'text' is an object"),
        (b'{"text": "", "number": true}', "member 'number' is true: give a whole number"),
        (b'{"text": "", "number": -1}', "member 'number' is a number: give a whole number"),
        (b'{"text": "' + b"x" * LIMIT + b'"}', "longer than 1000 bytes"),
        (b'{"text": "", "number": 18446744073709551615}', "unexpected"),
    ],
    ids=range(14),
)
def test_what_cant_be_answered_is_an_error_and_the_next_line_is_answered(
    line: bytes, words: str
) -> None:
    """Each error names the condition and the next step."""
    first, second = answers(line + b'\n{"text": "next"}\n', 64)
    assert ["error"] == list(first)
    assert words in first["error"]
    assert "\n" not in first["error"]
    assert "next" == second["text"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"\ud800", "\ufffd"),
        (r"a\uDFFFb", "a\ufffdb"),
        (r"\ud800\ud83d\ude00\ude00", "\ufffd\U0001f600\ufffd"),
        (r"\\\\\ud800\\ud800", "\\\\\ufffd\\ud800"),
    ],
    ids=range(4),
)
def test_half_a_surrogate_pair_is_a_replacement_character(written: str, read: str) -> None:
    """As browsers read it; what only looks like one stays."""
    assert [{"twice": None, "text": read}] == answers(b'{"text": "%s"}' % written.encode())


def test_an_answer_has_no_character_that_ends_a_line_for_some() -> None:
    """Such as Python's `splitlines`."""
    text = "a\x85b\u2028c\u2029d\x1ce\xe9"
    source, output = io.BytesIO(json.dumps({"text": text}).encode()), io.BytesIO()
    serve(doubled, source.read, output, LIMIT)
    (line,) = output.getvalue().decode().splitlines()
    assert text == json.loads(line)["text"]


def test_the_longest_line_is_taken_and_one_byte_more_is_not() -> None:
    """The limit counts the line without its end."""
    line = b'{"text": "' + b"x" * (LIMIT - 12) + b'"}'
    assert LIMIT == len(line)
    assert [True, True, False] == [
        "text" in a for a in answers(line + b"\n" + line + b"\n " + line)
    ]


def test_a_filter_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The net under filters that should be linear; errors they catch don't hold it."""
    monkeypatch.setattr(filters, "MAX_CPU_S", 0.05)

    def endless(row: Mapping[str, Any]) -> dict[str, Any]:
        while row:
            try:
                sum(range(1000))
            except Exception:  # noqa: BLE001 - what a filter might do
                continue
        return {}

    first, second = answers(b'{"a": 1}\n{}\n', answer=endless)
    assert "longer than 0.05 s" in first["error"]
    assert {} == second


def test_a_filter_with_a_defect_says_so() -> None:
    """The line gets its answer, and the runner goes on."""

    def broken(row: Mapping[str, Any]) -> dict[str, Any]:
        return {"value": row["absent"]}

    assert (
        "unexpected KeyError: 'absent'; please report it"
        == answers(b"{}", answer=broken)[0]["error"]
    )


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=5))
def test_any_bytes_get_one_answer_a_line(lines: list[bytes]) -> None:
    """Whatever the lines hold."""
    assert len(lines) == len(answers(b"".join(line + b"\n" for line in lines), 7))


MEMBERS = sorted({name for each in FILTERS for name in re.findall(r'"(\w+)"', each.members)})
_TEXTS = st.text(max_size=20) | st.sampled_from(
    ["https://h.example/a", "PGE+PC9hPg==", "User-agent: *\nDisallow: /", "<a href=/x>y", "hit"]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("chosen", FILTERS, ids=[f"{each.group} {each.name}" for each in FILTERS])
@given(rows=st.lists(st.dictionaries(st.sampled_from(MEMBERS), _VALUES), min_size=1, max_size=4))
def test_no_members_of_whatever_type_are_a_defect(
    chosen: filters.Filter, rows: list[dict[str, Any]]
) -> None:
    """Every filter answers every object, with an error that says what is wrong if it has to."""
    module, _, name = chosen.target.partition(":")
    answer = getattr(importlib.import_module(f"pacewheel.cli.{module}"), name)
    data = b"".join(json.dumps(row, allow_nan=True).encode() + b"\n" for row in rows)
    given = answers(data, answer=answer)
    assert len(rows) == len(given)
    assert [] == [each for each in given if str(each.get("error", "")).startswith("unexpected")]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A filter as a program, its three streams in our hands."""
    with subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    ) as running:
        yield running
        running.kill()


def test_a_line_is_answered_before_the_next_is_sent(process: subprocess.Popen[bytes]) -> None:
    """So that a program can talk to a filter; the end of input ends it with 0."""
    assert process.stdin is not None
    assert process.stdout is not None
    for _ in range(3):
        process.stdin.write(json.dumps(GOOD).encode() + b"\n")
        process.stdin.flush()
        assert "text" == json.loads(process.stdout.readline())["kind"]
    out, err = process.communicate()
    assert (b"", b"", 0) == (out, err, process.returncode)


def test_a_reader_who_leaves_ends_it_quietly(process: subprocess.Popen[bytes]) -> None:
    """As `| head -1` does."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(json.dumps(GOOD).encode() + b"\n")
    process.stdin.flush()
    assert process.stdout.readline()
    process.stdout.close()
    process.stdin.write((json.dumps(GOOD).encode() + b"\n") * 3)
    process.stdin.close()
    assert b"" == process.stderr.read()
    assert 0 == process.wait()


def test_an_interrupt_ends_it_quietly(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C: the usual exit code, no traceback."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(GOOD).encode() + b"\n")
    process.stdin.flush()
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert b"" == process.communicate()[1]
    assert 130 == process.returncode


def test_a_closed_standard_input_is_named() -> None:
    """One line, as every error of the command line."""
    done = subprocess.run(
        COMMAND, capture_output=True, preexec_fn=lambda: os.close(0), timeout=60, check=False
    )
    assert 2 == done.returncode
    assert b"standard input can't be read" in done.stderr


@pytest.mark.parametrize("output", ["closed", "full"])
def test_a_standard_output_that_takes_nothing_is_named(output: str) -> None:
    """It is no defect of ours."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            COMMAND,
            input=json.dumps(GOOD).encode(),
            stdout=full,
            stderr=subprocess.PIPE,
            preexec_fn=(lambda: os.close(1)) if output == "closed" else None,
            timeout=60,
            check=False,
        )
    assert 2 == done.returncode
    assert done.stderr.startswith(b"pacewheel: standard output can't be written")
    assert 1 == done.stderr.count(b"\n")


def test_an_endless_line_is_skipped_in_bounded_memory() -> None:
    """Three times the limit of the longest filter: nothing of it is held."""
    limit = max(each.max_line_bytes for each in FILTERS)
    memory_max = 2 * limit
    zeros_of = ("head", "-c", str(3 * limit), "/dev/zero")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_max, memory_max))

    with subprocess.Popen(zeros_of, stdout=subprocess.PIPE) as zeros:
        done = subprocess.run(
            COMMAND,
            stdin=zeros.stdout,
            capture_output=True,
            preexec_fn=limited,
            timeout=60,
            check=False,
        )
    assert f"longer than {limit} bytes" in json.loads(done.stdout)["error"]

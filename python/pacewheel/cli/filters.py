"""Filters: JSON objects in, JSON objects out, one a line, in the same order.

Owns the table of filters and their one runner. A filter is a pure function from the members of
a line to the members of its answer. Its module stands in this package, and it raises a
`PacewheelError` for what it refuses; the helpers below read its members with their types.

Promises one line for each line, whatever comes in: what can't be answered becomes
`{"error": "..."}`, with the condition and the next step. Half a surrogate pair, which JSON can
write and no text can hold, is read as U+FFFD, as browsers read it. A line is bounded in bytes (the
rest of a longer one is skipped, not held) and in time. Answers are written before more input is
waited for, so a program may talk to a filter line by line. The end of input, a reader who has left
and an interrupt end it quietly.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from pacewheel.errors import ConfigInvalid, LineRefused, PacewheelError

if TYPE_CHECKING:
    import argparse
    from types import FrameType

Answer = Callable[[Mapping[str, Any]], dict[str, Any]]
"""A filter's function. Members it does not know it ignores."""

MIB = 1024 * 1024
MAX_CPU_S = 30.0
"""What one line may take: a net, since filters are linear in the length of their line."""

_READ_BYTES = 64 * 1024
# An escape of a surrogate that has no partner; those that have one are passed over.
_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*+)\\u(?:(d[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})|d[89a-f][0-9a-f]{2})",
    re.IGNORECASE,
)
# What some readers take for the end of a line. Outside of texts, JSON is ASCII.
_LINE_ENDS = tuple((char.encode(), b"\\u%04x" % ord(char)) for char in "\x85\u2028\u2029")


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter.

    `target` is `module:function` in this package, imported when the filter runs. `title` is what
    it does, `members` what goes in and comes out, both for its help.
    """

    group: str
    name: str
    target: str
    title: str
    members: str
    max_line_bytes: int = 32 * MIB


FILTERS = (
    Filter(
        "cache",
        "classify",
        "cache:classify",
        "say what the caches on the way made of a request",
        '{"headers": [[name, value]], "status": int|null} -> {"status", "layers": [{"status", ...}], '
        '"age_seconds", "ttl_seconds"}',
        # More headers than a server may send.
        max_line_bytes=8 * MIB,
    ),
    Filter(
        "robots",
        "check",
        "robots:check",
        "say whether robots.txt lets a crawler fetch a URL",
        '{"robots": str|null, "robots_base64": str|null, "user_agent" (the product token), "url"} '
        '-> {"allowed", "line": int|null (the deciding rule), "crawl_delay": float|null}',
    ),
    Filter(
        "sitemap",
        "parse",
        "sitemap:parse",
        "say what a sitemap file holds",
        '{"url", "body_base64", "max_urls": int|null} -> {"kind": "urlset"|"index"|"text"|"feed", '
        '"urls": [{"loc", "lastmod", "priority"}], "sitemaps": [str], "warnings": [str]}',
        # A file of the greatest length, 50 MiB, in base64.
        max_line_bytes=72 * MIB,
    ),
    Filter(
        "url",
        "normalize",
        "url:normalize",
        "resolve a URL as browsers do and give its canonical key",
        '{"url", "base": str|null, "drop_tracking": bool, "sort_query": bool} -> {"href", "key"}; '
        "the last two, false unless given, fold the key further",
        max_line_bytes=4 * MIB,
    ),
    Filter(
        "links",
        "extract",
        "links:extract",
        "say where a page leads and what it says of itself",
        '{"url", "html"} -> {"links": [{"href", "position": "header"|"nav"|"main"|"body"|"footer", '
        '"rel": str|null}], "canonical": str|null, "noindex", "nofollow"}, and "cut", the reason, '
        "if the page is too large to be looked at whole",
    ),
)


def run(args: argparse.Namespace) -> int:
    """Answer the lines of standard input on standard output; returns the exit code."""
    chosen: Filter = args.filter
    module, _, name = chosen.target.partition(":")
    answer: Answer = getattr(import_module(f"pacewheel.cli.{module}"), name)
    if sys.stdout is None:
        raise _unwritable("it is closed")
    output = sys.stdout.buffer

    def read() -> bytes:
        output.flush()
        try:
            return os.read(0, _READ_BYTES)
        except OSError as error:
            raise ConfigInvalid(
                f"standard input can't be read ({error.strerror}): give one JSON object a line"
            ) from None

    try:
        serve(answer, read, output, chosen.max_line_bytes)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(error.strerror) from None
    return 0


def _unwritable(why: str | None) -> ConfigInvalid:
    return ConfigInvalid(f"standard output can't be written ({why}): give the answers a place")


def serve(answer: Answer, read: Callable[[], bytes], output: BinaryIO, max_bytes: int) -> None:
    """Write the answer to each line that `read` brings, until it brings nothing more."""
    for line in _lines(read, max_bytes):  # noqa: FURB122 - reads and writes take turns
        output.write(_answered(answer, line, max_bytes) + b"\n")
    output.flush()


def text(row: Mapping[str, Any], name: str) -> str:
    """Return the text `name` of a line. Raises LineRefused: missing, or no text."""
    value = row.get(name)
    if not isinstance(value, str):
        raise _wrong(row, name, "a text")
    return value


def text_or_none(row: Mapping[str, Any], name: str) -> str | None:
    """Return the text `name` of a line, None if it is missing or null. Raises LineRefused."""
    return None if row.get(name) is None else text(row, name)


def whole_or_none(row: Mapping[str, Any], name: str) -> int | None:
    """Return the whole number from 0 `name` of a line, None if missing or null.

    Raises:
        LineRefused: it is something else.
    """
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _wrong(row, name, "a whole number from 0, or null")
    return value


def flag(row: Mapping[str, Any], name: str) -> bool:
    """Return the truth value `name` of a line, False if missing or null. Raises LineRefused."""
    value = row.get(name)
    if value is not None and not isinstance(value, bool):
        raise _wrong(row, name, "true or false")
    return bool(value)


def octets(row: Mapping[str, Any], name: str) -> bytes:
    """Return the bytes that the text `name` holds in base64. Raises LineRefused: it does not."""
    try:
        return base64.b64decode(text(row, name), validate=True)
    except (binascii.Error, ValueError):
        raise _wrong(row, name, "base64") from None


class _OutOfTime(BaseException):
    """Stops a filter wherever it is; no handler of ordinary errors may take it."""


def _answered(answer: Answer, line: bytearray | None, max_bytes: int) -> bytes:
    try:
        with _limited_time():
            if line is None:
                raise LineRefused(
                    f"the line is longer than {max_bytes} bytes: give less in one line"
                )
            return _written(answer(_row(line)))
    except PacewheelError as error:
        return _error(str(error))
    except _OutOfTime:
        return _error(f"the line took longer than {MAX_CPU_S:g} s: give less in one line")
    except Exception as error:  # noqa: BLE001 - the next line deserves its answer
        return _error(f"unexpected {type(error).__name__}: {error}; please report it")


def _written(answer: Mapping[str, Any]) -> bytes:
    text = orjson.dumps(answer)
    if not text.isascii():
        for char, escape in _LINE_ENDS:
            text = text.replace(char, escape)
    return text


def _row(line: bytes | bytearray) -> Mapping[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        whole = _SURROGATE.sub(lambda match: match[0] if match[2] else match[1] + rb"\ufffd", line)
        if whole != line:
            return _row(whole)
        # Also for bytes that are no UTF-8.
        raise LineRefused(f"the line is no JSON ({error}): give one object a line") from None
    if not isinstance(row, dict):
        raise LineRefused(f"the line is {_kind(row)}: give one JSON object a line")
    return row


def _wrong(row: Mapping[str, Any], name: str, wanted: str) -> LineRefused:
    found = f"is {_kind(row[name])}" if name in row else "is missing"
    return LineRefused(f"member {name!r} {found}: give {wanted}")


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return orjson.dumps(value).decode()
    names = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names[type(value)]


def _error(message: str) -> bytes:
    clean = " ".join(message.encode("utf-8", "replace").decode().split())
    return orjson.dumps({"error": clean})


def _lines(read: Callable[[], bytes], max_bytes: int) -> Iterator[bytearray | None]:
    """Yield each line without its end; None stands for one that is too long."""
    held: bytearray | None = bytearray()
    is_begun = False
    while piece := read():
        *ends, rest = piece.split(b"\n")
        for end in ends:
            yield _joined(held, end, max_bytes)
            held = bytearray()
        held = _joined(held, rest, max_bytes)
        is_begun = bool(rest)
    if is_begun:
        yield held


def _joined(held: bytearray | None, more: bytes, max_bytes: int) -> bytearray | None:
    if held is None or len(held) + len(more) > max_bytes:
        return None
    held += more
    return held


@contextmanager
def _limited_time() -> Iterator[None]:
    def on_alarm(_number: int, _frame: FrameType | None) -> None:
        raise _OutOfTime

    former = signal.signal(signal.SIGVTALRM, on_alarm)
    signal.setitimer(signal.ITIMER_VIRTUAL, MAX_CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, former)

"""Headers that a job adds: what is taken, what is refused, and that no value is shown."""

from __future__ import annotations

from typing import Any

import pytest

from pacewheel.crawl import urls
from pacewheel.crawl.headers import checked_headers, without_secrets
from pacewheel.crawl.options import read, validate_options
from pacewheel.errors import ConfigInvalid
from pacewheel.model import JobFacts, JobState, Task

SECRET = "s3cret"


def test_ordinary_headers_are_taken_as_they_are() -> None:
    """Names keep their case; a cookie given by the job's owner is a header like any other."""
    headers = {"Authorization": "Bearer a.b-c", "X-Env": "a b", "Cookie": "a=b", "a": "!"}
    assert headers == checked_headers(headers)
    assert {} == checked_headers({})


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (["A: b"], "no mapping"),
        ({"A": 1}, "no mapping"),
        ({1: "b"}, "no mapping"),
        ({f"A{number}": "b" for number in range(21)}, "21 entries"),
        ({"": SECRET}, "no header name"),
        ({"A b": SECRET}, "no header name"),
        ({"A:": SECRET}, "no header name"),
        ({"A\r\nB": SECRET}, "no header name"),
        ({"Ä": SECRET}, "no header name"),
        ({"A": SECRET + "\r\nHost: evil.example"}, "one line"),
        ({"A": SECRET + "\n"}, "one line"),
        ({"A": "\x00" + SECRET}, "one line"),
        ({"A": SECRET + "ü"}, "one line"),
        ({"A": " " + SECRET}, "one line"),
        ({"A": ""}, "one line"),
        ({"A": SECRET * 1000}, "at most 4096"),
        ({"A": SECRET, "a": SECRET}, "twice"),
        ({"Host": SECRET}, "request itself"),
        ({"content-LENGTH": "5"}, "request itself"),
        ({"Transfer-Encoding": "chunked"}, "request itself"),
        ({"Connection": "close"}, "request itself"),
        ({"Proxy-Authorization": SECRET}, "request itself"),
        ({"Accept-Encoding": "xz"}, "request itself"),
        ({"Range": "bytes=0-"}, "request itself"),
        ({"User-Agent": SECRET}, "option user_agent"),
        ({"If-None-Match": SECRET}, "option conditional_on"),
    ],
)
def test_other_headers_are_refused_and_no_value_is_shown(headers: Any, message: str) -> None:
    """No second header, no second request, nothing that frames the message."""
    with pytest.raises(ConfigInvalid, match=message) as refused:
        validate_options({"headers": headers})
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("start", "target", "is_sent"),
    [
        ("https://a.example/", "https://a.example/x", True),
        ("https://a.example/", "http://a.example/x", False),
        ("http://a.example/", "http://a.example/x", True),
        ("http://a.example/", "https://a.example/x", True),
        ("https://a.example/", "https://www.a.example/", False),
        ("https://a.example/", "https://a.example:8443/robots.txt", False),
        ("https://a.example:8443/", "https://a.example:8443/x", True),
    ],
)
def test_headers_go_to_the_job_s_own_host_and_with_https_never_over_http(
    start: str, target: str, *, is_sent: bool
) -> None:
    """Without TLS all on the way would see them; at another port there may be another's server."""
    headers = {"Authorization": SECRET}
    options = read(validate_options({"start": [start], "headers": headers}))
    assert (headers if is_sent else {}) == options.headers_for(urls.parse(target))


def test_no_listing_shows_a_value() -> None:
    """Names stay, whatever else the options hold."""
    options = validate_options({"headers": {"Authorization": SECRET, "X": SECRET}})
    shown = without_secrets(options)
    assert {"Authorization": "***", "X": "***"} == shown["headers"]
    assert options["user_agent"] == shown["user_agent"]
    assert {"a": 1} == without_secrets({"a": 1})
    facts = JobFacts(1, 1, "warm", JobState.RUNNING, 1, None, options)
    task = Task(1, 1, 1, "a.example", "warm", "x", 1.0, 1, None, options)
    assert SECRET not in f"{facts!r} {task!r} {read(options)!r}"

"""Secrets don't come out: whatever they are, wherever they stand; and all else stays as it is."""

from __future__ import annotations

import json
import logging
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacewheel import logs
from pacewheel.redaction import TEXT_MAX, cut, is_secret_name, plain, redact, shown

MARK = "s3cr3t"
# As they stand in an Authorization header, a DSN or a query: anything but what ends them there.
TOKENS = st.text(
    alphabet=string.ascii_letters + string.digits + "-._~+$!*%^", min_size=1, max_size=40
).map(lambda text: f"{MARK}{text}{MARK}")
PASSPHRASES = st.text(alphabet=string.ascii_letters + " ,;=&?/@:.", max_size=40).map(
    lambda text: f"{MARK}{text}{MARK}"
)
NAMES = st.sampled_from(
    [
        *("password", "DB_PASSWORD", "sslpassword", "Authorization", "Proxy-Authorization"),
        *("Cookie", "Set-Cookie", "api_key", "apiKey", "X-Api-Key", "access_token", "clientSecret"),
        *("http_token", "X-Amz-Signature", "sig", "session_id", "PHPSESSID", "jwt"),
    ]
)
WORDS = st.text(alphabet=string.ascii_letters + " .,-", max_size=20)


@given(TOKENS, WORDS)
def test_credentials_of_urls_do_not_come_out(secret: str, words: str) -> None:
    """Of a DSN and of an HTTP URL, with a user and without."""
    for url in (
        f"postgresql://me:{secret}@h:5432/db",
        f"https://me:{secret}@h/",
        f"http:/me:{secret}@h",
        f"http:\\\\me:{secret}@h",
        f"https://{secret}@h",
        f"https://{secret}:x-oauth-basic@h",
        f"https://me:{MARK}@{secret}@h",
    ):
        text = redact(f"{words} {url} {words}")
        assert MARK not in text
        assert "@h" in text


@given(NAMES, TOKENS, WORDS)
def test_values_named_like_secrets_do_not_come_out(name: str, secret: str, words: str) -> None:
    """As a parameter, a header, a setting, JSON, a dict, a pair."""
    for text in (
        f"{words} https://h/p?a=1&{name}={secret}&b=2 {words}",
        f"{words}\n{name}: {secret}\nnext: line",
        f"{words} {name}={secret}",
        f"{words} --{name}={secret} {words}",
        f"{words} --{name} {secret} {words}",
        repr(["run", f"--{name}", secret]),
        f"https://h/p?next=%2Fcb%3Fa%3D1%26{name}%3D{secret}%26b%3D2 {words}",
        json.dumps({"a": words, name: secret}),
        repr({name: secret, "a": words}),
        repr([("a", words), (name, secret)]),
        repr([(b"a", b"b"), (name.encode(), secret.encode())]),
    ):
        assert MARK not in redact(text), text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("?access%5Ftoken=abc&b=2", "?access%5Ftoken=***&b=2"),
        ("?next=%2Fcb%3Fcode%3Dabc", "?next=%2Fcb%3Fcode%3D***"),
        (
            "https://h/v?hdnts=exp~hmac&hmac=ab&Policy=cd",
            "https://h/v?hdnts=***&hmac=***&Policy=***",
        ),
        ("it sent Bearer abc/def+gh= and", "it sent Bearer *** and"),
        ("refused eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln", "refused ***"),
        ("host=h password=a\\ b dbname=d", "host=h password=*** dbname=d"),
        ("password='a b", "password=***"),
        ('{"a": "token", "password": "b"}', '{"a": "token", "***": "***"}'),
        ("--token-file x --verbose token", "--token-file x --verbose token"),
        ('"https://a.example","b@c.example"', '"https://a.example","b@c.example"'),
    ],
)
def test_what_hides_a_secret_is_known(text: str, expected: str) -> None:
    """Escapes, signatures of content networks, tokens without a name, quotes that don't end."""
    assert expected == redact(text)


@given(st.sampled_from(["Authorization", "Cookie", "Set-Cookie"]), PASSPHRASES)
def test_a_header_is_taken_to_the_end_of_its_line(name: str, secret: str) -> None:
    """Cookies have semicolons, schemes have spaces; the line after it stays."""
    assert f"{name}: ***\nnext" == redact(f"{name}: {secret}\nnext")


@given(PASSPHRASES, NAMES, st.integers(0, 5), st.sampled_from([dict, list]))
def test_a_secret_at_any_depth_does_not_come_out(
    secret: str, name: str, depth: int, kind: type
) -> None:
    """In mappings within lists within mappings, whatever the value holds."""
    value = kind([(name, secret)])
    for _ in range(depth):
        value = {"inner": [value]}
    assert MARK not in json.dumps(plain(value))


@given(NAMES, TOKENS)
def test_a_line_holds_no_secret_however_it_came_there(name: str, secret: str) -> None:
    """In the message, in a field, nested, in the error and in its traceback; in both formats."""
    logger = logging.getLogger("pacewheel.test")
    try:
        raise ValueError(f"{name}={secret}")
    except ValueError as error:
        exc_info = (type(error), error, error.__traceback__)
    made = logger.makeRecord(
        logger.name, logging.ERROR, __file__, 1, "failed: %s", (f"{name}={secret}",), exc_info
    )
    made.headers = {name: secret}
    made.error = ValueError(f"{name}: {secret}")
    for formatter in (logs.HumanFormatter(), logs.JsonFormatter()):
        assert MARK not in formatter.format(made)


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    """A line goes through several hands."""
    assert redact(text) == redact(redact(text))


@given(st.lists(st.sampled_from(["https://h/a?page=2&sort=up", "task_key=7", "max_tokens: 4"])))
def test_what_is_no_secret_stays(parts: list[str]) -> None:
    """URLs, keys of tasks, counts."""
    assert " ".join(parts) == redact(" ".join(parts))


@pytest.mark.parametrize("name", ["author", "key", "tokens_max", "passed", "cache", "monkey"])
def test_ordinary_names_are_no_secrets(name: str) -> None:
    """They end or begin like one."""
    assert not is_secret_name(name)


def test_a_key_in_a_query_is_a_secret() -> None:
    """Elsewhere the key is a task's."""
    assert "https://h/?key=***&a=1 key=7" == redact("https://h/?key=AIza&a=1 key=7")


def test_a_long_text_shows_no_half_of_a_secret() -> None:
    """It is cut after the secrets were taken out, and what is never looked at is not shown."""
    for before in (TEXT_MAX - 10, 65_536 - 10):
        text = shown(f"{'x' * before}password={MARK}")
        assert len(text) < TEXT_MAX + 50
        assert MARK[:2] not in text


def test_values_are_bounded() -> None:
    """Long texts, long lists, deep nesting, and a list in itself."""
    endless: list[object] = []
    endless.append(endless)
    assert len(json.dumps(plain(endless))) < 100
    assert len(json.dumps(plain(["x"] * 10_000))) < 1_000
    assert "xxx... (+7 characters)" == cut("x" * 10, 3)


@pytest.mark.parametrize(
    "text",
    [
        "postgres://u:",
        "a='",
        "token=a&",
        "a:",
        "'a',",
        "://",
        "a = ",
        "Bearer ",
        "eyJ-",
        "--a ",
        "%3D",
    ],
)
def test_hostile_texts_cost_no_more_than_their_length(text: str) -> None:
    """They come from sites: ten times the text may take ten times as long, not a hundred."""

    def took_s(length: int) -> float:
        whole = text * (length // len(text))
        began_s = time.process_time()
        redact(whole)
        return time.process_time() - began_s

    assert min(took_s(60_000) for _ in range(5)) < 60 * max(
        1e-4, min(took_s(6_000) for _ in range(5))
    )

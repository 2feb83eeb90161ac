"""Secrets taken out of what is shown: log lines, error texts, settings, spans.

Owns what counts as a secret: passwords of connection strings and URLs, values whose name says that
they are secret (a header, a query parameter, a key of a mapping, a setting), and bearer tokens.
Pure. Promises for every text and every depth that such a value does not come out, that nothing
else is changed, and that redacting twice changes nothing more. When in doubt it takes too much.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard
from urllib.parse import unquote

HIDDEN = "***"
# Deeper or longer values are cut: a log line has a bound, whatever somebody puts into it.
DEPTH_MAX = 6
ITEMS_MAX = 100
TEXT_MAX = 1_000
# What is looked at of one text; the rest is cut before, so that no half of a secret is left.
_READ_MAX = 65_536

_ENDINGS = (
    *(
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "pwd",
        "secret",
        "token",
        "apikey",
        "authkey",
    ),
    *("accesskey", "privatekey", "secretkey", "authorization", "cookie", "cookies", "credential"),
    *("credentials", "signature", "sessionid", "sessid", "jwt", "assertion", "samlresponse"),
)
_WORDS = frozenset({"auth", "sig", "sid", "session", "csrf", "xsrf", "pass"})
# Signed URLs of content networks among them.
_QUERY_WORDS = frozenset({"key", "code", "hmac", "policy", "ticket", "hdnts", "hdnea", "hdntl"})
# These run to the end of the line, with spaces, commas and semicolons in them.
_LONG = ("authorization", "cookie", "cookies")

# A password with a slash or an @ that nobody escaped must not survive either: up to the last @ of
# the word.
_DSN = re.compile(r"(postgres(?:ql)?://[^\s:/@]{0,200}:)(\S*)", re.IGNORECASE)
# With whatever slashes: parsers of URLs take one, and backslashes. A token may be the user's name.
_URL_USER = re.compile(r"(https?:[/\\]{1,4})[^\s/\\?#\"<>]{1,1000}@", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"([/\\]{1,4}[^\s:/\\?#@]{0,200}:)[^\s/\\?#\"<>]{0,1000}@")
_SCHEME = re.compile(r"\b(Bearer|Basic)(\s+)[\w.~+/=-]{8,}", re.IGNORECASE)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{8,4000}\.[\w.-]{4,4000}")
# A name and what parts it from its value; after an option of a command line, a space.
_NAME = re.compile(
    r"(?:(?<![\w.%-])|(?<=%3[Dd]))(--?)?([\w.%-]{1,60}?)"
    r"(?:['\"]\s{0,8}[:=,]|\s{0,8}[:=]|%3[Dd]|(?(1)\s|(?!)))\s{0,8}(?!\s)"
)
_VALUE = re.compile(
    r"b?'(?:[^'\\\n]|\\.)*'|b?\"(?:[^\"\\\n]|\\.)*\"|b?['\"][^\n]*|(?:\\.|[^\s&\\])*"
)
_QUERY = re.compile(r"[?&]")
_END_OF_LINE = re.compile(r"[\r\n]")
_SEPARATORS = re.compile(r"[^a-z0-9]")


def is_secret_name(name: str, *, in_query: bool = False) -> bool:
    """Tell whether a header, a parameter, a setting or a key is named like a secret."""
    plain = _SEPARATORS.sub("", name.lower())
    return plain.endswith(_ENDINGS) or plain in _WORDS or (in_query and plain in _QUERY_WORDS)


def redact(text: str) -> str:
    """Return `text` with every secret in it replaced by `***`."""
    text = _DSN.sub(_without_password, text)
    text = _URL_USER.sub(rf"\1{HIDDEN}@", text)
    text = _URL_PASSWORD.sub(rf"\1{HIDDEN}@", text)
    text = _without_named(text)
    text = _SCHEME.sub(rf"\1\2{HIDDEN}", text)
    return _JWT.sub(HIDDEN, text)


def _without_password(dsn: re.Match[str]) -> str:
    _, at, host = dsn[2].rpartition("@")
    return f"{dsn[1]}{HIDDEN}@{host}" if at else dsn[0]


def _without_named(text: str) -> str:
    """Replace the values whose name says that they are secret."""
    parts: list[str] = []
    at = 0
    # The value of another name may itself begin with one ("error: token=..."): go on within it. What
    # was taken for a value may be the name of the next ('"token", "password": ...').
    for found in _NAME.finditer(text):
        name = found[2]
        in_query = text[found.start() - 1 : found.start()] in {"?", "&"}
        if "%" in name:
            # A URL within a parameter, perhaps with parameters of its own.
            *before, name = _QUERY.split(unquote(name))
            in_query = in_query or bool(before)
        if found.end() < at or not is_secret_name(name, in_query=in_query):
            continue
        value = _VALUE.match(text, found.end())
        if value is None or not value[0]:
            continue
        quote = value[0][-1] if value[0][0] in "b'\"" and value[0][-1] in "'\"" else ""
        parts.append(f"{text[at : found.end()]}{quote}{HIDDEN}{quote}")
        at = value.end()
        if not quote and not in_query and _SEPARATORS.sub("", name.lower()).endswith(_LONG):
            end = _END_OF_LINE.search(text, at)
            at = len(text) if end is None else end.start()
    return "".join((*parts, text[at:]))


def cut(text: str, most: int = TEXT_MAX) -> str:
    """Return `text`, or its beginning and how many characters were left out."""
    return text if len(text) <= most else f"{text[:most]}... (+{len(text) - most} characters)"


def shown(text: str, most: int = TEXT_MAX) -> str:
    """Return a text as it may be shown: without secrets, and cut."""
    left = max(0, len(text) - _READ_MAX)
    text = redact(text[:_READ_MAX])
    # A secret that the first cut has halved lies at its end, where the second cut leaves nothing.
    return text if not left and len(text) <= most else cut(text + " " * left, most)


def plain(value: Any, depth: int = 0) -> Any:
    """Return any value as JSON takes it: without secrets at every depth, and bounded."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return shown(value)
    if depth >= DEPTH_MAX:
        return "..."
    if isinstance(value, Mapping):
        return _plain_mapping(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        if _is_secret_pair(value):
            return [plain(value[0]), HIDDEN]
        listed = [plain(each, depth + 1) for each, _ in zip(value, range(ITEMS_MAX), strict=False)]
        return [*listed, f"... (+{len(value) - ITEMS_MAX})"] if len(value) > ITEMS_MAX else listed
    return shown(str(value))


def _plain_mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, inner in value.items():
        if len(entries) == ITEMS_MAX:
            entries["..."] = f"+{len(value) - ITEMS_MAX}"
            break
        name = _name(key)
        entries[shown(name)] = HIDDEN if is_secret_name(name) else plain(inner, depth + 1)
    return entries


def _is_secret_pair(value: Any) -> TypeGuard[Sequence[Any]]:
    """Tell whether this is a name that says secret, and its value: headers are kept so."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and isinstance(value[0], str | bytes)
        and is_secret_name(_name(value[0]))
    )


def _name(key: Any) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)

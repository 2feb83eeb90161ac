"""What a setting may be: the kinds of values, each with its check and its words.

Pure functions without state; `config` builds its fields of them.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Kind:
    """What a setting may be.

    `parse` turns the text of a variable or an option into a value; `check` takes a value, wherever
    it is from, and returns it in its final form. Both raise ValueError, TypeError or OverflowError
    when it is not what `expected` says. A refused value that may be a secret is not shown.
    """

    expected: str
    check: Callable[[Any], Any]
    parse: Callable[[str], Any] = str
    is_secret: bool = False


def number(low: float, high: float, *, whole: bool = False) -> Kind:
    """Return the kind of a number within `low` and `high`."""

    def parse(text: str) -> int | float:
        if whole and not re.fullmatch(r"[+-]?[0-9]+", text):
            raise ValueError(text)
        return int(text) if whole else float(text)

    def check(value: Any) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise TypeError(value)
        # Written so that NaN is refused too.
        if not low <= value <= high:
            raise ValueError(value)
        return value if whole else float(value)

    noun = "a whole number" if whole else "a number"
    return Kind(f"{noun} from {low:g} to {high:g}", check, parse)


def switch() -> Kind:
    """Return the kind of a truth value."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

    def parse(text: str) -> bool | None:
        return words.get(text.lower())

    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise TypeError(value)
        return value

    return Kind("true or false", check, parse)


def choice(*words: str) -> Kind:
    """Return the kind of one of `words`."""
    return text("|".join(words), "one of " + ", ".join(words))


def text(pattern: str, expected: str) -> Kind:
    """Return the kind of a text that is matched by `pattern` as a whole."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(value)
        return value

    return Kind(expected, check)


def dsn() -> Kind:
    """Return the kind of a PostgreSQL URL."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(r"postgres(ql)?://\S*", value):
            raise ValueError(value)
        # Raises ValueError for what no driver could take: a port that is none, half an IPv6
        # address.
        parts = urlsplit(value)
        if parts.port == 0:
            raise ValueError(value)
        return value

    return Kind("a URL such as postgresql://user:password@host:5432/database", check)


class Secret(str):
    """A text that no `repr` shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Three stars, whatever it is."""
        return "'***'"


def secret(least: int, most: int) -> Kind:
    """Return the kind of a secret of `least` to `most` printable ASCII characters, no space."""

    def check(value: Any) -> Secret:
        if not isinstance(value, str) or not re.fullmatch(rf"[!-~]{{{least},{most}}}", value):
            raise ValueError(value)
        return Secret(value)

    expected = f"{least} to {most} printable ASCII characters without spaces"
    return Kind(expected, check, is_secret=True)


def address() -> Kind:
    """Return the kind of an IP address."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(value)
        return str(ipaddress.ip_address(value))

    return Kind("an IP address such as 127.0.0.1, ::1 or 0.0.0.0", check)


def directory() -> Kind:
    """Return the kind of a directory."""

    def check(value: Any) -> Path:
        if not isinstance(value, str | Path) or not str(value).strip() or "\0" in str(value):
            raise ValueError(value)
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            raise ValueError(value) from error

    return Kind("a directory", check)


def proxy() -> Kind:
    """Return the kind of a proxy's URL."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(r"http://[!-~]+", value):
            raise ValueError(value)
        parts = urlsplit(value)
        is_bare = parts.path in ("", "/") and not parts.query and not parts.fragment
        has_half = parts.username is not None and not parts.password
        if not (parts.hostname and parts.port and is_bare) or has_half:
            raise ValueError(value)
        return value

    expected = "an HTTP proxy such as http://user:password@proxy.example:3128"
    return Kind(expected, check, is_secret=True)


def networks() -> Kind:
    """Return the kind of a list of networks."""

    def parse(text: str) -> list[str]:
        return [part.strip() for part in text.split(",")]

    def check(value: Any) -> tuple[str, ...]:
        # A number would be taken for an address.
        if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
            raise TypeError(value)
        return tuple(str(ipaddress.ip_network(part)) for part in value)

    return Kind(
        "networks such as 10.0.0.0/8 or ::1/128, no address bits beyond the prefix", check, parse
    )

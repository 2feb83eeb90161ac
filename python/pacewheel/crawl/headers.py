"""Headers that a job adds to its requests: which are taken, where they are sent, how they are shown.

Owns the job's option `headers`. Its values may be secrets, so they stand in no message and no
listing; they are kept in the job's row, as every option is. Cookies that a site sets are neither
kept nor sent; a `Cookie` header given here is sent as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pacewheel.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

HIDDEN = "***"

_MAX_HEADERS = 20
_MAX_VALUE_CHARS = 4_096
# RFC 9110, sections 5.6.2 and 5.5: no control character, so no second header or request.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_OWN = {
    "user-agent": "user_agent",
    "if-none-match": "conditional_on",
    "if-modified-since": "conditional_on",
}
# What frames a message, belongs to the connection, or decides what the answer's body means.
_REFUSED = frozenset(
    {
        "accept", "accept-encoding", "connection", "content-encoding", "content-length",
        "content-type", "expect", "host", "http2-settings", "if-match", "if-range",
        "if-unmodified-since", "keep-alive", "range", "te", "trailer", "transfer-encoding",
        "upgrade",
    }
)  # fmt: skip


def checked_headers(value: Any) -> dict[str, str]:
    """Return the option's value checked.

    Raises:
        ConfigInvalid: no mapping of texts, too many, a name or value that is none, twice the same
            name, or a header that is ours or the connection's. No value is shown.
    """
    if not isinstance(value, dict) or not all(
        isinstance(part, str) for pair in value.items() for part in pair
    ):
        raise ConfigInvalid("option headers is no mapping of texts: give names with their values")
    if len(value) > _MAX_HEADERS:
        raise ConfigInvalid(
            f"option headers has {len(value)} entries: at most {_MAX_HEADERS} are taken"
        )
    seen: set[str] = set()
    for name, text in value.items():
        lower = name.lower()
        if not _NAME.fullmatch(name):
            raise ConfigInvalid(f"header {name[:100]!r} is no header name: correct it")
        if lower in _OWN:
            raise ConfigInvalid(f"header {name} is the option {_OWN[lower]}: give it there")
        if lower in _REFUSED or lower.startswith("proxy-"):
            raise ConfigInvalid(f"header {name} is set by the request itself: leave it out")
        if lower in seen:
            raise ConfigInvalid(f"header {name} is given twice: leave one of them out")
        if len(text) > _MAX_VALUE_CHARS or not _VALUE.fullmatch(text):
            raise ConfigInvalid(
                f"the value of header {name} is refused: give one line of printable ASCII, at most "
                f"{_MAX_VALUE_CHARS} characters"
            )
        seen.add(lower)
    return dict(value)


def without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's options as they may be shown: names of headers, no values."""
    headers = options.get("headers")
    if not isinstance(headers, dict):
        return dict(options)
    return {**options, "headers": dict.fromkeys(headers, HIDDEN)}

"""What a page asks for by meta elements and headers: not to be indexed or followed, to be left.

Owns the reading of robots directives (the `robots` meta element, the one named after a crawler's
product token, and the X-Robots-Tag header, whose directives may be for one crawler each) and of the
HTML standard's declarative refresh. Whatever doesn't fit the grammar asks for nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Directives that take a value after a colon; any other name before a colon is a crawler's.
_VALUED = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})
_SPACE = "\t\n\f\r "
# HTML standard, "shared declarative refresh steps": a time, perhaps a separator, the rest.
_REFRESH = re.compile(
    r"[\t\n\f\r ]*+(?:[0-9]++|(?=\.))[0-9.]*+(?:[\t\n\f\r ]*[;,]|[\t\n\f\r ])(.*)", re.DOTALL
)
_URL_EQUALS = re.compile(
    r"url[\t\n\f\r ]*+=[\t\n\f\r ]*+(.*)", re.DOTALL | re.IGNORECASE | re.ASCII
)


@dataclass(slots=True)
class Directives:
    """What was asked for so far: the strictest of all wins.

    `agent` is our product token, in lower case; None takes only what is meant for everybody.
    """

    agent: str | None = None
    noindex: bool = False
    nofollow: bool = False

    def read_meta(self, name: str, content: str) -> None:
        """Take in a meta element if its `name` is `robots` or our product token."""
        if self._is_ours(name):
            self._take(content.split(","))

    def read_header(self, value: str) -> None:
        """Take in one X-Robots-Tag header.

        `noindex, nofollow` is for everybody; `otherbot: noindex, nofollow` only for that crawler,
        as far as to the next name.
        """
        words = []
        is_ours = True
        for part in value.split(","):
            name, colon, directive = part.partition(":")
            name = name.strip()
            # A date after unavailable_after may hold commas and colons too, but no name has spaces.
            is_named = colon and name.lower() not in _VALUED and len(name.split()) == 1
            if is_named:
                is_ours = name == "*" or self._is_ours(name)
            if is_ours:
                words.append(directive if is_named else part)
        self._take(words)

    def _is_ours(self, name: str) -> bool:
        name = name.strip().lower()
        return name == "robots" or (self.agent is not None and name == self.agent)

    def _take(self, parts: list[str]) -> None:
        words = {part.strip().lower() for part in parts}
        self.noindex = self.noindex or not words.isdisjoint(("noindex", "none"))
        self.nofollow = self.nofollow or not words.isdisjoint(("nofollow", "none"))


def refresh_target(content: str) -> str | None:
    """Return the URL that the content of a refresh leads to, as written; None if to none.

    None too if there is only a time: such a page loads itself again.
    """
    match = _REFRESH.match(content)
    if match is None:
        return None
    rest = match[1].lstrip(_SPACE)
    given = _URL_EQUALS.match(rest)
    if given is not None:
        rest = given[1]
    if rest[:1] in ("'", '"'):
        rest = rest[1:].partition(rest[0])[0]
    return rest or None

"""The matching of robots.txt rules: RFC 9309 section 2.2.2 and 2.2.3, in linear time.

Owns the one form in which a rule's path and a URL's are compared, and the index that finds the
deciding rule. The form: octets outside RFC 3986's unreserved and reserved characters are
percent-encoded, escapes of unreserved ones decoded, the digits of the others in upper case. Beyond
that, `:` and `/` in a query are the same as their escapes, since the RFC's table of examples wants
it; that holds for rules that have a query themselves.

No rule is tried by backtracking: a pattern is split at its wildcards, and each piece is looked for
once, behind the one before it. Rules without a wildcard are looked up by their length, so their
number costs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

_Key = TypeVar("_Key")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# What does not stand for itself: an escape, or a run of what is to be escaped.
_UNEVEN = re.compile(r"%[0-9A-Fa-f]{2}|[^A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")


@dataclass(frozen=True, slots=True)
class Rule:
    """One Allow or Disallow line.

    `rank` orders rules: most octets first, then Allow, then the earlier line. `pieces` are what
    stands between the wildcards; `is_anchored` says that the pattern ended in `$`.
    """

    line: int
    is_allow: bool
    rank: tuple[int, bool, int]
    pieces: tuple[str, ...]
    is_anchored: bool
    has_query: bool

    def matches(self, path: str) -> bool:
        """True when the pattern, which has a wildcard, matches `path` from its first octet."""
        first, *middle, last = self.pieces
        if not path.startswith(first):
            return False
        at = len(first)
        for piece in middle:
            at = path.find(piece, at)
            if at < 0:
                return False
            at += len(piece)
        if self.is_anchored:
            return path.endswith(last) and len(path) - len(last) >= at
        return path.find(last, at) >= 0


class Rules:
    """The rules of one group; `decide` says which of them is the most specific for a path."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        """Index `rules`; of two that are the same but for Allow, Allow counts."""
        self._whole: dict[str, Rule] = {}
        self._prefixes: dict[str, Rule] = {}
        wild: dict[tuple[tuple[str, ...], bool], Rule] = {}
        for rule in rules:
            if len(rule.pieces) > 1:
                _keep_better(wild, (rule.pieces, rule.is_anchored), rule)
            else:
                index = self._whole if rule.is_anchored else self._prefixes
                _keep_better(index, rule.pieces[0], rule)
        self._lengths = sorted({len(prefix) for prefix in self._prefixes}, reverse=True)
        self._wild = sorted(wild.values(), key=lambda rule: rule.rank, reverse=True)

    def decide(self, target: str) -> Rule | None:
        """Return the rule that decides about `target` (path and query of a URL), if any does."""
        path = _even(target).replace("*", "%2A").replace("$", "%24")
        folded = _query_folded(path)
        best = self._whole.get(folded)
        for length in self._lengths:
            rule = self._prefixes.get(folded[:length])
            if rule is not None:
                best = rule if best is None or rule.rank > best.rank else best
                break
        for rule in self._wild:
            if best is not None and rule.rank < best.rank:
                break
            if rule.matches(folded if rule.has_query else path):
                return rule
        return best


def rule_of(line: int, pattern: str, *, is_allow: bool) -> Rule | None:
    """Return the rule of one line, or None where the pattern is empty or can't match a path."""
    if not pattern.startswith(("/", "*")):
        return None
    is_anchored = pattern.endswith("$")
    even = _query_folded(_even(pattern.removesuffix("$")).replace("$", "%24"))
    octets = len(even) + is_anchored
    return Rule(
        line,
        is_allow,
        (octets, is_allow, -line),
        tuple(even.split("*")),
        is_anchored,
        "?" in even,
    )


def _keep_better(index: dict[_Key, Rule], key: _Key, rule: Rule) -> None:
    held = index.get(key)
    if held is None or rule.rank > held.rank:
        index[key] = rule


def _even(path: str) -> str:
    return _UNEVEN.sub(_evened, path) if _UNEVEN.search(path) else path


def _evened(match: re.Match[str]) -> str:
    text = match[0]
    if text[0] != "%":
        return "%" + text.encode("utf-8", "replace").hex("%").upper()
    char = chr(int(text[1:], 16))
    return char if char in _UNRESERVED else text.upper()


def _query_folded(path: str) -> str:
    head, mark, query = path.partition("?")
    if "%" not in query:
        return path
    return head + mark + query.replace("%3A", ":").replace("%2F", "/")

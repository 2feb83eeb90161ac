"""robots.txt: what the site lets us fetch, and how fast (RFC 9309).

Owns the reading of the file, what of it concerns one crawler, and a bounded cache of that, because
every page asks again and the text comes from the job's documents each time. The rules of a text
never change, so the cache needs no expiry; after a restart it fills itself.

The parser is our own. Of the 167 facts in `tests/unit/crawl/robots_cases.py` protego 0.7 gets 7
wrong, and it can't name the deciding line. Google's parser (fast-robotstxt 1.1) gets 1 wrong, but
reads the file anew for every URL: 2.2 ms a URL where the file is 500 KiB, and 2.7 s where its rules
are hostile, against 1.3 us and 26 ms here.

What each status of the robots request means (section 2.3.1): 2xx parse, 4xx everything is allowed,
5xx and network errors nothing is allowed for now. `warm` acts on it.
"""

from __future__ import annotations

import codecs
import hashlib
import math
import re
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import orjson

from pacewheel.crawl.robots_rules import Rule, Rules, rule_of

MAX_ROBOTS_BYTES = 500 * 1024
"""How much of a robots.txt is read (section 2.5 asks for at least this)."""

MAX_AGE_S = 24 * 3600
"""How long a file is followed (section 2.4)."""

MAX_SITEMAPS = 100

_MAX_CRAWL_DELAY_S = 86_400.0
_CACHE_ENTRIES = 1024
# A hostile file of 500 KiB costs 12 MiB once parsed, so at the worst the cache takes 100 MiB.
_CACHE_CHARS = 4 * 1024 * 1024
_PRODUCT_TOKEN = re.compile(r"[A-Za-z_-]+")
_BROKEN_BOM = re.compile(rb"\xef\xbb?\xbf?")
# Misspellings that are frequent enough for Google's parser to take them for what is meant; a
# crawler that does not would ignore what the site asks for.
_MEANT = {
    "useragent": "user-agent",
    "user agent": "user-agent",
    **dict.fromkeys(("dissallow", "dissalow", "disalow", "diasllow", "disallaw"), "disallow"),
    "site-map": "sitemap",
    "crawldelay": "crawl-delay",
}


@dataclass(frozen=True, slots=True)
class RobotsFile:
    """A robots.txt as a job keeps it; `text` is empty where there is none.

    After 24 hours it is to be fetched again (section 2.4).
    """

    text: str
    fetched_at_s: int

    @classmethod
    def of_document(cls, document: str) -> Self:
        """Return what `as_document` wrote."""
        return cls(**orjson.loads(document))

    def as_document(self) -> str:
        """Return the text of the job's document."""
        return orjson.dumps(self).decode()

    def is_expired(self, now_s: float) -> bool:
        """True when the file is too old to be followed at `now_s` (Unix time)."""
        return now_s - self.fetched_at_s >= MAX_AGE_S


@dataclass(frozen=True, slots=True)
class RobotsRules:
    """What one robots.txt says to one crawler.

    Attributes:
        crawl_delay_s: its Crawl-delay in seconds, at most a day; the greatest of several.
        sitemaps: the sitemap URLs listed, as written, without repetitions, at most 100.
        sitemaps_left_out: how many more there are.
    """

    rules: Rules
    crawl_delay_s: float | None
    sitemaps: tuple[str, ...]
    sitemaps_left_out: int

    def allows(self, target: str) -> bool:
        """True when `target` (path and query of a URL, normalised) may be fetched."""
        rule = self.decide(target)
        return rule is None or rule.is_allow

    def decide(self, target: str) -> Rule | None:
        """Return the rule that decides about `target`; None: no rule does, so it is allowed."""
        return None if target == "/robots.txt" else self.rules.decide(target)


def parse(text: str, token: str) -> RobotsRules:
    """Read what `text` says to the crawler with the product token `token` (any case).

    Lines that make no sense are ignored, as section 2.3.1.5 demands.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    reading = _Reading(token.lower())
    for number, line in enumerate(lines, 1):
        reading.take(number, line)
    return reading.result()


class _Reading:
    """One pass over the lines: collects the groups of one crawler, and of everybody."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._rules: dict[str, list[Rule]] = {}
        self._delays_s: dict[str, float] = {}
        self._sitemaps: dict[str, None] = {}
        self._agents: set[str] = set()
        self._is_group_begun = False

    def take(self, number: int, line: str) -> None:
        name, value = _record(line)
        match name:
            case "user-agent":
                self._take_agent(value)
            case "allow" | "disallow":
                self._is_group_begun = True
                rule = rule_of(number, value, is_allow=name == "allow")
                if rule is not None:
                    for agent in self._agents:
                        self._rules[agent].append(rule)
            case "crawl-delay":
                # Like all records that the RFC does not define it must not end a group.
                delay_s = _delay_s(value)
                if delay_s is not None:
                    for agent in self._agents:
                        self._delays_s[agent] = max(delay_s, self._delays_s.get(agent, 0.0))
            case "sitemap" if value:
                self._sitemaps[value] = None

    def result(self) -> RobotsRules:
        agent = self._token if self._token in self._rules else "*"
        sitemaps = tuple(self._sitemaps)
        return RobotsRules(
            Rules(self._rules.get(agent, ())),
            self._delays_s.get(agent),
            sitemaps[:MAX_SITEMAPS],
            max(0, len(sitemaps) - MAX_SITEMAPS),
        )

    def _take_agent(self, value: str) -> None:
        if self._is_group_begun:
            self._agents.clear()
            self._is_group_begun = False
        named = _PRODUCT_TOKEN.match(value)
        agent = named[0].lower() if named else value[:2].strip()
        if agent in (self._token, "*"):
            self._agents.add(agent)
            self._rules.setdefault(agent, [])


class RulesCache:
    """What texts say to crawlers, by the text's hash; least recently used out first."""

    def __init__(self, max_entries: int = _CACHE_ENTRIES, max_chars: int = _CACHE_CHARS) -> None:
        """Hold at most `max_entries` texts of `max_chars` characters together."""
        self._max_entries = max_entries
        self._max_chars = max_chars
        self._chars = 0
        self._rules: OrderedDict[tuple[bytes, str], tuple[RobotsRules, int]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many texts are held."""
        return len(self._rules)

    def rules(self, text: str, user_agent: str) -> RobotsRules:
        """Return what `text` says to the crawler that sends the header `user_agent`."""
        token = product_token(user_agent)
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
        held = self._rules.get((digest, token))
        if held is not None:
            self._rules.move_to_end((digest, token))
            return held[0]
        rules = parse(text, token)
        self._rules[digest, token] = (rules, len(text))
        self._chars += len(text)
        while len(self._rules) > self._max_entries or (
            self._chars > self._max_chars and len(self._rules) > 1
        ):
            _, (_, dropped_chars) = self._rules.popitem(last=False)
            self._chars -= dropped_chars
        return rules


def decode(body: bytes, *, truncated: bool) -> str:
    """Return the text of a robots.txt body, never an error.

    UTF-8 (section 2.3), or UTF-16 where a byte order mark says so. Octets that are no UTF-8 become
    their percent-encoding, which is how a rule is compared. A cut body loses its last, incomplete
    line. NUL is dropped, since the text is kept in PostgreSQL.
    """
    if truncated:
        body = body[: max(body.rfind(b"\n"), body.rfind(b"\r")) + 1]
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = body.decode("utf-16", "replace")
    else:
        mark = _BROKEN_BOM.match(body)
        text = body[mark.end() if mark else 0 :].decode("utf-8", "pacewheel-percent")
    return text.replace("\x00", "")


@lru_cache(maxsize=64)
def product_token(user_agent: str) -> str:
    """Return the token groups are matched by: `pacewheel` of `pacewheel/0.1 (+https://...)`."""
    match = _PRODUCT_TOKEN.match(user_agent.strip())
    return match[0].lower() if match else "*"


def _record(line: str) -> tuple[str, str]:
    statement = line.partition("#")[0].strip(" \t")
    name, colon, value = statement.partition(":")
    if not colon:
        # "disallow /" says plainly what it means.
        words = statement.split()
        if len(words) != 2:
            return "", ""
        name, value = words
    name = name.strip(" \t").lower()
    return _MEANT.get(name, name), value.strip(" \t")


def _delay_s(value: str) -> float | None:
    if "_" in value or not value.isascii():  # numbers for Python alone
        return None
    try:
        delay_s = float(value)
    except ValueError:
        return None
    # Also false for NaN.
    return min(delay_s, _MAX_CRAWL_DELAY_S) if 0 <= delay_s < math.inf else None


def _percent_encoded(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    octets = error.object[error.start : error.end]
    return "".join(f"%{octet:02X}" for octet in octets), error.end


codecs.register_error("pacewheel-percent", _percent_encoded)

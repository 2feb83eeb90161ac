"""robots.txt: what the site lets us fetch, and how fast (RFC 9309 by protego).

Owns the reading of the text and a bounded cache of parsed rules, because every page asks again
and the text comes from the job's documents each time. The rules of a text never change, so the
cache needs no expiry; after a restart it fills itself.

What each status of the robots request means (RFC 9309 section 2.3.1): 2xx parse, 4xx everything
is allowed, 5xx and network errors nothing is allowed for now. `warm` acts on it.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from functools import lru_cache
from typing import Self

from protego import Protego

MAX_ROBOTS_BYTES = 500 * 1024
"""How much of a robots.txt is read (RFC 9309 section 2.5 asks for at least this)."""

_MAX_CRAWL_DELAY_S = 86_400.0
_MAX_SITEMAPS = 100
_CACHE_ENTRIES = 1024
_CACHE_CHARS = 8 * 1024 * 1024
_PRODUCT_TOKEN = re.compile(r"[A-Za-z_-]+")


class RobotsRules:
    """The rules of one robots.txt."""

    def __init__(self, rules: Protego) -> None:
        """Wrap parsed rules; use `parse`."""
        self._rules = rules

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `text`; lines that make no sense are ignored, as RFC 9309 demands."""
        return cls(Protego.parse(text))

    def allowed(self, url: str, user_agent: str) -> bool:
        """True when the group of `user_agent`'s product token (or `*`) allows `url`."""
        return bool(self._rules.can_fetch(url, product_token(user_agent)))

    def crawl_delay_s(self, user_agent: str) -> float | None:
        """Return the Crawl-delay for `user_agent` in seconds (at most a day), or None."""
        delay_s = self._rules.crawl_delay(product_token(user_agent))
        return None if delay_s is None else min(float(delay_s), _MAX_CRAWL_DELAY_S)

    @property
    def sitemaps(self) -> list[str]:
        """The sitemap URLs listed, as written, at most 100, without repetitions."""
        return list(dict.fromkeys(self._rules.sitemaps))[:_MAX_SITEMAPS]


class RulesCache:
    """Parsed rules by the text's hash, least recently used out first."""

    def __init__(self, max_entries: int = _CACHE_ENTRIES, max_chars: int = _CACHE_CHARS) -> None:
        """Hold at most `max_entries` texts of `max_chars` characters together."""
        self._max_entries = max_entries
        self._max_chars = max_chars
        self._chars = 0
        self._rules: OrderedDict[bytes, tuple[RobotsRules, int]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many texts are held."""
        return len(self._rules)

    def rules(self, text: str) -> RobotsRules:
        """Return the parsed rules of `text`."""
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
        held = self._rules.get(digest)
        if held is not None:
            self._rules.move_to_end(digest)
            return held[0]
        rules = RobotsRules.parse(text)
        self._rules[digest] = (rules, len(text))
        self._chars += len(text)
        while len(self._rules) > self._max_entries or (
            self._chars > self._max_chars and len(self._rules) > 1
        ):
            _, (_, dropped_chars) = self._rules.popitem(last=False)
            self._chars -= dropped_chars
        return rules


def decode(body: bytes, *, truncated: bool) -> str:
    """Return the text of a robots.txt body: UTF-8 (RFC 9309, 2.3), BOM dropped, never an error.

    A cut body loses its last, incomplete line. NUL is dropped, since the text is kept in
    PostgreSQL.
    """
    if truncated:
        body = body[: body.rfind(b"\n") + 1]
    return body.decode("utf-8-sig", "replace").replace("\x00", "")


@lru_cache(maxsize=64)
def product_token(user_agent: str) -> str:
    """Return the token groups are matched by: `pacewheel` of `pacewheel/0.1 (+https://...)`."""
    match = _PRODUCT_TOKEN.match(user_agent.strip())
    return match[0].lower() if match else "*"

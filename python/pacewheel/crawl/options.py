r"""The options of a warm job: what a user may set, checked before the job exists.

Owns their names, defaults and meaning. All are optional and JSON, since they live in the job's row:

- `user_agent` (str): the User-Agent header; its product token picks the robots.txt group.
- `links` (bool, true): discover pages by links. `sitemap` (bool, true): discover pages by sitemaps.
- `include`, `exclude` (lists of str): patterns for discovered pages; a start URL is always in.
  With `include`, a page must match one of them; `exclude` wins. A pattern is matched against path
  and query, whole, `*` standing for anything (`/blog/*`); with the prefix `re:` it is a Python
  regular expression found anywhere in path and query (`re:\.pdf$`).
- `start` (list of str): the URLs the job begins with, all of one site.
- `headers` (texts by name): sent along with every request to the hosts of the start URLs; when
  all of these are https, not over http. See `headers`.
- `conditional_on` (int or null): an earlier job of the site; pages whose links are not followed are
  asked for only if they have changed since its results. See `conditional`.
- `latency_factor` (0 to 100, 0 = off): the site's next request comes no sooner than so many times
  its last response time after the last one.
- `max_depth` (int or null): links followed from a start URL; 0 stays on the start URLs and
  sitemaps.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pacewheel.crawl import urls
from pacewheel.crawl.headers import checked_headers
from pacewheel.errors import ConfigInvalid, TargetRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pacewheel.crawl.urls import Url

DEFAULT_USER_AGENT = "pacewheel/0.1"

_MAX_PATTERNS = 100
_MAX_PATTERN_CHARS = 500
_MAX_USER_AGENT_CHARS = 256
_MAX_START_URLS = 1_000
_MAX_LATENCY_FACTOR = 100
_KNOWN = (
    *(
        "conditional_on",
        "exclude",
        "headers",
        "include",
        "latency_factor",
        "links",
        "max_depth",
        "sitemap",
        "start",
    ),
    "user_agent",
)
_PRODUCT_FIRST = re.compile(r"[A-Za-z_-]+[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class WarmOptions:
    """The options with their defaults filled in; build with `read`."""

    user_agent: str = DEFAULT_USER_AGENT
    links: bool = True
    sitemap: bool = True
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    max_depth: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    latency_factor: float = 0.0
    conditional_on: int | None = None

    def headers_for(self, url: Url) -> Mapping[str, str]:
        """Return the headers that may go along with a request for `url`: by its host and scheme."""
        hosts, is_plain = _origins(self.start)
        return self.headers if url.host in hosts and (is_plain or url.scheme == "https") else {}

    def selects(self, url: Url) -> bool:
        """True when `include` and `exclude` let a discovered `url` in."""
        if self.include and not _matches(self.include, url.target):
            return False
        return not (self.exclude and _matches(self.exclude, url.target))


def validate_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return `options` checked and complete, ready to be stored with the job.

    Raises:
        ConfigInvalid: an unknown key, a value of the wrong type, a pattern that can't be
            compiled, a start URL that can't be requested, or start URLs of several sites.
    """
    for name in options:
        if name not in _KNOWN:
            raise ConfigInvalid(
                f"unknown warm option {name!r}: the options are {', '.join(_KNOWN)}"
            )
    start = _texts(options, "start", _MAX_START_URLS)
    _check_start(start)
    max_depth = options.get("max_depth")
    if max_depth is not None and (
        not isinstance(max_depth, int) or isinstance(max_depth, bool) or max_depth < 0
    ):
        raise ConfigInvalid(
            f"option max_depth is {max_depth!r}: give a whole number from 0, or null"
        )
    return {
        "user_agent": _user_agent(options.get("user_agent", DEFAULT_USER_AGENT)),
        "links": _flag(options, "links"),
        "sitemap": _flag(options, "sitemap"),
        "include": _patterns(options, "include"),
        "exclude": _patterns(options, "exclude"),
        "start": start,
        "max_depth": max_depth,
        "headers": checked_headers(options.get("headers", {})),
        "latency_factor": _factor(options.get("latency_factor", 0.0)),
        "conditional_on": _job_id(options.get("conditional_on")),
    }


def read(options: Mapping[str, Any]) -> WarmOptions:
    """Return the options of a job's row, checked by `validate_options` when the job was made."""
    return WarmOptions(
        user_agent=options.get("user_agent", DEFAULT_USER_AGENT),
        links=options.get("links", True),
        sitemap=options.get("sitemap", True),
        include=tuple(options.get("include", ())),
        exclude=tuple(options.get("exclude", ())),
        start=tuple(options.get("start", ())),
        max_depth=options.get("max_depth"),
        headers=options.get("headers", {}),
        latency_factor=options.get("latency_factor", 0.0),
        conditional_on=options.get("conditional_on"),
    )


@lru_cache(maxsize=64)
def _origins(start: tuple[str, ...]) -> tuple[frozenset[str], bool]:
    """Return the hosts of the start URLs, and whether one of them is http."""
    parsed = [urls.parse(url) for url in start]
    return frozenset(url.host for url in parsed), any(url.scheme == "http" for url in parsed)


def _matches(patterns: tuple[str, ...], target: str) -> bool:
    return any(pattern.search(target) for pattern in _compiled(patterns))


@lru_cache(maxsize=512)
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(_compile(pattern) for pattern in patterns)


def _compile(pattern: str) -> re.Pattern[str]:
    if pattern.startswith("re:"):
        return re.compile(pattern[3:])
    # fnmatch compiles `*` without backtracking; `?` and `[` are ordinary characters of a URL.
    literal = pattern.replace("[", "[[]").replace("?", "[?]")
    return re.compile(r"\A" + fnmatch.translate(literal))


def _patterns(options: Mapping[str, Any], name: str) -> list[str]:
    patterns = _texts(options, name, _MAX_PATTERNS)
    for pattern in patterns:
        if len(pattern) > _MAX_PATTERN_CHARS:
            raise ConfigInvalid(
                f"a pattern of {name} is longer than {_MAX_PATTERN_CHARS} characters: shorten it"
            )
        try:
            _compile(pattern)
        except re.error as error:
            raise ConfigInvalid(
                f"pattern {pattern!r} of {name} is no regular expression ({error}): correct it"
            ) from None
    return patterns


def _texts(options: Mapping[str, Any], name: str, most: int) -> list[str]:
    value = options.get(name, [])
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ConfigInvalid(f"option {name} is {value!r}: give a list of texts")
    if len(value) > most:
        raise ConfigInvalid(f"option {name} has {len(value)} entries: at most {most} are taken")
    return list(value)


def _flag(options: Mapping[str, Any], name: str) -> bool:
    value = options.get(name, True)
    if not isinstance(value, bool):
        raise ConfigInvalid(f"option {name} is {value!r}: give true or false")
    return value


def _factor(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _MAX_LATENCY_FACTOR:
        raise ConfigInvalid(
            f"option latency_factor is {value!r}: give a number from 0 to {_MAX_LATENCY_FACTOR}"
        )
    return float(value)


def _job_id(value: Any) -> int | None:
    if value is None or (type(value) is int and 0 < value < 1 << 63):
        return value
    raise ConfigInvalid(f"option conditional_on is {value!r}: give the id of a job, or null")


def _user_agent(value: Any) -> str:
    if (
        not isinstance(value, str)
        or len(value) > _MAX_USER_AGENT_CHARS
        or not _PRODUCT_FIRST.fullmatch(value)
    ):
        raise ConfigInvalid(
            f"option user_agent is {value!r}: give printable ASCII that begins with a "
            f"product name, at most {_MAX_USER_AGENT_CHARS} characters"
        )
    return value


def _check_start(start: list[str]) -> None:
    authorities = set()
    for url in start:
        try:
            authorities.add(urls.authority(url))
        except TargetRefused as refused:
            raise ConfigInvalid(f"option start: {refused}") from None
    if len(authorities) > 1:
        raise ConfigInvalid(
            f"option start names {len(authorities)} sites: make one job for each site"
        )

r"""The options of a warm job: what a user may set, checked before the job exists.

Owns their names, defaults and meaning. All are optional and JSON, since they live in the job's row:

- `user_agent` (str): the User-Agent header; its product token picks the robots.txt group.
- `links` (bool, true): discover pages by links. `sitemap` (bool, true): discover pages by sitemaps.
- `record_links` (bool, true): keep which page links to which, for the report.
- `include`, `exclude` (lists of str): patterns for discovered pages; a start URL is always in.
  With `include`, a page must match one of them; `exclude` wins. A pattern is matched against path
  and query, whole, `*` standing for anything (`/blog/*`); with the prefix `re:` it is a Python
  regular expression found anywhere in path and query (`re:\.pdf$`).
- `subdomains` (bool, false): pages on hosts below the site's host belong to it too; `www` (bool,
  false): the host is the same with and without `www.`. All share the pace of the job's domain; see
  `hosts`.
- `drop_tracking` (bool, false): URLs that differ only in tracking parameters (`utm_*`, `gclid`) are
  one page; `sort_query` (bool, false): those that differ only in the order of their parameters are.
  The first one found is what is requested, as it was found.
- `max_queries` (int or null, 1,000): different queries of one path that links may lead to, about;
  what sitemaps list is not counted.
- `start` (list of str): the URLs the job begins with, all of one site.
- `headers` (texts by name): sent along with every request to the hosts of the start URLs, at their
  ports; when all of these are https, not over http. See `headers`.
- `conditional_on` (int or null): an earlier job of the site; pages whose links are not followed are
  asked for only if they have changed since its results. See `conditional`.
- `latency_factor` (0 to 100, 0 = off): the site's next request comes no sooner than so many times
  its last response time after the last one.
- `max_pages` (int or null): the limit the job was made with; what counts is its row's max_tasks,
  which rechecks make grow.
- `rechecks` (int, 1; at most 3): how often a page is asked for again whose miss may become a
  hit. `rechecks_max` (int, 10,000): how often for the whole job.
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
from pacewheel.crawl.query_counts import MAX_QUERIES
from pacewheel.errors import ConfigInvalid, TargetRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pacewheel.crawl.urls import Url

DEFAULT_USER_AGENT = "pacewheel/0.1"
RECHECKS_MOST = 3
RECHECKS_MAX = 10_000

_MAX_PATTERNS = 100
_MAX_PATTERN_CHARS = 500
_MAX_USER_AGENT_CHARS = 256
_MAX_START_URLS = 1_000
# As a job's row takes them.
_NUMBER_MOST = 2**63 - 1
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MAX_LATENCY_FACTOR = 100
_MAX_QUERIES_MOST = 10_000
_KNOWN = (
    *("conditional_on", "drop_tracking", "exclude", "headers", "include", "latency_factor"),
    *("links", "max_depth", "max_pages", "max_queries", "rechecks", "rechecks_max"),
    *("record_links", "sitemap", "sort_query", "start", "subdomains", "user_agent", "www"),
)
_PRODUCT_FIRST = re.compile(r"[A-Za-z_-]+[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class WarmOptions:
    """The options with their defaults filled in; build with `read`."""

    user_agent: str = DEFAULT_USER_AGENT
    links: bool = True
    sitemap: bool = True
    record_links: bool = True
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    max_depth: int | None = None
    rechecks: int = 1
    rechecks_max: int = RECHECKS_MAX
    drop_tracking: bool = False
    sort_query: bool = False
    max_queries: int | None = MAX_QUERIES
    subdomains: bool = False
    www: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    latency_factor: float = 0.0
    conditional_on: int | None = None

    @property
    def has_hosts(self) -> bool:
        """True when the site may have pages on other hosts than its domain's."""
        return self.subdomains or self.www

    def is_of_site(self, url: Url, domain: str) -> bool:
        """True when `url` belongs to the site of the job whose domain is `domain`."""
        return urls.same_site(url, domain, subdomains=self.subdomains, www=self.www)

    def folded(self, url_key: str) -> str:
        """Return what makes a page unique in the job: its canonical key, folded as asked for."""
        if not (self.drop_tracking or self.sort_query):
            return url_key
        return urls.folded(url_key, drop_tracking=self.drop_tracking, sort_query=self.sort_query)

    def headers_for(self, url: Url) -> Mapping[str, str]:
        """Return the headers that may go along with a request for `url`: by authority and scheme."""
        starts, is_plain = _origins(self.start)
        is_safe = is_plain or url.scheme == "https"
        return self.headers if is_safe and url.authority in starts else {}

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
    return {
        "user_agent": _user_agent(options.get("user_agent", DEFAULT_USER_AGENT)),
        "links": _flag(options, "links"),
        "sitemap": _flag(options, "sitemap"),
        "record_links": _flag(options, "record_links"),
        "include": _patterns(options, "include"),
        "exclude": _patterns(options, "exclude"),
        "start": start,
        "max_pages": _number_or_none(options, "max_pages", None, 0),
        "rechecks": _number(options.get("rechecks", 1), "rechecks", 0, RECHECKS_MOST),
        "rechecks_max": _number(options.get("rechecks_max", RECHECKS_MAX), "rechecks_max", 0),
        "max_depth": _number_or_none(options, "max_depth", None, 0),
        "drop_tracking": _flag(options, "drop_tracking", default=False),
        "sort_query": _flag(options, "sort_query", default=False),
        "max_queries": _number_or_none(options, "max_queries", MAX_QUERIES, 1, _MAX_QUERIES_MOST),
        "subdomains": _flag(options, "subdomains", default=False),
        "www": _flag(options, "www", default=False),
        "headers": checked_headers(options.get("headers", {})),
        "latency_factor": _factor(options.get("latency_factor", 0.0)),
        "conditional_on": _number_or_none(options, "conditional_on", None, 1),
    }


def read(options: Mapping[str, Any]) -> WarmOptions:
    """Return the options of a job's row, checked by `validate_options` when the job was made."""
    return WarmOptions(
        user_agent=options.get("user_agent", DEFAULT_USER_AGENT),
        links=options.get("links", True),
        sitemap=options.get("sitemap", True),
        record_links=options.get("record_links", True),
        include=tuple(options.get("include", ())),
        exclude=tuple(options.get("exclude", ())),
        start=tuple(options.get("start", ())),
        max_depth=options.get("max_depth"),
        headers=options.get("headers", {}),
        latency_factor=options.get("latency_factor", 0.0),
        conditional_on=options.get("conditional_on"),
        rechecks=options.get("rechecks", 1),
        rechecks_max=options.get("rechecks_max", RECHECKS_MAX),
        drop_tracking=options.get("drop_tracking", False),
        sort_query=options.get("sort_query", False),
        max_queries=options.get("max_queries", MAX_QUERIES),
        subdomains=options.get("subdomains", False),
        www=options.get("www", False),
    )


@lru_cache(maxsize=64)
def _origins(start: tuple[str, ...]) -> tuple[frozenset[str], bool]:
    """Return the authorities of the start URLs, and whether one of them is http."""
    parsed = [urls.parse(url) for url in start]
    return frozenset(url.authority for url in parsed), any(url.scheme == "http" for url in parsed)


def _matches(patterns: tuple[str, ...], target: str) -> bool:
    for pattern in _compiled(patterns):  # noqa: SIM110 - once a link; a generator takes twice as long
        if pattern.search(target):
            return True
    return False


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
        except (re.error, OverflowError, RecursionError) as error:
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
    for item in value:
        if _UNSTORABLE.search(item):
            raise ConfigInvalid(f"option {name} has {item!r}: give text without NUL, in UTF-8")
    return list(value)


def _flag(options: Mapping[str, Any], name: str, *, default: bool = True) -> bool:
    value = options.get(name, default)
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


def _number_or_none(
    options: Mapping[str, Any],
    name: str,
    default: int | None,
    least: int,
    most: int = _NUMBER_MOST,
) -> int | None:
    value = options.get(name, default)
    return None if value is None else _number(value, name, least, most, ", or null")


def _number(value: Any, name: str, least: int, most: int = _NUMBER_MOST, others: str = "") -> int:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not least <= value <= most:
        to = "" if most == _NUMBER_MOST else f" to {most}"
        raise ConfigInvalid(
            f"option {name} is {value!r}: give a whole number from {least}{to}{others}"
        )
    return int(value)


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

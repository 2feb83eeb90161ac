"""The options of a warm job."""

from __future__ import annotations

from typing import Any

import pytest

from pacewheel.crawl import urls
from pacewheel.crawl.options import DEFAULT_USER_AGENT, WarmOptions, read, validate_options
from pacewheel.errors import ConfigInvalid


def test_no_options_give_the_defaults() -> None:
    """Complete, so that a later default doesn't change a stored job."""
    assert {
        "user_agent": DEFAULT_USER_AGENT,
        "links": True,
        "sitemap": True,
        "record_links": True,
        "include": [],
        "exclude": [],
        "start": [],
        "max_depth": None,
        "headers": {},
        "latency_factor": 0.0,
        "conditional_on": None,
        "max_pages": None,
        "rechecks": 1,
        "rechecks_max": 10_000,
        "drop_tracking": False,
        "sort_query": False,
        "max_queries": 1000,
        "subdomains": False,
        "www": False,
    } == validate_options({})
    assert WarmOptions() == read(validate_options({})) == read({})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 1}, "unknown warm option 'depth'"),
        ({"links": "no"}, "links"),
        ({"sitemap": 1}, "sitemap"),
        ({"max_depth": -1}, "max_depth"),
        ({"max_depth": True}, "max_depth"),
        ({"max_depth": "3"}, "max_depth"),
        ({"max_pages": -1}, "max_pages"),
        ({"max_pages": 2**63}, "max_pages is 9223372036854775808: give a whole number from 0, or"),
        ({"max_depth": 10**30}, "max_depth"),
        ({"rechecks": 4}, "rechecks is 4: give a whole number from 0 to 3$"),
        ({"rechecks": None}, "rechecks"),
        ({"rechecks_max": None}, "rechecks_max is None: give a whole number from 0$"),
        ({"rechecks_max": True}, "rechecks_max"),
        ({"sort_query": None}, "sort_query"),
        ({"subdomains": "shop"}, "subdomains"),
        ({"www": 1}, "www"),
        ({"max_queries": 0}, "max_queries is 0: give a whole number from 1 to 10000, or null"),
        ({"max_queries": 10_001}, "max_queries"),
        ({"include": "/a/*"}, "list of texts"),
        ({"include": [1]}, "list of texts"),
        ({"exclude": ["re:("]}, "regular expression"),
        ({"exclude": ["re:a{99999999999}"]}, "regular expression"),
        ({"exclude": ["/a\x00"]}, "without NUL"),
        ({"include": ["/\ud800"]}, "in UTF-8"),
        ({"start": ["https://a.example/\udfff"]}, "in UTF-8"),
        ({"exclude": ["x" * 501]}, "longer than"),
        ({"exclude": ["x"] * 101}, "at most"),
        ({"user_agent": ""}, "user_agent"),
        ({"user_agent": "bot\r\nX: y"}, "user_agent"),
        ({"user_agent": "1bot"}, "user_agent"),
        ({"user_agent": "b" * 257}, "user_agent"),
        ({"conditional_on": 0}, "conditional_on"),
        ({"conditional_on": True}, "conditional_on"),
        ({"conditional_on": "7"}, "conditional_on"),
        ({"latency_factor": -1}, "latency_factor"),
        ({"latency_factor": float("nan")}, "latency_factor"),
        ({"latency_factor": "2"}, "latency_factor"),
        ({"headers": ["A: b"]}, "headers"),
        ({"start": ["example.com"]}, "no scheme"),
        ({"start": ["https://a.example/", "https://b.example/"]}, "2 sites"),
    ],
)
def test_other_options_are_refused(options: dict[str, Any], message: str) -> None:
    """Lesson 48: strict, in one line."""
    with pytest.raises(ConfigInvalid, match=message) as refused:
        validate_options(options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("include", "exclude", "target", "is_selected"),
    [
        ([], [], "/x", True),
        (["/blog/*"], [], "/blog/a", True),
        (["/blog/*"], [], "/other", False),
        (["/blog"], [], "/blog/a", False),
        (["/a?b=[1]"], [], "/a?b=[1]", True),
        (["/a?b"], [], "/axb", False),
        (["*"], ["*.pdf"], "/a.pdf", False),
        ([], ["*.pdf"], "/a.pdf?x", True),
        ([], [r"re:\.pdf($|\?)"], "/a.pdf?x", False),
        (["/a*", "/b*"], [], "/b1", True),
    ],
)
def test_patterns_select_by_path_and_query(
    include: list[str], exclude: list[str], target: str, *, is_selected: bool
) -> None:
    """Globs match whole, `re:` anywhere; exclude wins."""
    options = read(validate_options({"include": include, "exclude": exclude}))
    assert is_selected == options.selects(urls.parse("https://example.com" + target))


def test_a_job_folds_keys_as_it_was_asked_to() -> None:
    """Not at all unless asked."""
    key = "https://e.com/?b=1&utm_source=x&a=2"
    assert key == read({}).folded(key)
    assert "https://e.com/?b=1&a=2" == read({"drop_tracking": True}).folded(key)
    assert "https://e.com/?a=2&b=1&utm_source=x" == read({"sort_query": True}).folded(key)

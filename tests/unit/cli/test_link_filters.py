"""The filters of URLs and links, as programs use them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from pacewheel.cli.links import extract
from pacewheel.cli.url import normalize
from pacewheel.errors import PacewheelError


def run_filter(*words: str, lines: list[Any]) -> list[Any]:
    """What the command answers to these lines."""
    done = subprocess.run(
        [sys.executable, "-m", "pacewheel", *words],
        input="".join(json.dumps(line) + "\n" for line in lines),
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_url_normalize_answers_a_line_each() -> None:
    """Serialisation and key; whatever is no http(s) URL is an error with its next step."""
    answers = run_filter(
        "url", "normalize",
        lines=[
            {"url": "HTTP://User@EXAMPLE.com:80/a/../%7eb%2f?#x", "base": None},
            {"url": "?q", "base": "https://example.com/a/b"},
            {"url": "ftp://example.com/"},
            {"url": "/a"},
            {"base": "https://example.com/"},
            {"url": 7, "base": None},
            {"url": "/a", "base": "no base"},
        ],
    )  # fmt: skip
    href = "http://User@example.com/%7eb%2f?#x"
    assert {"href": href, "key": "http://User@example.com/~b%2F?"} == answers[0]
    assert {"href": "https://example.com/a/b?q", "key": "https://example.com/a/b?q"} == answers[1]
    assert [["error"]] * 5 == [list(answer) for answer in answers[2:]]


def test_a_key_is_folded_further_where_a_line_asks() -> None:
    """Tracking parameters and order; the href never is."""
    url = "https://e.com/?b=1&utm_source=x&a=2"
    row = {"url": url, "drop_tracking": True, "sort_query": True}
    assert {"href": url, "key": "https://e.com/?a=2&b=1"} == normalize(row)
    assert url == normalize({"url": url})["key"]
    with pytest.raises(PacewheelError, match="'sort_query' is a number: give true or false"):
        normalize({"url": url, "sort_query": 1})


def test_of_url_and_base_the_one_that_is_wrong_is_named() -> None:
    """A good URL is not blamed for its base."""
    with pytest.raises(PacewheelError, match="URL 'no base' has no scheme"):
        normalize({"url": "https://e.com/", "base": "no base"})
    with pytest.raises(PacewheelError, match=r"URL 'https://\[e/' is malformed"):
        normalize({"url": "https://[e/", "base": "https://e.com/"})


def test_links_extract_answers_a_line_each() -> None:
    """Each link in document order with its position; what the page says of itself."""
    html = """<link rel=canonical href=/c><meta name=robots content=noindex><base href=/b/>
      <header><a href=x rel="nofollow ugc">x</a><nav><a href=/y>y</a></nav></header>
      <main><article><header><area href=z></header></article></main>
      <img src=i srcset="j 2x"><a href="javascript:x()">j</a><a href="mailto:m@e.com">m</a>
      <footer><a href=/y>y</a></footer>"""
    answers = run_filter(
        "links", "extract", lines=[{"url": "https://e.com/p", "html": html}, {"html": html}, []]
    )
    assert {
        "links": [
            {"href": "https://e.com/b/x", "position": "header", "rel": "nofollow ugc"},
            {"href": "https://e.com/y", "position": "nav", "rel": None},
            {"href": "https://e.com/b/z", "position": "main", "rel": None},
            {"href": "https://e.com/y", "position": "footer", "rel": None},
        ],
        "canonical": "https://e.com/c",
        "noindex": True,
        "nofollow": False,
    } == answers[0]
    assert [["error"]] * 2 == [list(answer) for answer in answers[1:]]


def test_links_extract_leaves_out_what_is_no_link_only() -> None:
    """Neither credentials nor length matter where nothing is requested; a URL has to be one."""
    long = "https://e.com/" + "x" * 9000
    html = f"""<link rel=canonical href=//u@e.com/c><a href=//u:p@e.com/ rel></a><a href={long}></a>
      <a href=x></a><a href="http://[x"></a><a href=ftp://e.com/></a><a href="#f"></a>"""
    answer = extract({"url": "https://u:p@e.com/p", "html": html})
    assert ["https://u:p@e.com/", long, "https://u:p@e.com/x", "https://u:p@e.com/p#f"] == [
        link["href"] for link in answer["links"]
    ]
    assert "https://u@e.com/c" == answer["canonical"]
    assert ["", None, None, None] == [link["rel"] for link in answer["links"]]


def test_a_page_that_is_cut_says_so() -> None:
    """And gives the links before the cut."""
    answer = extract({"url": "https://e.com/", "html": "<a href=x></a>" + "<div>" * 10_000})
    assert ("nested_too_deeply", 1) == (answer["cut"], len(answer["links"]))

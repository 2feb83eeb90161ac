"""The forms of a report: complete, valid, and harmless whatever a site calls its pages."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacewheel.report import as_csv, as_json, build, facts, html, junit, text
from pacewheel.report.cells import rows_as_csv
from pacewheel.report.thresholds import check, parse
from tests.reported import facts_of, full_facts, job

HOSTILE = (
    "https://site.example/<script>alert(1)</script>",
    "javascript:alert(1)",
    "JAVASCRIPT:alert(1)//https://",
    "data:text/html,<b>",
    'https://site.example/" onmouseover="alert(1)',
    "https://site.example/'><img src=x onerror=alert(1)>",
    "https://site.example/\x1b[31m\x00\x07",
    '=HYPERLINK("https://evil.example")',
    "https://site.example/{{ 7 * 7 }}{% raw %}",
    "]]></failure><testcase/>",
)
WORDS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60))
DOCUMENTED = {
    *("job", "figures", "counts", "cold", "warm", "sections", "broken", "redirects", "slow"),
    *("heavy", "uncacheable", "unlinked", "unlisted", "disallowed", "politeness", "bottleneck"),
    *("eta", "waiting", "comparison", "thresholds", "notes"),
}


class Page(HTMLParser):
    """Collects what an HTML page would run, load or lead to."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.hrefs: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element and its attributes."""
        self.elements.append(tag)
        for name, value in attrs:
            if name == "href":
                self.hrefs.append(value or "")
            if name in {"src", "srcset", "action", "poster", "background"}:
                self.loads.append(value or "")
            if name.startswith("on") or name == "style":
                self.handlers.append(name)


def page_of(content: str) -> Page:
    """The page, read by another parser than the one that made it."""
    page = Page()
    page.feed(content)
    page.close()
    return page


@pytest.mark.parametrize("url", HOSTILE)
def test_html_runs_and_loads_nothing_of_what_it_shows(url: str) -> None:
    """One script and one style, ours; no handler; links only to http and https."""
    page = page_of(html.render([(build(full_facts(url)), ())]))
    assert (1, 1) == (page.elements.count("script"), page.elements.count("style"))
    assert {"img", "b", "iframe", "link", "object"} & set(page.elements) == set()
    assert [] == page.loads + page.handlers
    assert [] == [href for href in page.hrefs if not href.startswith(("http://", "https://"))]


@given(WORDS)
def test_html_escapes_any_text(url: str) -> None:
    """The elements are the same whatever the address is, but for the links."""
    plain = page_of(html.render([(build(full_facts("x")), ())]))
    page = page_of(html.render([(build(full_facts(url)), ())]))
    expected = [element for element in plain.elements if element != "a"]
    assert expected == [element for element in page.elements if element != "a"]
    assert [] == page.handlers + page.loads


def test_html_needs_no_network_and_permits_none() -> None:
    """Its policy names the hashes of its own style and script, and nothing else."""
    content = html.render([(build(full_facts()), ())])
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', content)
    assert policy
    assert "default-src 'none'" in policy[1].replace("&#39;", "'")
    for name in ("style", "script"):
        body = re.search(rf"<{name}>(.*?)</{name}>", content, re.DOTALL)
        assert body
        assert html._hash(body[1]) in policy[1].replace("&#43;", "+")


def test_html_is_bounded_and_says_what_it_leaves_out() -> None:
    """A hundred rows a list, with the number there are and where all of them stand."""
    many = facts_of(
        sums=facts.Sums(pages=9_000, broken=5_000), broken=[full_facts().broken[0]] * 2_000
    )
    content = html.render([(build(many), ())])
    assert 100 == content.count("<details>")
    assert "100 of 5,000 are shown" in content
    assert len(content) < 1_000_000
    several = html.render([(build(many), ())] * 20)
    assert 20 * 10 == several.count("<details>")


@given(st.lists(st.lists(st.one_of(st.text(max_size=20), st.integers(), st.none()), min_size=1)))
def test_csv_comes_back_as_it_was_and_holds_no_formula(rows: list[list[str | int | None]]) -> None:
    """Texts that a spreadsheet would calculate have an apostrophe; all else is as it was."""
    content = rows_as_csv(rows)
    back = list(csv.reader(io.StringIO(content, newline="")))
    shown = [["" if value is None else str(value) for value in row] for row in rows]
    for row, expected in zip(back, shown, strict=True):
        for cell, value in zip(row, expected, strict=True):
            assert cell in {value, "'" + value}
    texts = [value for row in rows for value in row if isinstance(value, str)]
    for value in texts:
        if value.startswith(("=", "+", "-", "@", "\t", "\r")):
            assert rows_as_csv([[value]]).lstrip('"').startswith("'")


def test_csv_has_a_line_for_each_finding() -> None:
    """Every list is there; a broken page has a line for each page that links to it."""
    rows = list(csv.DictReader(io.StringIO(as_csv.render([(build(full_facts()), ())]), newline="")))
    lists = [row["list"] for row in rows]
    expected = {
        *("figure", "section", "broken", "redirect", "loop", "slow", "heavy", "uncacheable"),
        *("unlinked", "unlisted", "disallowed", "newly_broken", "mended"),
    }
    assert expected == set(lists)
    assert 21 == lists.count("broken")
    assert "nav" == next(row["position"] for row in rows if row["list"] == "broken")


@given(WORDS)
def test_junit_is_valid_whatever_the_pages_are_called(url: str) -> None:
    """It parses, and its counts are those of its cases."""
    report = build(full_facts(url))
    verdicts = check(report, parse("broken>0,pages<1"))
    root = ET.fromstring(junit.render([(report, verdicts)]))
    (suite,) = root.findall("testsuite")
    cases = suite.findall("testcase")
    assert str(len(cases)) == suite.get("tests") == root.get("tests")
    # The rest of the pages, two broken ones, two thresholds, of which one fails.
    assert (5, 3) == (len(cases), len(suite.findall("testcase/failure")))
    assert "3" == suite.get("failures") == root.get("failures")


@given(WORDS)
def test_text_sends_no_control_character(url: str) -> None:
    """What a terminal would obey is shown instead."""
    shown = text.render([(build(full_facts(url)), ())])
    assert all(line.isprintable() for line in shown.split("\n"))


@given(WORDS)
def test_json_is_what_is_documented(url: str) -> None:
    """The version, the members, and the values that went in."""
    report = build(full_facts(url))
    content = json.loads(as_json.render([(report, check(report, parse("broken>0")))]))
    assert {"version", "reports"} == set(content)
    assert 1 == content["version"]
    (shown,) = content["reports"]
    assert DOCUMENTED == set(shown)
    assert [name for name in DOCUMENTED if f'"{name}"' not in as_json.__doc__] == []
    assert url == shown["broken"]["rows"][0]["linkers"]["rows"][0]["url"]
    assert (2, 21) == (shown["broken"]["total"], shown["broken"]["rows"][0]["linkers"]["total"])
    assert [{"condition": "broken>0", "value": 2, "is_failed": True}] == shown["thresholds"]


def test_a_report_of_nothing_has_every_form() -> None:
    """A job without a task, a result or a start."""
    empty = build(facts_of(job(started_at=None, finished_at=None, total=0, completed=0, failed=0)))
    for form in (html, as_json, as_csv, junit, text):
        assert form.render([(empty, ())])


def test_text_shows_the_first_rows_and_how_many_more() -> None:
    """Broken pages with where they are linked from, on one line each."""
    lines = text.render([(build(full_facts()), ())]).splitlines()
    broken = lines.index("  broken: 2")
    link = "https://site.example/page (nav)"
    assert (
        f"    404 https://site.example/page <- {', '.join([link] * 3)} and 18 more"
        == lines[broken + 1]
    )
    assert "    ... and 2 more" in lines


def test_text_says_that_the_pace_was_broken_whatever_else_is_known() -> None:
    """A request within a pause, of a job that left no two departures to compare."""
    pace = facts.Pace(departures=1, pauses=1, asked_ms=2_000.0, departed_within=1)
    shown = text.render([(build(facts_of(pace=pace)), ())])
    assert "politeness: broken 1 time; 1 pause asked for (2 s), 1 request within" in shown
    pace = facts.Pace(departures=2, least_gap_ms=500, most_gap_ms=500, seen_ms=400.0,
                      permitted_ms=500, too_close=2)  # fmt: skip
    shown = text.render([(build(facts_of(pace=pace)), ())])
    assert "politeness: broken 2 times; tightest gap 400.0 of 500 ms permitted" in shown

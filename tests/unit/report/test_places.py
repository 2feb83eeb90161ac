"""Each form shows each list and figure in its own place, and words say no more than figures do."""

from __future__ import annotations

import csv
import io
import json
import re
from xml.etree import ElementTree as ET

import pytest

from pacewheel.model import JobState
from pacewheel.report import as_csv, as_json, build, facts, html, junit, text, words
from pacewheel.report.cells import rows_as_csv
from pacewheel.report.facts import Listing
from tests.reported import facts_of, job

# The titles in HTML of lists that are nothing but URLs.
TITLES = {
    "unlinked": "In a sitemap, linked from nowhere",
    "unlisted": "Linked, in no sitemap",
    "newly_broken": "Newly broken",
    "mended": "Broken no more",
}


def distinct() -> facts.Facts:
    """A report's facts in which every list has pages and a number of its own."""

    def urls(name: str, total: int) -> Listing[str]:
        return Listing(total, [f"https://a.example/{name}"])

    return facts_of(
        sums=facts.Sums(attempts=9, pages=90, broken=5, skipped=6, disallowed=7, judged=1),
        broken=[facts.BrokenPage("https://a.example/broken", 404, "gone", None, 1, None, None)],
        slow=[facts.PageCost("https://a.example/slow", 200, 1.0, 2.0, 3, None)],
        heavy=[facts.PageCost("https://a.example/heavy", 200, 1.0, 2.0, 3, None)],
        uncacheable=[facts.Uncacheable("no-store", 14, ["https://a.example/uncacheable"])],
        unlinked=urls("unlinked", 11),
        unlisted=urls("unlisted", 12),
        disallowed=[facts.Disallowed("https://a.example/disallowed", 4, None, None)],
        changes=facts.Changes(
            job(id=5),
            facts.Sums(),
            newly_broken=urls("newly_broken", 21),
            mended=urls("mended", 22),
        ),
    )


def test_csv_and_json_name_each_list_by_its_pages() -> None:
    """A URL stands under the name of its list, with the number there are of it."""
    judged = [(build(distinct()), ())]
    rows = csv.DictReader(io.StringIO(as_csv.render(judged), newline=""))
    found = {row["list"]: row["url"].rpartition("/")[2] for row in rows if row["url"]}
    lists = {"broken", "slow", "heavy", "disallowed", *TITLES}
    assert {name: name for name in lists} == found
    (report,) = json.loads(as_json.render(judged))["reports"]
    report |= report["comparison"]
    totals = {name: report[name]["total"] for name in lists - {"slow", "heavy"}}
    assert {
        "broken": 5, "disallowed": 7, "unlinked": 11, "unlisted": 12, "newly_broken": 21, "mended": 22
    } == totals  # fmt: skip
    for name in lists:
        (row,) = report[name]["rows"]
        assert f"https://a.example/{name}" == (row if isinstance(row, str) else row["url"])


def test_html_and_text_put_each_list_below_its_title() -> None:
    """The first URL after a title is of that list."""
    page = html.render([(build(distinct()), ())])
    for name, title in TITLES.items():
        after = page[page.index(f"<h3>{title} <") :]
        first = re.search(r'href="https://a.example/(\w+)"', after)
        assert first
        assert name == first[1]
    lines = text.render([(build(distinct()), ())]).splitlines()
    for title, url in (
        ("in a sitemap, not linked: 11", "unlinked"),
        ("linked, in no sitemap: 12", "unlisted"),
        ("forbidden by robots.txt: 7", "disallowed"),
    ):
        assert lines[lines.index(f"  {title}") + 1].startswith(f"    https://a.example/{url}")
    # Causes are all there are, however many pages they have.
    causes = lines.index("  uncacheable: 14")
    assert ["    no-store: 14 pages"] == lines[causes + 1 : causes + 2]
    assert not lines[causes + 2].startswith("    ...")


def test_junit_has_a_failure_for_the_broken_pages_that_are_not_listed() -> None:
    """A build that reads it must not see fewer kinds of trouble than there are."""
    suite = ET.fromstring(junit.render([(build(distinct()), ())]))[0]
    names = [
        case.get("name") for case in suite.findall("testcase") if case.find("failure") is not None
    ]
    assert ["https://a.example/broken", "broken pages not listed"] == names
    assert "4 more broken pages" in [each.get("message") for each in suite.iter("failure")]


def test_the_eta_goes_by_the_tasks_of_the_last_minute() -> None:
    """Sixty in a minute are one a second."""
    live = job(status=JobState.RUNNING, finished_at=None, pending=30, gap_ms=0)
    report = build(facts_of(live, flow=facts.Flow(recent=60, recent_ms=60_000.0)))
    assert report.eta is not None
    assert report.eta.seconds == pytest.approx(30.0)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_begins_a_formula(start: str) -> None:
    """Whatever a spreadsheet takes for one; a number stays a number."""
    assert [[f"'{start}1"]] == list(
        csv.reader(io.StringIO(rows_as_csv([[f"{start}1"]]), newline=""))
    )
    assert "-1,-1.5\r\n" == rows_as_csv([[-1, -1.5]])


def test_figures_in_words() -> None:
    """The whole is said of the whole only; units fit."""
    assert ["99 %", "100 %", "29 %", "-"] == [words.share(v) for v in (0.999, 1.0, 0.29, None)]
    assert ["0.3 s", "12 s", "3 min 5 s", "2 h 10 min", "3 d 4 h", "1 h"] == [
        words.duration(v) for v in (0.3, 12, 185, 7_800, 273_600, 3_599.6)
    ]
    assert ["0.4 ms", "120 ms", "15 s", "-"] == [words.millis(v) for v in (0.4, 120, 15_000, None)]
    assert ["812 B", "12 kB", "3.4 MB", "-"] == [
        words.size(v) for v in (812, 12_345, 3_400_000, None)
    ]
    assert ["1 page", "1,203 pages"] == [words.plural(n, "page") for n in (1, 1203)]

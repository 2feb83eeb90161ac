"""The report as JUnit XML, for CI servers: a suite a site.

A failed case for each broken page and for each threshold that is not met; what is met passes, and
so does the case that stands for all other pages, so that no suite is empty. XML 1.0 has no place
for control characters: they become U+FFFD.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from pacewheel.report import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pacewheel.report.build import Report
    from pacewheel.report.facts import BrokenPage
    from pacewheel.report.thresholds import Verdict

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(judged: Sequence[tuple[Report, Sequence[Verdict]]]) -> str:
    """Return reports as a JUnit document."""
    root = ET.Element("testsuites", name="pacewheel")
    for report, verdicts in judged:
        root.append(_suite(report, verdicts))
    for count in ("tests", "failures"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _suite(report: Report, verdicts: Sequence[Verdict]) -> ET.Element:
    facts = report.facts
    suite = ET.Element("testsuite", name=_clean(report.label), errors="0", skipped="0")
    properties = ET.SubElement(suite, "properties")
    for name, value in report.figures.items():
        if value is not None:
            ET.SubElement(properties, "property", name=name, value=f"{value:.10g}")
    others = f"{words.plural(facts.sums.pages - facts.sums.broken, 'other page')} looked at"
    _case(suite, "pages", others)
    for page in facts.broken:
        message = " ".join(map(str, filter(None, (page.error, page.http_status, page.message))))
        _case(suite, "pages", page.url, message, _found(page))
    left_out = facts.sums.broken - len(facts.broken)
    if left_out:
        message = f"{words.plural(left_out, 'more broken page')}"
        _case(suite, "pages", "broken pages not listed", message)
    for verdict in verdicts:
        failure = str(verdict) if verdict.is_failed else None
        _case(suite, "thresholds", str(verdict.threshold), failure)
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("time", f"{report.figures['duration_s'] or 0:.3f}")
    return suite


def _case(
    suite: ET.Element, group: str, name: str, failure: str | None = None, text: str = ""
) -> None:
    classname = f"{suite.get('name')}.{group}"
    case = ET.SubElement(suite, "testcase", classname=classname, name=_clean(name), time="0")
    if failure is not None:
        element = ET.SubElement(case, "failure", type=group, message=_clean(failure))
        element.text = _clean(text)


def _found(page: BrokenPage) -> str:
    lines = [f"linked from {linker.url} ({linker.position})" for linker in page.linkers.rows]
    more = page.linkers.total - len(lines)
    if more > 0:
        lines.append(f"and from {words.plural(more, 'other page')}")
    if not lines:
        lines.append(f"found by {page.source or 'the caller'} {page.found_on or ''}".rstrip())
    return "\n".join(lines)


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)

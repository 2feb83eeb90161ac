"""The report as one HTML file that needs nothing else: no network, no server.

The template escapes whatever it shows (Jinja's autoescape), and only http and https addresses become
links. The page's own policy (CSP) permits its style and its script by their hashes and nothing else,
so that even a value that slipped through could neither run nor load anything. Without scripts it is
complete; they only sort and filter.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from pacewheel.report import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pacewheel.report.build import Report
    from pacewheel.report.thresholds import Verdict

ROWS_MAX = 100
"""Rows a list of one site; several sites share them, with ten each at least."""


def render(judged: Sequence[tuple[Report, Sequence[Verdict]]]) -> str:
    """Return reports as one HTML document."""
    style, script = _read("style.css"), _read("tables.js")
    page = _environment().get_template("page.html.j2")
    return page.render(
        judged=judged,
        words=words,
        rows_max=max(10, ROWS_MAX // max(1, len(judged))),
        # Our own files, no values: they stand in the page as they are.
        style=Markup(style),  # noqa: S704 - see above
        script=Markup(script),  # noqa: S704 - see above
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def is_link(url: object) -> bool:
    """True for what may become a link: http and https addresses, whatever else there is."""
    return isinstance(url, str) and url.startswith(("http://", "https://"))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["link"] = is_link
    environment.filters |= {
        "millis": words.millis,
        "size": words.size,
        "share": words.share,
        "duration": words.duration,
        "figure": lambda value, name: words.figure(name, value),
    }
    return environment


@cache
def _read(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

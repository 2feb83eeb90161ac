"""Reads enough of PromQL to name the metrics and labels of an expression; and finds promtool."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from pacewheel import dashboards

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "promtool"
_TEXT = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')
_RANGE = re.compile(r"\[[^\]]*\]")
_MATCHERS = re.compile(r"\{([^}]*)\}")
_BY = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\w)(?!\s*\()")
_WORDS = {"and", "or", "unless", "bool", "offset"}
# Prometheus adds these labels to every series that it scrapes, and this metric for every target.
SCRAPED = {"instance", "job"}
TARGETS = {"up"}


def metrics_of(expression: str) -> set[str]:
    """Return the names of the metrics in an expression, but for those that Prometheus adds."""
    bare = _BY.sub("", _MATCHERS.sub("", _RANGE.sub("", _TEXT.sub("", expression))))
    return set(_NAME.findall(bare)) - _WORDS - TARGETS


def labels_of(expression: str) -> set[str]:
    """Return the names of the labels that an expression asks for, but for those of every scrape."""
    bare = _TEXT.sub("", expression)
    groups = _MATCHERS.findall(bare) + _BY.findall(bare)
    return {name for group in groups for name in _NAME.findall(group)} - SCRAPED


def panels() -> list[dict[str, Any]]:
    """The panels of the Grafana dashboard, rows left out."""
    dashboard = yaml.safe_load(dashboards.read("grafana.json"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    groups = yaml.safe_load(dashboards.read("alerts.yml"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> list[str]:
    """All expressions of dashboard and rules."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return asked + [rule["expr"] for rule in rules()]


def find_promtool() -> str:
    """Return the program; skip the test, loudly, where there is none."""
    found = shutil.which("promtool")
    program = BUILD / "promtool"
    reason = BUILD / "reason"
    if not found and reason.exists():
        pytest.skip(f"NOT TESTED by promtool: {reason.read_text().strip()}")
    if not found and not program.exists():
        pytest.skip(f"NOT TESTED by promtool: none at {program}; run 'make promtool'")
    return found or str(program)

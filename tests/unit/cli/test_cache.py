"""`pacewheel cache classify`: the shape of its lines."""

from __future__ import annotations

from typing import Any

import pytest

from pacewheel.cli.cache import classify
from pacewheel.errors import LineRefused


def test_a_line_is_answered_with_verdict_layers_age_and_ttl() -> None:
    """Layers come origin first, each with what it says; names ignore case, values their margins."""
    line = {
        "headers": [
            ["cache-status", "Shield; hit; ttl=100"],
            ["CACHE-STATUS", " Edge; fwd=uri-miss; stored\t"],
            ["age", "3"],
        ],
        "status": 200,
    }
    assert {
        "status": "miss",
        "layers": [
            {"status": "hit", "cache": "Shield", "ttl_seconds": 100},
            {"status": "miss", "cache": "Edge", "stored": True},
        ],
        "age_seconds": 3,
        "ttl_seconds": None,
    } == classify(line)
    empty = {"status": "unknown", "layers": [], "age_seconds": None, "ttl_seconds": None}
    assert empty == classify({"headers": [], "status": None}) == classify({"headers": []})


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"headers": None},
        {"headers": {"Age": "1"}},
        {"headers": ["Age"]},
        {"headers": [["Age"]]},
        {"headers": [["Age", "1", "2"]]},
        {"headers": [["Age", 1]]},
        {"headers": [[None, "1"]]},
        {"headers": [], "status": "200"},
        {"headers": [], "status": True},
        {"headers": [], "status": -1},
    ],
)
def test_a_line_of_another_shape_is_refused(line: dict[str, Any]) -> None:
    """With what to give instead."""
    with pytest.raises(LineRefused, match="give"):
        classify(line)

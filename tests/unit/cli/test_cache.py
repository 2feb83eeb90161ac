"""`pacewheel cache classify`: the shape of its lines."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacewheel.cli.cache import classify
from pacewheel.cli.filters import serve
from pacewheel.crawl.cache_verdict import VERDICTS
from pacewheel.errors import LineRefused

NAMES = st.sampled_from(["Age", "Cache-Status", "cf-cache-status", "X-Cache", "Cache-Control"])
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20), NAMES)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3), max_leaves=8)
PAIRS = st.lists(st.tuples(st.one_of(NAMES, st.text(max_size=9)), st.text(max_size=30)).map(list))


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


@given(st.one_of(PAIRS, VALUES), VALUES)
def test_every_line_has_an_answer(headers: object, status: object) -> None:
    """A verdict of the closed set or an error, whatever the members are."""
    line = json.dumps({"headers": headers, "status": status}).encode() + b"\n"
    source, output = io.BytesIO(line), io.BytesIO()
    serve(classify, lambda: source.read(65536), output, 1_000_000)
    answer = json.loads(output.getvalue())
    if "error" in answer:
        assert "unexpected" not in answer["error"]
        return
    assert answer["status"] in VERDICTS
    assert {layer["status"] for layer in answer["layers"]} <= VERDICTS
    assert ["status", "layers", "age_seconds", "ttl_seconds"] == list(answer)

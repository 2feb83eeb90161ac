"""The cache's answer: Cache-Status, Age, the order of the signs, and what hostile headers do to it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from pacewheel.crawl.cache_verdict import VERDICTS, classify
from pacewheel.crawl.uncacheable import CAUSES, uncacheable

READ = [
    *("Age", "Akamai-Cache-Status", "CDN-Cache", "CDN-Cache-Control", "CF-Cache-Status"),
    *("Cache-Control", "Cache-Status", "Date", "Expires", "Server-Timing", "Set-Cookie", "Vary"),
    *("X-Azure-Ref", "X-Cache", "X-Cache-Hits", "X-Cache-Remote", "X-Check-Cacheable"),
    *("X-Served-By", "X-Varnish", "X-Vercel-Cache"),
]


def status_of(text: str) -> str:
    """The verdict of one Cache-Status field."""
    return classify(CIMultiDict({"Cache-Status": text})).status


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        # RFC 9211, sections 2 and 3.
        ("ExampleCache; hit; ttl=376", "hit"),
        ("ExampleCache; hit; ttl=-412", "stale"),
        ("ExampleCache; hit; detail=MEMORY", "hit"),
        ("ExampleCache; fwd=uri-miss; stored", "miss"),
        ("ExampleCache; fwd=uri-miss; collapsed", "miss"),
        ("ExampleCache; fwd=uri-miss; collapsed=?0", "miss"),
        ("ExampleCache; fwd=vary-miss; stored", "miss"),
        ("ExampleCache; fwd=miss; fwd-status=304; collapsed", "miss"),
        ("ExampleCache; fwd=partial; fwd-status=206", "miss"),
        ("ExampleCache; fwd=stale; fwd-status=304", "revalidated"),
        ("ExampleCache; fwd=stale; fwd-status=200", "expired"),
        ("ExampleCache; fwd=stale", "expired"),
        ('ExampleCache; fwd=bypass; detail="it\'s a secret"', "bypass"),
        ("ExampleCache; fwd=method", "bypass"),
        ("ExampleCache; fwd=request", "bypass"),
        ("ExampleCache; fwd=solar-flare", "miss"),
        ('OriginCache; hit; ttl=1100, "CDN Company Here"; hit; ttl=545', "hit"),
        ("ReverseProxyCache; hit, ForwardProxyCache; fwd=uri-miss; collapsed; stored", "miss"),
        # RFC 9651: types are part of the meaning, and quotes hide what they hold.
        ("ExampleCache; hit=?0; fwd=miss", "miss"),
        ("ExampleCache; hit=?1", "hit"),
        ("ExampleCache; hit=yes", "unknown"),
        ('ExampleCache; fwd="miss"', "unknown"),
        ("ExampleCache; hit; ttl=1.5", "hit"),
        ('"a, b; hit"; fwd=miss; detail="x, hit; y"', "miss"),
        ("Origin; hit, Edge", "hit"),
        ("ExampleCache", "unknown"),
        ("17; hit", "unknown"),
        ("(a b); hit", "unknown"),
        # No structured list: all of it is ignored.
        ("Edge; hit, ", "unknown"),
        ("Edge; hit; TTL=3", "unknown"),
        ("Edge cache; hit", "unknown"),
        ('"Edge; hit', "unknown"),
        ("Edge; hit; ttl=1000000000000000", "unknown"),
        ("", "unknown"),
    ],
)
def test_cache_status_is_read_as_rfc_9211_says(text: str, verdict: str) -> None:
    """The last member that says anything is the cache nearest to us."""
    assert verdict == status_of(text)


def test_a_field_that_is_no_list_leaves_the_answer_to_the_vendor() -> None:
    """RFC 9651 section 4.2: such a field is ignored as a whole; a good one goes before all others."""
    headers = CIMultiDict({"Cache-Status": "Edge; hit,", "CF-Cache-Status": "MISS"})
    assert "miss" == classify(headers).status
    headers["Cache-Status"] = "Edge; hit"
    assert "hit" == classify(headers).status
    headers["Cache-Status"] = "Edge"
    assert "miss" == classify(headers).status


def test_layers_come_origin_first_with_what_each_says() -> None:
    """Two lines are one list."""
    headers = CIMultiDict(
        [("Cache-Status", "Shield; fwd=miss; stored"), ("Cache-Status", '"An Edge"; hit; ttl=-5')]
    )
    verdict = classify(headers)
    shield, edge = verdict.layers
    assert ("miss", "Shield", None, True) == (
        *(shield.status, shield.cache, shield.ttl_s, shield.stored),
    )
    assert ("stale", "An Edge", -5) == (edge.status, edge.cache, edge.ttl_s)
    assert ("stale", -5) == (verdict.status, verdict.ttl_s)


def test_a_ttl_is_a_number_and_an_unclear_cache_a_layer() -> None:
    """A parameter without a value is true, which is no time; who says nothing clear was there."""
    (edge,) = classify(CIMultiDict({"Cache-Status": "Edge; hit; ttl"})).layers
    assert edge.ttl_s is None
    (edge,) = classify(CIMultiDict({"Cache-Status": "Edge"})).layers
    assert ("unknown", "Edge") == (edge.status, edge.cache)


@pytest.mark.parametrize(
    ("headers", "verdict", "age_s", "ttl_s"),
    [
        ({}, "unknown", None, None),
        ({"Age": "17"}, "hit", 17, None),
        ({"Age": "0"}, "unknown", 0, None),
        ({"Age": "soon"}, "unknown", None, None),
        ({"Age": "17", "Cache-Control": "max-age=20"}, "hit", 17, 3),
        ({"Age": "17", "Cache-Control": "max-age=10"}, "stale", 17, -7),
        ({"Age": "17", "Via": "1.1 google", "Cache-Control": "public,max-age=3600"}, "hit", 17, 3583),
        ({"X-Cache": "HIT", "Age": "17", "Cache-Control": "max-age=10"}, "hit", 17, -7),
        ({"X-Cache": "MISS", "Cache-Control": "max-age=10"}, "miss", None, 10),
        ({"Cache-Status": "a; hit; ttl=9", "Cache-Control": "max-age=5", "Age": "1"}, "hit", 1, 9),
        ({"Cache-Status": "a; fwd=miss", "Cache-Control": "max-age=5"}, "miss", None, 5),
    ],
)  # fmt: skip
def test_age_and_remaining_freshness(
    headers: dict[str, str], verdict: str, age_s: int | None, ttl_s: int | None
) -> None:
    """The cache's own ttl before the lifetime less the age; an Age alone is the sign of a copy."""
    found = classify(CIMultiDict(headers))
    assert (verdict, age_s, ttl_s) == (found.status, found.age_s, found.ttl_s)


FRAGMENTS = st.sampled_from(
    [
        *("hit", "HIT", "miss", ";", ",", " ", "=", "?0", "?1", '"', "\\", "(", ")", "ttl", "fwd"),
        *("-", "9", ":", "@", "*", "from cloudfront", "TCP_", "no-store", "max-age"),
        "Sun, 06 Nov 1994 08:49:37 GMT",
    ]
)
# Bytes that are no UTF-8 come as lone surrogates.
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)
VALUES = st.one_of(ANYTHING, st.lists(FRAGMENTS, max_size=12).map("".join))


@given(
    st.lists(st.tuples(st.one_of(st.sampled_from(READ), st.text(max_size=9)), VALUES), max_size=12),
    st.integers(100, 599),
)
def test_no_headers_raise(pairs: list[tuple[str, str]], status: int) -> None:
    """Whatever they hold, the answer is a word of each closed set."""
    headers = CIMultiDict(pairs)
    verdict = classify(headers)
    assert verdict.status in VERDICTS
    assert {layer.status for layer in verdict.layers} <= VERDICTS
    assert uncacheable(headers, status, verdict) in {None, *CAUSES}


@pytest.mark.parametrize(
    "piece",
    ['"', '"\\', "\\", ",", "a,", "a=", ";", "(", '"a"', "a;b=", " ", "\t", "9", "@1", ":", "%", "a=(b"],
)  # fmt: skip
@pytest.mark.parametrize("number", [60_000, 4_000_000])
def test_long_hostile_headers_take_little_time(piece: str, number: int) -> None:
    """Linear where they are read, and beyond a length they aren't: no second for all of them."""
    headers = CIMultiDict({name: piece * (number // len(piece)) for name in READ})
    began_s = time.process_time()
    uncacheable(headers, 200, classify(headers))
    assert time.process_time() - began_s < 10.0

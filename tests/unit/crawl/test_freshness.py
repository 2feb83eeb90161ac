"""Freshness and storage by RFC 9111, and the closed set of causes why a page is never cached."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from pacewheel.crawl import freshness
from pacewheel.crawl.cache_verdict import classify
from pacewheel.crawl.fields import DELTA_MAX_S, members
from pacewheel.crawl.uncacheable import CAUSES, uncacheable

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:59:37 GMT"


@pytest.mark.parametrize(
    ("headers", "lifetime_s"),
    [
        ({}, None),
        ({"Cache-Control": "public"}, None),
        ({"Cache-Control": "max-age=600"}, 600),
        ({"Cache-Control": "MAX-AGE=600"}, 600),
        ({"Cache-Control": 'max-age="600"'}, 600),
        ({"Cache-Control": r'max-age="6\00"'}, 600),
        ({"Cache-Control": "max-age = 600"}, 600),
        ({"Cache-Control": "max-age=600, s-maxage=60"}, 60),
        ({"Cache-Control": "max-age=600, max-age=60"}, 600),
        ({"Cache-Control": 'x="max-age=1, b", max-age=600'}, 600),
        ({"Cache-Control": "max-age=soon"}, 0),
        ({"Cache-Control": "max-age=-5"}, 0),
        ({"Cache-Control": "max-age"}, 0),
        ({"Cache-Control": "max-age=1.5"}, 0),
        ({"Cache-Control": f"max-age={'9' * 5000}"}, DELTA_MAX_S),
        ({"Cache-Control": f"max-age={'0' * 5000}7"}, 7),
        ({"Cache-Control": "max-age=600", "Expires": DATE, "Date": DATE}, 600),
        ({"Expires": LATER, "Date": DATE}, 600),
        ({"Expires": DATE, "Date": LATER}, -600),
        ({"Expires": "Fri, 31 Dec 9999 23:59:59 GMT", "Date": DATE}, DELTA_MAX_S),
        ({"Expires": "Sunday, 06-Nov-94 08:59:37 GMT", "Date": DATE}, 600),
        ({"Expires": "Sun Nov  6 08:59:37 1994", "Date": DATE}, 600),
        ({"Expires": "0", "Date": DATE}, 0),
        ({"Expires": "-1"}, 0),
        ({"Expires": LATER}, None),
        ({"Expires": LATER, "Date": "yesterday"}, None),
        # RFC 9213: what is meant for caches like this one goes first, if it can be read.
        ({"Cache-Control": "max-age=60", "CDN-Cache-Control": "max-age=600"}, 600),
        ({"Cache-Control": "max-age=60", "CDN-Cache-Control": "max-age=600,"}, 60),
        ({"Cache-Control": "max-age=60", "CDN-Cache-Control": ""}, 60),
        ({"Cache-Control": "max-age=60", "CDN-Cache-Control": "max-age=?0"}, 60),
    ],
)
def test_the_lifetime_is_the_one_of_rfc_9111(
    headers: dict[str, str], lifetime_s: int | None
) -> None:
    """Section 4.2.1: s-maxage, max-age, Expires less Date; what can't be read means stale."""
    assert lifetime_s == freshness.lifetime_s(CIMultiDict(headers))


@pytest.mark.parametrize(
    ("age", "seconds"),
    [("7", 7), ("7, 9", 7), ("9" * 30, DELTA_MAX_S), ("-7", None), ("x, 7", None), ("٧", None)],
)
def test_the_age_is_the_first_member_if_it_is_a_number(age: str, seconds: int | None) -> None:
    """Section 5.1: an invalid field is ignored."""
    assert seconds == freshness.age_s(CIMultiDict({"Age": age}))


def test_commas_in_quoted_strings_separate_nothing() -> None:
    """Escaped quotes end no string."""
    assert ["a", 'b="x, \\", y"', "c"] == members('a ,, b="x, \\", y",\tc,')


MISS = {"X-Cache": "MISS"}


@pytest.mark.parametrize(
    ("headers", "status", "cause"),
    [
        (MISS, 200, None),
        (MISS | {"Cache-Control": "public, max-age=60"}, 200, None),
        (MISS | {"Cache-Control": "no-store, max-age=60"}, 200, "no-store"),
        (MISS | {"Cache-Control": "private, max-age=60"}, 200, "private"),
        (MISS | {"Cache-Control": 'private="Set-Cookie", max-age=60'}, 200, None),
        (MISS | {"Cache-Control": "private", "CDN-Cache-Control": "max-age=60"}, 200, None),
        (MISS | {"Cache-Control": "max-age=60", "CDN-Cache-Control": "no-store"}, 200, "no-store"),
        (MISS | {"Vary": "Accept-Encoding, *"}, 200, "vary-star"),
        (MISS | {"Vary": "Accept-Encoding"}, 200, None),
        (MISS | {"Set-Cookie": "a=b"}, 200, "set-cookie"),
        ({"X-Cache": "Miss from cloudfront", "Set-Cookie": "a=b"}, 200, None),
        ({"CF-Cache-Status": "MISS", "Set-Cookie": "a=b"}, 200, None),
        ({"X-Vercel-Cache": "MISS", "Set-Cookie": "a=b"}, 200, "set-cookie"),
        ({"Cache-Status": "Edge; fwd=miss; stored", "Set-Cookie": "a=b"}, 200, None),
        ({"Cache-Status": "Edge; fwd=miss; stored=?0"}, 200, "not-stored"),
        (MISS | {"Cache-Control": "no-cache"}, 200, "no-cache"),
        (MISS | {"Cache-Control": 'no-cache="Set-Cookie"'}, 200, None),
        (MISS | {"Cache-Control": "max-age=0"}, 200, "no-freshness"),
        (MISS | {"Cache-Control": "max-age=0, s-maxage=60"}, 200, None),
        (MISS | {"Cache-Control": "max-age=0, stale-while-revalidate=60"}, 200, None),
        (MISS | {"Expires": "0"}, 200, "no-freshness"),
        # Vercel and Netlify keep to themselves what they were told.
        ({"X-Vercel-Cache": "MISS", "Cache-Control": "public, max-age=0"}, 200, None),
        ({"Cache-Status": '"Netlify Edge"; fwd=miss', "X-NF-Request-ID": "01", "Cache-Control":
          "public,max-age=0,must-revalidate"}, 200, None),
        (MISS, 404, None),
        (MISS, 500, "status"),
        (MISS, 302, "status"),
        (MISS | {"Cache-Control": "max-age=60"}, 302, None),
        (MISS | {"Cache-Control": "public"}, 302, None),
        ({"CF-Cache-Status": "BYPASS"}, 200, "bypass"),
        ({"CF-Cache-Status": "BYPASS", "Cache-Control": "private"}, 200, "private"),
        ({"CF-Cache-Status": "DYNAMIC"}, 200, "dynamic"),
        ({"CF-Cache-Status": "HIT", "Cache-Control": "private, max-age=0"}, 200, None),
        ({"CF-Cache-Status": "UPDATING", "Cache-Control": "no-cache"}, 200, None),
        ({}, 200, None),
        ({"Cache-Control": "private"}, 200, "private"),
    ],
)  # fmt: skip
def test_a_page_that_is_never_cached_has_one_cause(
    headers: dict[str, str], status: int, cause: str | None
) -> None:
    """A copy that there is speaks louder than any header."""
    fields = CIMultiDict(headers)
    assert cause is None or cause in CAUSES
    assert cause == uncacheable(fields, status, classify(fields))

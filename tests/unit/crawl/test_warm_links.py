"""The warm handler and what a page says: of itself, and where it leads."""

from __future__ import annotations

from tests.unit.crawl.test_warm import HOME, PAGE, found, response, run


async def test_what_a_page_says_of_itself_is_kept() -> None:
    """Another canonical page and where a refresh leads; both only if they name another page."""
    html = "<link rel=canonical href='/c?a#b'><meta http-equiv=refresh content='0;url=/r'>"
    outcome, _ = await run(response(body=html), target=HOME + "x", depth=3, priority=0.5)
    assert {"r": 0.45} == found(outcome)
    payload = outcome.discovered[0].payload or {}
    assert ("refresh", 4) == (payload["source"], payload["depth"])
    assert outcome.detail is not None
    assert (HOME + "c?a#b", HOME + "r") == (outcome.detail["canonical"], outcome.detail["refresh"])
    own = "<link rel=canonical href='#top'><meta http-equiv=refresh content='9;url='>"
    outcome, _ = await run(response(body=own), target=HOME + "x")
    assert outcome.detail is not None
    assert not {"canonical", "refresh"} & outcome.detail.keys()


async def test_a_robots_header_for_another_crawler_is_none_of_ours() -> None:
    """One for our product token is."""
    theirs, _ = await run(response(body=PAGE, X_Robots_Tag="otherbot: nofollow"))
    ours, _ = await run(response(body=PAGE, X_Robots_Tag="pacewheel: nofollow"))
    assert theirs.discovered
    assert not ours.discovered

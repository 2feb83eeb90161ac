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


async def test_a_page_that_leads_to_itself_discovers_nothing() -> None:
    """Under any spelling of its key."""
    outcome, _ = await run(response(body="<a href=''></a><a href='/%78'></a>"), target=HOME + "x")
    assert {} == found(outcome)


QUERIES = "".join(f"<a href='/list?page={number}'></a>" for number in range(200))


async def test_parameters_that_explode_are_left_out_by_name() -> None:
    """And the job's document keeps how far it was; sitemaps may list as many as they like."""
    outcome, _ = await run(response(body=QUERIES), options={"max_queries": 100})
    assert outcome.detail is not None
    left_out = outcome.detail["left_out"]
    assert {"trap_queries"} == left_out.keys()
    assert 200 == len(outcome.discovered) + left_out["trap_queries"]
    assert abs(len(outcome.discovered) - 100) <= 5
    assert ["queries"] == list(outcome.documents)
    everything, _ = await run(response(body=QUERIES), options={"max_queries": None})
    assert (200, {}) == (len(everything.discovered), everything.documents)
    listed = "<urlset>" + "<url><loc>/a?b={}</loc></url>" * 9 + "</urlset>"
    sitemap, _ = await run(
        response(body=listed.format(*range(9))), "sitemap", options={"max_queries": 1}
    )
    assert 9 == len(sitemap.discovered)


async def test_keys_are_folded_as_the_job_asks_and_urls_are_requested_as_found() -> None:
    """Links that differ in what was folded are one task, the first one's."""
    html = "<a href='/a?b=1&a=2&utm_source=x'></a><a href='/a?a=2&b=1'></a>"
    outcome, _ = await run(response(body=html), options={"drop_tracking": True, "sort_query": True})
    (task,) = outcome.discovered
    assert HOME + "a?b=1&a=2&utm_source=x" == task.target
    assert HOME + "a?a=2&b=1" == task.key


async def test_a_redirect_to_the_page_without_tracking_parameters_is_followed() -> None:
    """Its key would be that of the task that is redirected: it counts its hops instead."""
    outcome, _ = await run(
        response(301, Location="/a"),
        target=HOME + "a?gclid=1",
        options={"drop_tracking": True},
    )
    (hop,) = outcome.discovered
    assert (HOME + "a", f"page 1 {HOME}a") == (hop.target, hop.key)

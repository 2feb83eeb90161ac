"""The warm handler and robots.txt that is elsewhere, or old."""

from __future__ import annotations

import pytest

from pacewheel.crawl.robots import RobotsFile
from pacewheel.model import OutcomeKind
from tests.unit.crawl.test_warm import FETCHED_AT_S, HOME, found, kept_robots, response, run

ELSEWHERE = "https://www.example.net/robots.txt"


async def test_a_robots_that_is_redirected_to_another_host_is_followed_there() -> None:
    """At the pace of this domain; what it says is meant for the site that was asked first."""
    outcome, _ = await run(response(301, Location=ELSEWHERE), "robots", HOME + "robots.txt")
    (hop,) = outcome.discovered
    assert (ELSEWHERE, f"robots 1 {ELSEWHERE}") == (hop.target, hop.key)
    assert hop.payload is not None
    text = "User-agent: *\nDisallow: /x\nSitemap: /s.xml"
    outcome, fetched = await run(response(body=text), target=hop.target, **hop.payload)
    assert [ELSEWHERE] == fetched
    assert text == kept_robots(outcome)
    assert {"": 1.0, "s.xml": 1.0} == found(outcome)


async def test_five_redirects_of_a_robots_are_followed_and_a_sixth_is_not() -> None:
    """RFC 9309 section 2.3.1.2."""
    via = [f"https://example.com/{number}" for number in range(5)]
    fifth = response(302, Location=ELSEWHERE)
    outcome, _ = await run(fifth, "robots", "https://example.com/4", via=via[:4])
    assert [ELSEWHERE] == [task.target for task in outcome.discovered]
    outcome, _ = await run(fifth, "robots", "https://example.com/5", via=via)
    assert (OutcomeKind.COMPLETED, "") == (outcome.kind, kept_robots(outcome))
    assert {"", "sitemap.xml"} == {
        task.target.removeprefix("https://example.com/") for task in outcome.discovered
    }


@pytest.mark.parametrize("kind", ["page", "sitemap"])
async def test_an_old_robots_is_fetched_again_before_anything_else(kind: str) -> None:
    """After a day; one task does it, however many find it so, its hops are its own, and no more."""
    day_s = 24 * 3600
    outcome, fetched = await run(response(), kind, HOME + "x", age_s=day_s - 1)
    assert [HOME + "x"] == fetched
    first, fetched = await run(response(), kind, HOME + "x", age_s=day_s)
    second, _ = await run(response(), kind, HOME + "y", age_s=day_s + 60)
    assert (OutcomeKind.RETRY, "robots_expired", []) == (first.kind, first.error, fetched)
    assert list(first.discovered) == list(second.discovered)
    (again,) = first.discovered
    assert (HOME + "robots.txt", 2.0) == (again.target, again.priority)
    assert again.payload is not None
    hop = response(301, Location=ELSEWHERE)
    outcome, _ = await run(hop, target=again.target, **again.payload)
    assert f"robots since {FETCHED_AT_S} 1 {ELSEWHERE}" == outcome.discovered[0].key
    outcome, _ = await run(
        response(body="User-agent: *"), target=again.target, age_s=5, **again.payload
    )
    assert not outcome.discovered
    assert FETCHED_AT_S + 5 == RobotsFile.of_document(outcome.documents["robots"]).fetched_at_s


async def test_a_redirected_robots_is_the_next_hop_as_robots() -> None:
    """Its key counts the hops, so that no hop is merged with an earlier request."""
    outcome, _ = await run(
        response(301, Location="/robots.txt#x"), "robots", "http://example.com/robots.txt"
    )
    hop = outcome.discovered[0]
    assert "https://example.com/robots.txt" != hop.target
    outcome, _ = await run(
        response(301, Location="https://example.com/robots.txt"),
        "robots",
        "http://example.com/robots.txt",
    )
    (hop,) = outcome.discovered
    assert hop.payload is not None
    assert ("robots", ["http://example.com/robots.txt"]) == (
        hop.payload["kind"],
        hop.payload["via"],
    )
    assert "robots 1 https://example.com/robots.txt" == hop.key


@pytest.mark.parametrize("kind", ["page", "sitemap"])
async def test_a_job_without_a_robots_fetches_it_first(kind: str) -> None:
    """As one that runs failed tasks of another job again."""
    outcome, fetched = await run(response(), kind, HOME + "x", robots=None)
    assert (OutcomeKind.RETRY, []) == (outcome.kind, fetched)
    assert [f"robots since 0 {HOME}robots.txt"] == [task.key for task in outcome.discovered]


@pytest.mark.parametrize("location", ["file:///robots.txt", "/robots.txt", None])
async def test_a_robots_redirect_that_leads_nowhere_allows_everything(location: str | None) -> None:
    """A target that can't be requested, a loop, or no Location."""
    headers = {} if location is None else {"Location": location}
    outcome, _ = await run(response(302, **headers), "robots", HOME + "robots.txt")
    assert OutcomeKind.COMPLETED == outcome.kind
    assert "" in found(outcome)
    assert "" == kept_robots(outcome)

"""What no hop, link, sitemap or robots.txt can make us request: other schemes, other sites."""

from __future__ import annotations

import pytest

from pacewheel.model import OutcomeKind
from tests.unit.crawl.test_warm import HOME, response, run

TARGETS = [
    "file:///etc/passwd",
    "file://example.com/x",
    "ftp://example.com/",
    "gopher://example.com:70/_x",
    "data:text/html,x",
    "javascript:alert(1)",
    "ws://example.com/",
    "http:///",
    "http://user:password@example.com/",
    "https://example.com:99999/",
]
ELSEWHERE = [
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:127.0.0.1]/",
    "http://0x7f.1/",
    "http://example.com:6379/",
    "http://localhost/",
]


@pytest.mark.parametrize("kind", ["page", "sitemap"])
@pytest.mark.parametrize("target", TARGETS)
async def test_a_redirect_to_what_is_never_requested_fails_with_its_reason(
    target: str, kind: str
) -> None:
    """On every hop alike; the message is one line without a password."""
    outcome, fetched = await run(response(302, Location=target), kind, HOME + "x", via=[HOME])
    assert (OutcomeKind.FAILED, "refused") == (outcome.kind, outcome.error)
    assert [HOME + "x"] == fetched
    assert [] == list(outcome.discovered)
    assert outcome.detail is not None
    assert "\n" not in outcome.detail["message"]
    assert "password@" not in outcome.detail["message"]


@pytest.mark.parametrize("kind", ["page", "sitemap"])
@pytest.mark.parametrize("target", ELSEWHERE)
async def test_a_redirect_to_another_host_is_noted_and_never_followed(
    target: str, kind: str
) -> None:
    """So a private address is not even asked about."""
    outcome, fetched = await run(response(302, Location=target), kind, HOME + "x")
    assert [HOME + "x"] == fetched
    assert [] == list(outcome.discovered)
    assert outcome.detail is not None
    assert outcome.detail["other_site"]


@pytest.mark.parametrize("target", TARGETS)
async def test_a_task_whose_target_is_never_requested_fails(target: str) -> None:
    """Whoever enqueued it; nothing is sent."""
    outcome, fetched = await run(response(), target=target)
    assert (OutcomeKind.FAILED, "refused", []) == (outcome.kind, outcome.error, fetched)


async def test_links_and_sitemaps_lead_nowhere_else() -> None:
    """What can't be requested becomes no task."""
    anchors = "".join(f'<a href="{target}">x</a>' for target in TARGETS + ELSEWHERE)
    page, _ = await run(response(body=anchors))
    locs = "".join(f"<url><loc>{target}</loc></url>" for target in TARGETS + ELSEWHERE)
    sitemap, _ = await run(response(body=f"<urlset>{locs}</urlset>"), "sitemap", HOME + "s.xml")
    lines = "\n".join(f"Sitemap: {target}" for target in TARGETS + ELSEWHERE)
    robots, _ = await run(response(body=lines), "robots", HOME + "robots.txt")
    assert [] == list(page.discovered)
    assert [] == list(sitemap.discovered)
    assert {HOME, HOME + "sitemap.xml"} == {task.target for task in robots.discovered}

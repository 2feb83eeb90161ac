"""The warm handler: what each answer makes of a task (the client is a script here)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from pacewheel.crawl.client import FetchFailed, Response
from pacewheel.crawl.robots import RobotsFile
from pacewheel.crawl.transport import Timings
from pacewheel.crawl.warm import WarmHandler, validate_options
from pacewheel.errors import LeaseLost
from pacewheel.model import Enqueued, NewTask, Outcome, OutcomeKind, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pacewheel.crawl.client import GuardedClient
    from pacewheel.crawl.urls import Url

HOME = "https://example.com/"
ALLOW_ALL = ""
FETCHED_AT_S = 1_800_000_000


class ScriptedClient:
    """Answers every fetch with one answer or failure, and notes what was asked."""

    def __init__(self, answer: Response | Exception) -> None:
        self.answer = answer
        self.fetched: list[str] = []

    async def fetch(self, url: Url, **how: Any) -> Response:
        """Stand in for GuardedClient.fetch."""
        await how["depart"]()
        self.fetched.append(url.href)
        if isinstance(self.answer, Exception):
            raise self.answer
        answer = self.answer
        want = how.get("want_body")
        if want is not None and not want(answer.status, answer.headers):
            answer.body = b""
        elif how.get("feed") is not None:
            await how["feed"](answer.body)
            answer.body = b""
        return answer


class FakeLease:
    """A lease with an open gate and one document."""

    def __init__(self, robots: str | None) -> None:
        self._robots = robots
        self.added: list[NewTask] = []

    async def depart(self) -> None:
        """The gate is open."""

    async def enqueue(self, _job_id: int, tasks: Sequence[NewTask]) -> Enqueued:
        """A job without a limit."""
        self.added += tasks
        return Enqueued(len(tasks))

    async def document(self, _job_id: int, name: str) -> str | None:
        """The job's robots.txt, if it has one."""
        if name != "robots" or self._robots is None:
            return None
        return RobotsFile(self._robots, FETCHED_AT_S).as_document()


def response(
    status: int = 200, body: str = "", content_type: str = "text/html", **headers: str
) -> Response:
    """An answer; underscores in header names stand for hyphens."""
    fields = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    fields["Content-Type"] = content_type
    size = len(body)
    return Response(
        status, CIMultiDictProxy(fields), body.encode(), size, size, False, Timings(total_ms=5.0)
    )


async def run(
    answer: Response | Exception,
    kind: str = "page",
    target: str = HOME,
    *,
    robots: str | None = ALLOW_ALL,
    options: dict[str, Any] | None = None,
    attempt: int = 1,
    priority: float = 1.0,
    age_s: int = 0,
    **payload: Any,
) -> tuple[Outcome, list[str]]:
    """Run one task; returns its outcome, with all that it discovered, and what was fetched."""
    lease = FakeLease(robots)
    client = ScriptedClient(answer)
    handler = WarmHandler(cast("GuardedClient", client), lambda: FETCHED_AT_S + age_s)

    task = Task(
        7, 1, 1, "example.com", "warm", target, priority, attempt, {"kind": kind, **payload},
        validate_options({"start": [HOME], **(options or {})}), lease=lease,
    )  # fmt: skip
    outcome = await handler(task)
    outcome.discovered = [*lease.added, *outcome.discovered]
    json.dumps(outcome.detail)
    return outcome, client.fetched


def found(outcome: Outcome) -> dict[str, float]:
    """Targets and priorities of the tasks discovered."""
    return {task.target.removeprefix(HOME): task.priority for task in outcome.discovered}


def kept_robots(outcome: Outcome) -> str:
    """The text of the robots.txt that the outcome leaves to the job."""
    return RobotsFile.of_document(outcome.documents["robots"]).text


async def test_robots_discovers_start_and_sitemaps_and_sets_the_delay() -> None:
    """The text is left as the job's document."""
    text = (
        "User-agent: *\nCrawl-delay: 1.5\nSitemap: /a.xml\n"
        "Sitemap: https://cdn.example/b.xml\nSitemap: mailto:x"
    )
    outcome, fetched = await run(
        response(body=text, content_type="text/plain"), "robots", HOME + "robots.txt"
    )
    assert [HOME + "robots.txt"] == fetched
    assert OutcomeKind.COMPLETED == outcome.kind
    assert {"": 1.0, "a.xml": 1.0} == found(outcome)
    assert (1500, text) == (outcome.robots_delay_ms, kept_robots(outcome))
    assert outcome.detail is not None
    assert {"other_site": 1, "unusable": 1} == outcome.detail["left_out"]
    assert {"kind": "page", "depth": 0, "source": "start", "start": True} == (
        outcome.discovered[0].payload
    )


async def test_a_missing_robots_allows_everything_and_the_usual_sitemap_is_tried() -> None:
    """4xx: RFC 9309 section 2.3.1.3."""
    outcome, _ = await run(response(404), "robots", HOME + "robots.txt")
    assert {"": 1.0, "sitemap.xml": 1.0} == found(outcome)
    assert "" == kept_robots(outcome)
    assert 0 == outcome.robots_delay_ms


async def test_sitemaps_can_be_switched_off() -> None:
    """Only the start page is discovered."""
    outcome, _ = await run(response(404), "robots", HOME + "robots.txt", options={"sitemap": False})
    assert {"": 1.0} == found(outcome)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (response(500), "http_5xx"),
        (FetchFailed("timeout", "timed out", is_transient=True), "timeout"),
    ],
)
async def test_an_unreachable_robots_blocks_the_domain_and_is_retried(
    answer: Response | Exception, error: str
) -> None:
    """RFC 9309 section 2.3.1.4: nothing may be fetched meanwhile; the wait doubles."""
    first, _ = await run(answer, "robots", HOME + "robots.txt")
    third, _ = await run(answer, "robots", HOME + "robots.txt", attempt=3)
    late, _ = await run(answer, "robots", HOME + "robots.txt", attempt=5000)
    assert (OutcomeKind.RETRY, error) == (first.kind, first.error)
    assert not first.discovered
    assert {} == first.documents
    assert (2, 2) == (first.retry_in_s, first.block_domain_s)
    assert (8, 8) == (third.retry_in_s, third.block_domain_s)
    assert 300 == late.retry_in_s


PAGE = """<header><nav><a href=/h></a></nav></header><main><a href=/m></a><a href=/private></a>
<a href=/n rel=nofollow></a><a href=https://other.example/></a><a href=/a/a/a/a></a>
<a href=/x.pdf></a></main><footer><a href=/f></a></footer>"""


async def test_a_start_page_gives_its_links_by_position() -> None:
    """Header 1.0, footer 0.99, the rest 0.9; what is left out is counted by reason."""
    outcome, _ = await run(
        response(body=PAGE, X_Cache="HIT"),
        robots="User-agent: *\nDisallow: /private",
        options={"exclude": ["*.pdf"]},
        start=True,
    )
    assert {"h": 1.0, "m": 0.9, "f": 0.99} == found(outcome)
    assert (200, len(PAGE), "hit") == (outcome.http_status, outcome.bytes, outcome.cache)
    assert outcome.detail is not None
    assert {"robots": 1, "nofollow": 1, "other_site": 1, "trap_repetition": 1, "pattern": 1} == (
        outcome.detail["left_out"]
    )
    assert {"total": 5.0} == outcome.detail["timings"]
    payload = outcome.discovered[0].payload
    assert {"kind": "page", "depth": 1, "source": "nav", "from": 7} == payload


async def test_other_pages_give_their_links_nine_tenths_of_their_priority() -> None:
    """Header and footer don't count there."""
    outcome, _ = await run(response(body=PAGE), target=HOME + "sub", priority=0.5, depth=1)
    assert {0.45} == set(found(outcome).values())


@pytest.mark.parametrize(
    ("options", "payload", "answer"),
    [
        ({"links": False}, {}, response(body=PAGE)),
        ({"max_depth": 2}, {"depth": 2}, response(body=PAGE)),
        ({}, {}, response(body=PAGE, content_type="application/pdf")),
        ({}, {}, response(body=PAGE, X_Robots_Tag="noindex, nofollow")),
        ({}, {}, response(body="<meta name=robots content=nofollow>" + PAGE)),
    ],
)
async def test_links_are_not_followed_where_nobody_wants_it(
    options: dict[str, Any], payload: dict[str, Any], answer: Response
) -> None:
    """Switched off, too deep, not HTML, or the page asks not to."""
    outcome, _ = await run(answer, options=options, **payload)
    assert (OutcomeKind.COMPLETED, []) == (outcome.kind, list(outcome.discovered))


@pytest.mark.parametrize("kind", ["page", "sitemap"])
async def test_what_robots_disallows_is_skipped_without_a_request(kind: str) -> None:
    """The line that says so is named."""
    outcome, fetched = await run(response(), kind, HOME + "x", robots="User-agent: *\nDisallow: /")
    assert (OutcomeKind.SKIPPED, "robots", []) == (outcome.kind, outcome.error, fetched)
    assert outcome.detail is not None
    assert 2 == outcome.detail["line"]


async def test_a_redirect_within_the_site_is_a_task_of_its_own() -> None:
    """Same priority and depth; the way there is kept."""
    outcome, _ = await run(response(302, Location="/y#z"), target=HOME + "x", depth=2, start=True)
    (hop,) = outcome.discovered
    assert (HOME + "y", HOME + "y", 1.0) == (hop.target, hop.key, hop.priority)
    assert hop.payload is not None
    assert (2, True, [HOME + "x"], "redirect") == (
        hop.payload["depth"], hop.payload["start"], hop.payload["via"], hop.payload["source"],
    )  # fmt: skip
    assert outcome.detail is not None
    assert HOME + "y#z" == outcome.detail["redirect_to"]


async def test_a_redirect_to_another_site_is_recorded_not_followed() -> None:
    """The page is done; nobody is asked there."""
    outcome, _ = await run(response(301, Location="https://www.example.com/"))
    assert (OutcomeKind.COMPLETED, []) == (outcome.kind, list(outcome.discovered))
    assert outcome.detail is not None
    assert (True, "https://www.example.com/") == (
        outcome.detail["other_site"],
        outcome.detail["redirect_to"],
    )


@pytest.mark.parametrize(
    ("location", "via"),
    [
        ("/x", []),
        ("/a", [HOME + "a"]),
        ("/new", [f"{HOME}{number}" for number in range(5)]),
    ],
)
async def test_redirect_loops_and_long_chains_fail(location: str, via: list[str]) -> None:
    """To itself, back to an earlier hop, or a sixth hop."""
    outcome, _ = await run(response(301, Location=location), target=HOME + "x", via=via)
    assert (OutcomeKind.FAILED, "redirect_loop", []) == (
        outcome.kind, outcome.error, list(outcome.discovered),
    )  # fmt: skip


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("kind", ["page", "sitemap", "robots"])
async def test_a_site_that_asks_to_wait_is_left_alone(status: int, kind: str) -> None:
    """Task and domain wait as long as Retry-After says, doubling from 10 s without it."""
    asked, _ = await run(response(status, Retry_After="42"), kind)
    silent, _ = await run(response(status), kind, attempt=2)
    assert (OutcomeKind.RETRY, "blocked", 42, 42) == (
        asked.kind, asked.error, asked.retry_in_s, asked.block_domain_s,
    )  # fmt: skip
    assert (20, 20) == (silent.retry_in_s, silent.block_domain_s)


@pytest.mark.parametrize(
    ("answer", "kind", "error"),
    [
        (response(404), OutcomeKind.FAILED, "http_4xx"),
        (response(500), OutcomeKind.RETRY, "http_5xx"),
        (FetchFailed("connect", "reset", is_transient=True), OutcomeKind.RETRY, "connect"),
        (FetchFailed("refused", "no", is_transient=False), OutcomeKind.FAILED, "refused"),
        (FetchFailed("too_large", "bomb", is_transient=False), OutcomeKind.FAILED, "too_large"),
    ],
)
async def test_failures_settle_by_their_class(
    answer: Response | Exception, kind: OutcomeKind, error: str
) -> None:
    """Lesson 28: a 404 blocks nothing; lesson 47: status and timings are kept."""
    outcome, _ = await run(answer)
    assert (kind, error, None, None) == (
        outcome.kind, outcome.error, outcome.retry_in_s, outcome.block_domain_s,
    )  # fmt: skip
    assert outcome.detail is not None
    assert "timings" in outcome.detail


async def test_a_sitemap_gives_pages_with_their_priorities() -> None:
    """Relative locations resolve; other sites are counted."""
    body = (
        "<urlset><url><loc>/a</loc><priority>0.7</priority></url><url><loc>/b</loc></url>"
        "<url><loc>/a#x</loc></url><url><loc>https://other.example/</loc></url>"
        "<url><loc>/private</loc></url></urlset>"
    )
    robots = "User-agent: *\nDisallow: /private"
    outcome, _ = await run(response(body=body), "sitemap", HOME + "sitemap.xml", robots=robots)
    assert {"a": 0.7, "b": 0.1} == found(outcome)
    assert outcome.detail is not None
    assert ("urlset", 5, {"other_site": 1, "robots": 1}, {"2": 1}) == (
        outcome.detail["sitemap"],
        outcome.detail["urls"],
        outcome.detail["left_out"],
        outcome.detail["robots_lines"],
    )


@pytest.mark.parametrize(("depth", "count"), [(0, 1), (2, 1), (3, 0)])
async def test_an_index_gives_sitemaps_down_to_its_depth(depth: int, count: int) -> None:
    """Three levels of index; what is deeper is counted."""
    body = "<sitemapindex><sitemap><loc>/s.xml</loc></sitemap></sitemapindex>"
    outcome, _ = await run(response(body=body), "sitemap", HOME + "i.xml", depth=depth)
    assert count == len(outcome.discovered)
    assert outcome.detail is not None
    assert ({} if count else {"too_deep": 1}) == outcome.detail.get("left_out", {})
    if count:
        assert (depth + 1, f"sitemap {HOME}s.xml") == (
            (outcome.discovered[0].payload or {})["depth"],
            outcome.discovered[0].key,
        )


async def test_an_index_gives_each_sitemap_once_and_never_itself() -> None:
    """However often it lists them."""
    entries = "".join(f"<sitemap><loc>/{name}.xml</loc></sitemap>" for name in ("a", "a", "i"))
    body = f"<sitemapindex>{entries}</sitemapindex>"
    outcome, _ = await run(response(body=body), "sitemap", HOME + "i.xml")
    assert [HOME + "a.xml"] == [task.target for task in outcome.discovered]


async def test_a_guessed_sitemap_that_is_missing_is_no_failure() -> None:
    """One that robots.txt lists is."""
    guessed, _ = await run(response(404), "sitemap", HOME + "sitemap.xml", source="guess")
    listed, _ = await run(response(404), "sitemap", HOME + "sitemap.xml", source="robots")
    assert (OutcomeKind.SKIPPED, "no_sitemap") == (guessed.kind, guessed.error)
    assert (OutcomeKind.FAILED, "http_4xx") == (listed.kind, listed.error)


async def test_a_lost_lease_is_passed_on() -> None:
    """The engine knows what to do with it."""
    with pytest.raises(LeaseLost):
        await run(LeaseLost("gone"))


async def test_details_are_fit_for_jsonb() -> None:
    """Header bytes may hold lone surrogates."""
    outcome, _ = await run(response(content_type="text/\udcff\x00html" + "x" * 500))
    assert outcome.detail is not None
    word = outcome.detail["content_type"]
    word.encode()
    assert "\x00" not in word
    assert len(word) <= 200

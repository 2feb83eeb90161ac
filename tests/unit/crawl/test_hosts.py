"""Sites of several hosts: each with its robots.txt, all in one job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from pacewheel.crawl.client import GuardedClient, Response
from pacewheel.crawl.hosts import MAX_HOSTS, HostDelays
from pacewheel.crawl.urls import Url
from pacewheel.crawl.warm import WarmHandler, initial_tasks, validate_options
from pacewheel.model import Enqueued, NewTask, Outcome, OutcomeKind, Task
from tests.unit.crawl.test_warm import FETCHED_AT_S, FakeLease, response

HOME = "https://example.com/"
SHOP = "https://shop.example.com/"


class Sites:
    """A client that answers by URL, and a lease that keeps the job's documents."""

    def __init__(self, pages: dict[str, Response]) -> None:
        self.pages = pages
        self.fetched: list[str] = []
        self.documents: dict[str, str] = {}
        self.added: list[NewTask] = []

    async def fetch(self, url: Url, **how: Any) -> Response:
        """Stand in for GuardedClient.fetch: what is not there is a 404."""
        self.fetched.append(url.href)
        answer = self.pages.get(url.href, response(404))
        if how.get("feed") is not None:
            await how["feed"](answer.body)
        return answer

    async def depart(self) -> None:
        """The gate is open."""

    async def enqueue(self, _job_id: int, tasks: Sequence[NewTask]) -> Enqueued:
        """A job without a limit."""
        self.added += tasks
        return Enqueued(len(tasks))

    async def document(self, _job_id: int, name: str) -> str | None:
        """What an earlier task left."""
        return self.documents.get(name)

    async def warmed(self, **options: Any) -> list[tuple[NewTask, Outcome]]:
        """Run a whole job, best priority first; what is to be retried runs again at its end."""
        checked = validate_options({"start": [HOME], **options})
        handler = WarmHandler(cast("GuardedClient", self), lambda: 1e9)
        queue = [(1, task) for task in initial_tasks([HOME], checked)]
        seen = {task.key for _, task in queue}
        done: list[tuple[NewTask, Outcome]] = []
        while queue and len(done) < 50:
            queue.sort(key=lambda item: -item[1].priority)
            attempt, new = queue.pop(0)
            outcome = await handler(
                Task(
                    len(done), 1, 1, "example.com", "warm", new.target, new.priority, attempt,
                    new.payload, checked, lease=cast("Any", self),
                )
            )  # fmt: skip
            done.append((new, outcome))
            self.documents.update(outcome.documents)
            offered = [*self.added, *outcome.discovered]
            self.added.clear()
            found = [task for task in offered if task.key not in seen]
            seen.update(task.key for task in found)
            queue += [(1, task) for task in found]
            if outcome.kind is OutcomeKind.RETRY and attempt < 3:
                queue.append((attempt + 1, new))
        return done


def robots(text: str) -> Response:
    """An answer with a robots.txt."""
    return response(body=text, content_type="text/plain")


LINKS = f"<a href='{SHOP}a'></a><a href='{SHOP}private'></a><a href='https://other.example/'></a>"


async def test_pages_of_sub_domains_are_fetched_by_their_own_robots() -> None:
    """The domain's rules say nothing of them, nor theirs of the domain; asked for once."""
    sites = Sites(
        {
            HOME + "robots.txt": robots("User-agent: *\nDisallow: /a\nCrawl-delay: 2"),
            SHOP + "robots.txt": robots("User-agent: *\nDisallow: /private\nCrawl-delay: 1"),
            HOME: response(body=LINKS),
            SHOP + "a": response(body=f"<a href='{HOME}a'></a><a href='{HOME}private'></a>"),
            HOME + "private": response(body="x"),
        }
    )
    done = await sites.warmed(subdomains=True, sitemap=False)
    assert [
        HOME + "robots.txt", HOME, SHOP + "robots.txt", SHOP + "a", HOME + "private",
    ] == sites.fetched  # fmt: skip
    last = {new.target: outcome for new, outcome in done}
    assert (OutcomeKind.SKIPPED, "robots") == (
        last[SHOP + "private"].kind,
        last[SHOP + "private"].error,
    )
    assert (OutcomeKind.SKIPPED, "robots") == (last[HOME + "a"].kind, last[HOME + "a"].error)
    # One pace for all: the longest delay, whoever was asked last.
    delays = [each.robots_delay_ms for new, each in done if new.target.endswith("robots.txt")]
    assert [2000, 2000] == delays


async def test_without_the_option_other_hosts_are_other_sites() -> None:
    """Nobody is asked there."""
    sites = Sites({HOME + "robots.txt": robots(""), HOME: response(body=LINKS)})
    done = await sites.warmed(sitemap=False)
    assert [HOME + "robots.txt", HOME] == sites.fetched
    assert {"other_site": 3} == (done[-1][1].detail or {})["left_out"]


async def test_a_redirect_to_www_is_followed_where_it_is_the_same_site() -> None:
    """With the robots.txt found there; it is a start page still."""
    www = "https://www.example.com/"
    sites = Sites(
        {
            HOME + "robots.txt": robots(""),
            HOME: response(301, Location=www),
            www + "robots.txt": robots("User-agent: *\nDisallow: /no\nSitemap: /map.xml"),
            www: response(body="<header><a href=/x></a></header><a href=/no></a>"),
            www + "x": response(body="x"),
            www + "map.xml": response(body=f"<urlset><url><loc>{www}y</loc></url></urlset>"),
        }
    )
    done = await sites.warmed(www=True)
    assert {www, www + "x", www + "y", www + "map.xml"} < set(sites.fetched)
    assert www + "no" not in sites.fetched
    assert 1 == sites.fetched.count(www + "robots.txt")
    assert 1.0 == next(new.priority for new, _ in done if new.target == www + "x")


async def test_a_host_whose_robots_fails_stops_only_its_own_pages() -> None:
    """The domain is not blocked; what waits for it runs out of attempts."""
    sites = Sites(
        {
            HOME + "robots.txt": robots(""),
            SHOP + "robots.txt": response(500),
            HOME: response(body=f"<a href='{SHOP}a'></a><a href=/b></a>"),
            HOME + "b": response(body="x"),
        }
    )
    done = await sites.warmed(subdomains=True, sitemap=False)
    assert HOME + "b" in sites.fetched
    assert SHOP + "a" not in sites.fetched
    failures = [each for new, each in done if new.target.startswith(SHOP)]
    assert {(OutcomeKind.RETRY, None)} == {(each.kind, each.block_domain_s) for each in failures}


async def test_a_site_with_a_host_for_every_visitor_is_bounded() -> None:
    """Beyond so many hosts their pages are skipped, by name."""
    pages = {HOME + "robots.txt": robots("")}
    sites = Sites(pages)
    handler = WarmHandler(cast("GuardedClient", sites), lambda: 1e9)
    options = validate_options({"start": [HOME], "subdomains": True})

    async def run(kind: str, host: str) -> Outcome:
        payload = {"kind": kind, "authority": host} if kind == "robots" else {"kind": kind}
        outcome = await handler(
            Task(
                1, 1, 1, "example.com", "warm", f"https://{host}/robots.txt", 1.0, 1, payload,
                options, lease=cast("Any", sites),
            )
        )  # fmt: skip
        sites.documents.update(outcome.documents)
        return outcome

    for number in range(MAX_HOSTS):
        await run("robots", f"h{number}.example.com")
    refused = await run("page", "new.example.com")
    assert (OutcomeKind.SKIPPED, "too_many_hosts") == (refused.kind, refused.error)
    assert "http_4xx" == (await run("page", "h5.example.com")).error


class CountedLease(FakeLease):
    """Counts how often the robots.txt is read."""

    reads = 0

    async def document(self, job_id: int, name: str) -> str | None:
        """What an earlier task left."""
        self.reads += name == "robots"
        return await super().document(job_id, name)


async def test_a_robots_txt_is_read_once_a_lease() -> None:
    """Not for each page; another lease, or an old file, reads it again."""
    now_s = float(FETCHED_AT_S)
    sites = Sites({HOME + "robots.txt": robots("User-agent: *\nDisallow: /no")})
    handler = WarmHandler(cast("GuardedClient", sites), lambda: now_s)
    options = validate_options({"start": [HOME]})

    async def page(lease: CountedLease, path: str) -> str | None:
        outcome = await handler(
            Task(
                1, 1, 1, "example.com", "warm", HOME + path, 1.0, 1, {"kind": "page"}, options,
                lease=lease,
            )
        )  # fmt: skip
        return outcome.error

    first, second = CountedLease("User-agent: *\nDisallow: /no"), CountedLease("")
    assert ["http_4xx", "robots", "http_4xx"] == [await page(first, p) for p in ("a", "no", "b")]
    assert 1 == first.reads
    assert "http_4xx" == await page(second, "no")
    assert 1 == second.reads
    now_s += 24 * 3600
    assert "robots_expired" == await page(second, "a")
    assert 2 == second.reads


async def test_what_is_kept_of_jobs_is_bounded() -> None:
    """Their robots.txt files and hosts: of a thousand and some jobs the oldest is forgotten."""
    lease = CountedLease("User-agent: *")
    handler = WarmHandler(cast("GuardedClient", Sites({})), lambda: float(FETCHED_AT_S))
    options = validate_options({"start": [HOME]})
    hosts = HostDelays()

    async def visit(job_id: int, host: str) -> dict[str, int]:
        task = Task(
            1, job_id, 1, "example.com", "warm", HOME, 1.0, 1, {"kind": "page"}, options,
            lease=lease,
        )  # fmt: skip
        await handler(task)
        return await hosts.add(task, host, 0)

    for job_id in range(1024):
        await visit(job_id, "a")
    assert ["a", "b"] == list(await visit(0, "b"))
    assert 1024 == lease.reads
    await visit(1024, "a")
    # The hosts of the first job, which were used since, are still known; those of the second not.
    assert ["a", "b", "c"] == list(await visit(0, "c"))
    assert ["b"] == list(await visit(1, "b"))
    assert 1024 + 3 == lease.reads

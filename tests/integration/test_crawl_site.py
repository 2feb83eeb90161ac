"""The warm handler over real sockets: a whole small site, one request a task."""

from __future__ import annotations

from collections.abc import Sequence

from pacewheel.crawl import urls
from pacewheel.crawl.warm import WarmHandler, initial_tasks, validate_options
from pacewheel.model import Enqueued, NewTask, Outcome, OutcomeKind, Task
from tests.loopback_server import Exchange, Server, client_of, serving


async def drain_job(
    handler: WarmHandler, start: str, **options: object
) -> list[tuple[NewTask, Outcome]]:
    """Run a whole warm job in memory, best priority first, as the engine would."""
    checked = validate_options({"start": [start], **options})
    domain = urls.authority(start)
    documents: dict[str, str] = {}
    queue = initial_tasks([start], checked)
    seen = {task.key for task in queue}
    done: list[tuple[NewTask, Outcome]] = []

    class JobLease:
        """An open gate and the job's documents."""

        async def depart(self) -> None:
            """The gate is open."""

        async def document(self, _job_id: int, name: str) -> str | None:
            """What an earlier task left."""
            return documents.get(name)

        async def enqueue(self, _job_id: int, tasks: Sequence[NewTask]) -> Enqueued:
            """What a task adds while it runs."""
            add(tasks)
            return Enqueued(len(tasks))

    def add(tasks: Sequence[NewTask]) -> None:
        for found in tasks:
            if found.key not in seen:
                seen.add(found.key)
                queue.append(found)

    while queue and len(done) < 100:
        queue.sort(key=lambda task: -task.priority)
        new = queue.pop(0)
        task = Task(
            len(done) + 1, 1, 1, domain, "warm", new.target, new.priority, 1, new.payload, checked,
            lease=JobLease(),
        )  # fmt: skip
        outcome = await handler(task)
        done.append((new, outcome))
        documents.update(outcome.documents)
        add(outcome.discovered)
    return done


SITE = {
    "/robots.txt": (
        "200 OK",
        b"User-agent: *\nDisallow: /private\nCrawl-delay: 2\nSitemap: /map.xml",
    ),
    "/map.xml": (
        "200 OK",
        b"<urlset><url><loc>/deep</loc><priority>0.7</priority></url></urlset>",
    ),
    "/": (
        "200 OK",
        b"""<header><nav><a href=/about>a</a></nav></header><main><a href=/private/x>p</a>
        <a href=/old>o</a><a href=/gone>g</a><a href=http://other.example/>x</a></main>
        <footer><a href=/imprint>i</a></footer>""",
    ),
    "/old": ("301 Moved Permanently", b"/new"),
}


async def test_a_whole_site_is_warmed_one_request_a_task() -> None:
    """Robots, sitemap, links, redirect and 404 in the order of priority; /private never."""

    async def site(_server: Server, exchange: Exchange) -> None:
        default = ("404 Not Found", b"") if exchange.path == "/gone" else ("200 OK", b"<p>x")
        status, body = SITE.get(exchange.path, default)
        if status.startswith("301"):
            await exchange.answer(b"", status, Location=body.decode())
        else:
            await exchange.answer(body, status, Content_Type="text/html", X_Cache="HIT")

    async with serving(site) as server, client_of() as client:
        done = await drain_job(WarmHandler(client), server.url)
        paths = [head.split(b" ")[1].decode() for head in server.requests]
    assert paths[:2] == ["/robots.txt", "/"]
    assert sorted(paths[2:]) == sorted(
        ["/map.xml", "/about", "/imprint", "/old", "/new", "/gone", "/deep"]
    )
    assert paths.index("/about") < paths.index("/imprint") < paths.index("/old")
    assert paths[-1] == "/deep"
    outcomes = {new.target.partition(str(server.port))[2]: outcome for new, outcome in done}
    assert 2000 == outcomes["/robots.txt"].robots_delay_ms
    assert (OutcomeKind.FAILED, "http_4xx") == (outcomes["/gone"].kind, outcomes["/gone"].error)
    assert "hit" == outcomes["/"].cache
    detail = outcomes["/"].detail
    assert detail is not None
    assert {"robots": 1, "other_site": 1} == detail["left_out"]

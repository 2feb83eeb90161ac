"""`pacewheel top`: what a running system does, on one screen that is drawn anew every second.

Reads what the database knows of all processes, from wherever it runs. Where standard output is no
terminal, and with `--once`, it prints one text; with `--json` one object a second.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from pacewheel.cli import look, options, top_view
from pacewheel.cli.engines import connected, run_async
from pacewheel.cli.look import one_line, status
from pacewheel.cli.progress import History, rows_of
from pacewheel.cli.screen import Screen, is_terminal
from pacewheel.cli.top_view import LISTS, Seen
from pacewheel.clock import monotonic_ms
from pacewheel.overview import DomainSort
from pacewheel.plain import domain_json, job_json, slow_json, totals_json, worker_json
from pacewheel.rates import LEAST_S, Rates

if TYPE_CHECKING:
    import argparse

    from pacewheel.config import Config
    from pacewheel.engine import Engine
    from pacewheel.overview import DomainInfo

JOBS_MAX = 200
DOMAINS_MAX = 200
# Of a domain that permits a request every few seconds, ten seconds would say too little; and a few
# gaps say nothing: one request more or less is all of it.
USED_WINDOW_S = 60.0
USED_GAPS_MIN = 5
RATE_DELAY_S = 1.1
KEYS = "q ends   ←→ one list alone   ↑↓ scroll"
PAGE = 10
NOTHING_YET = "no live jobs, no workers: 'pacewheel warm URL' warms a site"


class Watcher:
    """Reads everything, and keeps what rates are made of."""

    def __init__(self) -> None:
        """Start with no rates."""
        self._jobs = History()
        self._totals: Rates[str] = Rates()
        self._answered: Rates[int] = Rates(USED_WINDOW_S)

    async def read(self, engine: Engine) -> Seen:
        """Return how everything is now."""
        store = engine.store.overview
        totals = await store.count_totals()
        jobs = await engine.list_jobs(live_only=True, limit=JOBS_MAX)
        domains = await store.list_domains(sort=DomainSort.LIVE, limit=DOMAINS_MAX)
        workers = await store.list_workers(ended=0)
        slow = await store.list_slow()
        now_s = monotonic_ms() / 1000
        self._jobs.note(now_s, jobs)
        self._totals.note(now_s, {"settled": totals.attempts, "new": totals.enqueued})
        self._answered.note(now_s, {info.id: info.completed + info.failed for info in domains})
        return Seen(
            totals,
            jobs,
            rows_of(jobs, self._jobs),
            domains,
            workers,
            slow,
            self._totals.per_s("settled"),
            self._totals.per_s("new"),
            self._used(domains),
        )

    def _used(self, domains: list[DomainInfo]) -> dict[int, float]:
        """Return the share of the permitted requests that were answered lately, where both are known."""
        used = {}
        for info in domains:
            gap_s = info.gap_ms / 1000
            per_s = self._answered.per_s(info.id, max(LEAST_S, USED_GAPS_MIN * gap_s))
            if per_s is not None and info.gap_ms:
                used[info.id] = min(1.0, per_s * gap_s)
        return used


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    # That the database is away is shown, and need not be logged too.
    config = options.load_config(args, log_level="error")
    if args.once or not (args.json or is_terminal()):
        return run_async(_once(config, as_json=args.json))
    watcher = Watcher()
    if args.json:
        shown = look.Look(
            watcher.read,
            lines=lambda seen, _columns: top_view.plain(seen),
            objects=lambda seen: [_object(seen)],
        )
        return run_async(
            look.watch(config, lambda engine: look.print_all(engine, shown, as_json=True))
        )
    return run_async(look.watch(config, lambda engine: _draw(engine, watcher)))


async def _once(config: Config, *, as_json: bool) -> int:
    watcher = Watcher()
    async with connected(config) as engine:
        await watcher.read(engine)
        # A rate takes two looks, more than a second apart.
        await asyncio.sleep(RATE_DELAY_S)
        seen = await watcher.read(engine)
    if as_json:
        print(json.dumps({"at": datetime.now(UTC).isoformat(), **_object(seen)}))
    else:
        print("\n".join(top_view.plain(seen)))
    return 0


def _object(seen: Seen) -> dict[str, Any]:
    rows = {row.job_id: row for row in seen.rows}
    return {
        "totals": totals_json(seen.totals),
        "rates": {"settled_per_s": seen.settled_per_s, "enqueued_per_s": seen.enqueued_per_s},
        "jobs": [
            {
                **job_json(info),
                "rate_per_s": rows[info.id].rate_per_s,
                "eta_s": rows[info.id].eta_s,
            }
            for info in seen.jobs
        ],
        "domains": [{**domain_json(info), "used": seen.used.get(info.id)} for info in seen.domains],
        "workers": [worker_json(info) for info in seen.workers],
        "slow_statements": [slow_json(each) for each in seen.slow],
    }


class View:
    """Which list is shown, and from which row on."""

    def __init__(self) -> None:
        """Show all of them."""
        self.focus: str | None = None
        self.passed_over = 0

    def press(self, key: str) -> None:
        """Do what a key asks for; others do nothing."""
        lists = [None, *LISTS]
        steps = {"up": -1, "down": 1, "page up": -PAGE, "page down": PAGE}
        if key in {"left", "right"}:
            step = 1 if key == "right" else -1
            self.focus = lists[(lists.index(self.focus) + step) % len(lists)]
            self.passed_over = 0
        elif key == "home":
            self.passed_over = 0
        elif key in steps:
            self.passed_over = max(0, self.passed_over + steps[key])
            # To scroll is to look at one list: the first.
            self.focus = self.focus or LISTS[0]

    def lines(self, seen: Seen, columns: int, room: int) -> list[str]:
        """Return what is shown below the head."""
        if self.focus is None:
            return top_view.everything(seen, columns, room) or [NOTHING_YET]
        table = top_view.table_of(self.focus, seen, columns)
        if not table:
            return [f"no {self.focus}"]
        unread = top_view.unread(self.focus, seen)
        self.passed_over = min(self.passed_over, max(0, len(table) - room + bool(unread)))
        return top_view.cut(table, room, self.passed_over, unread)


async def _draw(engine: Engine, watcher: Watcher) -> None:
    values = look.Values(engine, watcher.read)
    await values.next()
    view = View()
    with Screen() as screen, values.kept(screen):
        while True:
            seen, trouble = values.latest
            screen.draw(_page(view, seen, trouble, screen.columns, screen.lines))
            event = await screen.event()
            if event == "q":
                return
            view.press(event)


def _page(view: View, seen: Seen, trouble: str | None, columns: int, height: int) -> Group:
    now = datetime.now(UTC).astimezone()
    shown = "all lists" if view.focus is None else view.focus
    first = status(f"pacewheel top   {now:%H:%M:%S}   {shown}   {KEYS}", trouble)
    texts = [first, *map(one_line, top_view.head(seen)), Text("")]
    below = view.lines(seen, columns, height - len(texts))
    is_header = True
    for line in below:
        texts.append(one_line(line, style="bold" if is_header else ""))
        is_header = not line
    return Group(*texts)

"""Rechecks: a page's second request, made where its miss may have become a hit.

A recheck is a task of its own, discovered by its page's task, so it takes its own slot of the
domain's pace. It comes before other pages of its page's priority, lest the copy expire first, and
it doesn't count against the job's max_tasks. When it fails it is skipped, never tried again: its
page has been fetched.

Owns the job's tally of rechecks, by which a job stops at its limit, and earlier where they turn out
useless. A copy of it is the job's document `rechecks`, written with each recheck in one
transaction; whoever takes the job over goes on from there.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

import orjson

from pacewheel.crawl.cache_verdict import classify
from pacewheel.crawl.uncacheable import HELPABLE, uncacheable
from pacewheel.model import NewTask, Outcome, OutcomeKind, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pacewheel.crawl.client import Response
    from pacewheel.crawl.options import WarmOptions
    from pacewheel.crawl.transport import Timings

KIND = "recheck"
"""The payload's `kind` of a recheck."""

DOCUMENT = "rechecks"
"""Name of the job's document that holds its tally."""

WARM = frozenset({"hit", "revalidated"})
"""The verdicts of a page that its cache has fresh."""

PRIORITY_LEAD = 0.01
"""By how much a recheck comes before its page's peers."""

STALE_DELAY_S = 1.0
"""A stale copy is replaced behind our back; a site that takes longer shows stale once more."""

# Where fewer than one in eleven becomes warm, a job stops after 20 that did not.
_COLD_MAX = 20
_COLD_PER_WARM_MAX = 10
_JOBS_MAX = 1_000


@dataclass(slots=True)
class Tally:
    """How many rechecks of a job were made, and how many met the page warm or cold."""

    made: int = 0
    warm: int = 0
    cold: int = 0

    @property
    def is_useless(self) -> bool:
        """True when this site's cache keeps what it says too seldom to ask it again."""
        return self.cold >= _COLD_MAX and self.cold > self.warm * _COLD_PER_WARM_MAX

    def catch_up(self, text: str | None) -> None:
        """Take over what the document knows and this process doesn't; the counts only grow."""
        known = orjson.loads(text) if text else {}
        for each in fields(self):
            setattr(self, each.name, max(getattr(self, each.name), known.get(each.name, 0)))

    @property
    def text(self) -> str:
        """The document's text."""
        return orjson.dumps(self).decode()


@dataclass(frozen=True, slots=True)
class Again:
    """What an outcome must carry: the recheck (or none) and the tally that counts it.

    `refused` says why there is none although one might have helped: `limit` or `useless`.
    """

    tasks: tuple[NewTask, ...] = ()
    documents: Mapping[str, str] = field(default_factory=dict)
    refused: str | None = None


NOTHING = Again()


class Rechecks:
    """The tallies of this process's jobs, least recently used out first, and what they permit."""

    def __init__(self) -> None:
        """Know no job."""
        self._tallies: OrderedDict[int, Tally] = OrderedDict()

    async def again(self, task: Task, options: WarmOptions, key: str, answer: Response) -> Again:
        """Return the recheck that may help the page `key`, which `task` has just fetched.

        `task` is the page's own, or a recheck that found it still cold.
        """
        number = (task.payload or {}).get("number", 0) + 1
        if number > options.rechecks:
            return NOTHING
        verdict = classify(answer.headers)
        cause = uncacheable(answer.headers, answer.status, verdict)
        if verdict.status not in HELPABLE or cause is not None:
            return NOTHING
        text = await task.document(DOCUMENT)
        tally = self._tally(task.job_id)
        tally.catch_up(text)
        if tally.made >= options.rechecks_max:
            return Again(refused="limit")
        if tally.is_useless:
            return Again(refused="useless")
        tally.made += 1
        new = _recheck(task, key, number, verdict.status, answer.timings)
        return Again((new,), {DOCUMENT: tally.text})

    def note(self, job_id: int, *, is_warm: bool) -> None:
        """Count what a recheck of the job found."""
        tally = self._tally(job_id)
        if is_warm:
            tally.warm += 1
        else:
            tally.cold += 1

    def _tally(self, job_id: int) -> Tally:
        tally = self._tallies.setdefault(job_id, Tally())
        self._tallies.move_to_end(job_id)
        if len(self._tallies) > _JOBS_MAX:
            self._tallies.popitem(last=False)
        return tally


def _recheck(task: Task, key: str, number: int, status: str, timings: Timings) -> NewTask:
    payload = task.payload or {}
    is_first = number == 1
    cold = {"cache": status, "timings": timings.as_dict()}
    return NewTask(
        task.target,
        key=f"{KIND} {number} {key}",
        priority=task.priority + (PRIORITY_LEAD if is_first else 0.0),
        payload={
            "kind": KIND,
            "number": number,
            "from": task.id if is_first else payload["from"],
            "cold": cold if is_first else payload["cold"],
        },
        ready_in_s=STALE_DELAY_S if status == "stale" else None,
        beyond_limit=True,
    )


def skipped(outcome: Outcome) -> Outcome:
    """Return a page's outcome as that of its recheck, which is neither failed nor tried again."""
    return replace(outcome, kind=OutcomeKind.SKIPPED, retry_in_s=None)

"""What a job's page says beyond its counters: verdict, rate and so its ETA, sums over its results.

They read all of the job's results, which takes seconds for a million. So they are kept for a while,
longer for what took longer, read once whoever asks, and a page that asks early gets what there is:
`computing` says that more is on its way.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from pacewheel import events
from pacewheel.errors import PacewheelError
from pacewheel.logs import Logger
from pacewheel.plain import plain, summary_json
from pacewheel.report.bottleneck import judge
from pacewheel.report.eta import estimate

if TYPE_CHECKING:
    from pacewheel.model import JobInfo
    from pacewheel.web.database import Database
    from pacewheel.web.ports import Engine

log = Logger("web")

KEPT_S = 5.0
KEPT_SHARE = 10.0
KEPT_MAX = 200
# They are read one after another: more would not come in time for anybody.
READING_MAX = 8
PATIENCE_S = 1.0


class Insights:
    """Reads and keeps insights into jobs."""

    def __init__(self, engine: Engine, database: Database) -> None:
        self._engine = engine
        self._database = database
        self._kept: OrderedDict[int, tuple[float, dict[str, Any]]] = OrderedDict()
        self._reading: dict[int, asyncio.Task[None]] = {}

    async def stop(self) -> None:
        """Read no more."""
        reading = list(self._reading.values())
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    @staticmethod
    def eta(job: JobInfo, rate_per_s: float | None = None) -> dict[str, Any] | None:
        """Return the time a live job still needs, without a rate by its gap alone; None for a final one."""
        if job.status.is_final:
            return None
        values: dict[str, Any] = plain(estimate(job, rate_per_s))
        return values

    async def get(self, job: JobInfo) -> dict[str, Any]:
        """Return what is known of a job by now."""
        until_s, known = self._kept.get(job.id, (0.0, {}))
        if time.monotonic() >= until_s:
            task = self._reading.get(job.id)
            if task is None and len(self._reading) < READING_MAX:
                task = asyncio.create_task(self._read(job.id), name="pacewheel insight")
                self._reading[job.id] = task
                task.add_done_callback(lambda _: self._reading.pop(job.id, None))
            if task is not None:
                await asyncio.wait({task}, timeout=PATIENCE_S)
            known = self._kept.get(job.id, (0.0, {}))[1]
        return {
            "eta": self.eta(job, known.get("rate_per_s")),
            "verdict": known.get("verdict"),
            "summary": known.get("summary"),
            "computing": time.monotonic() >= self._kept.get(job.id, (0.0, {}))[0],
        }

    async def _read(self, job_id: int) -> None:
        began_s = time.monotonic()
        try:
            job, flow, pace = await self._database.ask_at_length(
                lambda store: store.reports.read_flow(job_id)
            )
            summary = await self._database.ask_at_length(
                lambda _: self._engine.summarise_job(job_id)
            )
        except PacewheelError:
            # The page has said more of it by now.
            return
        except Exception as error:  # noqa: BLE001 - the page goes on without it
            log.say(events.HTTP_DEFECT, error=error, traceback=error)
            return
        now_s = time.monotonic()
        self._kept[job_id] = (
            now_s + max(KEPT_S, KEPT_SHARE * (now_s - began_s)),
            {
                "rate_per_s": flow.rate_per_s,
                "verdict": plain(judge(job, flow, pace)),
                "summary": summary_json(summary),
            },
        )
        self._kept.move_to_end(job_id)
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)

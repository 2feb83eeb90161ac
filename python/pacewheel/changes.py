"""What users change of jobs and domains, with the sentence that says what came of it.

The command line and the API make these changes by the same functions, so they check and say the
same. Owns no state: each is one call of the store, whoever works on the job meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pacewheel.errors import ConfigInvalid
from pacewheel.report.words import plural, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pacewheel.job import Job


@dataclass(frozen=True, slots=True)
class Change:
    """What came of a change, as a sentence and as figures."""

    words: str
    values: Mapping[str, Any]


class Domains(Protocol):
    """Changes domains: `engine.store.changes` does."""

    async def set_domain_delay(self, name: str, delay_ms: int) -> int:
        """Set the least gap of a domain; return the gap that is in force now."""


async def pause(job: Job) -> Change:
    """Start nothing more of a job."""
    moved = await job.pause()
    words = "is paused; what runs of it ends by itself" if moved else "was paused already"
    return Change(f"job {job.id} {words}", {"changed": moved})


async def resume(job: Job) -> Change:
    """Go on with a paused job."""
    moved = await job.resume()
    return Change(f"job {job.id} {'goes on' if moved else 'was not paused'}", {"changed": moved})


async def cancel(job: Job, keys: Sequence[str] = ()) -> Change:
    """Cancel a job, or tasks of it by their keys."""
    if keys:
        cancelled = await job.cancel_tasks(keys)
        return Change(f"{plural(cancelled, 'task')} cancelled", {"tasks_cancelled": cancelled})
    cancelled = await job.cancel()
    words = f"job {job.id} is cancelled, and {plural(cancelled, 'task')} with it"
    return Change(words, {"tasks_cancelled": cancelled})


async def retry(job: Job, keys: Sequence[str] = ()) -> Change:
    """Run failed tasks again, all or those of these keys."""
    again, retried = await job.retry_failed(keys or None)
    tasks = plural(retried, "task")
    words = f"{tasks} to run again in job {again.id}" if retried else "nothing of it failed"
    return Change(words, {"tasks_retried": retried, "retried_in_job_id": again.id})


async def reprioritise(job: Job, priority: object, keys: Sequence[str] = ()) -> Change:
    """Give a job, or tasks of it, another priority.

    Raises:
        ConfigInvalid: it is no number, or not a finite one.
    """
    value = _number(priority)
    if keys:
        changed = await job.reprioritise_tasks(dict.fromkeys(keys, value))
        words = f"{plural(changed, 'task')} at priority {value:g} now"
        return Change(words, {"tasks_changed": changed})
    await job.reprioritise(value)
    return Change(f"job {job.id} has priority {value:g} now", {})


async def set_delay(domains: Domains, name: str, delay_ms: int) -> Change:
    """Set the least gap between two requests of a domain; a shorter one counts at once."""
    gap_ms = await domains.set_domain_delay(name, delay_ms)
    words = f"domain {printable(name)} asks for {delay_ms} ms between two requests now"
    if gap_ms > delay_ms:
        words += f"; {gap_ms} ms stay in force, as its robots.txt or its answers ask for"
    return Change(words, {"domain": name, "delay_ms": delay_ms, "gap_ms": gap_ms})


def _number(priority: object) -> float:
    if isinstance(priority, str | int | float) and not isinstance(priority, bool):
        try:
            return float(priority)
        except (ValueError, OverflowError):
            pass
    raise ConfigInvalid(f"priority {priority!r} is no number: give one like 0.5")

"""When a schedule's jobs start, and what is known of schedules: pure rules and data.

A `Recurrence` is a cron expression, read in a time zone, or an interval. Cron expressions have five
fields and mean what Debian's cron makes of them, also when the clocks change: what falls into the
hour that is left out in spring comes at its end; a fixed time that comes twice in autumn counts
once; an expression with `*` in its hours or minutes goes by elapsed time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from pacewheel.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pacewheel.model import JobState, NewTask

CRON_FIELDS = 5
INTERVAL_MIN_S = 1.0
INTERVAL_MAX_S = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Either `cron`, read in `zone` (an IANA name), or `every_s`, an interval in seconds.

    Raises:
        ConfigInvalid: neither or both are given, or one can't be read.
    """

    cron: str | None = None
    every_s: float | None = None
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if (self.cron is None) == (self.every_s is None):
            raise ConfigInvalid("a schedule needs either a cron expression or an interval")
        if self.every_s is not None and not INTERVAL_MIN_S <= self.every_s <= INTERVAL_MAX_S:
            raise ConfigInvalid(
                f"an interval of {self.every_s:g} s is refused; give one second to 366 days"
            )
        if self.cron is not None and len(self.cron.split()) != CRON_FIELDS:
            raise ConfigInvalid(
                f"cron expression {self.cron!r} has not five fields: minute, hour, day of the month, "
                "month, day of the week, such as '0 3 * * *'"
            )
        zone = self.time_zone()
        try:
            if self.cron is not None:
                CronSim(self.cron, datetime(2000, 1, 1, tzinfo=zone))
        except CronSimError as error:
            raise ConfigInvalid(
                f"cron expression {self.cron!r} can't be read ({error}); give one such as '0 3 * * *'"
            ) from None

    def next_after(self, now: datetime, last: datetime) -> datetime:
        """Return the first occurrence after `now`; `last` is one, from which an interval goes on.

        Both are aware, and so is the answer, in UTC. However many occurrences lie between the two,
        the answer is one.

        Raises:
            ConfigInvalid: the expression never comes true.
        """
        if self.every_s is not None:
            step = timedelta(seconds=self.every_s)
            steps = max(0, (now - last) // step + 1)
            return (last + steps * step).astimezone(UTC)
        assert self.cron is not None
        for occurrence in CronSim(self.cron, now.astimezone(self.time_zone())):
            # In the hour that comes twice, the first may be the one that is past.
            if occurrence > now:
                return occurrence.astimezone(UTC)
        raise ConfigInvalid(f"cron expression {self.cron!r} never comes true")

    def time_zone(self) -> ZoneInfo:
        """Return the time zone.

        Raises:
            ConfigInvalid: none of this name is known.
        """
        try:
            return ZoneInfo(self.zone)
        except (ValueError, OSError, KeyError):
            # OSError: the name of a directory of zones.
            raise ConfigInvalid(
                f"time zone {self.zone!r} is unknown; give an IANA name such as Europe/Paris"
            ) from None


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """A schedule to be created: when (`recurrence`) and what each of its jobs is made of.

    `expiring_first`: a job is told the pages of the job before, those first whose cached copies
    expire soonest; a handler finds them in its job's document "expiring".
    """

    name: str
    recurrence: Recurrence
    domain: str
    handler: str
    tasks: Sequence[NewTask]
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    concurrency: int = 8
    priority: float = 0.0
    max_tasks: int | None = None
    domain_delay_ms: int | None = None
    expiring_first: bool = False


@dataclass(frozen=True, slots=True)
class ScheduleInfo:
    """A schedule at one instant, with the state of its last job (None: there is none any more).

    `fired` counts its jobs, `skipped_overlap` the occurrences at which the last one was still live.
    """

    id: int
    name: str
    domain: str
    handler: str
    cron: str | None
    every_s: float | None
    zone: str
    next_at: datetime
    paused: bool
    last_job_id: int | None
    last_job_state: JobState | None
    fired: int
    skipped_overlap: int
    concurrency: int
    priority: float
    max_tasks: int | None
    domain_delay_ms: int | None
    expiring_first: bool
    options: dict[str, Any] = field(repr=False)
    tasks: list[NewTask]
    created_at: datetime

    @property
    def recurrence(self) -> Recurrence:
        """When it is due.

        Raises:
            ConfigInvalid: this process can't tell; it knows fewer time zones, say.
        """
        return Recurrence(self.cron, self.every_s, self.zone)

    @property
    def live_job_id(self) -> int | None:
        """Its last job's id while that is live."""
        if self.last_job_state is None or self.last_job_state.is_final:
            return None
        return self.last_job_id


@dataclass(frozen=True, slots=True)
class Firing:
    """What became of an occurrence: `job_id`, or `live_job_id` of the job that stood in its way.

    `fault` says why the schedule was paused instead. `next_at` is the next occurrence.
    """

    name: str
    next_at: datetime
    job_id: int | None = None
    live_job_id: int | None = None
    fault: str | None = None

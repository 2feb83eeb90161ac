"""The process's clocks, in one place, so that tests can replace them.

`monotonic_ms` drives timers and pacing. `lease_clock_s` counts through a suspend of the machine too
(CLOCK_BOOTTIME where there is one), because a lease goes on expiring while the machine sleeps.
"""

from __future__ import annotations

import time

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def monotonic_ms() -> float:
    """Milliseconds of a clock that never goes back; its origin means nothing."""
    return time.monotonic_ns() / 1e6


def lease_clock_s() -> float:
    """Seconds of a clock that never goes back and does not stop during suspend."""
    if _BOOTTIME is None:
        return time.monotonic()
    return time.clock_gettime(_BOOTTIME)

"""When a request left its domain's gate, as the gate saw it: what the proof of the pace rests on."""

from __future__ import annotations

from typing import NamedTuple


class Departure(NamedTuple):
    """One departure, by this process's own clock.

    `apart_ms` is the time since the domain's departure before it, counted from the moment that one
    was surely out, so never more than what the site saw; None for the first under a lease.
    `gap_ms` is the gap that was in force.
    """

    at_ms: float
    apart_ms: float | None
    gap_ms: int

"""The gate of a domain whose owner has just changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pacewheel.clock import monotonic_ms
from pacewheel.held import Held, HeldDomain

if TYPE_CHECKING:
    from pacewheel.model import JobFacts
    from pacewheel.ports import TaskStore

GAP_MS = 50
LEAD_MS = 30


async def no_job(_job_id: int) -> JobFacts | None:
    """Nothing is known of jobs here."""
    return None


def held_domain() -> HeldDomain:
    """A domain just leased, with a gap."""
    held = Held(store=cast("TaskStore", None), read_job=no_job, on_departed=lambda _domain: None)
    held.extend_lease(float("inf"))
    domain = HeldDomain(1, "a.example", 1, held)
    held.add(domain)
    domain.gap_ms = GAP_MS
    return domain


async def test_the_first_request_of_a_new_owner_waits_for_its_slot() -> None:
    """It was claimed ahead of it, and the last departure was another owner's."""
    domain = held_domain()
    slot_ms = monotonic_ms() + LEAD_MS
    domain.first_slot(slot_ms)
    await domain.depart()
    assert monotonic_ms() >= slot_ms


async def test_a_later_slot_is_the_gates_own_business() -> None:
    """Who has seen a departure counts from that."""
    domain = held_domain()
    await domain.depart()
    departed_ms = domain.last_departure_ms
    domain.first_slot(monotonic_ms() + 10_000)
    assert departed_ms == domain.last_departure_ms

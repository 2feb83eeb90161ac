"""Tables of realistic size for the plan tests: twenty domains of worker 1, a job each.

Autovacuum is off, so that statistics exist exactly when a test asks for them. All that decides a
shape is in the SQL of its backlog; each domain has a few claimable tasks besides.
"""

from __future__ import annotations

from dataclasses import dataclass

from pacewheel.ports import ClaimRequest
from tests.conftest import execute, fetch

DOMAINS = 20
READY_A_DOMAIN = 30
IN_FLIGHT_A_DOMAIN = 3
TASKS_A_DOMAIN = 10
CONCURRENCY = 100

PREPARE = (
    *(
        f"ALTER TABLE pacewheel.{table} SET (autovacuum_enabled = off)"
        for table in ("domains", "jobs", "tasks")
    ),
    (
        "INSERT INTO pacewheel.workers (host, pid, version, capacity, lease_until, handlers)"
        " VALUES ('test', 1, '0', 100, now() + interval '1 hour', '{h}')"
    ),
)
DOMAINS_AND_JOBS = (
    (
        "INSERT INTO pacewheel.domains (name, owner, epoch)"
        f" SELECT 'd' || n, 1, 1 FROM generate_series(1, {DOMAINS}) AS n ORDER BY n"
    ),
    (
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, status, started_at)"
        f" SELECT id, 'h', {CONCURRENCY}, 1, now() FROM pacewheel.domains ORDER BY id"
    ),
)
# The shape's part: a domain and a status for each n; a waiting task is ready in ten minutes or more.
TASKS = (
    "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, ready_at,"
    " waiting_reason, target) SELECT d, pacewheel.task_id(d, 't' || n, {seed}), d, random(), now(), s,"
    " CASE WHEN s = 1 THEN now() + (600 + n % 3600) * interval '1 s' END,"
    " CASE WHEN s = 1 THEN 1 END, 't' || n"
    " FROM (SELECT n, {domain} AS d, {status} AS s FROM generate_series(1, {rows}) AS n) x"
)
COUNTERS = (
    "UPDATE pacewheel.jobs j SET total = c.total, pending = c.pending, waiting = c.waiting,"
    " completed = c.total - c.pending - c.waiting FROM (SELECT job_id, count(*) AS total,"
    " count(*) FILTER (WHERE status = 0) AS pending, count(*) FILTER (WHERE status = 1) AS waiting"
    " FROM pacewheel.tasks GROUP BY job_id) c WHERE c.job_id = j.id"
)


@dataclass(frozen=True)
class Shape:
    """How a backlog is spread, and what keeps part of it from running."""

    name: str
    domain: str = f"1 + n % {DOMAINS}"
    status: str = "0"
    gate: str | None = None
    at_limit: frozenset[int] = frozenset()
    shut: frozenset[int] = frozenset()
    """Domains that give nothing now, whatever they have."""


SHAPES = [
    Shape("mostly finished", status="3 + (n % 10 = 0)::integer"),
    Shape(
        "mostly blocked",
        gate="UPDATE pacewheel.domains SET blocked_until = now() + interval '1 hour' WHERE id <= 10",
        at_limit=frozenset(range(11, 19)),
        shut=frozenset(range(1, 19)),
    ),
    Shape("mostly one domain", domain=f"CASE WHEN n % 20 = 0 THEN 1 + n % {DOMAINS} ELSE 1 END"),
    Shape(
        "mostly not due",
        status="CASE WHEN n % 20 < 10 THEN 1 ELSE 0 END",
        gate="UPDATE pacewheel.domains SET base_delay_ms = 1000,"
        " next_slot_at = now() + interval '1 hour' WHERE id BETWEEN 11 AND 18",
        shut=frozenset(range(11, 19)),
    ),
]


async def fill(dsn: str, shape: Shape, rows: int, *, seed: int) -> None:
    """Add a backlog of `rows` tasks; what a domain can run at once comes with the first."""
    statements = [TASKS.format(rows=rows, domain=shape.domain, status=shape.status, seed=seed)]
    if seed == 1:
        ready = {"rows": DOMAINS * READY_A_DOMAIN, "domain": f"1 + n % {DOMAINS}", "status": "0"}
        statements = [*DOMAINS_AND_JOBS, TASKS.format(**ready, seed=0), *statements]
        if shape.gate:
            statements.append(shape.gate)
    await execute(dsn, *statements, COUNTERS)


async def claim_of(dsn: str, shape: Shape, *, reads_on: bool) -> ClaimRequest:
    """Return a claim over all domains, a few tasks of each in flight: from the top, or on from behind them."""
    rows = await fetch(
        dsn,
        "SELECT t.* FROM pacewheel.domains d CROSS JOIN LATERAL (SELECT t.domain_id, t.priority, t.id"
        " FROM pacewheel.tasks t WHERE t.domain_id = d.id AND t.status = 0"
        f" ORDER BY t.priority DESC, t.id DESC LIMIT {IN_FLIGHT_A_DOMAIN}) t"
        " ORDER BY t.domain_id, t.priority DESC, t.id DESC",
    )
    pokes = dict(await fetch(dsn, "SELECT id, poke FROM pacewheel.jobs"))
    last = {row["domain_id"]: (pokes[row["domain_id"]], row["priority"], row["id"]) for row in rows}
    domain_ids = list(range(1, DOMAINS + 1))
    return ClaimRequest(
        domain_ids=domain_ids,
        epochs=[1] * DOMAINS,
        unsettled=[
            [row["id"] for row in rows if row["domain_id"] == domain_id] for domain_id in domain_ids
        ],
        running={
            job_id: CONCURRENCY if job_id in shape.at_limit else IN_FLIGHT_A_DOMAIN
            for job_id in domain_ids
        },
        cursors=last if reads_on else {},
        ahead={},
        tasks_max=TASKS_A_DOMAIN,
        lead_ms=5,
    )

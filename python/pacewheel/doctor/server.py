"""Rules about the server: version, settings, rights, connections, clock, hints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pacewheel.doctor.findings import Finding, failing, ok, warning
from pacewheel.report.words import millis, plural, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pacewheel.doctor.facts import Facts, Hints, Rights, Server

VERSION_MIN = 14
VERSION_MAX = 18
CLOCK_AHEAD_MS = 5_000
ROUND_TRIP_MS = 20
QUEUE_WARNING = 0.3
QUEUE_FAILING = 0.8
AGE_WARNING = 500_000_000
AGE_FAILING = 1_500_000_000
TIMEOUT_MIN_MS = 60_000
_SAFE = "a crash of the machine can lose or tear what was written: tasks run twice, or the database is lost"
_VACUUM = "dead rows stay, and claims get slower and slower"
# Settings with the value they should have, what follows otherwise, and whether it must be mended.
_SETTINGS = (
    ("autovacuum", "on", _VACUUM, True),
    ("track_counts", "on", _VACUUM, True),
    ("fsync", "on", _SAFE, False),
    ("full_page_writes", "on", _SAFE, False),
    (
        "default_transaction_isolation",
        "read committed",
        "statements that are right under READ COMMITTED fail with serialization errors",
        True,
    ),
    ("server_encoding", "UTF8", "URLs and texts outside this encoding are refused", False),
)


def check_version(server: Server) -> Iterator[Finding]:
    """Check what server it is."""
    major = server.version // 10_000
    if major < VERSION_MIN:
        yield failing(
            "server",
            f"it is PostgreSQL {server.version_words}",
            f"pacewheel needs {VERSION_MIN} or newer",
            "upgrade the server, or use another DSN",
        )
    elif major > VERSION_MAX:
        yield warning(
            "server",
            f"it is PostgreSQL {server.version_words}",
            f"this version of pacewheel was tested with {VERSION_MIN} to {VERSION_MAX}",
            "look for a newer pacewheel",
        )
    else:
        yield ok("server", f"PostgreSQL {server.version_words}, as role {server.role}")
    if server.is_standby:
        yield failing(
            "server",
            "it is a standby",
            "nothing can be written here",
            "point the DSN at the primary",
        )


def check_settings(server: Server) -> Iterator[Finding]:
    """Check the settings that matter."""
    found = list(_settings(server))
    yield from found or [ok("settings", "those that matter are as they should be")]


def _settings(server: Server) -> Iterator[Finding]:
    for name, wanted, meaning, must in _SETTINGS:
        value = server.settings.get(name, wanted)
        if value != wanted:
            of = failing if must else warning
            step = (
                f"set {name} = {wanted}" if name != "server_encoding" else "use a database in UTF8"
            )
            yield of("settings", f"{name} is {value}", meaning, step)
    if server.settings.get("synchronous_commit") == "off":
        yield warning(
            "settings",
            "synchronous_commit is off",
            "a crash of the server can lose the last outcomes: these requests are made again",
            "set synchronous_commit = on, unless that is accepted",
        )
    for name in ("statement_timeout", "transaction_timeout"):
        timeout_ms = int(server.settings.get(name) or 0)
        if 0 < timeout_ms < TIMEOUT_MIN_MS:
            yield warning(
                "settings",
                f"{name} is {millis(timeout_ms)}",
                "long statements (migrations, reports, large enqueues) are cancelled",
                f"set {name} to 0: ALTER ROLE {_quoted(server.role)} SET {name} = 0",
            )


def check_rights(rights: Rights, server: Server, schema: str) -> Iterator[Finding]:
    """Check what the role may do."""
    found = list(_rights(rights, server, schema))
    yield from found or [ok("rights", f"role {server.role} may do all it has to")]


def _rights(rights: Rights, server: Server, schema: str) -> Iterator[Finding]:
    role, name = server.role, _quoted(server.role)
    if not rights.may_use:
        yield failing(
            "rights",
            f"role {role} may not use the schema",
            "nothing works",
            f"GRANT USAGE ON SCHEMA {schema} TO {name}",
        )
    if rights.refused:
        yield failing(
            "rights",
            f"role {role} may not read and write {', '.join(rights.refused)}",
            "statements are refused",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {name}",
        )
    if not (rights.may_create and rights.owns):
        yield warning(
            "rights",
            f"role {role} does not own the tables, or may create none",
            "it can make no partitions for results and run no migrations: results go into the default "
            "partition, which can't be dropped by age",
            f"have one process run as the owner, or make {name} a member of that role",
        )
    if not server.sees_all:
        yield warning(
            "rights",
            f"role {role} does not see other roles' sessions",
            "what these hold back stays unnamed here",
            f"GRANT pg_read_all_stats TO {name}, if they are to be seen",
        )


def _quoted(role: str) -> str:
    """Return a role's name as SQL takes it."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", role):
        return role
    return '"' + role.replace('"', '""') + '"'


def check_connections(server: Server, facts: Facts) -> Iterator[Finding]:
    """Check that what the processes may open fits the server, with the reserve left free."""
    shares = [info.connections for info in facts.work.workers] if facts.work else []
    together = sum(shares)
    room = server.sessions_max - server.reserved - facts.reserve
    words = (
        f"{together} for {plural(len(shares), 'worker')} + {facts.reserve} in reserve + {server.reserved} for "
        f"superusers, of {server.sessions_max}; open now: {server.sessions}"
    )
    if facts.pooler:
        yield ok("connections", "behind a pooler: its limits hold, not the server's")
    elif together > room or room < facts.least_each:
        yield failing(
            "connections",
            words,
            "processes can be refused connections, and administration finds none",
            "raise max_connections, lower reserve_connections or pool_max, or run fewer processes",
        )
    elif server.sessions >= server.sessions_max - server.reserved - 1:
        yield failing(
            "connections",
            words,
            "the next one is refused",
            "end sessions that are idle, or raise max_connections",
        )
    elif (len(shares) + 1) * facts.least_each > room:
        yield warning(
            "connections",
            words,
            "one more process finds no room",
            "raise max_connections before you start another",
        )
    else:
        yield ok("connections", words)


def check_clock(server: Server) -> Iterator[Finding]:
    """Check the clocks' offset, and how far away the server is."""
    ahead_ms = server.clock_ahead_ms
    side = "ahead of" if ahead_ms > 0 else "behind"
    if abs(ahead_ms) > CLOCK_AHEAD_MS:
        yield warning(
            "clock",
            f"the server's clock is {millis(abs(ahead_ms))} {side} this machine's",
            "no pace depends on it, but times in reports and logs differ by as much",
            "synchronise both clocks (NTP)",
        )
    else:
        yield ok("clock", f"the server's differs by {millis(abs(ahead_ms))} from this machine's")
    if server.round_trip_ms > ROUND_TRIP_MS:
        yield warning(
            "distance",
            f"a round trip to the server takes {millis(server.round_trip_ms)}",
            "every claim and settle takes as long: without a gap, domains run slower",
            "run pacewheel nearer to its database",
        )


def check_hints(hints: Hints, server: Server) -> Iterator[Finding]:
    """Check that a notification arrives, and that their queue is not full."""
    if hints.heard_ms is not None:
        yield ok("hints", f"one sent to ourselves came after {millis(hints.heard_ms)}")
    elif not hints.expected:
        yield warning(
            "hints",
            hints.reason or "there are none",
            "new work and cancellations are found by sweeps, every 5 s, and not at once",
            "set direct_dsn to a way past the pooler",
        )
    else:
        yield failing(
            "hints",
            hints.reason or "none arrived",
            "new work and cancellations are found by sweeps only",
            "set pooler=true if a pooler stands before the database, and direct_dsn past it",
        )
    if server.queue_usage > QUEUE_WARNING:
        of = failing if server.queue_usage > QUEUE_FAILING else warning
        yield of(
            "hints",
            f"the queue of notifications is {share(server.queue_usage)} full",
            "once it is full, every transaction that notifies fails, and so enqueues and settles do",
            "find the session that listens in a long transaction (pg_stat_activity), and end it",
        )


def check_age(server: Server) -> Iterator[Finding]:
    """Check how near the database is to the end of its transaction ids."""
    if server.age > AGE_WARNING:
        of = failing if server.age > AGE_FAILING else warning
        yield of(
            "wraparound",
            f"the oldest rows are {server.age:,} transactions old",
            "at 2,000,000,000 the server refuses to write",
            "let VACUUM (FREEZE) run through, and see what holds it back",
        )

"""Rules about what is stored: the schema, its indexes, dead rows, who keeps them, partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.doctor.findings import Finding, failing, ok, warning
from pacewheel.report.words import duration, plural, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pacewheel.doctor.facts import Holder, Index, Partitions, Schema, Table

SHOWN_MAX = 5
# Below it a bloated index costs nothing worth a rebuild: one that tasks have left is used again.
BLOAT_BYTES = 128_000_000
BLOAT_RATIO = 4.0
# Ten times what autovacuum waits for on the table of tasks.
DEAD_MIN = 200_000
DEAD_SHARE = 0.5
HELD_WARNING_S = 300.0
HELD_FAILING_S = 3600.0
# Partitions go as a whole, and once an hour or so.
LATE_DAYS = 2
XMIN_WARNING = 1_000_000
XMIN_FAILING = 50_000_000
RETAINED_BYTES = 10_000_000_000
_KINDS = {
    "session": "session",
    "prepared": "prepared transaction",
    "slot": "replication slot",
    "standby": "standby",
}


def check_schema(schema: Schema) -> Iterator[Finding]:
    """Check the schema's version, and that it is whole."""
    if schema.version == 0:
        yield failing(
            "schema",
            "there is none",
            "no job can be created",
            "run 'pacewheel migrate', or any command that works on jobs",
        )
    elif schema.version < schema.known:
        yield failing(
            "schema",
            f"version {schema.version}, this pacewheel knows {schema.known}",
            "what this version needs is missing",
            "run 'pacewheel migrate': processes of the version before go on meanwhile",
        )
    elif schema.version > schema.known:
        yield failing(
            "schema",
            f"version {schema.version} is newer than this pacewheel knows ({schema.known})",
            "this pacewheel refuses to work on it",
            "upgrade pacewheel",
        )
    elif schema.missing:
        more = len(schema.missing) - SHOWN_MAX
        yield failing(
            "schema",
            f"lacks {', '.join(schema.missing[:SHOWN_MAX])}"
            + (f" and {more} more" if more > 0 else ""),
            "somebody removed it: statements fail or scan whole tables",
            "restore it as sql/schema.sql says",
        )
    else:
        yield ok("schema", f"version {schema.version}, whole")


def check_indexes(indexes: Sequence[Index]) -> Iterator[Finding]:
    """Check that every index works, and that none is much larger than what is in it."""
    found = list(_indexes(indexes))
    total = size(sum(index.bytes for index in indexes))
    yield from found or [ok("indexes", f"{len(indexes)} valid, {total}")]


def _indexes(indexes: Sequence[Index]) -> Iterator[Finding]:
    for index in indexes:
        if not index.is_valid:
            yield failing(
                "indexes",
                f"{index.name} on {index.on_table} is invalid",
                "nothing reads by it: claims or settles scan whole tables",
                f"REINDEX INDEX CONCURRENTLY {index.name}",
            )
            continue
        needed = max(0.0, index.entries) * index.entry_bytes
        if index.bytes > BLOAT_BYTES and index.entries >= 0 and index.bytes > BLOAT_RATIO * needed:
            yield warning(
                "indexes",
                f"{index.name} takes {size(index.bytes)}, its entries need about {size(round(needed))}",
                "it takes memory and disk for nothing, and grows no more until it is used up",
                f"REINDEX INDEX CONCURRENTLY {index.name}, when there is time",
            )


def check_dead_rows(tables: Sequence[Table], holders: Sequence[Holder] | None) -> Iterator[Finding]:
    """Check that vacuum keeps up."""
    found = [
        table
        for table in tables
        if table.dead > DEAD_MIN and table.dead > DEAD_SHARE * max(1, table.live)
    ]
    if not found:
        dead = sum(table.dead for table in tables)
        yield ok("dead rows", f"{dead:,} in all, which vacuum is keeping up with")
    for table in found:
        last = "never vacuumed"
        if table.vacuumed_s is not None:
            last = f"vacuumed {duration(round(table.vacuumed_s))} ago"
        holding = [holder for holder in holders or () if is_held_back(holder)]
        step = f"end what holds it back: {named(holding[0])}" if holding else f"VACUUM {table.name}"
        yield warning(
            "dead rows",
            f"{table.name} has {table.dead:,} beside {table.live:,} live ones, {last}",
            "claims and lookups read past them, and get slower",
            step,
        )


def check_holders(holders: Sequence[Holder]) -> Iterator[Finding]:
    """Check what holds back vacuum, by name."""
    found = [holder for holder in holders if is_held_back(holder)]
    if not found:
        yield ok("vacuum", "nothing has held it back for long")
    for holder in found:
        of = failing if _is_bad(holder) else warning
        age = "" if holder.xmin_age is None else f", {plural(holder.xmin_age, 'transaction')} old"
        kept = ""
        if holder.retained_bytes is not None and holder.retained_bytes > RETAINED_BYTES:
            kept = f", keeps {size(holder.retained_bytes)} of WAL"
        yield of(
            "vacuum",
            f"held back by {named(holder)}{age}{kept}",
            "dead rows that it could still see stay, in every table of the database",
            _ended(holder),
        )


def is_held_back(holder: Holder) -> bool:
    """Tell whether something has held back vacuum for long enough to be named."""
    if holder.age_s is not None:
        return holder.age_s > HELD_WARNING_S
    retained = holder.retained_bytes or 0
    return (holder.xmin_age or 0) > XMIN_WARNING or (
        retained > RETAINED_BYTES and holder.state == "inactive"
    )


def _is_bad(holder: Holder) -> bool:
    return (holder.age_s or 0) > HELD_FAILING_S or (holder.xmin_age or 0) > XMIN_FAILING


def named(holder: Holder) -> str:
    """Return which one it is: pid, application and age of a session, the name of all others."""
    words = f"{_KINDS[holder.kind]} {holder.name}"
    about = []
    if holder.pid is not None:
        about.append(f"pid {holder.pid}")
    if holder.who is not None:
        about.append(f"role {holder.who}")
    if holder.state is not None:
        about.append(holder.state)
    if holder.age_s is not None:
        about.append(f"for {duration(round(holder.age_s))}")
    return words + (f" ({', '.join(about)})" if about else "")


def _ended(holder: Holder) -> str:
    match holder.kind:
        case "session":
            return f"ask whose it is, or end it: SELECT pg_terminate_backend({holder.pid})"
        case "prepared":
            name = holder.name.replace("'", "''")
            return f"COMMIT PREPARED or ROLLBACK PREPARED '{name}'"
        case "slot":
            return (
                "start its consumer, or drop the slot: "
                f"SELECT pg_drop_replication_slot('{holder.name}')"
            )
    return "look for long queries on the standby, or switch hot_standby_feedback off there"


def check_partitions(partitions: Partitions, schema: str) -> Iterator[Finding]:
    """Check that results have a partition, today and tomorrow, and that none is in the wrong one."""
    since = "" if partitions.oldest is None else f", from {partitions.oldest} on"
    if not partitions.has_today:
        yield failing(
            "partitions",
            "there is none for today's results",
            "results go into the default partition, which can't be dropped by age",
            "start 'pacewheel run' as the owner of the tables: it makes them ahead",
        )
    elif not partitions.has_tomorrow:
        yield warning(
            "partitions",
            "there is none for tomorrow's results",
            "from midnight (UTC) on they go into the default partition",
            "start 'pacewheel run' as the owner of the tables: it makes them ahead",
        )
    else:
        days = plural(partitions.partitions, "day")
        yield ok("partitions", f"{days} of results{since}, {size(partitions.bytes)}")
    if partitions.in_default:
        yield warning(
            "partitions",
            "the default partition has rows",
            "the days they are of can get no partition of their own, and are not dropped by age",
            f"once these results are not needed any more, empty {schema}.results_default",
        )


def check_retention(partitions: Partitions, keep_days: float) -> Iterator[Finding]:
    """Check that old results are removed, by the setting of whoever asks."""
    if not keep_days:
        yield ok("retention", "results are kept for ever (results_keep_days)")
        return
    age_days = 0 if partitions.oldest is None else (partitions.today - partitions.oldest).days
    if age_days > keep_days + LATE_DAYS:
        yield warning(
            "retention",
            f"there are results of {age_days} days ago, kept for {keep_days:g} (results_keep_days)",
            "nobody removes what is old, and the database grows",
            "let 'pacewheel run' do it as the owner of the tables, or run 'pacewheel prune --yes'",
        )
    else:
        yield ok("retention", f"results are kept for {keep_days:g} days (results_keep_days)")

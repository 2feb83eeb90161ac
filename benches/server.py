"""What the server and the kernel say of a server's work: CPU, memory, dead rows, statements."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import asyncpg

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _stat_of(pid: int) -> list[str]:
    """The fields of a process behind its name: state, parent, ... (proc(5) from the third on)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _processes(backend_pid: int) -> tuple[int, list[int]]:
    """The server's first process, and its children as they are now."""
    postmaster = int(_stat_of(backend_pid)[1])
    children = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int(_stat_of(int(entry.name))[1])
            except OSError:
                continue
            if parent == postmaster:
                children.append(int(entry.name))
    return postmaster, children


def cpu_s(backend_pid: int) -> float:
    """CPU seconds of a backend's server so far: its processes, and those that have ended."""
    postmaster, children = _processes(backend_pid)
    ticks = sum(map(int, _stat_of(postmaster)[11:15]))
    for pid in children:
        try:
            ticks += sum(map(int, _stat_of(pid)[11:13]))
        except OSError:  # it has just ended: the next look finds it with the first process
            continue
    return ticks / TICKS_PER_S


def process_cpu_s(pid: int) -> float:
    """CPU seconds of one process so far."""
    return sum(map(int, _stat_of(pid)[11:13])) / TICKS_PER_S


def memory_bytes(pids: Iterable[int] = (), *, backend_pid: int | None = None) -> int:
    """Memory of processes, or of a backend's whole server; what several share is counted once."""
    if backend_pid is not None:
        postmaster, children = _processes(backend_pid)
        pids = [postmaster, *children]
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total


async def statements(connection: asyncpg.Connection) -> int:
    """How many statements this database has run, without those of the bench that count them."""
    number: int = await connection.fetchval(
        "SELECT coalesce(sum(s.calls), 0)::bigint FROM pg_stat_statements s "
        "JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database() "
        "WHERE s.query NOT LIKE '%pg_stat_statements%'"
    )
    return number


async def counting(dsn: str) -> asyncpg.Connection:
    """A connection that may ask for `statements`."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    return connection


async def dead_rows(connection: asyncpg.Connection) -> int:
    """Dead row versions of the engine's tables, as the server estimates them."""
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    number: int = await connection.fetchval(
        "SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables WHERE schemaname = 'pacewheel'"
    )
    return number

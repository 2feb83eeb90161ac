"""Database errors, classified by SQLSTATE and never by text.

Owns the translation of the driver's exceptions into pacewheel's, one line each with the next step,
and the two questions every caller has: can the same statement simply be run again, and is the
database away?
"""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg

from pacewheel.errors import (
    DataRefused,
    PacewheelError,
    SchemaMismatch,
    StoreError,
    StoreRefused,
    StoreUnavailable,
)
from pacewheel.metrics.transactions import SQLSTATE_CLASSES

# What the driver raises: the server's errors, its own, and the network's. Its internal error is
# among them, since a statement on a connection that is just being lost may end in it.
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
# Serialization failure, deadlock: the transaction left nothing behind and may be run again at once.
_RETRYABLE = frozenset({"40001", "40P01"})
# Connection exceptions (08), rollback (40), resources such as disk, memory, connections (53), lock
# not available (55P03), operator intervention and cancelled statements (57), I/O (58), not a
# primary (25006).
_UNAVAILABLE_CLASSES = ("08", "40", "53", "57", "58")
_UNAVAILABLE = frozenset({"25006", "55P03"})
# Cardinality, data, constraints, limits of the program: what is wrong is a value.
_DATA_CLASSES = ("21", "22", "23", "54")
_REFUSED_LOGIN = (
    StoreRefused,
    "database {where} refused the login ({said}): check user and password of the DSN",
)
_LACKING = (
    SchemaMismatch,
    "database {where} lacks what this version needs ({said}): run 'pacewheel migrate'",
)
# By SQLSTATE or its class: what it is, and the words.
_SAID: dict[str, tuple[type[PacewheelError], str]] = {
    "28P01": _REFUSED_LOGIN,
    "28000": _REFUSED_LOGIN,
    "3D000": (
        StoreRefused,
        "there is no such database at {where} ({said}): create it or correct the DSN",
    ),
    "53300": (
        StoreUnavailable,
        "database {where} has no connection slots left: lower pool_max or raise max_connections",
    ),
    "53": (
        StoreUnavailable,
        "database {where} lacks a resource ({said}): give it disk or memory",
    ),
    "25006": (
        StoreUnavailable,
        "database {where} is read-only (a standby?): point the DSN at the primary",
    ),
    "55P03": (
        StoreUnavailable,
        "a lock in database {where} was not to be had in time ({said}): see 'pacewheel doctor'",
    ),
    "08P01": (
        StoreUnavailable,
        "database {where} refused the start ({said}): set pooler=true if a pooler stands before it",
    ),
    "42501": (
        StoreError,
        "database {where} denies a right ({said}): grant it to the DSN's user",
    ),
    **dict.fromkeys(("3F000", "42P01", "42703", "42883"), _LACKING),
}


def sqlstate(error: BaseException) -> str:
    """Return the error's SQLSTATE, or an empty string when it has none."""
    return getattr(error, "sqlstate", None) or ""


def sqlstate_class(error: BaseException) -> str:
    """Return the first two characters of the SQLSTATE, `none` for an error of network or driver."""
    state = sqlstate(error)
    if not state:
        return "none"
    return state[:2] if state[:2] in SQLSTATE_CLASSES else "other"


def is_retryable(error: BaseException) -> bool:
    """True when the statement may be run again at once."""
    return sqlstate(error) in _RETRYABLE


def is_unavailable(error: BaseException) -> bool:
    """True when the database is away or not writable for now, so that waiting helps."""
    if isinstance(error, asyncpg.PostgresError):
        state = sqlstate(error)
        return state.startswith(_UNAVAILABLE_CLASSES) or state in _UNAVAILABLE
    # A value that the driver can't encode is a ValueError too; waiting does not help it.
    is_bad_value = isinstance(error, ValueError)
    is_bad_dsn = isinstance(error, asyncpg.ClientConfigurationError)
    return isinstance(error, DRIVER_ERRORS) and (not is_bad_value or is_bad_dsn)


def is_away(error: BaseException) -> bool:
    """True when that is no matter of one statement: not a lock that was not to be had in time."""
    return is_unavailable(error) and not is_retryable(error) and sqlstate(error) != "55P03"


def safe_dsn(dsn: str) -> str:
    """Return where a DSN points to, without its password."""
    parts = urlsplit(dsn)
    host = parts.hostname or "the local socket"
    port = f":{parts.port}" if parts.port else ""
    return f"{host}{port}{parts.path}"


def translate(error: BaseException, dsn: str) -> PacewheelError:
    """Return the error as one of ours: one line, the condition and the next step."""
    state = sqlstate(error)
    said = " ".join(str(error).split()) or type(error).__name__
    kind, words = _SAID.get(state) or _SAID.get(state[:2]) or _said_of(error)
    return kind(words.format(where=safe_dsn(dsn), said=said, state=state or "none"))


def _said_of(error: BaseException) -> tuple[type[PacewheelError], str]:
    if is_unavailable(error):
        is_bad_dsn = isinstance(error, asyncpg.ClientConfigurationError)
        return (
            StoreRefused if is_bad_dsn else StoreUnavailable,
            "database {where} can't be reached ({said}): check that it runs and that the DSN is right",
        )
    refused = sqlstate(error).startswith(_DATA_CLASSES) or isinstance(error, ValueError)
    return (
        DataRefused if refused else StoreError,
        "database {where} failed a statement ({said}, SQLSTATE {state}): see its log",
    )

"""Errors of the database are told apart by SQLSTATE, never by their text."""

from __future__ import annotations

import ssl

import asyncpg
import pytest

from pacewheel.errors import (
    DataRefused,
    PacewheelError,
    SchemaMismatch,
    StoreError,
    StoreRefused,
    StoreUnavailable,
)
from pacewheel.store.faults import is_retryable, is_unavailable, sqlstate_class, translate

DSN = "postgresql://me:sesame@db.example:5432/work"

# SQLSTATE; whether the statement may be run again at once; what it becomes otherwise; its class.
TABLE: list[tuple[str, bool, type[PacewheelError], str]] = [
    ("40001", True, StoreUnavailable, "40"),  # serialization failure
    ("40P01", True, StoreUnavailable, "40"),  # deadlock
    ("40003", False, StoreUnavailable, "40"),  # the commit's fate is unknown
    ("08006", False, StoreUnavailable, "08"),  # the connection broke
    ("08P01", False, StoreUnavailable, "08"),  # a pooler that has lost its server
    ("25006", False, StoreUnavailable, "25"),  # read-only: failover
    ("53100", False, StoreUnavailable, "53"),  # disk full
    ("53300", False, StoreUnavailable, "53"),  # too many connections
    ("55P03", False, StoreUnavailable, "55"),  # lock not available
    ("57014", False, StoreUnavailable, "57"),  # the statement was cancelled
    ("57P01", False, StoreUnavailable, "57"),  # the backend was terminated
    ("57P03", False, StoreUnavailable, "57"),  # the server is starting
    ("58030", False, StoreUnavailable, "58"),  # I/O error
    ("28P01", False, StoreRefused, "28"),  # wrong password
    ("28000", False, StoreRefused, "28"),  # no such role
    ("3D000", False, StoreRefused, "3D"),  # no such database
    ("42501", False, StoreError, "42"),  # a right is missing
    ("3F000", False, SchemaMismatch, "3F"),  # no such schema
    ("42P01", False, SchemaMismatch, "42"),  # no such table
    ("42703", False, SchemaMismatch, "42"),  # no such column
    ("42883", False, SchemaMismatch, "42"),  # no such function
    ("21000", False, DataRefused, "21"),  # a row twice
    ("22003", False, DataRefused, "22"),  # out of range
    ("22P02", False, DataRefused, "22"),  # no such text form
    ("23505", False, DataRefused, "23"),  # unique
    ("23514", False, DataRefused, "23"),  # check
    ("54000", False, DataRefused, "54"),  # beyond a limit
    ("42601", False, StoreError, "42"),  # syntax: a defect
    ("XX000", False, StoreError, "XX"),  # internal
    ("P0001", False, StoreError, "P0"),  # raised by a function
    ("38000", False, StoreError, "other"),
]


@pytest.mark.parametrize(("state", "retryable", "kind", "counted_as"), TABLE, ids=str)
def test_an_sqlstate_decides_what_becomes_of_an_error(
    state: str, *, retryable: bool, kind: type[PacewheelError], counted_as: str
) -> None:
    """Whether it is run again, waited for, or the caller's; its words play no part."""
    error = asyncpg.PostgresError("deadlock detected, connection closed, read-only")
    error.sqlstate = state
    translated = translate(error, DSN)
    assert (retryable, kind, counted_as) == (
        is_retryable(error),
        type(translated),
        sqlstate_class(error),
    )
    if kind is StoreUnavailable:
        assert is_unavailable(error)
    assert "sesame" not in str(translated)
    assert "\n" not in str(translated)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError(111, "refused"), StoreUnavailable),
        (TimeoutError(), StoreUnavailable),
        (ssl.SSLError("bad certificate"), StoreUnavailable),
        (asyncpg.ConnectionDoesNotExistError("gone"), StoreUnavailable),
        (asyncpg.InterfaceError("connection is closed"), StoreUnavailable),
        (asyncpg.InternalClientError("cannot switch to state 12"), StoreUnavailable),
        (asyncpg.ClientConfigurationError("sslmode"), StoreRefused),
        (asyncpg.DataError("out of int16 range"), DataRefused),
        (ValueError("embedded NUL"), DataRefused),
    ],
    ids=repr,
)
def test_an_error_of_network_or_driver_is_waited_for_unless_a_value_is_wrong(
    error: Exception, kind: type[PacewheelError]
) -> None:
    """Nobody can tell what a lost connection was about; a wrong value stays wrong."""
    assert kind is type(translate(error, DSN))
    assert not is_retryable(error)

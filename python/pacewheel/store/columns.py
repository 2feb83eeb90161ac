"""Values on their way into the parallel arrays of a statement."""

from __future__ import annotations

from typing import Any

import orjson

from pacewheel.errors import DataRefused


def text(value: Any) -> str | None:
    """Return a value as JSON text, None as null.

    Raises:
        DataRefused: JSON knows no such value.
    """
    try:
        return None if value is None else orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise DataRefused(
            f"a payload or a detail can't be stored ({error}): give what JSON knows"
        ) from error


def millis(seconds: float | None) -> int | None:
    """Return a duration in milliseconds, None as null.

    Raises:
        DataRefused: it is infinite or not a number.
    """
    try:
        return None if seconds is None else round(seconds * 1000)
    except (OverflowError, ValueError) as error:
        raise DataRefused(f"{seconds} is no duration: give seconds") from error


def sparse(column: list[Any]) -> list[Any] | None:
    """Return null for a column without values: unnest fills it up, and the driver encodes nothing."""
    return None if column.count(None) == len(column) else column

"""Tables and the words in their cells: one place for all commands that show some.

Pure: from values to words. Durations are those of `report/words.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.report.words import duration, millis

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

NOTHING = "-"
GUTTER = 2
_CUT = "…"
_FIRST_COLUMNS_MIN = 8
_NOW_MS = 1.0
_SECOND_MS = 1000


def aligned(
    rows: Sequence[Sequence[str]], *, numbers: Collection[str] = (), columns: int | None = None
) -> list[str]:
    """Return rows of words, the first one their names, as lines whose cells stand below one another.

    Those called in `numbers` are set to the right. Within `columns`, the longest of the cells that
    are set to the left gives way first, then the last ones are left out.
    """
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    right = [name in numbers for name in rows[0]]
    if columns is not None:
        widths = _fitted(widths, right, columns)
    return [
        (" " * GUTTER)
        .join(
            _cell(cell, width, is_right)
            for cell, width, is_right in zip(row, widths, right, strict=False)
        )
        .rstrip()
        for row in rows
    ]


def _cell(text: str, width: int, is_right: bool) -> str:  # noqa: FBT001 - zipped with the others
    if len(text) > width:
        return text[: width - 1] + _CUT
    return text.rjust(width) if is_right else text.ljust(width)


def _fitted(widths: Sequence[int], right: Sequence[bool], columns: int) -> list[int]:
    kept = list(widths)
    while len(kept) > 1:
        too_much = sum(kept) + GUTTER * (len(kept) - 1) - columns
        if too_much <= 0:
            break
        longest = max(
            (place for place in range(len(kept)) if not right[place]),
            key=lambda place: kept[place],
            default=0,
        )
        if kept[longest] - too_much >= _FIRST_COLUMNS_MIN:
            kept[longest] -= too_much
        elif kept[longest] > _FIRST_COLUMNS_MIN:
            kept[longest] = _FIRST_COLUMNS_MIN
        else:
            kept.pop()
    return kept


def facts(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return names with their values, one a line."""
    width = max(len(name) for name, _ in pairs)
    return [f"{name:<{width}}  {value}" for name, value in pairs]


def wait(value_ms: float | None) -> str:
    """Return how long something is still to come: `now`, `40 ms`, `2 min`, `-` when nobody knows."""
    return "now" if value_ms is not None and value_ms < _NOW_MS else length(value_ms)


def length(value_ms: float | None) -> str:
    """Return how long something takes: `40 ms`, `1.5 s`, `2 min`, `-` when nobody knows."""
    if value_ms is None or value_ms < _SECOND_MS:
        return millis(value_ms)
    return duration(value_ms / _SECOND_MS)


def gap(value_ms: int) -> str:
    """Return the time between two requests; `none` where there is none."""
    return "none" if value_ms == 0 else length(value_ms)


def some(number: int) -> str:
    """Return a number; `-` for none, so that what there is catches the eye."""
    return str(number) if number else NOTHING

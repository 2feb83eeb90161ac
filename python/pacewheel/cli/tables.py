"""Tables and the words in their cells: one place for all commands that show some.

Pure: from values to words. Durations are those of `report/words.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from pacewheel.report.words import duration, millis, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

NOTHING = "-"
GUTTER = 2
_CUT = "…"
_WIDEST = 100
_FIRST_MIN = 16
_OTHERS_MIN = 8
_NOW_MS = 1.0
_SECOND_MS = 1000


def aligned(
    rows: Sequence[Sequence[str]], *, numbers: Collection[str] = (), columns: int | None = None
) -> list[str]:
    """Return rows of words, the first one their names, as lines whose cells stand below one another.

    What a terminal would obey is shown instead: targets and messages come from others.

    Those called in `numbers` are set to the right. Within `columns`, the longest words give way
    first, then the last columns are left out.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(cell_len(row[place]) for row in rows) for place in range(len(rows[0]))]
    right = [name in numbers for name in rows[0]]
    if columns is None:
        # Whoever is longer pushes its own row alone.
        widths = [min(width, _WIDEST) for width in widths]
    else:
        widths = _fitted(widths, right, columns)
        rows = [
            [_cut_to(cell, width) for cell, width in zip(row, widths, strict=False)] for row in rows
        ]
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
    blank = " " * (width - cell_len(text))
    return blank + text if is_right else text + blank


def _cut_to(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + _CUT


def _fitted(widths: Sequence[int], right: Sequence[bool], columns: int) -> list[int]:
    kept = list(widths)
    # What is to be told apart stands in the first column of words, so it keeps more.
    words = [place for place, is_right in enumerate(right) if not is_right]
    least = {place: _FIRST_MIN if place == words[0] else _OTHERS_MIN for place in words}
    while len(kept) > 1:
        too_much = sum(kept) + GUTTER * (len(kept) - 1) - columns
        spare = {place: kept[place] - least[place] for place in words if place < len(kept)}
        place = max(spare, key=lambda each: spare[each], default=0)
        if too_much <= 0:
            break
        if spare.get(place, 0) > 0:
            kept[place] -= min(too_much, spare[place])
        else:
            kept.pop()
    return kept


def facts(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return names with their values, one a line."""
    width = max(len(name) for name, _ in pairs)
    return [f"{name:<{width}}  {printable(value)}" for name, value in pairs]


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


def moment(at: datetime | None) -> str:
    """Return a time in the zone of whoever looks; `-` for never."""
    return NOTHING if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def some(number: int) -> str:
    """Return a number; `-` for none, so that what there is catches the eye."""
    return str(number) if number else NOTHING

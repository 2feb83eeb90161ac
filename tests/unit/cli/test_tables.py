"""Tables and the words in their cells."""

from __future__ import annotations

import pytest

from pacewheel.cli.tables import aligned, facts, gap, length, wait

ROWS = [("site", "n", "why"), ("a-long-name.example", "7", "domain delay"), ("b", "123", "")]


def test_columns_stand_below_one_another() -> None:
    """Words to the left, numbers to the right, nothing behind the last word."""
    assert [
        "site                   n  why",
        "a-long-name.example    7  domain delay",
        "b                    123",
    ] == aligned(ROWS, numbers={"n"})


def test_a_narrow_table_cuts_words_before_it_leaves_out_columns() -> None:
    """The longest give way first, the first column least; numbers never do; the last column goes first."""
    assert ["site                   n  why", "a-long-name.example    7  domain …"] == aligned(
        ROWS, numbers={"n"}, columns=34
    )[:2]
    for columns in range(21, 40):
        assert all(len(line) <= columns for line in aligned(ROWS, numbers={"n"}, columns=columns))
    assert ["site                n", "a-long-name.exa…    7", "b                 123"] == aligned(
        ROWS, numbers={"n"}, columns=22
    )


def test_columns_are_as_wide_as_a_terminal_shows_them() -> None:
    """A Chinese character takes two cells, a mark above a letter none; what is cut is cut by cells."""
    rows = [("site", "n"), ("日本語.example", "7"), ("e\u0301.example", "8")]
    assert ["site            n", "日本語.example  7", "e\u0301.example       8"] == aligned(
        rows, numbers={"n"}
    )
    narrow = [("site", "n"), ("日本語日本語日本語日本語", "7"), ("b", "8")]
    assert ["site              n", "日本語日本語日 …  7", "b                 8"] == aligned(
        narrow, numbers={"n"}, columns=19
    )


def test_one_long_word_does_not_spread_the_others() -> None:
    """Printed to a file nothing is cut; what is much longer than usual pushes its own row alone."""
    rows = [("site", "n"), ("x" * 4000, "7"), ("b", "8")]
    header, long, short = aligned(rows, numbers={"n"})
    assert f"{'x' * 4000}  7" == long
    assert len(header) == len(short) < 120


def test_a_table_sends_no_control_character() -> None:
    """Targets and messages of failed tasks come from others: what a terminal would obey is shown."""
    assert ["a         b", r"\x1b[31m  x\x07\u202e"] == aligned(
        [("a", "b"), ("\x1b[31m", "x\x07\u202e")]
    )
    assert [r"key  \x1b[2J"] == facts([("key", "\x1b[2J")])


def test_facts_are_a_line_each() -> None:
    """Name and value."""
    assert ["gap      2 s", "blocked  -"] == facts([("gap", "2 s"), ("blocked", "-")])


@pytest.mark.parametrize(
    ("value_ms", "words"),
    [
        (None, "-"),
        (0.0, "now"),
        (0.9, "now"),
        (40.0, "40 ms"),
        (1500.0, "1.5 s"),
        (1e7, "2 h 46 min"),
    ],
)
def test_what_is_to_come(value_ms: float | None, words: str) -> None:
    """In the unit that fits."""
    assert words == wait(value_ms)


def test_lengths_and_gaps() -> None:
    """No time is a length too; no gap is none."""
    assert ["0.0 ms", "-", "none", "500 ms", "2 s"] == [
        length(0.0),
        length(None),
        gap(0),
        gap(500),
        gap(2000),
    ]

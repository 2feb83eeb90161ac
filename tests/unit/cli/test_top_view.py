"""What `pacewheel top` shows: lines that fit, lists that share the room, keys that change both."""

from __future__ import annotations

from pacewheel.cli.progress import History, rows_of
from pacewheel.cli.top import View
from pacewheel.cli.top_view import Seen, bar, cut, everything, fitted, head, plain
from pacewheel.model import WaitingReason
from pacewheel.overview import SlowStatement, Totals
from tests.unit.cli.test_progress import job
from tests.unit.test_doctor import WORKER

TOTALS = Totals(
    jobs_active=30,
    jobs_paused=2,
    domains_active=3,
    domains_blocked=1,
    workers_alive=1,
    total=100,
    pending=60,
    waiting=5,
    running=4,
    completed=20,
    failed=7,
    skipped=0,
    cancelled=0,
    waiting_by_reason=dict.fromkeys(WaitingReason, 0) | {WaitingReason.DOMAIN_DELAY: 65},
    attempts=1,
    enqueued=1,
)


def seen(jobs: int = 30) -> Seen:
    """What was read of so many jobs, a worker and a slow statement."""
    infos = [job(id=number + 1, domain=f"site-{number}.example") for number in range(jobs)]
    slow = SlowStatement(9, "claim_tasks", 2500.0, "Lock: tuple", [8])
    rows = rows_of(infos, History())
    return Seen(TOTALS, infos, rows, [], [WORKER], [slow], 12.34, None)


def test_the_head_says_how_everything_is() -> None:
    """Three lines, with only the reasons that there are."""
    assert [
        "jobs 30 (2 paused)   domains 3 (1 blocked)   workers 1   running 4 of 64 slots",
        "tasks 60 pending, 5 waiting, 7 failed   12.3/s settled, - new",
        "waiting for: domain_delay 65",
    ] == head(seen())


def test_whatever_the_size_it_fits() -> None:
    """No more lines than there are, and none of them wider."""
    for columns in (20, 80, 200):
        for room in range(1, 60):
            lines = everything(seen(), columns, room)
            assert len(lines) <= room
            assert all(len(line) <= max(columns, 30) for line in lines)


def test_short_lists_are_whole_before_long_ones_grow() -> None:
    """Twenty lines: the worker and the slow statement, and of the jobs what is left."""
    lines = everything(seen(), 80, 20)
    assert any("claim_tasks" in line for line in lines)
    assert any("a 7" in line for line in lines)
    assert "... and 18 more" == lines[lines.index("") - 1]


def test_room_is_shared_by_need() -> None:
    """The smallest needs first, the rest in equal parts."""
    assert [2, 9, 9] == fitted([2, 30, 30], 20)
    assert [2, 3, 15] == fitted([2, 3, 30], 20)
    assert [1, 1, 1] == fitted([5, 5, 5], 3)
    assert [] == fitted([], 10)


def test_a_list_is_cut_with_the_number_of_what_is_left_out() -> None:
    """Its header always stays."""
    lines = ["header", *"abcdefgh"]
    assert ["header", "a", "b", "... and 6 more"] == cut(lines, 4)
    assert ["header", "c", "d", "... and 4 more"] == cut(lines, 4, 2)
    assert ["header", "f", "g", "h"] == cut(lines, 4, 99)
    assert lines == cut(lines, 9)
    assert ["header", *"abcdefg", "... and 93 more"] == cut(lines, 9, unread=92)
    assert [*lines, "... and 92 more"] == cut(lines, 10, unread=92)
    assert ["header", "g", "h", "... and 92 more"] == cut(lines, 4, 99, unread=92)


def test_a_bar_is_full_only_at_the_end() -> None:
    """Ten characters, whatever the numbers."""
    assert ["░" * 10, "█████░░░░░", "█████████░", "█" * 10, "░" * 10] == [
        bar(0, 7),
        bar(1, 2),
        bar(999, 1000),
        bar(7, 7),
        bar(0, 0),
    ]


def test_keys_walk_through_the_lists_and_scroll() -> None:
    """Right and left go round, down scrolls as far as there are rows, home goes back up."""
    view = View()
    what = seen()
    view.press("left")
    assert "slow statements" == view.focus
    view.press("right")
    assert view.focus is None
    view.press("down")
    assert ("jobs", 1) == (view.focus, view.passed_over)
    for _ in range(20):
        view.press("page down")
    assert "site-29.example" in view.lines(what, 80, 11)[-1]
    assert 20 == view.passed_over
    view.press("home")
    assert 0 == view.passed_over
    view.press("x")
    assert "jobs" == view.focus
    view.press("right")
    assert ["no domains"] == view.lines(what, 80, 11)


def test_a_pipe_gets_everything() -> None:
    """All rows, whatever their number."""
    lines = plain(seen())
    assert 30 == sum("site-" in line for line in lines)
    assert "... and 27 more" in plain(seen(jobs=3))

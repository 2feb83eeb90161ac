"""The database is away once, however often it answers and refuses in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel import outage

if TYPE_CHECKING:
    import pytest


def test_a_server_that_answers_some_and_refuses_others_is_not_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Reads succeed and writes fail; it is back when nothing has failed for a while, since the first success."""
    now_ms = 1_000.0
    monkeypatch.setattr(outage, "monotonic_ms", lambda: now_ms)
    caplog.set_level("INFO", "pacewheel")
    seen = outage.Outage()
    seen.worked()
    for _ in range(20):
        seen.failed(OSError("read-only"))
        seen.worked()
        now_ms += 1_500
        seen.worked()
    now_ms += outage.STEADY_MS - 1_500
    seen.worked()
    seen.worked()
    said = [(vars(line)["event"], vars(line).get("duration_s")) for line in caplog.records]
    assert [("database_lost", None), ("database_returned", 28.5)] == said

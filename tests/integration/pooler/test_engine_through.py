"""The tests of one engine once more, all of its connections through PgBouncer in transaction mode."""

from __future__ import annotations

import pytest

from tests.integration import test_engine

# Each test's own are those of the module's: only the engines' way to the server differs.
pytestmark = pytest.mark.usefixtures("engines_through_it")

# Hints don't come through; test_pooler.py says what happens instead.
NEED_HINTS = {
    "test_a_cancelled_job_ends_its_tasks_and_stops_its_handlers",
    "test_work_enqueued_by_another_process_wakes_an_idle_engine",
}

globals().update(
    {
        name: function
        for name, function in vars(test_engine).items()
        if name.startswith("test_") and name not in NEED_HINTS
    }
)

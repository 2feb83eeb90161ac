"""How jobs are shown."""

from __future__ import annotations

import json

from pacewheel.cli.jobs import aligned, plainly
from tests.unit.cli.test_progress import job


def test_a_job_is_shown_with_the_names_of_its_headers_and_no_values() -> None:
    """They may be secrets; whoever needs them reads the job's row."""
    info = job(options={"headers": {"Authorization": "s3cret"}, "links": True})
    text = json.dumps(plainly(info))
    assert '"Authorization": "***"' in text
    assert '"links": true' in text
    assert "s3cret" not in text + repr(info)


def test_a_table_sends_no_control_character() -> None:
    """Targets and messages of failed tasks come from others: what a terminal would obey is shown."""
    lines = aligned([("a", "b"), ("\x1b[31m", "x\x07\u202e")])
    assert ["a         b", r"\x1b[31m  x\x07\u202e"] == lines

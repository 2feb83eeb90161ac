"""The task a warm job begins with."""

from __future__ import annotations

import pytest

from pacewheel.crawl.warm import initial_tasks, validate_options
from pacewheel.errors import TargetRefused

HOME = "https://example.com/"


def test_a_job_begins_with_its_robots() -> None:
    """Of the scheme, host and port of the first start URL."""
    options = validate_options({"start": ["http://example.com:8080/a/b?c"]})
    (task,) = initial_tasks(options["start"], options)
    assert ("http://example.com:8080/robots.txt", 1.0) == (task.target, task.priority)
    assert "robots http://example.com:8080/robots.txt" == task.key
    assert {"kind": "robots", "depth": 0, "source": "start"} == task.payload


def test_a_job_needs_start_urls_that_its_options_hold() -> None:
    """The robots task reads them there."""
    with pytest.raises(TargetRefused, match="needs a start URL"):
        initial_tasks([], {})
    with pytest.raises(TargetRefused, match="not in the job's option start"):
        initial_tasks([HOME], {"start": []})

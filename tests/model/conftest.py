"""Profiles of the model tests: `fast` by default, `slow` by HYPOTHESIS_PROFILE=slow.

Also makes `oracles` importable: pytest imports tests by path, without their parents.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parents[1]))

# No deadline: a shared machine may stop for longer than any example takes.
settings.register_profile(
    "fast", max_examples=60, stateful_step_count=40, deadline=None, derandomize=True
)
settings.register_profile(
    "slow",
    max_examples=1_000,
    stateful_step_count=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

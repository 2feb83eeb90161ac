"""How much of the machine's processors this process may use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pacewheel.cgroups import GROUPS, MOUNTED, groups_of, text_of

if TYPE_CHECKING:
    from pathlib import Path


def limit_cores(groups: Path = GROUPS, mounted: Path = MOUNTED) -> float:
    """Return the least quota of the process's control groups, in cores, or how many cores there are."""
    limits = [float(os.cpu_count() or 1)]
    for group, is_unified in groups_of("cpu", groups, mounted):
        words = (
            text_of(group / "cpu.max").split()
            if is_unified
            else [
                text_of(group / "cpu.cfs_quota_us").strip(),
                text_of(group / "cpu.cfs_period_us").strip(),
            ]
        )
        # Without a limit the first is `max`, or -1.
        if len(words) == 2 and all(word.isdecimal() for word in words):
            limits.append(int(words[0]) / int(words[1]))
    return min(limits)

"""What this process may use of the machine's memory, and what it uses.

Read from the kernel's files, without a library: the resident size from one short line a call, the
limit once. The limit is the tightest of the control groups that hold the process, or the machine's
memory.
"""

from __future__ import annotations

import os
from pathlib import Path

from pacewheel.cgroups import GROUPS, MOUNTED, groups_of, text_of

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")


def used_bytes() -> int:
    """Return the resident size of this process."""
    return int(_STATM.read_text().split()[1]) * _PAGE_BYTES


def limit_bytes(groups: Path = GROUPS, mounted: Path = MOUNTED) -> int:
    """Return the least limit of the process's control groups, or the machine's memory."""
    limits = [os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES]
    for group, is_unified in groups_of("memory", groups, mounted):
        file = group / ("memory.max" if is_unified else "memory.limit_in_bytes")
        text = text_of(file).strip()
        if text.isdecimal():
            limits.append(int(text))
    return min(limits)

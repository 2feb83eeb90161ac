"""What this process may use of the machine's memory, and what it uses.

Read from the kernel's files, without a library: the resident size from one short line a call, the
limit once. The limit is the tightest of the control groups that hold the process, or the machine's
memory.
"""

from __future__ import annotations

import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")


def used_bytes() -> int:
    """Return the resident size of this process."""
    return int(_STATM.read_text().split()[1]) * _PAGE_BYTES


def limit_bytes(
    groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> int:
    """Return the least limit of the process's control groups, or the machine's memory."""
    limits = [os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES]
    for line in _text_of(groups).splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            root, file = mounted, "memory.max"
        elif "memory" in controllers.split(","):
            root, file = mounted / "memory", "memory.limit_in_bytes"
        else:
            continue
        # Each group above limits those below. In a container only its own may be visible, as the
        # root.
        inside = root / name.lstrip("/")
        for group in (root, inside, *inside.parents):
            if group == root or root in group.parents:
                limits += _limit_of(group / file)
    return min(limits)


def _limit_of(file: Path) -> list[int]:
    text = _text_of(file).strip()
    return [int(text)] if text.isdecimal() else []


def _text_of(file: Path) -> str:
    """Return what the file says: nothing, where the kernel doesn't have it."""
    try:
        return file.read_text()
    except OSError:
        return ""

"""The control groups that hold this process, of both versions, as the kernel's files show them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUPS = Path("/proc/self/cgroup")
MOUNTED = Path("/sys/fs/cgroup")


def groups_of(
    controller: str, groups: Path = GROUPS, mounted: Path = MOUNTED
) -> Iterator[tuple[Path, bool]]:
    """Yield the folders of the groups that a controller limits, and whether each is of version 2.

    Each group above limits those below. In a container only its own may be visible, as the root.
    """
    for line in text_of(groups).splitlines():
        _, controllers, name = line.split(":", 2)
        is_unified = controllers == ""
        if not is_unified and controller not in controllers.split(","):
            continue
        root = mounted if is_unified else mounted / controller
        inside = root / name.lstrip("/")
        for group in (root, inside, *inside.parents):
            if group == root or root in group.parents:
                yield group, is_unified


def text_of(file: Path) -> str:
    """Return what the file says: nothing, where the kernel doesn't have it."""
    try:
        return file.read_text()
    except OSError:
        return ""

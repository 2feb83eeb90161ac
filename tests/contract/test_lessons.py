"""Every lesson that ARCHITECTURE.md lists names a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_lesson_has_its_test() -> None:
    """The table names file and function; a renamed test is renamed there too."""
    section = (ROOT / "ARCHITECTURE.md").read_text().split("## Lessons and their tests")[1]
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", section.split("\n## ")[0])
    assert len(named) > 40
    missing = [
        f"{file}::{name}"
        for file, name in named
        if f"def {name}(" not in (ROOT / "tests" / file).read_text()
    ]
    assert missing == []

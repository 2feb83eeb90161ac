"""How many cores a process may use, by the control groups of either version."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pacewheel.processor import limit_cores

CORES = float(os.cpu_count() or 1)
V1 = "cpu/x/cpu.cfs_"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "25000 100000\n"}, 0.25),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a\n", {"a/cpu.max": "max 100000\n"}, CORES),
        ("0::/not/visible\n", {"cpu.max": "75000 100000\n"}, 0.75),
        (
            "4:cpu,cpuacct:/x\n",
            {f"{V1}quota_us": "10000\n", f"{V1}period_us": "100000\n"},
            0.1,
        ),
        ("4:cpu:/x\n", {f"{V1}quota_us": "-1\n", f"{V1}period_us": "100000\n"}, CORES),
        ("4:memory:/x\n", {f"{V1}quota_us": "1\n", f"{V1}period_us": "100000\n"}, CORES),
    ],
)
def test_the_least_quota_counts(
    tmp_path: Path, groups: str, files: dict[str, str], expected: float
) -> None:
    """Its own group's or one's above, in cores; without one, the machine's."""
    (tmp_path / "cgroup").write_text(groups)
    for name, text in files.items():
        file = tmp_path / "mounted" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert expected == limit_cores(tmp_path / "cgroup", tmp_path / "mounted")

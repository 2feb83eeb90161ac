"""Memory: the tightest limit that holds this process, whatever version of control groups there is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pacewheel.memory import limit_bytes, used_bytes

RAM_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def write(file: Path, text: str) -> None:
    """Write a file of the kernel's, with its folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_what_is_used_is_the_resident_size() -> None:
    """It is some megabytes, and grows by what is taken."""
    before = used_bytes()
    assert 5_000_000 < before < RAM_BYTES
    taken = bytearray(os.urandom(1) * 50_000_000)
    assert 40_000_000 < used_bytes() - before
    assert 50_000_000 == len(taken)


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"memory.max": "500000000\n"}, 500_000_000),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "400000000\n"}, 400_000_000),
        ("0::/not/visible\n", {"memory.max": "300000000\n"}, 300_000_000),
        ("0::/a\n", {"a/memory.max": "max\n"}, RAM_BYTES),
        (
            "4:memory:/x\n0::/\n",
            {"memory/x/memory.limit_in_bytes": "200000000\n"},
            200_000_000,
        ),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, RAM_BYTES),
        ("2:cpu,cpuacct:/x\n", {"x/memory.max": "1\n"}, RAM_BYTES),
    ],
)
def test_the_tightest_limit_counts(
    tmp_path: Path, groups: str, files: dict[str, str], expected: int
) -> None:
    """Version 2 and 1, own group and those above, no limit at all, a limit beyond the machine."""
    write(tmp_path / "cgroup", groups)
    for name, text in files.items():
        write(tmp_path / "mounted" / name, text)
    assert expected == limit_bytes(tmp_path / "cgroup", tmp_path / "mounted")


def test_a_kernel_without_control_groups_limits_by_its_memory(tmp_path: Path) -> None:
    """There is no file then that would name them."""
    assert RAM_BYTES == limit_bytes(tmp_path / "cgroup", tmp_path / "mounted")


def test_this_process_has_a_limit() -> None:
    """Read from the machine that the test runs on."""
    assert 100_000_000 < limit_bytes() <= RAM_BYTES

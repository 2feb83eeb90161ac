"""What all benches share: a release build, one seed, a server, the `budget` fixture and its table.

`budget(name, measured)` compares a figure with its entry in budgets.toml, fails the test when the
limit is broken, and prints all figures at the end of the session. The `gc_off` fixture is for
benches that time by themselves; pytest-benchmark is told to do the same.
"""

from __future__ import annotations

import gc
import random
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pacewheel import _core, embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
SEED = 20_240_501

# The oracles are imported as `oracles.…`: pytest imports tests by path, without their parents.
sys.path.insert(0, str(HERE.parent / "tests"))


class Verdict(NamedTuple):
    """One line of the closing table."""

    name: str
    measured: float
    unit: str
    limit: str
    verdict: str


_verdicts: list[Verdict] = []


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a debug build, whose figures mean nothing; run what the test settings skip."""
    if _core.build_info["profile"] != "release":
        raise pytest.UsageError(
            "pacewheel._core is a debug build: build it with `maturin develop --release`"
        )
    config.option.benchmark_skip = False
    config.option.benchmark_disable_gc = True


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Give every bench the same random numbers."""
    random.seed(SEED)


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for the benches of one file, with the settings that users get."""
    directory = tmp_path_factory.mktemp("bench") / "data"
    with embedded.acquire(embedded.EmbeddedConfig(data_dir=directory)) as use:
        yield use.dsn


@pytest.fixture(scope="session")
def budget() -> Callable[[str, float], None]:
    """Return `budget(name, measured)`: record a figure and fail when its limit is broken."""
    limits = tomllib.loads((HERE / "budgets.toml").read_text(encoding="utf-8"))

    def check(name: str, measured: float) -> None:
        entry = limits[name]
        low, high = entry.get("at_least"), entry.get("at_most")
        limit = f">= {low:g}" if low is not None else f"<= {high:g}" if high is not None else "-"
        kept = (low is None or measured >= low) and (high is None or measured <= high)
        verdict = "-" if limit == "-" else "kept" if kept else "BROKEN"
        _verdicts.append(Verdict(name, measured, entry["unit"], limit, verdict))
        assert kept, f"{name}: {measured:.4g} {entry['unit']}, limit {limit} ({entry['reason']})"

    return check


@pytest.fixture
def gc_off() -> Iterator[None]:
    """Keep the garbage collector out of what a bench times by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print every figure with its limit and verdict."""
    if not _verdicts:
        return
    terminalreporter.section("budgets (benches/budgets.toml)")
    width = max(len(verdict.name) for verdict in _verdicts)
    for name, measured, unit, limit, verdict in _verdicts:
        terminalreporter.write_line(
            f"{name:<{width}}  {measured:>10.4g} {unit:<8} {limit:<10} {verdict}"
        )

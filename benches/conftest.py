"""What all benches share: a release build, one seed, a server, the `budget` fixture and its table.

`budget(name, measured)` compares a figure with its entry in budgets.toml, fails the test when the
limit is broken, and prints all figures at the end of the session, with what they are to reach. The
`gc_off` fixture is for benches that time by themselves; pytest-benchmark is told to do the same.
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
    from collections.abc import Callable, Iterator, Sequence

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
    kept: str
    target: str
    met: str
    requirement: str | None


_verdicts: list[Verdict] = []


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a debug build, whose figures mean nothing; run what the test settings skip."""
    if _core.build_info["profile"] != "release":
        raise pytest.UsageError(
            "pacewheel._core is a debug build: build it with `maturin develop --release`"
        )
    # As an error, uvloop's warning of what a failed bench left open would keep its loop from closing,
    # and the failure from being told. What a bench leaves open the driver's own warning still says.
    config.addinivalue_line("filterwarnings", "default:unclosed resource:ResourceWarning")
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


def judge(measured: float, low: float | None, high: float | None) -> tuple[str, bool | None]:
    """Return a bound in words, and whether a figure keeps it; None where there is no bound."""
    if low is not None:
        return f">= {low:g}", measured >= low
    if high is not None:
        return f"<= {high:g}", measured <= high
    return "-", None


@pytest.fixture(scope="session")
def budget() -> Callable[[str, float], None]:
    """Return `budget(name, measured)`: record a figure and fail when its limit is broken."""
    limits = tomllib.loads((HERE / "budgets.toml").read_text(encoding="utf-8"))

    def check(name: str, measured: float) -> None:
        entry = limits[name]
        limit, kept = judge(measured, entry.get("at_least"), entry.get("at_most"))
        target, met = judge(measured, entry.get("target_at_least"), entry.get("target_at_most"))
        _verdicts.append(
            Verdict(
                name,
                measured,
                entry["unit"],
                limit,
                "-" if kept is None else "kept" if kept else "BROKEN",
                target,
                "-" if met is None else "met" if met else "missed",
                entry.get("requirement"),
            )
        )
        assert kept is not False, (
            f"{name}: {measured:.4g} {entry['unit']}, limit {limit} ({entry['reason']})"
        )

    return check


@pytest.fixture
def gc_off() -> Iterator[None]:
    """Keep the garbage collector out of what a bench times by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print every figure with its limit and its target; what the requirements ask for once more."""
    if not _verdicts:
        return
    terminalreporter.section("budgets (benches/budgets.toml)")
    for line in table(_verdicts):
        terminalreporter.write_line(line)
    asked = [each for each in _verdicts if each.requirement is not None]
    if asked:
        terminalreporter.section("what the requirements ask for")
        for line in table(
            [each._replace(name=f"{each.requirement}: {each.name}") for each in asked]
        ):
            terminalreporter.write_line(line)


def table(verdicts: Sequence[Verdict]) -> list[str]:
    """Return a header and one line a figure."""
    width = max(len(each.name) for each in verdicts)
    head = f"{'':<{width}}  {'measured':>10} {'':<8} {'limit':<10} {'':<7} {'target':<10}"
    return [head] + [
        f"{each.name:<{width}}  {each.measured:>10.4g} {each.unit:<8} {each.limit:<10}"
        f" {each.kept:<7} {each.target:<10} {each.met}"
        for each in verdicts
    ]

"""How cost and speed of a drain change with its size: a table, a file of figures, plots.

    make curves                 # writes build/curves/curves.json and curves.webp, prints the table
    CURVES=long make curves     # up to ten million tasks: a quarter of an hour

One thing is varied at a time, around 50,000 tasks of 50 jobs on 50 domains in one process. Each
point is one drain (`drains.py`), so read differences below a fifth as none.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import uvloop

from benches.drains import Drained, Shape, as_values, drain
from pacewheel import embedded

mpl.use("agg")
import matplotlib.pyplot as plt

DIRECTORY = Path("build/curves")
LONG = os.environ.get("CURVES", "") == "long"
BASE = Shape(tasks=50_000)
SWEEPS: dict[str, dict[int, Shape]] = {
    "tasks": {
        n: replace(BASE, tasks=n)
        for n in (10_000, 30_000, 100_000, 300_000, 1_000_000, *((10_000_000,) if LONG else ()))
    },
    "domains": {n: replace(BASE, domains=n, jobs=n) for n in (10, 100, 1_000, 10_000)},
    "jobs": {n: replace(BASE, domains=min(n, 50), jobs=n) for n in (1, 10, 100, 1_000, 10_000)},
    "processes": {n: replace(BASE, processes=n) for n in (1, 2, 3, 4)},
    "connections": {n: replace(BASE, config={"pool_max": n}) for n in (2, 3, 4, 8)},
}
PLOTS = {
    "tasks a second": ("tasks_per_s",),
    "claim, ms": ("claim_p50_ms", "claim_p99_ms"),
    "CPU a task, us": ("server_us", "python_us"),
    "WAL a task, B": ("wal_bytes",),
    "dead rows a task": ("dead_rows",),
}


async def measure(dsn: str) -> dict[str, dict[int, Drained]]:
    """Drain every point once, after one drain that isn't counted; print each as it comes."""
    await drain(dsn, replace(BASE, tasks=5_000))
    found: dict[str, dict[int, Drained]] = {}
    print(f"{'':<12} {'':>10} {'tasks/s':>9} {'claim p50':>10} {'p99 ms':>8}", end="")
    print(f" {'server us':>10} {'python us':>10} {'WAL B':>7} {'dead':>6}")
    for sweep, shapes in SWEEPS.items():
        found[sweep] = {}
        for value, shape in shapes.items():
            each = found[sweep][value] = await drain(dsn, shape)
            print(
                f"{sweep:<12} {value:>10,} {each.tasks_per_s:>9,.0f} {each.claim_p50_ms:>10.1f}"
                f" {each.claim_p99_ms:>8.1f} {each.server_us:>10.1f} {each.python_us:>10.1f}"
                f" {each.wal_bytes:>7.0f} {each.dead_rows:>6.2f}",
                flush=True,
            )
    return found


def plot(found: dict[str, dict[int, Drained]], file: Path) -> None:
    """Draw a row of plots for each figure, a column for each thing varied."""
    figure, axes = plt.subplots(len(PLOTS), len(found), figsize=(16, 14), squeeze=False)
    for column, (sweep, points) in enumerate(found.items()):
        for row, (title, names) in enumerate(PLOTS.items()):
            axis = axes[row][column]
            for name in names:
                label = name.removesuffix("_ms").removesuffix("_us").replace("_", " ")
                heights = [getattr(each, name) for each in points.values()]
                axis.plot(list(points), heights, marker="o", label=label)
            if max(points) / min(points) > 10:
                axis.set_xscale("log")
            axis.set_ylim(0, 1.1 * axis.get_ylim()[1])
            axis.grid(alpha=0.3)
            if row == 0:
                axis.set_title(f"by {sweep}")
            if column == 0:
                axis.set_ylabel(title)
            if len(names) > 1:
                axis.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(file, dpi=80, pil_kwargs={"quality": 80})


def main() -> None:
    """Measure on a server of its own, write, draw."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        config = embedded.EmbeddedConfig(data_dir=Path(directory) / "data")
        with embedded.acquire(config) as use:
            found = uvloop.run(measure(use.dsn))
    rows: list[dict[str, Any]] = [
        {"sweep": sweep, **as_values(SWEEPS[sweep][value], each)}
        for sweep, points in found.items()
        for value, each in points.items()
    ]
    (DIRECTORY / "curves.json").write_text(json.dumps(rows, indent=1) + "\n")
    plot(found, DIRECTORY / "curves.webp")
    print(f"wrote {DIRECTORY}/curves.json and {DIRECTORY}/curves.webp")


if __name__ == "__main__":
    main()

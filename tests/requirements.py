"""The metrics that were asked for, in their order and words, and the table that answers them."""

from __future__ import annotations

import re
from pathlib import Path

ASKED_FOR = {
    "Application Health": (
        "Active jobs",
        "pending tasks",
        "waiting tasks",
        "running tasks",
        "Worker pool size",
        "Task claim rate (tasks/minute)",
        "Task completion rate (tasks/minute)",
    ),
    "Resource Utilisation": (
        "application CPU",
        "application memory",
        "application network I/O",
        "database CPU",
        "database memory",
        "database disk I/O",
        "DB connection pool (active, idle, waiting)",
    ),
    "Performance": (
        "Transaction duration (p50, p95, p99)",
        "Slow transaction rate (per minute)",
        "Cache hit rate (%)",
        "Priority update frequency (per minute)",
    ),
    "Scaling": (
        "Scaling evaluations (per minute)",
        "Scaling decisions breakdown (scale_up, scale_down, no_change)",
        "Waiting task reasons (domain_delay, worker_capacity, concurrency_limit)",
    ),
}
"""What "Key Metrics to Track" lists, by its headings."""

ARCHITECTURE = Path(__file__).parents[1] / "ARCHITECTURE.md"


def key_metrics() -> dict[str, tuple[list[str], list[str]]]:
    """The table's rows: what was asked for, the metrics that answer it, the panels that show it."""
    section = ARCHITECTURE.read_text().split("## Metrics")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return {
        asked.strip(): (
            re.findall(r"`((?:pacewheel|process)_\w+)", metrics),
            [name.strip() for name in shown.split(";")],
        )
        for asked, metrics, shown in rows[2:]
    }

"""What is shipped for Grafana and Prometheus: a dashboard and alert rules, as files.

Owns their names. Every metric in them is one of `pacewheel.metrics`, which a test checks against a
real process's exposition.
"""

from __future__ import annotations

from importlib.resources import files

FILES = {
    "grafana.json": "a Grafana dashboard: import it and choose the Prometheus data source",
    "alerts.yml": "Prometheus alert rules: name the file under rule_files",
}
"""What there is, and what to do with it."""


def read(name: str) -> str:
    """Return the text of one of `FILES`."""
    return (files(__name__) / name).read_text("utf-8")

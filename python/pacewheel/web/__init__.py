"""The daemon's HTTP server: dashboard, JSON API, metrics and health.

`WebServer` is what the daemon starts before its engine and stops after it. Everything else of the
engine is taken through the narrow protocols of `ports`; nothing here speaks to the database.
"""

from __future__ import annotations

from pacewheel.web.server import WebServer

__all__ = ["WebServer"]

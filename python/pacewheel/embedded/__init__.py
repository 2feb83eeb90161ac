"""The PostgreSQL that pacewheel brings along, for who has none.

    with acquire(EmbeddedConfig()) as use:
        connection = await asyncpg.connect(use.dsn)

It lives in the user's data directory, listens on a unix socket only, is shared by all processes
of the user and ends with the last of them. Start with `lifecycle`; `guardian` says how users are
known.
"""

from pacewheel.embedded.binaries import find_binaries
from pacewheel.embedded.home import EmbeddedConfig, default_data_dir
from pacewheel.embedded.lifecycle import (
    ServerStatus,
    ServerUse,
    acquire,
    reset,
    start,
    status,
    stop,
)

__all__ = [
    "EmbeddedConfig",
    "ServerStatus",
    "ServerUse",
    "acquire",
    "default_data_dir",
    "find_binaries",
    "reset",
    "start",
    "status",
    "stop",
]

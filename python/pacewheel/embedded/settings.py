"""The configuration file of the embedded server.

Owns the settings and why they are so. It is written anew at each start, beside the cluster, so it
always is the running version's; `initdb`'s own postgresql.conf is not read.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from pacewheel.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[a-z_][a-z0-9_.]*")
HBA = "local all all trust\n"


def _shared_buffers() -> str:
    ram_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{max(32, min(256, ram_bytes // 8 // 2**20))}MB"


def _settings() -> dict[str, str]:
    return {
        # Nobody but the owner of the socket's directory (and root) comes near the server.
        "listen_addresses": "",
        "unix_socket_directories": "",
        "unix_socket_permissions": "0700",
        "cluster_name": "pacewheel",
        "max_connections": "100",
        "shared_buffers": _shared_buffers(),
        # sysv needs no /dev/shm, which containers keep at 64 MB; PostgreSQL uses it for its
        # interlock anyway. mmap would write parallel queries' shared memory to the data's disk.
        "dynamic_shared_memory_type": "sysv" if sys.platform == "linux" else "posix",
        "huge_pages": "off",
        "max_wal_size": "2GB",
        # A queue's tables turn over many times an hour: vacuum looks often and cheaply.
        "autovacuum_naptime": "10s",
        # Short statements never earn a compilation.
        "jit": "off",
        # wal_compression stays off: the package has no lz4, and pglz costs the CPU that tasks need.
        "shared_preload_libraries": "pg_stat_statements",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        # One file a weekday, overwritten a week later.
        "logging_collector": "on",
        "log_directory": "../log",
        "log_filename": "postgresql-%a.log",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_truncate_on_rotation": "on",
        "log_checkpoints": "off",
    }


def render(socket_dir: str, extra: Mapping[str, str]) -> str:
    """The file's text; `extra` overrides. ConfigInvalid for a name that can't be a setting's."""
    lines = []
    for name, value in {**_settings(), "unix_socket_directories": socket_dir, **extra}.items():
        if not _NAME.fullmatch(name) or "\n" in value:
            raise ConfigInvalid(
                f"{name!r} = {value!r} is no PostgreSQL setting: check its spelling"
            )
        quoted = value.replace("\\", "\\\\").replace("'", "''")
        lines.append(f"{name} = '{quoted}'\n")
    return "".join(lines)

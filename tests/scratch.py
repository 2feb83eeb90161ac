"""Where the tests' servers keep their data: in memory where there is room.

Making the 300 files of a database there takes a fifth of the time. Nothing there outlives its test
run for more than a day, however that ended.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

PREFIX = "pacewheel-tests-"
MEMORY = Path("/dev/shm")
# Half a gigabyte is what a whole run needs; a container's 64 MB are too few.
MEMORY_MIN_BYTES = 4 * 2**30
KEPT_S = 86_400


def scratch() -> Path:
    """Make a directory, which whoever asks for it removes; what killed runs left goes."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_MIN_BYTES
    parent = MEMORY if roomy else Path(tempfile.gettempdir())
    for left in parent.glob(f"{PREFIX}*"):
        if left.stat().st_mtime < time.time() - KEPT_S:
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))

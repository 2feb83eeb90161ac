"""How many different queries of one path a job takes: the guard against parameters that explode.

Owns the counts, in bounded memory. A path has a bitmap of 4,096 bits; a query sets the one it
hashes to, so one that comes again counts once, and the bits set tell the number (linear counting;
2 % off for 1,000). A path that has had its number takes no query any more, known ones included:
those are tasks already. Of 256 paths the half with fewer queries is forgotten.

The counts live with the process that owns the job's domain. A document of the job, written whenever
64 more bits of a path are set, brings them back after a restart; so a restart forgets at most 63
queries of each path.
"""

from __future__ import annotations

import base64
import json
import math
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, Self
from zlib import crc32

if TYPE_CHECKING:
    from pacewheel.model import Lease, Task

QUERIES_DOCUMENT = "queries"
"""Name of the job's document that holds the counts."""

MAX_QUERIES = 1_000
"""Different queries of one path that links may lead to, unless the job says otherwise."""

_BITS = 4_096
_STEP = 64
_MAX_PATHS = 256
_MAX_JOBS = 64


class QueryCounts:
    """The counts of one job."""

    def __init__(self, limit: int) -> None:
        """Take about `limit` queries of each path."""
        self._full_at = max(1, round(_BITS * -math.expm1(-limit / _BITS)))
        self._paths: dict[str, int] = {}
        self._is_noted = True

    @classmethod
    def of_document(cls, text: str | None, limit: int) -> Self:
        """Return the counts that `as_document` wrote; none without a text."""
        counts = cls(limit)
        for path, bits in json.loads(text or "{}").items():
            counts._paths[path] = int.from_bytes(base64.b64decode(bits))
        return counts

    def takes(self, key: str) -> bool:
        """Count the query of a page's key; False when its path has had its number."""
        path, mark, query = key.partition("?")
        if not mark:
            return True
        path_id = f"{crc32(path.encode()):x}"
        bits = self._paths.get(path_id, 0)
        count = bits.bit_count()
        if count >= self._full_at:
            return False
        digest = blake2b(query.encode(), digest_size=8).digest()
        with_query = bits | 1 << int.from_bytes(digest) % _BITS
        if with_query != bits:
            self._paths[path_id] = with_query
            if (count + 1) % _STEP == 0 or count + 1 == self._full_at:
                self._is_noted = False
            if len(self._paths) > _MAX_PATHS:
                self._forget()
        return True

    def as_document(self) -> str | None:
        """Return the text to be kept with the job, or None while the last one will do."""
        if self._is_noted:
            return None
        self._is_noted = True
        kept = {
            path: base64.b64encode(bits.to_bytes(_BITS // 8)).decode()
            for path, bits in self._paths.items()
            if bits.bit_count() >= min(_STEP, self._full_at)
        }
        return json.dumps(kept)

    def _forget(self) -> None:
        ordered = sorted(self._paths.items(), key=lambda item: item[1].bit_count(), reverse=True)
        self._paths = dict(ordered[: _MAX_PATHS // 2])


class QueryCountsCache:
    """The counts of the jobs that this process works on, least recently used out first."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._held: OrderedDict[int, tuple[Lease | None, QueryCounts]] = OrderedDict()

    async def counts(self, task: Task, limit: int | None) -> QueryCounts | None:
        """Return the counts of `task`'s job, from its document when they are not here.

        None without a `limit`. Counts are good for one lease: under another owner they have grown.
        """
        if limit is None:
            return None
        counts = self._of(task)
        if counts is None:
            text = await task.document(QUERIES_DOCUMENT)
            # Another page may have been faster.
            counts = self._of(task) or QueryCounts.of_document(text, limit)
            self._held[task.job_id] = (task.lease, counts)
        self._held.move_to_end(task.job_id)
        while len(self._held) > _MAX_JOBS:
            self._held.popitem(last=False)
        return counts

    def _of(self, task: Task) -> QueryCounts | None:
        lease, counts = self._held.get(task.job_id, (None, None))
        return counts if lease is task.lease else None

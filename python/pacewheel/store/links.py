"""Which tasks refer to which: lists of keys, named by what they hold, so equal ones are kept once.

Owns the rows of `link_lists`. They are written in the settle's transaction, after its results,
which name them; nothing but reports reads them.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from pacewheel.model import Outcome
    from pacewheel.ports import Settlement

# A sitemap has up to 50,000 entries; arrays of this length stay handy.
KEYS_MAX = 5000


def lists_of(outcome: Outcome) -> dict[int, tuple[str, Sequence[str]]]:
    """Return an outcome's link lists by id: each one's name and keys, at most 5,000 a list."""
    lists = {}
    for name, keys in outcome.links.items():
        for start in range(0, len(keys), KEYS_MAX):
            part = keys[start : start + KEYS_MAX]
            lists[_id_of(name, part)] = (name, part)
    return lists


def ids_of_lists(outcome: Outcome) -> str:
    """Return the ids of an outcome's link lists as the text of an array."""
    return "{" + ",".join(map(str, lists_of(outcome))) + "}"


def _id_of(name: str, keys: Sequence[str]) -> int:
    text = "\0".join((name, *keys)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), signed=True)


async def put_link_lists(
    connection: asyncpg.Connection, queries: Mapping[str, str], batch: Sequence[Settlement]
) -> None:
    """Write the lists of a batch inside the caller's transaction, those that are new."""
    lists = {
        (item.domain_id, item.job_id, list_id): named
        for item in batch
        if item.outcome.links
        for list_id, named in lists_of(item.outcome).items()
    }
    if lists:
        await connection.execute(
            queries["put_link_lists"],
            [domain_id for domain_id, _, _ in lists],
            [job_id for _, job_id, _ in lists],
            [list_id for _, _, list_id in lists],
            [name for name, _ in lists.values()],
            [number for number, (_, keys) in enumerate(lists.values(), 1) for _ in keys],
            [key for _, keys in lists.values() for key in keys],
        )

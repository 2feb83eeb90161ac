"""The statements: reads sql/queries once, one statement a file, and puts the schema's name in.

Owns the mapping from a statement's name to its text, and back. The files name the schema `pacewheel`, so each can be
pasted into psql as it stands; the configured name takes its place here, and nowhere else.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

SCHEMA_DEFAULT = "pacewheel"
_QUALIFIER = re.compile(r"\bpacewheel\.")
OTHER = "other"
_names: dict[str, str] = {}


def sql_root() -> Traversable:
    """Return the folder of the shipped SQL."""
    return files("pacewheel") / "sql"


def for_schema(text: str, schema: str) -> str:
    """Return the SQL with `schema` in the place of the name the files are written with.

    `schema` is a checked identifier (config.py), so quoting is a matter of form only.
    """
    if schema == SCHEMA_DEFAULT:
        return text
    return _QUALIFIER.sub(f'"{schema}".', text).replace("'pacewheel'", f"'{schema}'")


@cache
def load_queries(schema: str = SCHEMA_DEFAULT) -> dict[str, str]:
    """Return all statements by name, without their headers' comment lines."""
    folder = sql_root() / "queries"
    statements = {}
    for entry in folder.iterdir():
        if entry.name.endswith(".sql"):
            lines = entry.read_text("utf-8").splitlines()
            body = "\n".join(line for line in lines if not line.startswith("--"))
            statements[entry.name.removesuffix(".sql")] = for_schema(body.strip(), schema)
    _names.update((text, name) for name, text in statements.items())
    return statements


def name_of(text: str) -> str:
    """Return the name of a statement that was loaded; `other` for what is none of ours."""
    return _names.get(text, OTHER)

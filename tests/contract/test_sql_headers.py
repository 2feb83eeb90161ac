"""Every statement is one statement in one file with one header and a name of the right form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUERIES = sorted((ROOT / "sql" / "queries").glob("*.sql"))
MIGRATIONS = sorted((ROOT / "sql" / "migrations").glob("*.sql"))
HEADER_KEYS = ["purpose", "params", "returns", "index", "rows"]
NAME = re.compile(r"[a-z]+(_[a-z]+)*\.sql")
MIGRATION_NAME = re.compile(r"(\d{4})_(pre|post)_[a-z0-9_]+\.(up|down)\.sql")
# Literals, quoted names, dollar quotes and comments: a semicolon in one of them ends nothing.
QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|(\$\w*\$).*?\1", re.DOTALL)


def test_there_are_statements() -> None:
    """An empty folder would make the tests below say nothing."""
    assert len(QUERIES) > 10
    assert MIGRATIONS


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.stem)
def test_a_statement_has_its_header_and_nothing_but_one_statement(file: Path) -> None:
    """Purpose, params, returns, index and rows in this order, then one statement."""
    lines = file.read_text().splitlines()
    keys = [re.match(r"-- ([a-z]+): \S", line) for line in lines[: len(HEADER_KEYS)]]
    assert HEADER_KEYS == [match and match[1] for match in keys]
    statements = [part for part in QUOTED.sub("", file.read_text()).split(";") if part.strip()]
    assert len(statements) == 1


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.stem)
def test_a_header_names_the_parameters_that_the_statement_uses(file: Path) -> None:
    """$1 to $n are used without a hole and each is explained."""
    header, body = [], []
    for line in file.read_text().splitlines():
        (header if line.startswith("--") else body).append(line)
    used = {int(number) for number in re.findall(r"\$(\d+)", "\n".join(body))}
    params = next(line for line in header if line.startswith("-- params:"))
    assert set(range(1, len(used) + 1)) == used
    assert used == {int(number) for number in re.findall(r"\$(\d+)", params)}


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.stem)
def test_a_statement_is_named_after_what_it_does(file: Path) -> None:
    """verb_noun.sql, or the verb alone; tables are qualified, so that the schema can be replaced."""
    assert NAME.fullmatch(file.name)
    body = QUOTED.sub("", file.read_text())
    tables = re.findall(r"\b(?:INTO|UPDATE|DELETE FROM)\s+([\w.]+)", body)
    unqualified = [name for name in tables if "." not in name and name not in {"SET", "OF", "SKIP"}]
    assert unqualified == []


def test_migrations_are_numbered_without_a_hole_and_come_in_pairs() -> None:
    """NNNN_{pre|post}_<what>.{up,down}.sql from 0001 on."""
    names = [MIGRATION_NAME.fullmatch(file.name) for file in MIGRATIONS]
    assert None not in names
    numbers = sorted({int(name[1]) for name in names if name})
    assert list(range(1, len(numbers) + 1)) == numbers
    for file in MIGRATIONS:
        assert file.with_name(file.name.replace(".up.", ".down.")).exists()
        assert file.with_name(file.name.replace(".down.", ".up.")).exists()

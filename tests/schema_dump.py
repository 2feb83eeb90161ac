"""The schema as SQL: `python -m tests.schema_dump` writes sql/schema.sql, a test compares it.

A change of the schema is then a visible difference of one file. The text is pg_dump's, without what
depends on the day (partitions), the server or the tool's version, wrapped to the house's line length.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
from pathlib import Path

from pacewheel import embedded
from pacewheel.store import migrate

SCHEMA_FILE = Path(__file__).parents[1] / "sql" / "schema.sql"
COLUMNS_MAX = 118
HEADER = "-- The newest schema, made of the migrations by `python -m tests.schema_dump`.\n\n"


def dump(dsn: str) -> str:
    """Return the normalised schema of a database."""
    program = embedded.find_binaries().program("pg_dump")
    options = ["--schema-only", "--no-owner", "--no-privileges", "--schema=pacewheel"]
    options.append("--exclude-table=pacewheel.results_2*")
    done = subprocess.run(
        [program, *options, dsn], capture_output=True, text=True, check=True, timeout=60
    )
    return HEADER + normalise(_without_functions(done.stdout))


def _without_functions(text: str) -> str:
    """Drop the functions that have a file of their own in sql/functions."""
    for file in (SCHEMA_FILE.parent / "functions").iterdir():
        start = rf"CREATE FUNCTION pacewheel\.{file.stem}\("
        text = re.sub(rf"{start}.*?\n +AS (\$\w*\$).*?\1;\n", "", text, flags=re.DOTALL)
    return text


def normalise(text: str) -> str:
    """Drop comments of the tool, settings and empty lines in a row; wrap what is too long."""
    noise = re.compile(r"--|SET |\\|SELECT pg_catalog\.set_config")
    kept = "\n".join(line for line in text.splitlines() if not noise.match(line))
    # The names of NOT NULL constraints, which servers before 18 do not have.
    kept = re.sub(r" CONSTRAINT \w+_not_null(?= NOT NULL)", "", kept)
    lines = [part for line in kept.splitlines() for part in _wrap(line)]
    return re.sub(r"\n{2,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _wrap(line: str) -> list[str]:
    # Broken only behind a comma or a keyword outside quotes, where a line break changes nothing.
    parts = re.split(
        r"(?:(?<=,)|(?<= THEN)|(?<= AS)|(?<= AND)|(?<=FROM)) (?=(?:[^']*'[^']*')*[^']*$)", line
    )
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 1 + len(part) <= COLUMNS_MAX:
            lines[-1] += f" {part}"
        else:
            lines.append(" " * 8 + part)
    return lines


def main() -> None:
    """Write sql/schema.sql from a server of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        settings = embedded.EmbeddedConfig(data_dir=Path(folder) / "postgres")
        with embedded.acquire(settings) as use:
            asyncio.run(migrate(use.dsn, "pacewheel"))
            SCHEMA_FILE.write_text(dump(use.dsn))


if __name__ == "__main__":
    main()

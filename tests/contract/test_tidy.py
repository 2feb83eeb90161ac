"""Style as a test: columns, sizes, docstrings of tests, and words that the vocabulary replaced."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COLUMNS_MAX = 100
# What the formatter can't break: a text in quotes, a reason beside a lint exception, and SQL, whose
# conditions read best whole.
COLUMNS_MAX_UNBREAKABLE = 120
UNBREAKABLE = re.compile(r"[\"']|# noqa|# type: ")
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
FOLDERS = ("python", "rust", "sql", "tests", "benches")
SUFFIXES = {".py", ".pyi", ".rs", ".sql"}
# From the vocabulary's column "do not say": whole words of names of statements, methods,
# exceptions and metrics. Words that are right in another sense (run, page, host, lock, scan, event)
# are left to the reader.
FORBIDDEN = {
    "queued", "doing", "activate", "grab", "pop", "reap", "cleanup",
    "squash", "cascade", "boost", "trigger", "bust",
}  # fmt: skip


def sources(*suffixes: str) -> list[Path]:
    """The project's files with one of the suffixes; what was built or linked is left out."""
    found = []
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            linked = (ROOT / "python" / "pacewheel" / "sql") in file.parents
            if file.suffix in suffixes and not linked and "target" not in file.parts:
                found.append(file)
    return found


def relative(file: Path) -> str:
    """The file's name from the project's root."""
    return file.relative_to(ROOT).as_posix()


def functions(file: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions of a Python file."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds)]


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_no_line_is_longer_than_100_columns(suffix: str) -> None:
    """120 where it can't be broken; the header lines of SQL are one line a key by their grammar."""
    long_lines = []
    for file in sources(suffix):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            unbreakable = suffix == ".sql" or UNBREAKABLE.search(line)
            limit = COLUMNS_MAX_UNBREAKABLE if unbreakable else COLUMNS_MAX
            if len(line) > limit and not re.match(r"-- [a-z]+: ", line):
                long_lines.append(f"{relative(file)}:{number} has {len(line)} columns")
    assert long_lines == []


def test_no_function_is_longer_than_70_lines() -> None:
    """From the line of its name to its last, docstring included."""
    long_functions = [
        f"{relative(file)}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for file in sources(".py")
        for node in functions(file)
        if node.end_lineno is not None and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long_functions == []


def test_no_file_is_longer_than_400_lines_unless_the_architecture_says_why() -> None:
    """A long file needs a sentence in ARCHITECTURE.md that names it."""
    architecture = (ROOT / "ARCHITECTURE.md").read_text()
    long_files = [
        relative(file)
        for file in sources(*SUFFIXES)
        if len(file.read_text().splitlines()) > FILE_LINES_MAX
        and relative(file) not in architecture
    ]
    assert long_files == []


def test_every_module_says_what_it_is_for() -> None:
    """A module docstring in Python, a crate or module comment in Rust."""
    python = [file for file in sources(".py") if not ast.get_docstring(ast.parse(file.read_text()))]
    rust = [file for file in sources(".rs") if not file.read_text().lstrip().startswith("//")]
    silent = [relative(file) for file in python + rust]
    assert silent == []


def test_every_test_has_a_docstring() -> None:
    """One line that says what is shown."""
    silent = [
        f"{relative(file)}:{node.lineno} {node.name}"
        for file in sources(".py")
        if "tests" in file.parts and file.name.startswith("test_")
        for node in functions(file)
        if node.name.startswith("test_") and ast.get_docstring(node) is None
    ]
    assert silent == []


def test_names_use_the_vocabulary() -> None:
    """Statements, functions and classes of the package say claim, not grab."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = [(relative(file), file.stem) for file in sources(".sql")] + [
        (relative(file), node.name)
        for file in sources(".py")
        if relative(file).startswith("python/")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, kinds)
    ]
    wrong = [
        f"{file}: {name}"
        for file, name in names
        if FORBIDDEN & set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_"))
    ]
    assert wrong == []


def test_exceptions_are_named_after_their_condition() -> None:
    """Never ...Exception, and all of one tree."""
    tree = ast.parse((ROOT / "python/pacewheel/errors.py").read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert [] == [node.name for node in classes if node.name.endswith("Exception")]
    known = {"Exception"} | {node.name for node in classes}
    assert all(isinstance(base, ast.Name) and base.id in known for n in classes for base in n.bases)

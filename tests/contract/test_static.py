"""The dashboard's files: small, whole, from here alone, and with no way for data to become markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "python" / "pacewheel" / "web" / "static"
VENDOR = STATIC / "vendor"
OURS = sorted(f for f in STATIC.rglob("*") if f.is_file() and VENDOR not in f.parents)
SCRIPTS = [file for file in OURS if file.suffix == ".js"]
LINES_MAX = 400
COLUMNS_MAX = 120
# What makes markup or code of text.
UNSAFE = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|\beval\(|"
    r"new Function|javascript:|srcdoc"
)
# Example sites in words of empty states, and the name of the SVG language, are requested by nobody.
FOREIGN = re.compile(r"(?:https?:)?//(?!example\.com|www\.w3\.org/2000/svg)[a-z0-9.-]+\.[a-z]{2,}")


def name(file: Path) -> str:
    """The file's name below the folder."""
    return file.relative_to(STATIC).as_posix()


def test_files_are_small() -> None:
    """400 lines of 120 columns at most, as everywhere."""
    long_files = [
        f"{name(file)}: {len(lines)} lines, {widest} columns"
        for file in OURS
        for lines in [file.read_text("utf-8").splitlines()]
        for widest in [max(map(len, lines))]
        if len(lines) > LINES_MAX or widest > COLUMNS_MAX
    ]
    assert [] == long_files


def test_every_module_says_what_it_is_for() -> None:
    """A comment comes first, in scripts and style sheets."""
    files = [file for file in OURS if file.suffix in {".js", ".css"}]
    silent = [name(f) for f in files if not f.read_text("utf-8").startswith(("//", "/*"))]
    assert [] == silent


def test_nothing_makes_markup_of_data() -> None:
    """Text becomes text: what would parse it as markup or code is not used at all."""
    assert [] == [name(file) for file in OURS if UNSAFE.search(file.read_text("utf-8"))]


def test_nothing_stands_inline() -> None:
    """The page runs under a policy that forbids scripts, styles and handlers in markup."""
    page = (STATIC / "index.html").read_text("utf-8")
    assert None is re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", page)


def test_nothing_comes_from_elsewhere() -> None:
    """No CDN, no font, no picture: every address is one of ours."""
    assert [] == [name(file) for file in OURS if FOREIGN.search(file.read_text("utf-8"))]


@pytest.mark.parametrize("file", SCRIPTS, ids=name)
def test_what_a_module_imports_is_there_and_used(file: Path) -> None:
    """Every path leads to a file, every name is exported there, and stands somewhere below."""
    text = file.read_text("utf-8")
    for names, path in re.findall(r'^import (.*?) from "(.+?)";$', text, re.MULTILINE | re.DOTALL):
        target = (file.parent / path).resolve()
        assert target.is_file(), path
        rest = text.replace(f'import {names} from "{path}";', "")
        for each in re.findall(r"\w+", names):
            assert re.search(rf"\b{each}\b", rest), f"{each} is imported and not used"
            if names.startswith("{") and target.is_relative_to(STATIC) and target not in vendored():
                exported = rf"export (?:default |async )*(?:const|function|class) {each}\b"
                listed = rf"export \{{[^}}]*\b{each}\b"
                assert re.search(f"{exported}|{listed}", target.read_text("utf-8")), each


def vendored() -> list[Path]:
    """The libraries."""
    return sorted(VENDOR.glob("*.js"))


def test_every_export_is_imported() -> None:
    """Dead code shows."""
    everything = {file: file.read_text("utf-8") for file in SCRIPTS}
    unused = [
        f"{name(file)}: {each}"
        for file, text in everything.items()
        for each in re.findall(
            r"^export (?:const|async function|function|class) (\w+)", text, re.MULTILINE
        )
        if not any(re.search(rf"\b{each}\b", t) for f, t in everything.items() if f != file)
    ]
    assert [] == unused


def test_every_library_has_its_licence_and_its_source() -> None:
    """Beside it, and in the table of what is vendored."""
    table = (VENDOR / "README.md").read_text("utf-8")
    for library in [*vendored(), *VENDOR.glob("*.css")]:
        assert library.with_suffix(".LICENSE").is_file(), library.name
        assert f"`{library.name}`" in table

"""`pacewheel dashboards`: lists, prints and writes what is shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel import dashboards
from pacewheel.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_files_are_listed_with_what_to_do_with_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Without arguments: a line a file."""
    assert 0 == main(["dashboards"])
    lines = capsys.readouterr().out.splitlines()
    assert list(dashboards.FILES) == [line.split()[0] for line in lines]


def test_a_file_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """For a pipe, or a redirection."""
    assert 0 == main(["dashboards", "alerts.yml"])
    assert dashboards.read("alerts.yml") == capsys.readouterr().out


def test_an_unknown_file_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one line, with 2."""
    assert 2 == main(["dashboards", "none"])
    assert "give one of grafana.json, alerts.yml" in capsys.readouterr().err


def test_all_files_are_written_to_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which is made; where that is not possible, it is said."""
    folder = tmp_path / "new" / "ones"
    assert 0 == main(["dashboards", "--write", str(folder)])
    assert [str(folder / name) for name in dashboards.FILES] == capsys.readouterr().out.split()
    for name in dashboards.FILES:
        assert dashboards.read(name) == (folder / name).read_text("utf-8")
    assert 2 == main(["dashboards", "--write", str(folder / "alerts.yml")])
    assert "give another folder" in capsys.readouterr().err

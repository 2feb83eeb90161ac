"""What `warm` says of its reports, and which form a file's name asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacewheel.cli.report import ending_words, form_of, rows_max_at_end
from pacewheel.errors import ConfigInvalid
from pacewheel.report import build
from tests.reported import facts_of, job


def test_a_few_sites_are_reported_and_many_are_named() -> None:
    """Three fill a screen; of more it says where to read on."""
    reports = [build(facts_of(job(id=number))) for number in range(3, 7)]
    assert 3 == ending_words([3, 4, 5], reports[:3]).count("site.example: job ")
    assert "(jobs 3 to 6)" in ending_words([3, 6, 4, 5], [])


def test_no_report_is_made_that_nobody_sees() -> None:
    """Of many sites without a file, or with the summary as JSON."""
    assert (100, 0, 0) == (
        rows_max_at_end(None, 3, as_json=False),
        rows_max_at_end(None, 4, as_json=False),
        rows_max_at_end(None, 1, as_json=True),
    )
    assert 10_000 == rows_max_at_end("csv", 1_000, as_json=True)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("r.html", "html"),
        ("R.JSON", "json"),
        ("r.csv", "csv"),
        ("r.xml", "junit"),
        ("r.txt", "text"),
    ],
)
def test_a_files_name_says_its_form(name: str, form: str, tmp_path: Path) -> None:
    """By its ending, in any case."""
    assert form == form_of(str(tmp_path / name))


@pytest.mark.parametrize("name", ["report", "report.pdf", "none/report.html"])
def test_a_report_that_can_not_be_written_is_refused_before_the_work(
    name: str, tmp_path: Path
) -> None:
    """An unknown ending, or a folder that is not there."""
    with pytest.raises(ConfigInvalid, match=r"no form|no folder"):
        form_of(str(tmp_path / name))

"""`pacewheel report`: what a job came to, in the form that is asked for; also what `warm` ends with.

Owns the forms by name, where they are written, and the exit code of `--fail-on`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pacewheel.cli import options
from pacewheel.cli.engines import connected, run_async
from pacewheel.cli.output import writing
from pacewheel.errors import ConfigInvalid
from pacewheel.report import text, thresholds

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from pacewheel.config import Config
    from pacewheel.report import Report
    from pacewheel.report.thresholds import Verdict

EXIT_FAILED = 6
LISTED_MAX = 10_000
SHOWN_MAX = 100
SITES_SHOWN_MAX = 3
_MODULES = {"text": "text", "html": "html", "json": "as_json", "csv": "as_csv", "junit": "junit"}
_FORMS = {".txt": "text", ".html": "html", ".json": "json", ".csv": "csv", ".xml": "junit"}


def run(args: argparse.Namespace) -> int:
    """Print or write the report; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    job_id = options.job_id(args.id)
    compared_with = _compared_with(args.compare)
    wanted = [] if args.fail_on is None else thresholds.parse(args.fail_on)
    if args.output is not None:
        _check_folder(args.output)
    report = run_async(_read(config, job_id, rows_max_of(args.form), compared_with))
    verdicts = thresholds.check(report, wanted)
    content = rendered(args.form, [(report, verdicts)])
    write(args.output, content)
    failed = [verdict for verdict in verdicts if verdict.is_failed]
    if failed and (args.output is not None or args.form != "text"):
        print("\n".join(f"fails: {verdict}" for verdict in failed), file=sys.stderr)
    return EXIT_FAILED if failed else 0


def form_of(file: str) -> str:
    """Return the form that a file's name asks for.

    Raises:
        ConfigInvalid: none, or the file can't be there.
    """
    form = _FORMS.get(Path(file).suffix.lower())
    if form is None:
        raise ConfigInvalid(
            f"the report {file!r} has no form: let its name end with {', '.join(_FORMS)}"
        )
    _check_folder(file)
    return form


def rows_max_of(form: str) -> int:
    """Return how long the lists of a form are at most."""
    return LISTED_MAX if form in {"json", "csv"} else SHOWN_MAX


def rendered(form: str, judged: Sequence[tuple[Report, Sequence[Verdict]]]) -> str:
    """Return reports, each with its thresholds, in a form."""
    # A form that nobody asks for is not loaded: the template engine takes a while.
    render: Callable[[Sequence[tuple[Report, Sequence[Verdict]]]], str] = import_module(
        f"pacewheel.report.{_MODULES[form]}"
    ).render
    return render(judged)


def write(file: str | None, content: str) -> None:
    """Write a report to its file, or to standard output.

    Raises:
        ConfigInvalid: that is not possible.
    """
    with writing(file) as take:
        take(content.encode("utf-8", "replace"))


def rows_max_at_end(form: str | None, sites: int, *, as_json: bool) -> int:
    """Return how long the lists of the reports are that a `warm` of so many sites ends with.

    0: none is shown or written, so none is made: a thousand would take a minute.
    """
    if form is not None:
        return rows_max_of(form)
    return 0 if as_json or sites > SITES_SHOWN_MAX else rows_max_of("text")


def ending_words(job_ids: Sequence[int], reports: Sequence[Report]) -> str:
    """Return what `warm` says of its jobs: the reports of one or a few sites, else where they are."""
    if len(job_ids) <= SITES_SHOWN_MAX:
        return text.render([(report, ()) for report in reports]).rstrip("\n")
    return (
        f"`pacewheel report JOB` says more of each site (jobs {min(job_ids)} to {max(job_ids)}); "
        "--report FILE writes it"
    )


def _check_folder(file: str) -> None:
    folder = Path(file).absolute().parent
    if not folder.is_dir():
        raise ConfigInvalid(f"there is no folder {str(folder)!r} for the report: make it first")


def _compared_with(given: str | None) -> int | Literal["previous"] | None:
    if given is None or given == "previous":
        return "previous" if given else None
    return options.whole("--compare", given, options.ID_MAX)


async def _read(
    config: Config,
    job_id: int,
    rows_max: int,
    compared_with: int | Literal["previous"] | None,
) -> Report:
    async with connected(config) as engine:
        job = await engine.get_job(job_id)
        return await job.report(rows_max=rows_max, compared_with=compared_with)

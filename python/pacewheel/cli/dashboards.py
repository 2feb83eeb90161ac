"""`pacewheel dashboards`: what is shipped for Grafana and Prometheus, listed, printed or written.

Needs no database and no settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pacewheel import dashboards
from pacewheel.errors import ConfigInvalid

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "dashboards",
        help="a Grafana dashboard and Prometheus alert rules: list, print or write them",
        description="Lists what is shipped for Grafana and Prometheus; prints the file NAME, or "
        "writes all files to a folder. They read what `pacewheel run` serves at /metrics.",
        allow_abbrev=False,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("name", metavar="NAME", nargs="?", help="print this file")
    what.add_argument("--write", metavar="FOLDER", help="write all files there")
    parser.set_defaults(func=_run)


def _run(args: Namespace) -> int:
    if args.write is not None:
        for path in _write(Path(args.write)):
            print(path)
    elif args.name is not None:
        if args.name not in dashboards.FILES:
            raise ConfigInvalid(
                f"there is no file {args.name!r}: give one of {', '.join(dashboards.FILES)}"
            )
        print(dashboards.read(args.name), end="")
    else:
        width = max(map(len, dashboards.FILES))
        for name, words in dashboards.FILES.items():
            print(f"{name:<{width}}  {words}")
    return 0


def _write(folder: Path) -> list[Path]:
    """Write the files to a folder, which is made if there is none.

    Raises:
        ConfigInvalid: that is not possible.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in dashboards.FILES:
            path = folder / name
            path.write_text(dashboards.read(name), "utf-8")
            written.append(path)
    except OSError as error:
        raise ConfigInvalid(
            f"can't write to {str(folder)!r} ({error.strerror}): give another folder"
        ) from None
    return written

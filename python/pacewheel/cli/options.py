"""Options that several commands share, and the way from arguments to `Config`.

Every option that sets a field of `Config` is made from that field: its name, its help and its
check.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacewheel import logs
from pacewheel.config import Config, flag_name, settings
from pacewheel.errors import ConfigInvalid

if TYPE_CHECKING:
    from argparse import ArgumentParser, _SubParsersAction
    from collections.abc import Iterable

DATABASE_SETTINGS = ("dsn", "schema", "data_dir")
LOG_SETTINGS = ("log_level", "log_format")
LOOK_SETTINGS = (*DATABASE_SETTINGS, "pooler", *LOG_SETTINGS)
DELAY_MAX_S = 3600
ID_MAX = 2**63 - 1


def command(
    subparsers: _SubParsersAction[ArgumentParser],
    name: str,
    target: str,
    title: str,
    more: str = "",
) -> ArgumentParser:
    """Add a command whose function is `target`, a module of this package and a name in it."""
    description = f"{title[0].upper()}{title[1:]}. {more}".strip()
    parser = subparsers.add_parser(name, help=title, description=description, allow_abbrev=False)
    parser.set_defaults(target=target)
    return parser


def add_settings(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Add `--config`, `--debug`, and an option for each of these fields of `Config`."""
    group = parser.add_argument_group("settings")
    group.add_argument("--config", type=Path, metavar="FILE", help="TOML file with settings")
    group.add_argument("--debug", action="store_true", help="log everything; show tracebacks")
    known = settings()
    for name in names:
        setting = known[name]
        several = isinstance(setting.default, tuple)
        default = "" if setting.default in (None, ()) else f" (default: {_shown(setting.default)})"
        extra: dict[str, Any] = {"action": "append"} if several else {}
        if isinstance(setting.default, bool):
            extra = {"action": argparse.BooleanOptionalAction}
        else:
            extra["metavar"] = "CIDR" if several else name.rpartition("_")[2].upper()
        group.add_argument(
            flag_name(name),
            dest=f"setting_{name}",
            help=str(setting.metadata["help"]).replace("%", "%%") + default,
            **extra,
        )


def load_config(args: argparse.Namespace, **defaults: Any) -> Config:
    """Return the settings of all layers and set up logging. `defaults` replaces fields' defaults.

    Raises:
        ConfigInvalid: as `Config.load`.
    """
    prefix = "setting_"
    flags = {
        name.removeprefix(prefix): value
        for name, value in vars(args).items()
        if name.startswith(prefix)
    }
    if args.debug:
        flags["log_level"] = "debug"
    config = Config.load(os.environ, args.config, flags, defaults=defaults)
    # What these two say of a defect is to be as readable, and as free of secrets, as our own.
    logs.configure(config.log_level, config.log_format, also=("asyncio", "aiohttp"))
    return config


def whole(option: str, text: str, most: int, least: int = 1) -> int:
    """Parse the value of an option that counts something, `least` to `most`. Raises ConfigInvalid."""
    if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
        raise ConfigInvalid(
            f"{option} {text!r} is refused; give a whole number from {least} to {most}"
        )
    return int(text)


def number(option: str, text: str) -> float:
    """Parse the value of an option that is a number; whoever uses it checks it. Raises ConfigInvalid."""
    try:
        return float(text)
    except ValueError:
        raise ConfigInvalid(f"{option} {text!r} is refused; give a number such as 1.5") from None


def job_id(text: str) -> int:
    """Parse a job's number. Raises ConfigInvalid."""
    return whole("job id", text, ID_MAX)


def milliseconds(option: str, text: str) -> int:
    """Parse the value of an option in seconds, from 0 to an hour, to ms. Raises ConfigInvalid."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= DELAY_MAX_S:
        raise ConfigInvalid(
            f"{option} {text!r} is refused; give seconds from 0 to {DELAY_MAX_S}, such as 0.5"
        )
    return round(seconds * 1000)


def _shown(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)

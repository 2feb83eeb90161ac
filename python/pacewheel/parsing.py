"""What users write, as values: the checks and words that command line and API share."""

from __future__ import annotations

import re

from pacewheel.errors import ConfigInvalid

ID_MAX = 2**63 - 1


def whole(option: str, text: str, most: int, least: int = 1) -> int:
    """Return the whole number that a text is, `least` to `most`.

    Raises:
        ConfigInvalid: it is none, or another one.
    """
    # No longer than the largest may be: a number of a million digits is not even looked at.
    if not re.fullmatch(r"-?[0-9]{1,19}", text) or not least <= int(text) <= most:
        raise ConfigInvalid(
            f"{option} {text!r} is refused; give a whole number from {least} to {most}"
        )
    return int(text)


def number(option: str, text: str) -> float:
    """Return the number that a text is; whoever uses it checks it.

    Raises:
        ConfigInvalid: it is none.
    """
    try:
        return float(text)
    except ValueError:
        raise ConfigInvalid(f"{option} {text!r} is refused; give a number such as 1.5") from None


def job_id(text: str) -> int:
    """Return a job's number.

    Raises:
        ConfigInvalid: it is none.
    """
    return whole("job id", text, ID_MAX)

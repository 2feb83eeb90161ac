"""What a check comes to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: as it should be; it works, and somebody should look; it does not work."""

    OK = "ok"
    WARNING = "warning"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw; and, where that is not as it should be, what follows and what to do."""

    check: str
    level: Level
    words: str
    meaning: str | None = None
    next_step: str | None = None


def ok(check: str, words: str) -> Finding:
    """Return a finding with which all is well."""
    return Finding(check, Level.OK, words)


def warning(check: str, words: str, meaning: str, next_step: str) -> Finding:
    """Return a finding that somebody should look at."""
    return Finding(check, Level.WARNING, words, meaning, next_step)


def failing(check: str, words: str, meaning: str, next_step: str) -> Finding:
    """Return a finding that must be mended."""
    return Finding(check, Level.FAILING, words, meaning, next_step)


def worst(findings: list[Finding]) -> Level:
    """Return the worst level there is."""
    levels = list(Level)
    return max((each.level for each in findings), key=levels.index, default=Level.OK)

"""`--fail-on`: conditions on a report's figures, for a build that is to fail.

`broken>0,warm_share<0.9,p95_ms>800`: names of figures, one of `> >= < <= = !=`, a number. A figure
that isn't known (no cache said anything, nothing to compare with, nothing has run yet) fails its
condition: a build must not pass because nothing was measured.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pacewheel.errors import ConfigInvalid
from pacewheel.report.build import FIGURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pacewheel.report.build import Report

_OPERATORS = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
}
_CONDITION = re.compile(r"\s*(\w+)\s*(>=|<=|!=|>|<|=)\s*([+-]?\d+(?:\.\d+)?)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Threshold:
    """One condition under which a build fails."""

    figure: str
    comparison: str
    limit: float

    def __str__(self) -> str:
        return f"{self.figure}{self.comparison}{self.limit:.10g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A threshold and what it met; `value` is None when the figure isn't known."""

    threshold: Threshold
    value: float | None

    @property
    def is_failed(self) -> bool:
        """True when the build is to fail for it."""
        compare = _OPERATORS[self.threshold.comparison]
        return self.value is None or compare(self.value, self.threshold.limit)

    def __str__(self) -> str:
        value = "not known" if self.value is None else f"{self.value:.10g}"
        return f"{self.threshold}: {self.threshold.figure} is {value}"


def parse(text: str) -> list[Threshold]:
    """Return the conditions that `text` lists, separated by commas.

    Raises:
        ConfigInvalid: a condition can't be read, or its figure is unknown.
    """
    thresholds = []
    for part in text.split(","):
        match = _CONDITION.fullmatch(part)
        if match is None:
            raise ConfigInvalid(
                f"condition {part.strip()!r} can't be read: write it like broken>0 or warm_share<0.9"
            )
        figure, comparison, limit = match.groups()
        if figure not in FIGURES:
            raise ConfigInvalid(
                f"there is no figure {figure!r} to fail on: the figures are {', '.join(FIGURES)}"
            )
        thresholds.append(Threshold(figure, comparison, float(limit)))
    return thresholds


def check(report: Report, thresholds: Sequence[Threshold]) -> list[Verdict]:
    """Return each threshold with what it met in this report."""
    # Before the first result every count is zero and means nothing.
    known = report.figures if report.facts.sums.attempts else {}
    return [Verdict(each, known.get(each.figure)) for each in thresholds]

"""Figures in words, the same in every form that people read."""

from __future__ import annotations

KILO = 1000


def duration(value_s: float) -> str:
    """Return `0.3 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`."""
    if value_s < 10 and value_s != int(value_s):
        return f"{value_s:.1f} s"
    whole = round(value_s)
    if whole < 100:
        return f"{whole} s"
    for unit_s, unit, below_s, below in (
        (60, "min", 1, "s"),
        (3600, "h", 60, "min"),
        (86400, "d", 3600, "h"),
    ):
        if whole < unit_s * (60 if unit == "min" else 24) or unit == "d":
            rest = whole % unit_s // below_s
            return f"{whole // unit_s} {unit}" + (f" {rest} {below}" if rest else "")
    raise AssertionError(value_s)


def millis(value_ms: float | None) -> str:
    """Return `0.4 ms`, `120 ms`, `1.5 s`; `-` for what isn't known."""
    if value_ms is None:
        return "-"
    if value_ms < 10:
        return f"{value_ms:.1f} ms"
    return f"{value_ms:.0f} ms" if value_ms < 10 * KILO else duration(value_ms / KILO)


def size(value: int | None) -> str:
    """Return `812 B`, `12 kB`, `3.4 MB`, `1.2 GB`; `-` for what isn't known."""
    if value is None:
        return "-"
    amount, units = float(value), ["B", "kB", "MB", "GB", "TB"]
    while amount >= KILO and len(units) > 1:
        amount, units = amount / KILO, units[1:]
    return (
        f"{amount:.0f} {units[0]}"
        if amount >= 10 or units[0] == "B"
        else f"{amount:.1f} {units[0]}"
    )


def share(value: float | None) -> str:
    """Return `45 %`, rounded down so that 100 % is all of it; `-` for what isn't known."""
    return "-" if value is None else f"{int(value * 100 + 1e-9)} %"


def plural(number: int, noun: str) -> str:
    """Return `1 page`, `1,203 pages`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def printable(text: str) -> str:
    """Return `text` with what a terminal would obey shown instead: control characters, marks of direction."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


FIGURE_WORDS = {
    "pages": "pages looked at",
    "ok": "pages fetched",
    "broken": "broken pages",
    "new_broken": "pages broken since the job compared with",
    "redirects": "redirects",
    "loops": "redirect loops",
    "skipped": "pages skipped",
    "disallowed": "URLs that robots.txt forbids",
    "warm_share": "share of pages that a cache answered",
    "uncacheable": "pages that no cache keeps",
    "unlinked": "pages in a sitemap that no page links to",
    "unlisted": "pages linked to that no sitemap lists",
    "p50_ms": "time of an answer, median",
    "p95_ms": "time of an answer, 95th percentile",
    "p99_ms": "time of an answer, 99th percentile",
    "bytes": "received",
    "requests": "requests",
    "retries": "attempts after the first",
    "duration_s": "duration",
    "too_close": "requests closer than permitted",
    "departed_within": "requests within a pause the site asked for",
    "budget_used": "share of the permitted requests that was made",
}
"""What each figure of a report is, for people."""


def figure(name: str, value: float | None) -> str:
    """Return a figure's value with its unit."""
    if value is None:
        return "-"
    if name.endswith("_ms"):
        return millis(value)
    if name in {"warm_share", "budget_used"}:
        return share(value)
    if name == "bytes":
        return size(int(value))
    return duration(round(value, 1)) if name == "duration_s" else f"{value:,.0f}"

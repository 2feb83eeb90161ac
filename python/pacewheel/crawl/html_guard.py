"""HTML that can't blow up its parser.

Owns a cheap estimate of what building the tree would cost, and the cut where it costs too much.
The HTML standard's tree construction is super-linear for hostile input: deep nesting (32,000
nested `<div>`: 2.5 s; 16,000 `<ul><li>`: 2 s), formatting elements left open that every later
block re-creates (500 `<font>` and 1,000 `<p>`: 1 million nodes, 190 ms, 190 MB), thousands of
attributes on one tag (40,000: 3.6 s), also when many `<body>` tags bring them, for the tree has but
one body (700 KB: 33 s), or options in one select (20,000: 0.9 s); all measured with lexbor in
selectolax 1.0.2. Links found before the cut are kept.
"""

from __future__ import annotations

import re
from itertools import islice

MAX_HTML_CHARS = 2 * 1024 * 1024
"""How much of a page is looked at for links."""

_MAX_DEPTH = 512
_MAX_NODES = 400_000
_MAX_OPTIONS = 5_000
_MAX_ATTRIBUTES = 1_000
# Shorter tags hold 2,000 attributes at most (9 ms each, and 2 s for a page full of them).
_LONG_TAG_CHARS = 8 * 1024
_RESCANS = 4
# A page has one `html` and one `body`, and some more in conditional comments and scripts.
_MAX_ROOT_TAGS = 20
# So few, each looked at by itself, do no harm: and an ordinary page is spared an eighth of the guard's time.
_FEW_ROOTS = 2

# So many tags, however nested, take 0.25 s at most.
_FEW_TAGS = 6_000
# Of formatting elements without attributes, three of a kind stay open at most (the "Noah's Ark
# clause"); `a` closes itself, and 13 kinds are left.
_DISTINCT_FORMATTING = 40
_FORMATTING_WITH_ATTRIBUTES = re.compile(
    r"<(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)[\s/]"
)

_TAG = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9]*)")
# A start tag as the tokenizer reads it: a quoted value may hold `>`, a name may hold `<`.
# Possessive throughout, so it takes linear time on any input. The first branch is the form that
# most attributes have, all in one: a third less time for an ordinary page.
_WHOLE_TAG = re.compile(
    r"""<[a-zA-Z][^\s/>]*+(?: [a-zA-Z-]++="[^"]*+"|[\s/]++|[^\s/>=]++|=\s*+(?:"[^"]*+"?+|'[^']*+'?+|[^\s>]*+))*+"""
)
_ATTRIBUTE = re.compile(r"""[^\s/>="']++(?:\s*+=\s*+(?:"[^"]*+"?+|'[^']*+'?+|[^\s>]*+))?+""")
_ROOT_TAG = re.compile(r"<(?:html|body)[\s/]", re.IGNORECASE)
_FORMATTING = frozenset(
    {
        "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt",
        "u",
    }
)  # fmt: skip
# These have no content, or end by themselves when the next one begins, wherever they stand: `rt`
# does in a `ruby` only and `optgroup` in a `select`, and 2 MB of them elsewhere took minutes.
_FLAT = frozenset(
    {
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source",
        "track", "wbr", "p", "li", "td", "th", "tr", "dd", "dt", "option", "thead",
        "tbody", "tfoot", "colgroup", "html", "head", "body",
    }
)  # fmt: skip
# Written `<path/>`, which closes them inside an svg only; there, they cost the tree nothing
# either way.
_SVG_LEAVES = frozenset(
    {
        "path", "circle", "ellipse", "rect", "line", "polyline", "polygon", "use", "stop", "image",
        "animate", "animatetransform",
    }
)  # fmt: skip


def bounded(html: str) -> tuple[str, str | None]:
    """Return `html`, cut where parsing would cost too much, and why (None: not cut)."""
    reason = None
    if len(html) > MAX_HTML_CHARS:
        html, reason = html[:MAX_HTML_CHARS], "too_long"
    for find_crowded in (_crowded_tag, _crowded_root):
        crowded_at = find_crowded(html)
        if crowded_at >= 0:
            html, reason = html[:crowded_at], "too_many_attributes"
    tags = html.count("<")
    open_at_most = _DISTINCT_FORMATTING + len(_FORMATTING_WITH_ATTRIBUTES.findall(html.lower()))
    if tags <= _FEW_TAGS and tags * open_at_most <= _MAX_NODES:
        return html, reason
    at, cut = _first_excess([tag.lower() for tag in _TAG.findall(html)])
    if cut is None:
        return html, reason
    for index, match in enumerate(_TAG.finditer(html)):
        if index == at:
            return html[: match.start()], cut
    return html, reason


def _first_excess(tags: list[str]) -> tuple[int, str | None]:
    """Return the index of the first tag beyond a limit and the limit's name.

    An end tag counts only against an open element of its own name, so that stray end tags hide
    nothing.
    """
    depth = formatting = nodes = options = 0
    is_open: dict[str, int] = {}
    for index, tag in enumerate(tags):
        nodes += 1 + formatting
        name = tag[1:] if tag[0] == "/" else tag
        if name in _FLAT:
            options += tag == "option"
        elif name is not tag:
            if is_open.get(name):
                is_open[name] -= 1
                depth -= 1
                formatting -= name in _FORMATTING
        elif tag == "a" and is_open.get("a"):
            # It ends the one before it.
            continue
        elif tag not in _SVG_LEAVES or not is_open.get("svg"):
            is_open[tag] = is_open.get(tag, 0) + 1
            depth += 1
            formatting += tag in _FORMATTING
        if depth > _MAX_DEPTH:
            return index, "nested_too_deeply"
        if nodes > _MAX_NODES or options > _MAX_OPTIONS:
            return index, "too_many_nodes"
    return 0, None


def _crowded_tag(html: str, rescans_left: int = _RESCANS) -> int:
    """Return where the first start tag with too many attributes begins, or -1.

    A comment or script can make what follows look like one long quoted value (`<!-- <a x=" -->`),
    so long values are scanned once more from within; one that nests deeper than any page's is
    refused.
    """
    if len(html) <= _LONG_TAG_CHARS:
        return -1
    if max(map(len, _WHOLE_TAG.findall(html)), default=0) <= _LONG_TAG_CHARS:
        return -1
    for tag in _WHOLE_TAG.finditer(html):
        if tag.end() - tag.start() <= _LONG_TAG_CHARS:
            continue
        attributes = _ATTRIBUTE.finditer(html, tag.start() + 1, tag.end())
        for number, attribute in enumerate(attributes):
            if number > _MAX_ATTRIBUTES or rescans_left == 0:
                return tag.start()
            if attribute.end() - attribute.start() > _LONG_TAG_CHARS:
                inner = _crowded_tag(attribute[0], rescans_left - 1)
                if inner >= 0:
                    return attribute.start() + inner
    return -1


def _crowded_root(html: str) -> int:
    """Return where the `html` or `body` tag begins that brings too many attributes in all, or -1."""
    lower = html.lower()
    if lower.count("<html") + lower.count("<body") <= _FEW_ROOTS:
        return -1
    attributes = 0
    for number, tag in enumerate(_ROOT_TAG.finditer(html)):
        whole = _WHOLE_TAG.match(html, tag.start())
        if whole is not None:
            found = _ATTRIBUTE.finditer(html, tag.end(), whole.end())
            attributes += sum(1 for _ in islice(found, _MAX_ATTRIBUTES))
        if attributes > _MAX_ATTRIBUTES or number >= _MAX_ROOT_TAGS:
            return tag.start()
    return -1

"""Conditional requests: a page that hasn't changed since an earlier job needs no body.

Owns which validators of an answer are kept with its result, and the headers that are made of them
when a job's option `conditional_on` names that earlier job. Only pages whose links nobody wants are
asked for conditionally: a 304 brings no links.

Source: RFC 9110, sections 8.8 and 13.1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pacewheel.crawl.client import Response
    from pacewheel.crawl.visit import Visit

_NOT_MODIFIED = 304

_FORMS = {
    "etag": ("ETag", "If-None-Match", re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')),
    "last_modified": ("Last-Modified", "If-Modified-Since", re.compile(r"[\x20-\x7e]{10,40}")),
}


def validators_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the validators of an answer, by the names under which results keep them."""
    return well_formed({name: headers.get(form[0]) for name, form in _FORMS.items()})


def well_formed(validators: Any) -> dict[str, str]:
    """Return those of `validators`, wherever they are from, that may be sent in a header."""
    if not isinstance(validators, dict):
        return {}
    return {
        name: value
        for name, (_, _, form) in _FORMS.items()
        if isinstance(value := validators.get(name), str) and form.fullmatch(value)
    }


def conditions_of(validators: Mapping[str, str]) -> dict[str, str]:
    """Return the request headers that ask for an answer only if it isn't the one validated."""
    return {_FORMS[name][1]: value for name, value in validators.items()}


async def known_validators(visit: Visit) -> dict[str, str]:
    """Return what the job that this one builds on knows of the page; nothing if links are wanted."""
    if visit.options.conditional_on is None or visit.follows_links:
        return {}
    earlier = await visit.task.earlier(visit.options.conditional_on)
    return well_formed((earlier or {}).get("validators"))


def freshness(answer: Response, known: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page's result keeps for a later job; a 304 may leave its validators away."""
    if answer.status == _NOT_MODIFIED and known:
        return {"unchanged": True, "validators": {**known, **validators_of(answer.headers)}}
    return {"validators": validators_of(answer.headers)}

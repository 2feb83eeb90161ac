"""What the results of a warm job say of caching: the words that reports are made of.

A result's `cache` is the verdict's word (`cache_verdict`). Its detail holds the rest, absent where
there is nothing to say:

| detail        | of      | meaning                                                               |
| ------------- | ------- | --------------------------------------------------------------------- |
| `age_s`       | all     | the response's Age                                                    |
| `ttl_s`       | all     | what is left of its freshness, negative when it is stale              |
| `layers`      | all     | the words of its caches, origin first, where there are several        |
| `uncacheable` | page    | why no shared cache answers for it, one of `uncacheable.CAUSES`       |
| `recheck`     | page    | why there was no recheck though one might help: `limit`, `useless`    |
| `cold`        | recheck | the page's first request: {"cache", "timings"}, in the form of the    |
|               |         | recheck's own; the payload's `from` is the page's task                |
| `warmed`      | recheck | true when the page's cache has it fresh by now                        |

The last three are `recheck`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pacewheel.crawl.uncacheable import uncacheable

if TYPE_CHECKING:
    from pacewheel.crawl.cache_verdict import Verdict
    from pacewheel.crawl.fields import Fields


def caching_detail(headers: Fields, status: int, verdict: Verdict, kind: str) -> dict[str, Any]:
    """Return what the detail of a result of this `kind` says of caching."""
    said = {
        "age_s": verdict.age_s,
        "ttl_s": verdict.ttl_s,
        "layers": [layer.status for layer in verdict.layers] if len(verdict.layers) > 1 else None,
        "uncacheable": uncacheable(headers, status, verdict) if kind == "page" else None,
    }
    return {name: value for name, value in said.items() if value is not None}

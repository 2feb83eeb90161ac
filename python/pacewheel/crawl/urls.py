"""URLs: one parser, one canonical key, one pacing authority.

Owns what "the same URL", "the same site" and "a URL we request" mean. Parsing is the WHATWG URL
standard's, by ada-url: whatever a browser resolves a link to is what gets requested. The *key*
serves deduplication only (the original URL is what is requested) and folds nothing beyond the
equivalences of RFC 3986 section 6.2.2 and 6.2.3, so that two pages never become one; a job may ask
for more (`folded`).

Why ada-url and not can-ada (both wrap the same C++ parser): of the 891 cases of the standard's newest
test data (2026-07) ada-url 4.0.0 gets all, can-ada 3.0.0 (2026-01) 876; it is the parser authors' own
binding, has one abi3 wheel for all Pythons, and resolves a reference in one call. can-ada takes 0.3
of its time, a plain reference through `_plain` 0.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import ada_url

from pacewheel.errors import TargetRefused

MAX_URL_BYTES = 8 * 1024
"""Longest URL taken (RFC 9110 section 4.1 asks for at least 8,000 octets)."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SHOWN_CHARS = 120
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_MALFORMED_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HOST_AND_PORT = re.compile(r"[^/]+:\d+(?:/|$)")
_NESTED_CREDENTIALS = re.compile(r"//[^/?#]*@")
# A parser of URLs takes backslashes for slashes, and a scheme without any.
_CREDENTIALS = re.compile(
    r"\A(\s*+(?:[A-Za-z][A-Za-z0-9+.\s-]*+:[\s/\\]*+|[/\\][\s/\\]++))[^/\\?#]*@"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
# Path, query and fragment of characters that the URL standard leaves as they are, from the root.
_PLAIN = re.compile(
    r"(/[A-Za-z0-9_~./-]*+(?:\?[A-Za-z0-9_~.=&+,;:/-]*+)?)(?:#[A-Za-z0-9_~.=&+,;:/-]*+)?"
)
# Added by whoever links to a page, to follow its visitors: the page is the same without them.
_TRACKING = re.compile(
    r"utm_.*|mtm_.*|pk_(?:campaign|kwd|source|medium|content|cid)|hsa_.*|_hsenc|_hsmi|__hs.*|"
    r"hsctatracking|gclid|gclsrc|dclid|gbraid|wbraid|gad_source|gad_campaignid|srsltid|_ga|_gl|"
    r"fbclid|igsh|igshid|msclkid|yclid|ysclid|_openstat|twclid|ttclid|li_fat_id|epik|mc_cid|mc_eid|"
    r"mkt_tok|vero_id|oly_anon_id|oly_enc_id|rb_clickid|s_cid|wickedid",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Url:
    """A parsed http(s) URL. Not to be changed (frozen would cost 1 us a link).

    Attributes:
        href: the URL standard's serialisation, fragment included.
        scheme: `http` or `https`.
        hostport: host and non-default port, as they stand in `href`.
        target: path and query, what the request line carries.
    """

    href: str
    scheme: str
    hostport: str
    target: str

    @property
    def key(self) -> str:
        """The canonical key for deduplication (see `key`)."""
        return _key_of(self.href)

    @property
    def host(self) -> str:
        """The host: lower case, punycode; an IPv6 address stands in brackets, as in the URL."""
        return _host_and_port(self.hostport)[0]

    @property
    def port(self) -> int:
        """The effective port."""
        return _host_and_port(self.hostport)[1] or _DEFAULT_PORTS[self.scheme]

    @property
    def authority(self) -> str:
        """The name pacing is keyed by: `host`, or `host:port` when the port is not the scheme's.

        http and https of one host are one authority, and so are `example.com` and `example.com.`:
        the same machines answer, so they share one pace.
        """
        return _authority_of(self.hostport)

    @property
    def origin(self) -> str:
        """Scheme, host and port, without a path."""
        return f"{self.scheme}://{self.hostport}"

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]


def parse(url: str, base: str | None = None) -> Url:
    """Parse `url`, resolved against the absolute URL `base` when given.

    Raises:
        TargetRefused: malformed, not http(s), with credentials, or longer than 8 KiB.
    """
    if len(url) > MAX_URL_BYTES:
        raise TargetRefused(f"URL {shown(url)} is longer than {MAX_URL_BYTES} bytes: shorten it")
    if base is not None and (plain := _plain(url, base)) is not None:
        return plain
    found = resolve(url, base)
    # An `@` before the path stands behind credentials only.
    if "@" in found.hostport:
        raise TargetRefused(f"URL {shown(url)} carries credentials: remove the part before '@'")
    if len(found.href) > MAX_URL_BYTES:
        raise TargetRefused(f"URL {shown(url)} is longer than {MAX_URL_BYTES} bytes: shorten it")
    return found


def resolve(url: str, base: str | None = None) -> Url:
    """Parse `url` where nothing is to be requested: as `parse`, but any length and credentials.

    Credentials stand in its `hostport`.

    Raises:
        TargetRefused: malformed, or not http(s).
    """
    href = _resolved(url, base)
    # The serialisation of an http(s) URL always has a path.
    scheme, _, rest = href.partition("://")
    hostport, slash, target = rest.partition("/")
    return Url(href, scheme, hostport, slash + target.partition("#")[0])


def key(url: str) -> str:
    """Return the canonical key of `url`.

    Fragment dropped, default port dropped, dot segments removed, host lower case, escapes of
    unreserved characters decoded, hexadecimal digits of escapes in upper case. Keys are keys of
    themselves.

    Raises:
        TargetRefused: as `parse`.
    """
    return parse(url).key


def authority(url: str) -> str:
    """Return the name that pacing of `url` is keyed by. Raises TargetRefused as `parse` does."""
    return parse(url).authority


def folded(url_key: str, *, drop_tracking: bool = False, sort_query: bool = False) -> str:
    """Return a canonical key folded further, as a job may ask for.

    Args:
        url_key: a canonical key.
        drop_tracking: leave out parameters that only say where a visitor came from (`utm_*`,
            `gclid`, `fbclid` and their like); a query of nothing else goes whole.
        sort_query: order the parameters by name; those of one name keep their order.
    """
    head, mark, query = url_key.partition("?")
    if not mark:
        return url_key
    parameters = query.split("&")
    if drop_tracking:
        kept = [text for text in parameters if not _TRACKING.fullmatch(_name_of(text))]
        if not kept:
            return head
        parameters = kept
    if sort_query:
        parameters.sort(key=_name_of)
    return f"{head}?{'&'.join(parameters)}"


def same_site(
    url: Url, site_authority: str, *, subdomains: bool = False, www: bool = False
) -> bool:
    """True when `url` belongs to the site `site_authority`: the same host and port.

    With `www` the host is the same with and without a leading `www.`; with `subdomains` the hosts
    below it belong to the site too.
    """
    found = url.authority
    if found == site_authority or not (subdomains or www):
        return found == site_authority
    host, port = _host_and_port(found)
    site_host, site_port = _host_and_port(site_authority)
    if port != site_port:
        return False
    if www:
        host, site_host = host.removeprefix("www."), site_host.removeprefix("www.")
    return host == site_host or (subdomains and host.endswith(f".{site_host}"))


def shown(url: str) -> str:
    """Return `url` for a message: one line, shortened, credentials hidden."""
    text = _NESTED_CREDENTIALS.sub("//***@", _CREDENTIALS.sub(r"\1***@", url))
    if len(text) > _SHOWN_CHARS:
        text = text[:_SHOWN_CHARS] + "..."
    return repr(text)


def _plain(url: str, base: str) -> Url | None:
    """Resolve a reference that needs no parser, as most links of most pages do; else None.

    It takes a third of the parser's time, whose results it has to give: the oracle is in the tests.
    """
    origin = _origin_of(base)
    if origin is None:
        return None
    scheme, hostport, text = origin
    match = _PLAIN.fullmatch(url, len(text) if url.startswith(text) else 0)
    # Dot segments are removed, and what begins with two slashes is a host.
    if match is None or "/." in url or "//" in match[1]:
        return None
    return Url(text + url[match.start() :], scheme, hostport, match[1])


@lru_cache(maxsize=64)
def _origin_of(base: str) -> tuple[str, str, str] | None:
    try:
        url = parse(base)
    except TargetRefused:
        return None
    return url.scheme, url.hostport, url.origin


def _resolved(url: str, base: str | None) -> str:
    try:
        href = ada_url.join_url(base, url) if base is not None else ada_url.URL(url).href
    except UnicodeEncodeError:
        # The standard's input has no lone surrogates; where a text has some, each is a U+FFFD.
        scalar = _SURROGATE.sub("\ufffd", url)
        return _resolved(scalar, None if base is None else _SURROGATE.sub("\ufffd", base))
    except ValueError:
        wrong = url if base is None or ada_url.check_url(base) else base
        raise TargetRefused(_why_malformed(wrong)) from None
    if not href.startswith(("http://", "https://")):
        raise TargetRefused(_why_unsupported(url, href.partition(":")[0]))
    return href


def _name_of(parameter: str) -> str:
    return parameter.partition("=")[0]


def _host_and_port(hostport: str) -> tuple[str, int | None]:
    host, colon, digits = hostport.rpartition(":")
    if colon and hostport[-1] != "]":
        return host, int(digits)
    return hostport, None


@lru_cache(maxsize=4096)
def _authority_of(hostport: str) -> str:
    host, port = _host_and_port(hostport)
    host = host.rstrip(".") or host
    return host if port is None else f"{host}:{port}"


def _key_of(href: str) -> str:
    without_fragment = href.partition("#")[0]
    if "%" not in without_fragment:
        return without_fragment
    if _MALFORMED_ESCAPE.search(without_fragment):
        # Beside a stray `%`, decoding could form a new escape ("%%37E" -> "%7E") and change the
        # meaning.
        return _ESCAPE.sub(lambda match: match[0].upper(), without_fragment)
    return _ESCAPE.sub(_canonical_escape, without_fragment)


def _canonical_escape(match: re.Match[str]) -> str:
    char = chr(int(match[1], 16))
    return char if char in _UNRESERVED else match[0].upper()


def _why_malformed(url: str) -> str:
    text = url.strip()
    if not text:
        return "the URL is empty: give one such as https://example.com/"
    if not _SCHEME.match(text):
        return f"URL {shown(url)} has no scheme: write it as https://... or http://..."
    return f"URL {shown(url)} is malformed: check host, port and percent-escapes"


def _why_unsupported(url: str, scheme: str) -> str:
    # "example.com:8080/x" is a URL with the scheme "example.com:", but its author meant a host
    # and a port.
    if _HOST_AND_PORT.match(url.strip()):
        return f"URL {shown(url)} has no scheme: write it as https://... or http://..."
    return f"URL {shown(url)} has the scheme {scheme!r}: only http and https are requested"

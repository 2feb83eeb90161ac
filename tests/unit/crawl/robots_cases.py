"""What robots.txt files say, as facts: (file, crawler, {path: allowed}).

`RFC` are the examples of RFC 9309 (sections 2.2.1 to 2.2.4 and 5). `GOOGLE` are the facts that the
tests of Google's parser state (github.com/google/robotstxt, robots_test.cc, Apache-2.0), put into
this form; those that hold for that parser alone stand in `GOOGLE_ONLY`: lines are cut at 16,664
octets, `index.html` stands for its folder, and escapes of unreserved characters, which the RFC
wants decoded, are not.
"""

from __future__ import annotations

Case = tuple[str, str, dict[str, bool]]

_SIMPLE = """\
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
"""
_BOT = "User-agent: ExampleBot\n"

RFC: list[Case] = [
    (_SIMPLE, "otherbot", {"/a.gif": False, "/a.gif?x": True, "/example/": False, "/": True}),
    (_SIMPLE, "otherbot", {"/publications/a": True, "/publications/a.gif": True}),
    (_SIMPLE, "foobot", {"/": False, "/publications/": False, "/example/page.html": True}),
    (_SIMPLE, "FooBot", {"/example/allowed.gif": True, "/example/allowed.gi": False}),
    (_SIMPLE, "barbot", {"/example/page.html": False, "/example/": True, "/a.gif": True}),
    (_SIMPLE, "bazbot", {"/example/page.html5": False, "/": True}),
    (_SIMPLE, "quxbot", {"/": True, "/example/": True, "/a.gif": True}),
    (
        "User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n",
        "foobot",
        {"/example/page/disallowed.gif": False, "/example/page/": True},
    ),
    (
        f"{_BOT}disallow: /foo\ndisallow: /bar\n\n{_BOT}disallow: /baz\n",
        "ExampleBot",
        {"/foo": False, "/bar": False, "/baz": False, "/qux": True},
    ),
    (
        "user-agent: *\ndisallow: /foo\ndisallow: /bar\n\nuser-agent: BazBot\ndisallow: /baz\n",
        "ExampleBot",
        {"/foo": False, "/bar": False, "/baz": True},
    ),
    (f"{_BOT}Disallow: /foo/bar?baz=quz\n", "ExampleBot", {"/foo/bar?baz=quz": False}),
    (
        f"{_BOT}Disallow: /foo/bar?baz=https://foo.bar\n",
        "ExampleBot",
        {"/foo/bar?baz=https%3A%2F%2Ffoo.bar": False, "/foo/bar?baz=https://foo.bar": False},
    ),
    (f"{_BOT}Disallow: /foo/bar/ツ\n", "ExampleBot", {"/foo/bar/%E3%83%84": False}),
    (f"{_BOT}Disallow: /foo/bar/%E3%83%84\n", "ExampleBot", {"/foo/bar/%e3%83%84": False}),
    (f"{_BOT}Disallow: /foo/bar/%62%61%7A\n", "ExampleBot", {"/foo/bar/baz": False}),
    (
        f"{_BOT}Disallow: /\nallow: / # comment in line\n# comment on its own line\n",
        "ExampleBot",
        {"/a": True},
    ),
    (
        f"{_BOT}disallow: /\nallow: /this/path/exactly$\nallow: /that/*/exactly\n",
        "ExampleBot",
        {"/this/path/exactly": True, "/this/path/exactly/": False, "/that/a/b/exactly": True},
    ),
    (
        f"{_BOT}Disallow: /path/file-with-a-%2A.html\nDisallow: /path/foo-%24\n",
        "ExampleBot",
        {
            "/path/file-with-a-*.html": False,
            "/path/file-with-a-%2a.html": False,
            "/path/file-with-a-b.html": True,
            "/path/foo-$": False,
            "/path/foo-": True,
        },
    ),
    (
        "User-agent: a\nSitemap: https://example.com/s\nUser-agent: ExampleBot\nDisallow: /\n",
        "a",
        {"/": False},
    ),
    ("Disallow: /\n" + _BOT + "Disallow: /x\n", "ExampleBot", {"/": True, "/x": False}),
    (f"{_BOT}Disallow: /\n", "ExampleBot", {"/robots.txt": True, "/robots.txt.bak": False}),
    (f"nonsense\n{_BOT}: : :\n\x01\nDisallow: /x\nDisallow\n", "ExampleBot", {"/x": False}),
]

_GROUPS = """\
allow: /foo/bar/

user-agent: FooBot
disallow: /
allow: /x/
user-agent: BarBot
disallow: /
allow: /y/


allow: /w/
user-agent: BazBot

user-agent: FooBot
allow: /z/
disallow: /
"""


def _foobot(*lines: str) -> str:
    return "\n".join(("user-agent: FooBot", *lines, ""))


def _foo_bar(agent: str) -> Case:
    file = f"User-Agent: {agent}\nAllow: /x/\nDisallow: /\n"
    return (file, "Foo", {"/x/y": True, "/a/b": False})


_FISH = {
    "/bar": False,
    "/fish": True,
    "/fish.html": True,
    "/fish/salmon.html": True,
    "/fishheads": True,
    "/fishheads/yummy.html": True,
    "/fish.html?id=anything": True,
    "/Fish.asp": False,
    "/catfish": False,
    "/?id=fish": False,
}

GOOGLE: list[Case] = [
    ("", "FooBot", {"/": True}),
    (_foobot("disallow: /"), "", {"/": True}),
    (_foobot("disallow: /"), "FooBot", {"/x/y": False}),
    ("foo: FooBot\nbar: /\n", "FooBot", {"/x/y": True}),
    ("user-agent FooBot\ndisallow /\n", "FooBot", {"/x/y": False}),
    (_GROUPS, "FooBot", {"/x/b": True, "/z/d": True, "/y/c": False, "/foo/bar/": False}),
    (_GROUPS, "BarBot", {"/y/c": True, "/w/a": True, "/z/d": False, "/foo/bar/": False}),
    (_GROUPS, "BazBot", {"/z/d": True, "/foo/bar/": False}),
    ("USER-AGENT: FooBot\nALLOW: /x/\nDISALLOW: /\n", "FooBot", {"/x/y": True, "/a/b": False}),
    ("uSeR-aGeNt: FooBot\nAlLoW: /x/\ndIsAlLoW: /\n", "FooBot", {"/x/y": True, "/a/b": False}),
    _foo_bar("FOO BAR"),
    _foo_bar("foo bar"),
    _foo_bar("FoO bAr"),
    ("User-Agent: *\nDisallow: /\n" + _foo_bar("Foo Bar")[0], "Foo", {"/x/y": True}),
    ("User-Agent: *\nDisallow: /\n" + _foo_bar("Foo Bar")[0], "Foo Bar", {"/x/y": False}),
    ("user-agent: *\nallow: /\n" + _foobot("disallow: /"), "FooBot", {"/x/y": False}),
    ("user-agent: *\nallow: /\n" + _foobot("disallow: /"), "BarBot", {"/x/y": True}),
    (_foobot("allow: /") + "user-agent: BarBot\ndisallow: /\n", "QuxBot", {"/x/y": True}),
    (_foobot("disallow: /x/"), "FooBot", {"/x/y": False}),
    (_foobot("disallow: /X/"), "FooBot", {"/x/y": True}),
    (_foobot("disallow: /x/page.html", "allow: /x/"), "FooBot", {"/x/page.html": False}),
    (
        _foobot("allow: /x/page.html", "disallow: /x/"),
        "FooBot",
        {"/x/page.html": True, "/x/": False},
    ),
    (_foobot("disallow: ", "allow: "), "FooBot", {"/x/page.html": True}),
    (_foobot("disallow: /", "allow: /"), "FooBot", {"/x/page.html": True}),
    (_foobot("disallow: /x", "allow: /x/"), "FooBot", {"/x": False, "/x/": True}),
    (
        _foobot("disallow: /x/page.html", "allow: /x/page.html"),
        "FooBot",
        {"/x/page.html": True},
    ),
    (
        _foobot("allow: /page", "disallow: /*.html"),
        "FooBot",
        {"/page.html": False, "/page": True},
    ),
    (
        _foobot("allow: /x/page.", "disallow: /*.html"),
        "FooBot",
        {"/x/page.html": True, "/x/y.html": False},
    ),
    (
        "User-agent: *\nDisallow: /x/\n" + _foobot("Disallow: /y/"),
        "FooBot",
        {"/x/page": True, "/y/page": False},
    ),
    (
        _foobot("Disallow: /", "Allow: /foo/bar?qux=taz&baz=http://foo.bar?tar&par"),
        "FooBot",
        {"/foo/bar?qux=taz&baz=http://foo.bar?tar&par": True},
    ),
    (_foobot("Disallow: /", "Allow: /foo/bar/ツ"), "FooBot", {"/foo/bar/%E3%83%84": True}),
    (_foobot("Disallow: /", "Allow: /foo/bar/%E3%83%84"), "FooBot", {"/foo/bar/%E3%83%84": True}),
    (
        _foobot("Disallow: /foo/bar/quz", "Allow: /foo/*/qux"),
        "FooBot",
        {"/foo/bar/quz": False, "/foo/quz": True, "/foo//quz": True, "/foo/bax/quz": True},
    ),
    (
        _foobot("Disallow: /foo/bar$", "Allow: /foo/bar/qux"),
        "FooBot",
        {"/foo/bar": False, "/foo/bar/qux": True, "/foo/bar/": True, "/foo/bar/baz": True},
    ),
    (
        _foobot("# Disallow: /", "Disallow: /foo/quz#qux", "Allow: /"),
        "FooBot",
        {"/foo/bar": True, "/foo/quz": False},
    ),
    (_foobot("disallow: /", "allow: /fish"), "FooBot", _FISH),
    (_foobot("disallow: /", "allow: /fish*"), "FooBot", _FISH),
    (
        _foobot("disallow: /", "allow: /fish/"),
        "FooBot",
        {
            "/bar": False,
            "/fish/": True,
            "/fish/salmon": True,
            "/fish/?salmon": True,
            "/fish/salmon.html": True,
            "/fish/?id=anything": True,
            "/fish": False,
            "/fish.html": False,
            "/Fish/Salmon.html": False,
        },
    ),
    (
        _foobot("disallow: /", "allow: /*.php"),
        "FooBot",
        {
            "/bar": False,
            "/filename.php": True,
            "/folder/filename.php": True,
            "/folder/filename.php?parameters": True,
            "//folder/any.php.file.html": True,
            "/filename.php/": True,
            "/index?f=filename.php/": True,
            "/php/": False,
            "/index?php": False,
            "/windows.PHP": False,
        },
    ),
    (
        _foobot("disallow: /", "allow: /*.php$"),
        "FooBot",
        {
            "/bar": False,
            "/filename.php": True,
            "/folder/filename.php": True,
            "/filename.php?parameters": False,
            "/filename.php/": False,
            "/filename.php5": False,
            "/php/": False,
            "/filename?php": False,
            "/aaaphpaaa": False,
            "//windows.PHP": False,
        },
    ),
    (
        _foobot("disallow: /", "allow: /fish*.php"),
        "FooBot",
        {
            "/bar": False,
            "/fish.php": True,
            "/fishheads/catfish.php?parameters": True,
            "/Fish.PHP": False,
        },
    ),
    (_foobot("allow: /p", "disallow: /"), "FooBot", {"/page": True}),
    (_foobot("allow: /folder", "disallow: /folder"), "FooBot", {"/folder/page": True}),
    (_foobot("allow: /page", "disallow: /*.htm"), "FooBot", {"/page.htm": False}),
    (_foobot("allow: /$", "disallow: /"), "FooBot", {"/": True, "/page.html": False}),
    ("\ufeff" + _foobot("disallow: /"), "FooBot", {"/": False}),
]

GOOGLE_ONLY: list[Case] = [
    (
        _foobot("Disallow: /", "Allow: /foo/bar/%62%61%7A"),
        "FooBot",
        {"/foo/bar/baz": False, "/foo/bar/%62%61%7A": True},
    ),
    (
        _foobot("Allow: /allowed-slash/index.html", "Disallow: /"),
        "FooBot",
        {"/allowed-slash/": True, "/allowed-slash/index.htm": False},
    ),
]

"""Landmarks: where on a page an element stands.

Owns the reading of positions: header, nav, main, footer by element or role, `body` outside of all.
What makes an element a landmark is HTML-AAM's and WAI-ARIA 1.2's to say: an explicit role replaces
the element's own, of several roles the first that exists counts, and a header or footer within an
article, aside, main, nav or section (by element or role) belongs to that, not to the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_ELEMENTS = {"header": "header", "nav": "nav", "main": "main", "footer": "footer"}
_ROLES = {"banner": "header", "navigation": "nav", "main": "main", "contentinfo": "footer"}
_SECTIONS = frozenset({"article", "aside", "main", "nav", "section"})
_SECTION_ROLES = frozenset({"article", "complementary", "main", "navigation", "region"})
_MARKED = "header,nav,main,footer,article,aside,section,[role]"
# All roles that are not abstract: a word that is none of them is passed over.
_KNOWN_ROLES = frozenset(
    """
    alert alertdialog application article banner blockquote button caption cell checkbox
    code columnheader combobox command complementary contentinfo definition deletion dialog
    directory document emphasis feed figure form generic grid gridcell group heading img
    insertion link list listbox listitem log main marquee math menu menubar menuitem
    menuitemcheckbox menuitemradio meter navigation none note option paragraph presentation
    progressbar radio radiogroup region row rowgroup rowheader scrollbar search searchbox
    separator slider spinbutton status strong subscript superscript switch tab table tablist
    tabpanel term textbox time timer toolbar tooltip tree treegrid treeitem
    """.split()
)


class Place(NamedTuple):
    """`position`: the nearest landmark; `region`: within the page's header or footer, or None."""

    position: str
    region: str | None
    is_sectioned: bool


_BODY = Place("body", None, is_sectioned=False)


class Places:
    """Finds the place of a node, remembering every ancestor, so that a page costs O(elements).

    Most elements are no landmarks: these are looked up once for the page, so that passing the
    others asks for neither tag nor attributes.
    """

    def __init__(self, tree: LexborHTMLParser) -> None:
        """Look at the landmarks of `tree`."""
        self._known: dict[int, Place] = {}
        self._marked = {node.mem_id: node for node in tree.css(_MARKED)}

    def of(self, node: LexborNode) -> Place:
        """Return where `node` stands."""
        chain: list[int] = []
        known = self._known
        place = _BODY
        ancestor = node.parent
        while ancestor is not None:
            ancestor_id = ancestor.mem_id
            if ancestor_id in known:
                place = known[ancestor_id]
                break
            chain.append(ancestor_id)
            ancestor = ancestor.parent
        for ancestor_id in reversed(chain):
            element = self._marked.get(ancestor_id)
            if element is not None:
                place = _within(element, place)
            known[ancestor_id] = place
        return place


def _within(element: LexborNode, outer: Place) -> Place:
    tag = element.tag or ""
    role = _role_of(element)
    if role is not None:
        landmark = _ROLES.get(role)
    else:
        landmark = _ELEMENTS.get(tag)
        if landmark in ("header", "footer") and outer.is_sectioned:
            landmark = None
    region = landmark if landmark in ("header", "footer") else outer.region
    is_sectioned = outer.is_sectioned or tag in _SECTIONS or role in _SECTION_ROLES
    return Place(landmark or outer.position, region, is_sectioned)


def _role_of(element: LexborNode) -> str | None:
    words = (element.attributes.get("role") or "").lower().split()
    return next((word for word in words if word in _KNOWN_ROLES), None)

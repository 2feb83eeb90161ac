"""What users are told of a change: right in number, and safe on a terminal whatever a name holds."""

from __future__ import annotations

import pytest

from pacewheel import changes
from pacewheel.errors import ConfigInvalid


class Domains:
    """Domains of which each has this gap in force."""

    async def set_domain_delay(self, _name: str, _delay_ms: int) -> int:
        """Say so."""
        return 9000


async def test_a_name_is_shown_as_what_it_is_made_of() -> None:
    """A domain is any text that somebody paces by; no terminal obeys it."""
    name = "\x1b]0;mine\x07\u202edne.example\n"
    done = await changes.set_delay(Domains(), name, 1000)
    assert done.words.isprintable()
    assert r"domain \x1b]0;mine\x07\u202edne.example\n asks for 1000 ms" in done.words
    assert {"domain": name, "delay_ms": 1000, "gap_ms": 9000} == done.values


@pytest.mark.parametrize("text", ["", "much", "0,5", "0x1", None, True, [1]])
async def test_a_priority_that_is_no_number_is_refused(text: object) -> None:
    """Before anything is asked of the job."""
    with pytest.raises(ConfigInvalid, match="is no number: give one"):
        await changes.reprioritise(None, text)  # type: ignore[arg-type]

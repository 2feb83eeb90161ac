"""Where a command writes what it was asked for: a file, or standard output as bytes."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pacewheel.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def writing(name: str | None) -> Iterator[Callable[[bytes], None]]:
    """Yield what writes bytes to the file of this name, or to standard output.

    Raises:
        ConfigInvalid: that is not possible, or no longer.
        BrokenPipeError: nobody reads standard output any more.
    """
    try:
        # Bytes: what declares itself as UTF-8 is that, whatever the locale.
        with (
            contextlib.nullcontext(sys.stdout.buffer) if name is None else Path(name).open("wb")
        ) as file:
            yield lambda content: _write(file, content)
            file.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        where = "standard output" if name is None else repr(name)
        raise ConfigInvalid(f"can't write {where} ({error.strerror}): give another file") from None


def _write(file: IO[bytes], content: bytes) -> None:
    file.write(content)

"""How far an import has come: a small file beside the one that is imported.

It is written before each batch and after it, so that after a kill -9 at any instant it is known of every row whether it
got in, but for the batch that was under way. For that one the server knows, as long as it remembers idempotency keys.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from hookline.cli.failed import Failed

_SUFFIX: Final = ".import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far an import of these bytes into this server has come."""

    digest: str
    server: str
    total: int  # rows
    done: int = 0  # rows of which it is known that they are in, from the first one on
    sending_since: str = ""  # since when the batch after those is under way; "" when none is

    @property
    def is_complete(self) -> bool:
        """Whether every row is in."""
        return self.done >= self.total


def place_beside(file: Path) -> Path:
    """Where the position of a file's import is kept."""
    return file.with_name(file.name + _SUFFIX)


def read_position(place: Path) -> Position | None:
    """The position that is kept there, or None when there is none.

    Raises:
        Failed: what lies there is no position.
    """
    try:
        return msgspec.json.decode(place.read_bytes(), type=Position)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Failed(
            f"{place}: it does not say how far an import has come.", hint="Remove it to import from the first row on."
        ) from None


def write_position(place: Path, position: Position) -> None:
    """Keep a position: on disk when this returns, the one before or this one at every instant."""
    fresh = place.with_name(place.name + ".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(position))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(place)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

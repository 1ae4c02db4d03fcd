"""The corpus of spellings of numbers: `tests/fixtures/numbers/spellings.json`, whose README tells where it is from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).parent / "fixtures" / "numbers" / "spellings.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """A number as somebody writes it, and what is right."""

    spelling: str
    home: str  # ISO 3166-1: the country of the line
    kind: str  # of `NumberKind`
    expected: str
    why: str
    needs_trunk: bool = False  # right only where a SIP trunk tells it; not understood elsewhere

    @property
    def is_bare(self) -> bool:
        """Whether it is digits and nothing else."""
        return self.spelling.isascii() and self.spelling.isdigit()


_KEPT: Final = json.loads(_FILE.read_text("utf-8"))
#: Country -> a line of ours there.
LINES: Final[dict[str, str]] = _KEPT["lines"]
SPELLINGS: Final = tuple(Spelling(**each) for each in _KEPT["spellings"])

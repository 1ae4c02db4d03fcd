"""What the core asks of a store so that one node at a time does something.

A part of `ports/storage.py`, and tested like it: `tests/contract/test_storage_leases.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Who holds something, and until when."""

    holder: str
    until: datetime


class Leases(Protocol):
    """What one node at a time does, of those that share a store."""

    def hold(self, name: str, holder: str, lease: timedelta) -> bool:
        """Hold `name` until tx.now + lease, whether or not `holder` holds it already. False while another one does."""

    def held(self) -> Mapping[str, Held]:
        """All that is held now, by name."""

    def let_go(self, name: str, holder: str) -> None:
        """Let the next hold it at once. Harmless when somebody else holds it by now."""

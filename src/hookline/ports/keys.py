"""What the core asks of a store about API keys.

A part of `ports/storage.py`, and tested like it: `tests/contract/test_storage_calls_and_keys.py`.
"""

from collections.abc import Sequence
from typing import Protocol

from hookline.domain.ids import KeyId
from hookline.domain.keys import ApiKey


class Keys(Protocol):
    """API keys; only digests are kept."""

    def add(self, key: ApiKey) -> None:
        """Keep a new key."""

    def by_digest(self, digest: str) -> ApiKey | None:
        """The key with this digest, or None."""

    def all(self) -> Sequence[ApiKey]:
        """Every key, by creation."""

    def remove(self, key_id: KeyId) -> bool:
        """Forget a key. False when there was none."""

"""API keys: who may do what. Only a digest of a key is kept; the key itself is shown once."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from hookline.domain.ids import KeyId

_PREFIX: Final = "hl_"
KEY_BYTES: Final = 24


class Scope(StrEnum):
    """How far a key reaches."""

    ADMIN = "admin"
    INGEST = "ingest"  # may only report meetings and calls
    READ = "read"  # may change nothing, and sees no secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is kept."""

    id: KeyId
    name: str
    scope: Scope
    digest: str
    created_at: datetime


def new_key(dice: bytes) -> str:
    """A key made of `KEY_BYTES` bytes that nobody can guess."""
    return _PREFIX + dice.hex()


def digest_of(key: str) -> str:
    """SHA-256 in hex. Keys have 192 bits of dice, so nothing slower is needed to keep them safe."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

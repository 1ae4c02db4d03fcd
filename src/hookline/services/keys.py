"""API keys: made, looked up, removed. A key is shown once, when it is made."""

from collections.abc import Sequence

from hookline.domain.ids import KeyId
from hookline.domain.keys import KEY_BYTES, ApiKey, Scope, digest_of, new_key
from hookline.errors import Invalid, NotFound
from hookline.ports.storage import Transaction

MAX_NAME = 100


def create_key(tx: Transaction, name: str, scope: Scope) -> str:
    """Make a key and return it; only its digest is kept.

    Raises:
        Invalid: the name is empty or too long.
    """
    if not 1 <= len(name.strip()) <= MAX_NAME:
        raise Invalid.field("name", f"expected 1 to {MAX_NAME} characters, got {len(name.strip())}.")
    key = new_key(tx.secret_bytes(KEY_BYTES))
    tx.keys.add(
        ApiKey(id=KeyId(f"key_{tx.ulid()}"), name=name.strip(), scope=scope, digest=digest_of(key), created_at=tx.now)
    )
    return key


def ensure_first_key(tx: Transaction) -> str | None:
    """Make an admin key if there is no key at all, and return it."""
    return None if tx.keys.all() else create_key(tx, "first", Scope.ADMIN)


def find_key(tx: Transaction, digest: str) -> ApiKey | None:
    """The key with this digest, or None."""
    return tx.keys.by_digest(digest)


def list_keys(tx: Transaction) -> Sequence[ApiKey]:
    """Every key, by creation."""
    return tx.keys.all()


def remove_key(tx: Transaction, key_id: str) -> None:
    """Forget a key; whoever holds it is refused from now on.

    Raises:
        NotFound: no such key.
    """
    if not tx.keys.remove(KeyId(key_id)):
        raise NotFound(f"There is no key {key_id[:40]!r}.")

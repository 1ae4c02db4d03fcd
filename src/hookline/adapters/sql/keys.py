"""API keys and the answers of idempotent requests in SQL: what both databases share.

An idempotency key is text of the caller's, and may hold an e-mail address or a number. Only its digest is kept, so that
it does not outlive an erasure. Versions before kept the key itself, for 24 hours, and may run beside this one on
PostgreSQL: an answer is looked for under both.
"""

import hashlib
from datetime import datetime
from typing import Final

from hookline.adapters.sql.session import Insert, Row, Session, first, instant, micros
from hookline.domain.ids import KeyId
from hookline.domain.keys import ApiKey, Scope
from hookline.ports.storage import StoredAnswer

#: How a digest begins, so that it is told from a key that a version before kept.
_DIGEST: Final = "sha256:"
ADD_KEY: Final = Insert("api_key", ("id", "name", "scope", "digest", "created_at"))
KEY_BY_DIGEST: Final = "SELECT id, name, scope, digest, created_at FROM api_key WHERE digest = :digest"
ALL_KEYS: Final = "SELECT id, name, scope, digest, created_at FROM api_key ORDER BY id"
REMOVE_KEY: Final = "DELETE FROM api_key WHERE id = :id"
ANSWER: Final = """
    SELECT fingerprint, status, body, created_at FROM answer WHERE owner = :owner AND key IN (:digest, :key)
    ORDER BY created_at DESC LIMIT 1
"""
KEEP_ANSWER: Final = Insert(
    "answer",
    ("owner", "key", "fingerprint", "status", "body", "created_at"),
    "(owner, key) DO UPDATE SET fingerprint = excluded.fingerprint, status = excluded.status, body = excluded.body,"
    " created_at = excluded.created_at",
)
FORGET_ANSWERS: Final = """
    DELETE FROM answer WHERE (owner, key) IN (
        SELECT owner, key FROM answer WHERE created_at < :before ORDER BY created_at LIMIT :limit)
"""


class SqlKeys:
    """`ports.storage.Keys`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, key: ApiKey) -> None:
        self._session.insert(ADD_KEY, (key.id, key.name, key.scope.value, key.digest, micros(key.created_at)))

    def by_digest(self, digest: str) -> ApiKey | None:
        row = first(self._session.rows(KEY_BY_DIGEST, {"digest": digest}))
        return None if row is None else _key(row)

    def all(self) -> list[ApiKey]:
        return [_key(row) for row in self._session.rows(ALL_KEYS)]

    def remove(self, key_id: KeyId) -> bool:
        return bool(self._session.run(REMOVE_KEY, {"id": key_id}))


class SqlAnswers:
    """`ports.storage.Answers`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def answer(self, owner: str, key: str) -> StoredAnswer | None:
        digest = _digest(owner, key)
        as_kept_before = digest if key.startswith(_DIGEST) else key  # whoever sends a digest means no other key
        row = first(self._session.rows(ANSWER, {"owner": owner, "digest": digest, "key": as_kept_before}))
        if row is None:
            return None
        fingerprint, status, body, created_at = row
        return StoredAnswer(fingerprint=fingerprint, status=status, body=body, created_at=instant(created_at))

    def keep(self, owner: str, key: str, answer: StoredAnswer) -> None:
        self._session.insert(
            KEEP_ANSWER,
            (owner, _digest(owner, key), answer.fingerprint, answer.status, answer.body, micros(answer.created_at)),
        )

    def forget_before(self, instant: datetime, *, limit: int) -> int:
        return self._session.run(FORGET_ANSWERS, {"before": micros(instant), "limit": limit})


def _digest(owner: str, key: str) -> str:
    """SHA-256 of an idempotency key. With the owner in it, keys of two owners cannot be compared."""
    return _DIGEST + hashlib.sha256(f"{owner}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()


def _key(row: Row) -> ApiKey:
    id_, name, scope, digest, created_at = row
    return ApiKey(id=KeyId(id_), name=name, scope=Scope(scope), digest=digest, created_at=instant(created_at))

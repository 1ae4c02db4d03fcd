"""API keys and the answers of idempotent requests in SQL: what both databases share."""

from datetime import datetime
from typing import Final

from hookline.adapters.sql.session import Insert, Row, Session, first, instant, micros
from hookline.domain.ids import KeyId
from hookline.domain.keys import ApiKey, Scope
from hookline.ports.storage import StoredAnswer

ADD_KEY: Final = Insert("api_key", ("id", "name", "scope", "digest", "created_at"))
KEY_BY_DIGEST: Final = "SELECT id, name, scope, digest, created_at FROM api_key WHERE digest = :digest"
ALL_KEYS: Final = "SELECT id, name, scope, digest, created_at FROM api_key ORDER BY id"
REMOVE_KEY: Final = "DELETE FROM api_key WHERE id = :id"
ANSWER: Final = """
    SELECT fingerprint, status, body, created_at FROM answer WHERE owner = :owner AND key = :key
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
        row = first(self._session.rows(ANSWER, {"owner": owner, "key": key}))
        if row is None:
            return None
        fingerprint, status, body, created_at = row
        return StoredAnswer(fingerprint=fingerprint, status=status, body=body, created_at=instant(created_at))

    def keep(self, owner: str, key: str, answer: StoredAnswer) -> None:
        self._session.insert(
            KEEP_ANSWER, (owner, key, answer.fingerprint, answer.status, answer.body, micros(answer.created_at))
        )

    def forget_before(self, instant: datetime, *, limit: int) -> int:
        return self._session.run(FORGET_ANSWERS, {"before": micros(instant), "limit": limit})


def _key(row: Row) -> ApiKey:
    id_, name, scope, digest, created_at = row
    return ApiKey(id=KeyId(id_), name=name, scope=Scope(scope), digest=digest, created_at=instant(created_at))

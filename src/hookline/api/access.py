"""Who is asking: the key that came with a request, and how far it reaches.

A key that is not known from the last seconds is looked up in the store, as often as `api/lookups.py` allows.
"""

import hmac
from collections.abc import Mapping
from typing import Final

from hookline.api.lookups import Lookups
from hookline.domain.ids import KeyId
from hookline.domain.keys import ApiKey, Scope, digest_of
from hookline.errors import Unauthorized
from hookline.ports.clock import Clock
from hookline.ports.storage import Database, Transaction
from hookline.services.keys import find_key, list_keys

#: A key that was removed may be believed for this long.
_BELIEVED_SECONDS: Final = 2.0
_MOST_BELIEVED: Final = 1000
_BEARER: Final = "bearer "


class Access:
    """Recognises keys: the one from the settings, and those in the store."""

    def __init__(self, database: Database, clock: Clock, admin_key: str | None) -> None:
        self._database = database
        self._clock = clock
        self._admin = None if admin_key is None else _admin_key(admin_key, clock)
        self._believed: dict[str, tuple[float, ApiKey]] = {}
        self._lookups = Lookups(database, clock, _all_digests)

    async def key_of(self, headers: Mapping[bytes, bytes]) -> ApiKey:
        """The key in `api-key` or `Authorization: Bearer`.

        Raises:
            Unauthorized: there is none, or nobody knows it.
        """
        given = _given(headers)
        if not given:
            raise Unauthorized("No API key was given.", hint="Send it as `api-key: ...`.")
        digest = digest_of(given)
        if self._admin is not None and hmac.compare_digest(digest, self._admin.digest):
            return self._admin
        return await self._known(digest)

    def knows(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the key was recognised a moment ago. It may have been removed since."""
        given = _given(headers)
        if not given:
            return False
        digest = digest_of(given)
        is_admin = self._admin is not None and hmac.compare_digest(digest, self._admin.digest)
        return is_admin or digest in self._believed

    async def _known(self, digest: str) -> ApiKey:
        now = self._clock.monotonic()
        believed = self._believed.get(digest)
        if believed is not None and now - believed[0] < _BELIEVED_SECONDS:
            return believed[1]
        may_exist = believed is not None or await self._lookups.may_find(digest)
        key = await self._database.read(find_key, digest) if may_exist else None
        if key is None:
            self._believed.pop(digest, None)
            raise Unauthorized("Key not found", hint="Make one with `hookline keys create`.")
        if len(self._believed) >= _MOST_BELIEVED:
            self._believed.clear()
        self._believed[digest] = now, key
        return key


def _given(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(b"api-key", b"").decode("latin-1").strip()
    if given:
        return given
    bearer = headers.get(b"authorization", b"").decode("latin-1")
    return bearer[len(_BEARER) :].strip() if bearer.lower().startswith(_BEARER) else ""


def _all_digests(tx: Transaction) -> frozenset[str]:
    return frozenset(key.digest for key in list_keys(tx))


def _admin_key(key: str, clock: Clock) -> ApiKey:
    return ApiKey(
        id=KeyId("key_settings"),
        name="HOOKLINE_API_KEY",
        scope=Scope.ADMIN,
        digest=digest_of(key),
        created_at=clock.now(),
    )

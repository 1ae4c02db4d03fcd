"""Signatures: the proof that a body comes from us, and was sent just now.

Pure and standard library only, since the receiver library is built on it. The keys, the time and the dice are
arguments. What a whole request must look like: `receiver.py`. Which secrets a webhook has, and until when:
`domain/webhooks.py`.

Source: Standard Webhooks 1.0.0, "Signature scheme", the symmetric one (`v1`).
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from binascii import b2a_base64
from collections.abc import Sequence
from typing import Final

from hookline.errors import Invalid

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  the prefix is public
SECRET_BYTES: Final = 24
_VERSION: Final = "v1,"


def new_secret(dice: bytes) -> str:
    """A secret as its owner sees it: `whsec_` and the base64 of `dice`, which are 24 random bytes."""
    if len(dice) != SECRET_BYTES:
        raise ValueError(f"A secret is made of {SECRET_BYTES} random bytes, not of {len(dice)}.")
    return SECRET_PREFIX + b64encode(dice).decode()


class Signer:
    """Signs and recognises with secrets that were decoded once. It never shows them.

    The first secret's signature comes first; there are several while a secret is being rotated.

    Raises:
        Invalid: no secret, or one that is not base64 (with or without `whsec_` before it, or padding behind).
    """

    __slots__ = ("_keyed",)

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets:
            raise Invalid.field("secret", "at least one is needed.")
        # Keyed once and copied for each signature: half the time of keying anew.
        self._keyed = tuple(hmac.new(_key(secret), digestmod=hashlib.sha256) for secret in secrets)

    def header(self, message_id: str, timestamp: int | str, body: bytes) -> str:
        """The value of `webhook-signature` for this body, sent under this id at this time (seconds since 1970)."""
        content = f"{message_id}.{timestamp}.".encode() + body
        return " ".join([_VERSION + _signature(keyed, content) for keyed in self._keyed])

    def recognises(self, header: str, message_id: str, timestamp: int | str, body: bytes) -> bool:
        """Whether any signature in `header` is one that a secret of ours makes, compared in constant time.

        `timestamp` is signed as it is written: pass what the request says, not a number made of it.
        """
        ours = [signature.encode() for signature in self.header(message_id, timestamp, body).split(" ")]
        theirs = [signature.encode() for signature in header.split(" ")]
        return any(hmac.compare_digest(one, other) for one in ours for other in theirs)


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`, made once. Who signs often with the same secrets keeps a `Signer`."""
    return Signer(secrets).header(message_id, timestamp, body)


def _signature(keyed: hmac.HMAC, content: bytes) -> str:
    fresh = keyed.copy()
    fresh.update(content)
    return b2a_base64(fresh.digest(), newline=False).decode()


def _key(secret: object) -> bytes:
    """The bytes of a secret. The message of the refusal never shows what was given."""
    if not isinstance(secret, str):
        raise Invalid.field("secret", f"expected text that begins with whsec_, got {type(secret).__name__}.")
    encoded = secret.strip().removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise Invalid.field("secret", "expected whsec_ and then base64, as the webhook's page and API show it.")
    return key

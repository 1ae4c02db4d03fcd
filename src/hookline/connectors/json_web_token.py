"""Tokens that carry what they sign: JSON Web Tokens with a shared key. RFC 7519, RFC 7515, section 7.1.

`alg` is looked at before anything else: a token does not choose how it is checked.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from hookline.errors import Unauthorized

Algorithm = Literal["HS256", "HS512"]

_DIGESTS: Final = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}
_PARTS: Final = 3


def claims_of(token: str, key: str, algorithm: Algorithm, *, at: datetime) -> dict[str, Any]:
    """What the token says, once it is clear that who made it knows the key.

    Raises:
        Unauthorized: it is no token, asks for another algorithm, has another signature, or is no longer valid.
    """
    parts = token.split(".")
    if len(parts) != _PARTS or not token.isascii():
        raise Unauthorized("The signature is no JSON Web Token.")
    header = _object(parts[0])
    if header.get("alg") != algorithm or "crit" in header:
        raise Unauthorized(f"The token is not signed with {algorithm}.")
    ours = hmac.new(key.encode(), f"{parts[0]}.{parts[1]}".encode(), _DIGESTS[algorithm]).digest()
    # Compared as text: the last character of base64 has bits that decoding passes over.
    if not hmac.compare_digest(urlsafe_b64encode(ours).rstrip(b"="), parts[2].encode()):
        raise Unauthorized("The token is signed with another key.")
    claims = _object(parts[1])
    _require_in_time(claims, at)
    return claims


def _object(part: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (Error, ValueError, msgspec.DecodeError, RecursionError):
        raise Unauthorized("The signature is no JSON Web Token.") from None
    if not isinstance(value, dict):
        raise Unauthorized("The signature is no JSON Web Token.")
    return value


def _require_in_time(claims: dict[str, Any], at: datetime) -> None:
    expires = claims.get("exp")
    if expires is None:
        return
    if not isinstance(expires, int | float) or expires <= at.timestamp():
        raise Unauthorized("The token is no longer valid.")

"""Undoes the coding of an answer's body, so that people can read what the receiver said.

Every request asks for `identity`, but proxies compress all the same. What can be decoded within the bound is; anything
else stays as it came.
"""

import zlib
from collections.abc import Iterable
from typing import Final

#: What zlib calls the format of each content coding (RFC 9110, 8.4.1). `deflate` is zlib's format; many servers send it
#: without zlib's header.
_FORMATS: Final = {
    "gzip": (zlib.MAX_WBITS | 16,),
    "x-gzip": (zlib.MAX_WBITS | 16,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}
_CODINGS: Final = frozenset({"content-encoding", "transfer-encoding"})
#: Codings in a row that are undone. More than two is an attack or a mistake.
_MAX_CODINGS: Final = 3


def decoded(headers: Iterable[tuple[str, str]], body: bytes, max_bytes: int) -> bytes:
    """At most `max_bytes` of the body without its codings; the body as it is where one of them cannot be undone.

    `body` may be the beginning of a longer one: what is in it is decoded as far as it goes.
    """
    codings = [
        coding
        for name, value in headers
        if name.lower() in _CODINGS
        for coding in (each.strip().lower() for each in value.split(","))
        if coding not in ("", "identity", "chunked")
    ]
    if not codings or len(codings) > _MAX_CODINGS:
        return body
    plain: bytes | None = body
    for coding in reversed(codings):
        plain = None if plain is None else _without(coding, plain, max_bytes)
    return body if plain is None else plain


def _without(coding: str, body: bytes, max_bytes: int) -> bytes | None:
    """At most `max_bytes` of the body without this coding; None where it cannot be undone."""
    for format_ in _FORMATS.get(coding, ()):
        try:
            return _inflated(body, format_, max_bytes)
        except zlib.error:
            continue
    return None


def _inflated(body: bytes, format_: int, max_bytes: int) -> bytes:
    """The members of a compressed body, one after another (RFC 1952, 2.2), up to the bound.

    Raises:
        zlib.error: the body does not begin with this format, or is damaged.
    """
    plain = b""
    while body and len(plain) < max_bytes:
        inflating = zlib.decompressobj(format_)
        plain += inflating.decompress(body, max_bytes - len(plain))
        body = inflating.unused_data
    return plain

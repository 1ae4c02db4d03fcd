"""Requests of the API and their answers, as plain values: what `listening` and `app` hand to one another."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

import msgspec

from hookline.api.request_reader import Refused

#: The largest body that any request may have, in bytes.
MAX_BODY: Final = 1024 * 1024
#: What every answer of the API has: it is for the one who asked, and is what it says it is.
COMMON_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
JSON_HEADERS: Final = ((b"content-type", b"application/json"), *COMMON_HEADERS)
RETRY_AFTER_SECONDS: Final = 1
RETRY_AFTER: Final = (b"retry-after", b"%d" % RETRY_AFTER_SECONDS)

NO_CONTENT: Final = 204
UNAVAILABLE: Final = 503

Headers = tuple[tuple[bytes, bytes], ...]


class Request:
    """One request of the API. `path` is decoded, `query` is not; names of headers are in lower case."""

    __slots__ = ("body", "headers", "method", "path", "query")

    def __init__(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: Mapping[bytes, bytes],
        body: bytes | Callable[[], Awaitable[bytes]],  # or how to read it, once it is known that it is wanted
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body


class Whole(NamedTuple):
    """An answer. Its headers are without Content-Length, which the body tells."""

    status: int
    headers: Headers
    body: bytes


class Answering(Protocol):
    """What is asked beside ASGI."""

    @abstractmethod
    def owns(self, path: str) -> bool:
        """Whether what is at this path is asked so."""

    @abstractmethod
    async def answer(self, request: Request) -> Whole:
        """Answer one request, whatever happens."""


@lru_cache(maxsize=256)
def header_lines(headers: Headers) -> bytes:
    """Headers as they are written. Remembered: answers have few kinds of them."""
    return b"".join([b"%b: %b\r\n" % each for each in headers])


def refusal_answer(refusal: Refused) -> Whole:
    """The answer to what could not be read as a request."""
    body = msgspec.json.encode({"code": refusal.code, "message": refusal.message})
    return Whole(refusal.status, (RETRY_AFTER, *JSON_HEADERS) if refusal.status == UNAVAILABLE else JSON_HEADERS, body)

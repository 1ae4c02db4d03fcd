"""The far side of HTTP: one POST goes out, whatever happens comes back as a value."""

from datetime import datetime
from typing import Final, Literal, NamedTuple, Protocol

from hookline.errors import Unavailable

#: This much of an answer's body is read and kept, and no more.
MAX_ANSWER_BYTES: Final = 16 * 1024


class Post(NamedTuple):
    """One request, complete but for `Host` and `Content-Length`, which the sender adds."""

    scheme: Literal["http", "https"]
    host: str  # a name, or an address without brackets
    port: int
    target: str  # path and query, byte for byte as configured; begins with "/"
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout_seconds: float  # for everything: name, connection, TLS, request, answer


class Answer(NamedTuple):
    """What came of one POST.

    `status` is the HTTP status when an answer's head arrived in time, else None. `error` is a sentence when something
    went wrong below HTTP (also after the head: a body that never ended), else "".
    """

    status: int | None
    error: str
    headers: tuple[tuple[str, str], ...]
    body: bytes  # at most MAX_ANSWER_BYTES, decoded when it was gzip or deflate
    started_at: datetime
    duration_ms: float


class NoDescriptors(Unavailable):
    """This machine has no file descriptor left, so no attempt was made. No receiver is at fault."""

    def __init__(self) -> None:
        super().__init__(
            "There is no free file descriptor, so nothing was sent.", hint="Raise the limit of open files."
        )


class Sender(Protocol):
    """Makes POSTs."""

    async def send(self, post: Post) -> Answer:
        """Make one POST and tell what came of it within `post.timeout_seconds`. Never raises for what the far side
        does; never follows a redirect; never uses a proxy.

        Raises:
            NoDescriptors: no connection could be opened, for want of a file descriptor.
        """

    async def close(self) -> None:
        """Close every connection."""

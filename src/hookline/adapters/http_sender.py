"""Makes POSTs, and turns whatever happens into an `Answer`: the hot path of the whole product.

A warm POST costs one future and one `write`. It never follows a redirect, never uses a proxy, and connects
only to what the guard vetted. One request is repeated once, on a fresh connection, when the reused one that it was
written to proves to have died without one byte of an answer: keep-alive makes that common, and harmless.

Connections: `http_connection.py`. How many: `http_pool.py`. What answers mean: `http_answer.py`. When to try again, and
what counts as success: not here.
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable
from datetime import datetime
from functools import cache, lru_cache
from typing import Final, TypeVar

from hookline.adapters.address_guard import AddressGuard
from hookline.adapters.deadlines import Deadlines, TooLate, in_time
from hookline.adapters.descriptors import Shortage
from hookline.adapters.http_answer import AnswerReader
from hookline.adapters.http_connection import Connection, Dialer, NoConnection, Origin
from hookline.adapters.http_content import decoded
from hookline.adapters.http_pool import Pool, Room
from hookline.ports.clock import Clock
from hookline.ports.sender import MAX_ANSWER_BYTES, Answer, NoDescriptors, Post

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
#: Control characters, the line ends among them; a tab may stand inside a header's value.
_CONTROLS: Final = bytes(set(range(0x20)) - {0x09} | {0x7F})
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: These decide where a request ends and whether the connection lives: they are the sender's alone.
_OURS: Final = frozenset(
    ("connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)

#: Bytes of a body up to which it is written in one piece with its head: one copy costs less than a second buffer.
_COPIED_BODY: Final = 4096

T = TypeVar("T")

STOPPED: Final = "Hookline stopped before the answer came."


class Unsendable(Exception):
    """The request cannot be written as HTTP. Its text is a sentence for people."""


class HttpSender:
    """`ports.sender.Sender` over HTTP/1.1 with connections kept alive."""

    def __init__(
        self,
        clock: Clock,
        guard: AddressGuard,
        *,
        tls: ssl.SSLContext | None = None,
        connect_seconds: float = 5.0,
        connections_per_origin: int = 64,
        connections_in_all: int = 1000,
        idle_seconds: float = 50.0,
        shortage: Shortage | None = None,
    ) -> None:
        """Idle connections go before the 60 s after which most load balancers cut them."""
        self._clock = clock
        self._dialer = Dialer(clock, guard, tls or _system_trust(), connect_seconds)
        self._pool = Pool(
            clock, per_origin=connections_per_origin, in_all=connections_in_all, idle_seconds=idle_seconds
        )
        self._deadlines: dict[float, Deadlines] = {}
        self._is_closed = False
        self._shortage = shortage or Shortage(clock)
        self.problem = self._shortage.problem

    async def send(self, post: Post) -> Answer:
        """Make one POST. As `ports.sender.Sender`."""
        started_at = self._clock.now()
        started = self._clock.monotonic()
        try:
            return await self._post(post, started_at, started)
        except (Unsendable, NoConnection) as failure:
            return self._answer(None, str(failure), started_at, started)
        except NoDescriptors:
            self._shortage.occurred()
            raise

    async def close(self) -> None:
        """Close every connection. Requests under way end with an error, and no new one is sent."""
        self._is_closed = True
        await self._pool.close()

    async def _post(self, post: Post, started_at: datetime, started: float) -> Answer:
        request = request_pieces(post)
        deadline = started + post.timeout_seconds
        idle = self._pool.take_idle(post.scheme, post.host, post.port)
        room, connection = idle or await self._seated(post, deadline)
        try:
            answered = connection.exchange(*request)
            over = self._same(post.timeout_seconds).in_time(started, answered) if idle else self._by(deadline, answered)
            error = await self._error(connection, over, post)
            if connection.was_stale:
                connection = await self._fresh(room, deadline)
                error = await self._error(connection, self._by(deadline, connection.exchange(*request)), post)
            return self._answer(connection.answer, error, started_at, started)
        finally:
            self._pool.release(room, connection)

    def _same(self, seconds: float) -> Deadlines:
        """The deadlines of all requests that have the same time and went out at once."""
        deadlines = self._deadlines.get(seconds)
        if deadlines is None:
            deadlines = self._deadlines[seconds] = Deadlines(self._clock, seconds)
        return deadlines

    def _by(self, deadline: float, awaited: asyncio.Future[T]) -> Awaitable[T]:
        return in_time(self._clock, deadline - self._clock.monotonic(), awaited)

    async def _error(self, connection: Connection, over: Awaitable[None], post: Post) -> str:
        """Read the answer to the end; say what went wrong, if anything did."""
        try:
            await over
        except TooLate:
            return f"{_missing(connection.answer)} within {post.timeout_seconds:g} s."
        return STOPPED if self._is_closed and connection.answer.error else connection.answer.error

    async def _seated(self, post: Post, deadline: float) -> tuple[Room, Connection]:
        """A place, and a connection in it: opened for us, or handed over by who had it before."""
        room = self._pool.enter(Origin(post.scheme, post.host, post.port))
        connection = None
        if not self._pool.take_place(room):
            connection = await self._turn(room, post, deadline)
        if connection is None:
            try:
                connection = await self._fresh(room, deadline)
            except BaseException:
                self._pool.give_up_place(room)
                raise
        return room, connection

    async def _turn(self, room: Room, post: Post, deadline: float) -> Connection | None:
        """Stand in line: for a connection, or for a place to open one in."""
        waiter = self._pool.stand_in_line(room)
        try:
            return await self._by(deadline, waiter)
        except BaseException as reason:
            self._pool.leave_line(room, waiter)
            del waiter  # as in `in_time`
            if isinstance(reason, TooLate):
                text = f"No connection to {post.host} port {post.port} became free within {post.timeout_seconds:g} s."
                raise NoConnection(text) from None
            raise

    async def _fresh(self, room: Room, deadline: float) -> Connection:
        if self._is_closed:
            raise NoConnection(STOPPED)
        connection = await self._dialer.dial(room.origin, deadline - self._clock.monotonic())
        self._pool.admit(connection)
        return connection

    def _answer(self, read: AnswerReader | None, error: str, started_at: datetime, started: float) -> Answer:
        return Answer(
            status=read.status if read else None,
            error=error,
            headers=tuple(read.headers) if read else (),
            body=decoded(read.headers, bytes(read.body), MAX_ANSWER_BYTES) if read and read.body else b"",
            started_at=started_at,
            duration_ms=(self._clock.monotonic() - started) * 1000,
        )


def request_pieces(post: Post) -> tuple[bytes, ...]:
    """The request as it goes over the wire: in one piece, or its head, then its large body, of which no copy is made.

    Raises:
        Unsendable: some part of it would not stay within its line.
    """
    lines = [
        f"POST {post.target} HTTP/1.1\r\nHost: {_host_header(post)}\r\nContent-Length: {len(post.body)}",
        *[_line_of(name) + value for name, value in post.headers],
        "\r\n",
    ]
    try:
        head = "\r\n".join(lines).encode("latin-1")
    except UnicodeEncodeError as error:
        raise Unsendable(f"The request's head holds {error.object[error.start]!r}, which HTTP cannot carry.") from None
    line_ends = 2 * (len(lines) + 2)
    # Whatever control character there is beyond our own line ends was brought in from outside.
    if len(head.translate(None, _CONTROLS)) != len(head) - line_ends:
        raise Unsendable("The request's head holds a line end or another control character, which HTTP cannot carry.")
    if " " in post.target or not post.target.startswith("/"):
        raise Unsendable(f"The request's target must begin with a slash and hold no space, got {post.target[:80]!r}.")
    return (head + post.body,) if len(post.body) <= _COPIED_BODY else (head, post.body)


def _host_header(post: Post) -> str:
    host = f"[{post.host}]" if ":" in post.host and post.host[0] != "[" else post.host
    return host if post.port == _DEFAULT_PORTS[post.scheme] else f"{host}:{post.port}"


@lru_cache(maxsize=1024)
def _line_of(name: str) -> str:
    """How the line of a header begins, if a request may have it. Remembered: there are few, each request has a dozen.

    Raises:
        Unsendable: it is none of HTTP's names, or one that is ours to set.
    """
    if _TOKEN.fullmatch(name) is None:
        raise Unsendable(f"{name[:80]!r} can be no name of a header.")
    if name.lower() in _OURS:
        raise Unsendable(f"The header {name} is the sender's own to set.")
    return f"{name}: "


def _missing(answer: AnswerReader) -> str:
    if answer.status is not None:
        return "No end of the answer"
    return "No end of the answer's head" if answer.has_begun else "No answer"


@cache
def _system_trust() -> ssl.SSLContext:
    """The context for the certificate authorities of the system. Reading them takes some 30 ms, once per process."""
    return ssl.create_default_context()

"""uvicorn's HTTP protocol, with a short way for the API.

A plain request of the API (small, with its length told) is read whole, answered, and written in one piece: beside ASGI,
whose messages and checks cost a call more than its delivery does. Everything else (large and chunked bodies, pages,
files) goes the long way, which is uvicorn's, over the same connection and in the same order.

Three things are done that uvicorn does not do: a client that offers to go on in another protocol, as Java's does with
its first request, is answered as if it had not; so is one that closes its side after asking; and one that begins a
request and falls silent is not waited for.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from hookline.ports.clock import Alarm, Clock

#: The largest body that is read before anybody looks at it.
SMALL: Final = 64 * 1024
#: Requests of one client that wait for the one before, until no more of them are read.
_MOST_IN_LINE: Final = 8
_NO_HTTP: Final = b'{"code":"bad_request","message":"What came is no HTTP request."}'

Headers = Iterable[tuple[bytes, bytes]]


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
    """An answer."""

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


class _NobodyWaits:
    def set(self) -> None:
        """Nothing: a request is begun with when it is whole."""


class Exchange(Request):
    """A request until it is answered. Stands where uvicorn has its cycle, and is told what that is told."""

    __slots__ = ("disconnected", "keep_alive", "more_body", "response_complete")

    body: bytes  # as far as it came
    message_event: Final = _NobodyWaits()

    def __init__(
        self, method: str, path: str, query: bytes, headers: Mapping[bytes, bytes], *, keep_alive: bool
    ) -> None:
        super().__init__(method, path, query, headers, b"")
        self.keep_alive = keep_alive
        self.more_body = True
        self.response_complete = False
        self.disconnected = False


class Listening(HttpToolsProtocol):
    """HTTP/1.1 for uvicorn. One for each connection."""

    def __init__(self, api: Answering, clock: Clock, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._api = api
        self._clock = clock
        self._reading: Exchange | None = None  # what is not whole yet
        self._was_heard = False  # since the alarm was set
        self._alarm: Alarm | None = None
        self._task: asyncio.Task[None] | None = None  # held, since the event loop does not

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to listen."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what was asked: an answer finds nobody."""
        super().connection_lost(exc)
        if self._alarm is not None:
            self._alarm.cancel()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn closes, and leaves what was asked unanswered
        """Answer a client that has said all it wants to; whoever stops in the middle of a request has asked nothing."""
        waits = self._owes_an_answer()
        if waits:
            self.cycle.keep_alive = False
        return waits

    def _owes_an_answer(self) -> bool:
        return bool(self.cycle and not self.cycle.response_complete and not self.cycle.more_body)

    def _watch(self) -> None:
        self._was_heard = False
        self._alarm = self._clock.alarm(self.timeout_keep_alive, self._look)

    def _look(self) -> None:
        """Close what nobody was heard on since the last look, and on which nobody waits for us."""
        if self._was_heard or self._owes_an_answer():
            self._watch()
        else:
            self._alarm = None
            self.transport.close()

    # Reading

    def data_received(self, data: bytes) -> None:
        """Read on. Offers to upgrade are passed over, as RFC 9110, 7.8 allows: the request is read without them."""
        self._was_heard = True
        try:
            while data:
                data = self._rest_of(data)
        except httptools.HttpParserError:
            self._turn_away()

    def _rest_of(self, data: bytes) -> bytes:
        """What is to be read yet: nothing, unless the parser stopped for an offer."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self._should_upgrade():
                again = self._head_without_upgrade() + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)  # the one so far may take this request for the last
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
                return again
        return b""

    def _should_upgrade(self) -> bool:
        """Whether to leave this request alone, because it comes again without its offer."""
        return bool(self.parser.get_method() != b"CONNECT")

    def _head_without_upgrade(self) -> bytes:
        pieces = [self.parser.get_method(), b" ", self.url, b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                pieces += (name, b": ", value, b"\r\n")
        return b"".join((*pieces, b"\r\n"))

    def _turn_away(self) -> None:
        headers = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(_NO_HTTP)))
        self._write(400, headers, _NO_HTTP, keep_alive=False)

    def on_message_begin(self) -> None:
        """Begin with a request; what ASGI wants to know of it is gathered when it goes that way."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Choose the way of a request."""
        target, _, query = self.url.partition(b"?")
        headers = dict(self.headers)
        path = target.decode("latin-1")
        if not (self._api.owns(path) and target.isascii() and b"%" not in target and self._is_plain(headers)):
            self._go_the_long_way()
            return
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        exchange = Exchange(self.parser.get_method().decode(), path, query, headers, keep_alive=keep_alive)
        self._reading = exchange
        before, self.cycle = self.cycle, cast("RequestResponseCycle", exchange)
        if before and not before.response_complete:
            self.pipeline.appendleft((self.cycle, self.app))
            if len(self.pipeline) >= _MOST_IN_LINE:
                self.flow.pause_reading()  # only now, for meanwhile nobody hears that the client has gone

    def _is_plain(self, headers: dict[bytes, bytes]) -> bool:
        """Whether all of it is here soon."""
        return (
            b"transfer-encoding" not in headers
            and not self.expect_100_continue
            and int(headers.get(b"content-length", b"0")) <= SMALL
            and not self.parser.should_upgrade()
        )

    def _go_the_long_way(self) -> None:
        self._reading = None
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers += headers  # the list that ASGI sees
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of a body."""
        if self._reading is None:
            super().on_body(body)
        else:
            self._reading.body += body

    def on_message_complete(self) -> None:
        """Answer what is whole, unless others are in front of it."""
        whole, self._reading = self._reading, None
        if whole is None:
            super().on_message_complete()
            return
        whole.more_body = False
        if not self.pipeline:
            self._begin(whole)

    # Answering

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Begin with what was in line, if it is whole."""
        if not isinstance(cycle, Exchange):
            super()._start_asgi_task(cycle, app)
        elif not cycle.more_body:
            self._begin(cycle)

    def _begin(self, exchange: Exchange) -> None:
        self._task = self.loop.create_task(self._answer(exchange))

    async def _answer(self, asked: Exchange) -> None:
        whole = await self._api.answer(asked)
        if self.flow.write_paused:
            await self.flow.drain()  # the client does not read
        asked.response_complete = True
        if not self.transport.is_closing():
            body = b"" if asked.method == "HEAD" else whole.body
            self._write(whole.status, whole.headers, body, keep_alive=asked.keep_alive)
            self.on_response_complete()

    def _write(self, status: int, headers: Headers, body: bytes, *, keep_alive: bool) -> None:
        pieces = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            pieces += (name, b": ", value, b"\r\n")
        pieces += (b"\r\n" if keep_alive else b"connection: close\r\n\r\n", body)
        self.transport.write(b"".join(pieces))
        if not keep_alive:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Go on with the next in line, or read on."""
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())

"""uvicorn's HTTP protocol, with a short way for answers that are known whole.

An ASGI answer goes out in two messages, each checked and written apart: a third of what a loaded server did for a call.
The API has its whole answer at hand, and finds the short way under `ANSWER` in the scope. Everything else (parsing,
bodies, pipelining, idle clients, closing) stays uvicorn's, but for two kinds of requests that it would fail: those that
offer to go on in another protocol, as Java's client does with every first one, and those after which the client closes
its side.
"""

from collections.abc import Iterable
from functools import partial
from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

#: The key in an ASGI scope. Its value takes status, headers and body, and tells whether it could take them now.
ANSWER: Final = "hookline.answer"


class WholeAnswers(HttpToolsProtocol):
    """HTTP/1.1 for uvicorn."""

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn closes, and leaves what was asked unanswered
        """Answer a client that has said all it wants to; whoever stops in the middle of a request has asked nothing."""
        waits = bool(self.cycle and not self.cycle.response_complete and not self.cycle.more_body)
        if waits:
            self.cycle.keep_alive = False
        return waits

    def data_received(self, data: bytes) -> None:
        """Read on. Offers to upgrade are passed over, as RFC 9110, 7.8 allows: the request is read without them."""
        self._unset_keepalive_if_required()
        try:
            while data:
                data = self._rest_of(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

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

    def on_headers_complete(self) -> None:
        """Begin with a request, as uvicorn does."""
        super().on_headers_complete()
        self.scope[ANSWER] = partial(self._answer, self.cycle)  # type: ignore[typeddict-unknown-key]  # a scope is open

    def _answer(
        self, cycle: RequestResponseCycle, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> bool:
        if cycle.response_started or self.flow.write_paused:
            return False  # the long way waits until the client reads on
        if self.transport.is_closing():
            cycle.disconnected = True  # uvicorn says so to the last of pipelined requests alone
            return True
        self.transport.write(_message(cycle, status, headers, body))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True


def _message(cycle: RequestResponseCycle, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    pieces = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        pieces += (name, b": ", value, b"\r\n")
    pieces.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
    if cycle.scope["method"] != "HEAD":
        pieces.append(body)
    return b"".join(pieces)

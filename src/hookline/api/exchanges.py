"""One request on its way to its answer: the short way (`Exchange`) and uvicorn's long way (`Cycle`)."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from hookline.api.http_messages import MAX_BODY, Request, Whole


class _NobodyWaits:
    def set(self) -> None:
        """Nothing: a request is begun with when it is whole."""


class Exchange(Request):
    """A request until it is answered. Stands where uvicorn has its cycle, and is told what that is told."""

    __slots__ = ("disconnected", "is_known", "keep_alive", "ready", "response_complete", "status")

    body: bytes | bytearray  # type: ignore[assignment]  # as far as it came
    message_event: Final = _NobodyWaits()

    def __init__(
        self, method: str, path: str, query: bytes, headers: Mapping[bytes, bytes], *, keep_alive: bool
    ) -> None:
        super().__init__(method, path, query, headers, b"")
        self.keep_alive = keep_alive
        self.ready: Whole | None = None  # the answer, when nobody needs to be asked for it
        self.response_complete = False
        self.disconnected = False
        self.is_known = False  # otherwise it waits for its turn
        self.status = 0  # of the answer


class Cycle(RequestResponseCycle):
    """uvicorn's cycle, which closes the connection if it answers while much of the body is yet to come."""

    length = 0
    is_known = False  # otherwise it waits for its turn
    status = 0  # of the answer

    async def send(self, message: Any) -> None:
        """Write a part of the answer."""
        self.status = message.get("status", self.status)
        if self.more_body and not self.response_started:
            self.keep_alive = self.keep_alive and not (self.waiting_for_100_continue or self.length > MAX_BODY)
        await super().send(message)


class Flow(FlowControl):
    """uvicorn's flow control, which also resumes the reading of what came in already."""

    def __init__(self, transport: asyncio.Transport, resumed: Callable[[], object]) -> None:
        super().__init__(transport)
        self._resumed: Callable[[], object] | None = resumed

    def end(self) -> None:
        """Resume nothing any more: the connection is lost."""
        self._resumed = None

    def resume_reading(self) -> None:
        """Read on, unless that is being done."""
        if self._resumed is not None and self.read_paused and not self._transport.is_closing():
            super().resume_reading()
            self._resumed()


class Output:
    """The transport as a cycle sees it: to close it is to let the client read what was written."""

    __slots__ = ("_transport", "close", "is_closing")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self.is_closing = transport.is_closing
        self.close = close

    def write(self, data: bytes) -> None:
        """Write to a client that may have gone."""
        if not self._transport.is_closing():
            self._transport.write(data)

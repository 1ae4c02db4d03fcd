"""A raw connection of the attacker. It sends and reads independently, and goes on reading when it can send no more.

That matters when a server answers and closes before it has read everything: the client's writing fails, and what the
server said last is still to be read.
"""

import asyncio
import socket
import struct
from typing import Final

from hookline.adapters.system_clock import SystemClock
from tests.acceptance.serving import real_seconds

_READ_AT_ONCE: Final = 262_144
_SWEEP_SECONDS: Final = 0.25
_CLOCK: Final = SystemClock()


class Wires:
    """All connections to one server. One sweep wakes those that have waited long enough."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._waiting: set[Wire] = set()
        self.open = 0
        self.refused = 0  # connections that the server did not accept

    async def sweep(self) -> None:
        """Wake whoever waited long enough, for ever."""
        while True:
            await real_seconds(_SWEEP_SECONDS)
            now = _CLOCK.monotonic()
            for wire in [each for each in self._waiting if each.due <= now]:
                wire.wake()

    async def connect(self) -> "Wire":
        """A new connection.

        Raises:
            OSError: there is none to be had.
        """
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        stream.setblocking(False)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(stream, ("127.0.0.1", self._port))
        except OSError:
            self.refused += 1
            stream.close()
            raise
        return Wire(self, stream)

    def note_waiting(self, wire: "Wire", *, waits: bool) -> None:
        """Note who is to be woken."""
        if waits:
            self._waiting.add(wire)
        else:
            self._waiting.discard(wire)


class Wire:
    """One connection."""

    def __init__(self, wires: Wires, stream: socket.socket) -> None:
        self._wires = wires
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._reads = True
        self.due = 0.0
        self.received = bytearray()
        self.has_ended = False  # nothing more will come
        self.was_reset = False
        self.cannot_send = False
        self.used_at = _CLOCK.monotonic()
        self.attacks = 0
        wires.open += 1
        self._loop.add_reader(stream, self._read)

    @property
    def is_sent(self) -> bool:
        """Whether everything is sent, or nothing can be sent any more."""
        return self.cannot_send or not self._unsent

    def send(self, data: bytes) -> None:
        """Send as soon as it can be sent."""
        self.used_at = _CLOCK.monotonic()
        if self.cannot_send:
            return
        if self._unsent:
            self._unsent += data
            return
        sent = self._send(data)
        if sent < len(data) and not self.cannot_send:
            self._unsent += memoryview(data)[sent:]
            self._loop.add_writer(self._stream, self._write)

    def stop_reading(self) -> None:
        """Leave in the kernel what comes."""
        if self._reads:
            self._reads = False
            self._loop.remove_reader(self._stream)

    async def wait(self, seconds: float) -> bool:
        """Wait until something was read or sent or the connection ended. False: nothing happened for so long."""
        self.due = _CLOCK.monotonic() + seconds
        self._waiter = self._loop.create_future()
        self._wires.note_waiting(self, waits=True)
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._wires.note_waiting(self, waits=False)
        return self.has_ended or _CLOCK.monotonic() < self.due

    def wake(self) -> None:
        """End a wait."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        if not self.cannot_send:
            self.cannot_send = True
            try:
                self._stream.shutdown(socket.SHUT_WR)
            except OSError:
                self.was_reset = True

    def close(self, *, by_reset: bool = False) -> None:
        """Be gone, politely or not."""
        if self._stream.fileno() < 0:
            return
        if by_reset:
            self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._loop.remove_reader(self._stream)
        self._loop.remove_writer(self._stream)
        self._stream.close()
        self.has_ended = self.cannot_send = True
        self._wires.open -= 1
        self.wake()

    def _send(self, data: bytes | bytearray) -> int:
        try:
            return self._stream.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.cannot_send = True
            self._unsent.clear()
            return 0

    def _write(self) -> None:
        sent = self._send(self._unsent)
        del self._unsent[:sent]
        if self.is_sent:
            self._loop.remove_writer(self._stream)
            self.wake()

    def _read(self) -> None:
        try:
            data = self._stream.recv(_READ_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            self.was_reset = True
            data = b""
        if data:
            self.received += data
        else:
            self.has_ended = True
            self._reads = False
            self._loop.remove_reader(self._stream)
        self.wake()

"""Accepts the connections of clients, many in one turn of the event loop.

uvloop's own servers accept one connection per turn (libuv 1.47 and later). When a flood makes turns long, honest
clients then wait in the kernel's queue behind all others. This acceptor takes up to `per_turn` connections per turn:
enough to empty the queue soon, and few enough that a flood of connections does not keep those that are served from
their turn. Connections beyond the server's limit are closed before anything is made for them.

When the process or the machine has no free file descriptor, waiting connections stay in the kernel's queue and the
acceptor tries again after `RETRY_SECONDS`: a listening socket that stays readable would otherwise keep the loop busy.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

from hookline.adapters.descriptors import Shortage, is_exhausted
from hookline.ports.clock import Alarm, Clock

#: Connections that wait to be accepted; Linux cuts this to `net.core.somaxconn`.
BACKLOG: Final = 2048
#: Connections that are accepted in one turn of the event loop.
PER_TURN: Final = 64
#: Pause after the system could not give a connection.
RETRY_SECONDS: Final = 0.1
#: The log says at most this often that connections could not be accepted.
SAID_EVERY_SECONDS: Final = 60.0

#: Nothing is left to accept a connection with. Every other error is one of the waiting connection alone: accept(2).
_NO_RESOURCES: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

_log = logging.getLogger("hookline.connections")


class Acceptor:
    """Accepts from one listening socket between `start` and `stop`."""

    def __init__(
        self,
        listening: socket.socket,
        clock: Clock,
        protocol: Callable[[], asyncio.Protocol],
        *,
        has_room: Callable[[int], bool] = lambda _: True,
        shortage: Shortage | None = None,
        per_turn: int = PER_TURN,
    ) -> None:
        """Serve each connection with a new `protocol`.

        `has_room` is asked before each, with the number of connections that were accepted and have no protocol yet; if
        it says no, the connection is closed at once. `shortage` is told when no file descriptor is free.
        """
        self._listening = listening
        self._clock = clock
        self._protocol = protocol
        self._has_room = has_room
        self._shortage = shortage or Shortage(clock)
        self._per_turn = per_turn
        self._opening: set[asyncio.Task[None]] = set()
        self._retry: Alarm | None = None
        self._failures = 0  # since the log said so
        self._said_at = -SAID_EVERY_SECONDS

    def start(self) -> None:
        """Listen, and accept on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._listening.setblocking(False)
        self._listening.listen(BACKLOG)
        self._loop.add_reader(self._listening, self._accept)

    async def stop(self) -> None:
        """Accept nothing more. Returns when every accepted connection has its protocol."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._loop.remove_reader(self._listening)
        while self._opening:
            await asyncio.wait(self._opening)

    def _accept(self) -> None:
        for _ in range(self._per_turn):
            try:
                client, _ = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as problem:
                if problem.errno in _NO_RESOURCES:
                    self._pause(problem)
                    return
                continue
            if not self._has_room(len(self._opening)):
                client.close()
                continue
            opening = self._loop.create_task(self._open(client))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    async def _open(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, client)
        except OSError:
            client.close()  # the client has gone
        except BaseException:
            client.close()
            raise

    def _pause(self, problem: OSError) -> None:
        if is_exhausted(problem):
            self._shortage.occurred()
        self._failures += 1
        now = self._clock.monotonic()
        if now - self._said_at >= SAID_EVERY_SECONDS:
            _log.error("connections.not_accepted times=%d why=%r", self._failures, problem.strerror)
            self._failures, self._said_at = 0, now
        self._loop.remove_reader(self._listening)
        self._retry = self._clock.alarm(RETRY_SECONDS, self._resume)

    def _resume(self) -> None:
        self._retry = None
        self._loop.add_reader(self._listening, self._accept)

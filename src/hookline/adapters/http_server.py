"""uvicorn's server with an acceptor of ours. What it serves and how long connections live: `bootstrap` and `api`."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from hookline.adapters.acceptor import Acceptor
from hookline.adapters.descriptors import Shortage
from hookline.adapters.system_clock import SystemClock


class Server(uvicorn.Server):
    """uvicorn, whose own way with signals would end the process before we are done.

    `listens` is called as soon as connections are accepted: whoever waits for that word may connect at once. Beyond
    what `has_room` allows, given how many connections there are, they are closed without a word.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        listens: Callable[[], None] = lambda: None,
        *,
        has_room: Callable[[int], bool] = lambda _: True,
        shortage: Shortage | None = None,
    ) -> None:
        super().__init__(config)
        self._listens = listens
        self._has_room = has_room
        self._shortage = shortage
        self._acceptors: list[Acceptor] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections ourselves (`adapters.acceptor`), then say that we listen."""
        await super().startup([])
        for each in sockets or []:
            acceptor = Acceptor(
                each, SystemClock(), self._protocol, has_room=self._has_room_beside, shortage=self._shortage
            )
            acceptor.start()
            self._acceptors.append(acceptor)
        self._listens()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, and let those that are connected end."""
        for acceptor in self._acceptors:
            await acceptor.stop()
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn calls it
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def _has_room_beside(self, opening: int) -> bool:
        return self._has_room(len(self.server_state.connections) + opening)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to those who started the server."""
        yield

    def leave(self) -> None:
        """Take no new connections, and end when the open requests have ended."""
        self.should_exit = True

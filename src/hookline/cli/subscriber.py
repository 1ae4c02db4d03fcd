"""A subscriber, as somebody who receives webhooks would write it: verify, remember, answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import uvicorn

from hookline.bootstrap.server import Server, listening_on
from hookline.ports.clock import Clock
from hookline.receiver import Message, Receiver, VerificationError

HOST: Final = "127.0.0.1"
_TAKEN: Final = 204
_REFUSED: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One webhook as it arrived. Of one that could not be verified, `event` and `subject` are what it claims."""

    at: datetime
    event: str
    subject: str
    body: bytes
    message: Message | None
    problem: str  # why it could not be verified; "" when it was


class Subscriber:
    """An ASGI application that takes webhooks."""

    def __init__(self, clock: Clock, taken: Callable[[Arrival], None]) -> None:
        """Tells `taken` of every arrival."""
        self._clock = clock
        self._taken = taken
        self._receiver: Receiver | None = None

    def trust(self, secret: str) -> None:
        """Take what is signed with `secret` from now on."""
        self._receiver = Receiver(secret)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Take one webhook."""
        at = self._clock.now()
        body, more = b"", True
        while more:
            part = await receive()
            body += part.get("body", b"")
            more = part.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        arrival = self._checked(headers, body, at)
        await send({"type": "http.response.start", "status": _REFUSED if arrival.problem else _TAKEN, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        self._taken(arrival)

    def _checked(self, headers: dict[str, str], body: bytes, at: datetime) -> Arrival:
        message, problem = None, "There is no secret to verify it with."
        if self._receiver is not None:
            try:
                message, problem = self._receiver.verify(body, headers), ""
            except VerificationError as refusal:
                problem = refusal.message
        return Arrival(
            at=at,
            event=headers.get("hookline-event", ""),
            subject=headers.get("hookline-subject", ""),
            body=body,
            message=message,
            problem=problem,
        )


@asynccontextmanager
async def listening(subscriber: Subscriber) -> AsyncIterator[str]:
    """The subscriber on a free port of this machine. Gives its URL."""
    socket = listening_on(HOST, 0)
    listens = asyncio.Event()
    server = Server(uvicorn.Config(subscriber, lifespan="off", log_config=None, access_log=False), listens.set)
    serving = asyncio.create_task(server.serve([socket]))
    try:
        await listens.wait()
        yield f"http://{HOST}:{socket.getsockname()[1]}/hooks"
    finally:
        server.leave()
        await serving

"""A sender without a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hookline.adapters.address_guard import AddressGuard
from hookline.adapters.http_sender import HttpSender
from hookline.adapters.http_server import Server as Server  # noqa: PLC0414  the command line has it from here
from hookline.adapters.system_clock import SystemClock
from hookline.ports.sender import Sender
from hookline.settings import Settings


@asynccontextmanager
async def open_sender(settings: Settings) -> AsyncIterator[Sender]:
    """A sender of its own, for a command that needs no server."""
    sender = HttpSender(SystemClock(), AddressGuard(settings.allowed_networks))
    try:
        yield sender
    finally:
        await sender.close()

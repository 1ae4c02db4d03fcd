"""What the tests of the sender share: a sender on a manual clock, a POST, and both event loops."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any, Final, Literal

import pytest
import uvloop

from hookline.adapters.address_guard import AddressGuard, Resolve
from hookline.adapters.http_sender import HttpSender
from hookline.domain.networks import Address, AllowedNetworks
from hookline.ports.sender import Post
from tests.fakes import ManualClock
from tests.patience import PATIENCE_SECONDS

Run = Callable[[Coroutine[Any, Any, None]], None]

#: Making one costs 35 ms.
_TLS: Final = ssl.create_default_context()

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def _unharmed(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario, and fail also for what went wrong behind its back."""
    troubles: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
    await asyncio.wait_for(scenario, PATIENCE_SECONDS)  # noqa: TID251 - real time, for what hangs
    assert troubles == []


def _on_asyncio(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(_unharmed(scenario))


def _on_uvloop(scenario: Coroutine[Any, Any, None]) -> None:
    uvloop.run(_unharmed(scenario))


both_loops = pytest.mark.parametrize("run", [_on_asyncio, _on_uvloop], ids=["asyncio", "uvloop"])


def leading_to(*addresses: str) -> Resolve:
    """A resolver for which every name has these addresses."""

    async def resolve(name: str, port: int) -> Sequence[Address]:
        return [ip_address(address) for address in addresses]

    return resolve


_to_this_machine: Final = leading_to("127.0.0.1")


@asynccontextmanager
async def sending(
    clock: ManualClock | None = None,
    *,
    resolve: Resolve = _to_this_machine,
    tls: ssl.SSLContext = _TLS,
    allowed: Sequence[str] = ("127.0.0.0/8", "::1"),
    **limits: Any,
) -> AsyncIterator[HttpSender]:
    """A sender that may reach this machine, closed when the block ends."""
    guard = AddressGuard(AllowedNetworks(allowed), resolve)
    sender = HttpSender(clock or ManualClock(), guard, tls=tls, **limits)
    try:
        yield sender
    finally:
        await sender.close()


def has_read(sender: HttpSender) -> bool:
    """Whether some byte of the answer that is under way has arrived. No fake can know; so this looks inside."""
    return any(connection.answer.has_begun for connection in sender._pool._open)


def post(
    port: int,
    *,
    scheme: Literal["http", "https"] = "http",
    host: str = "127.0.0.1",
    target: str = "/hook",
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),),
    body: bytes = b"{}",
    timeout_seconds: float = 15.0,
) -> Post:
    """A POST to a receiver of this machine."""
    return Post(
        scheme=scheme,
        host=host,
        port=port,
        target=target,
        headers=headers,
        body=body,
        timeout_seconds=timeout_seconds,
    )

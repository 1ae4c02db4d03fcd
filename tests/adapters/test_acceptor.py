"""Accepting connections: many per turn of the loop, none beyond the limit, and no spinning without descriptors."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from hookline.adapters.acceptor import RETRY_SECONDS, SAID_EVERY_SECONDS, Acceptor
from hookline.adapters.descriptors import SHORTAGE_SECONDS, Shortage
from tests.adapters.test_descriptors import none_left
from tests.fakes import ManualClock, until


class Greeter(asyncio.Protocol):
    """Greets each client, and counts them."""

    def __init__(self, greeted: list[asyncio.Transport]) -> None:
        self._greeted = greeted

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as all of ours
        transport.write(b"hello")
        self._greeted.append(transport)


@asynccontextmanager
async def accepting(
    clock: ManualClock, **more: Any
) -> AsyncIterator[tuple[Acceptor, list[asyncio.Transport], Callable[[], socket.socket]]]:
    """An acceptor, who was greeted, and how to connect to it without waiting for anything."""
    greeted: list[asyncio.Transport] = []
    clients: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        acceptor = Acceptor(listening, clock, lambda: Greeter(greeted), **more)
        acceptor.start()

        def connect() -> socket.socket:
            client = socket.create_connection(listening.getsockname())  # the kernel's queue takes it
            clients.append(client)
            client.setblocking(False)
            return client

        try:
            yield acceptor, greeted, connect
        finally:
            await acceptor.stop()
            for each in clients:
                each.close()
            for transport in greeted:
                transport.close()


@pytest.mark.parametrize("run", [uvloop.run, asyncio.run])
def test_connections_that_wait_are_accepted_in_a_few_turns_of_the_loop(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        async with accepting(ManualClock()) as (_, greeted, connect):
            clients = [connect() for _ in range(256)]
            turns = 0
            while len(greeted) < len(clients):
                await asyncio.sleep(0)  # noqa: TID251  a turn of the loop
                turns += 1
            assert turns <= 256 / 64 + 6
            loop = asyncio.get_running_loop()
            for each in clients:
                assert await loop.sock_recv(each, 100) == b"hello"

    run(scenario())


def test_a_turn_of_the_loop_accepts_no_more_than_its_share() -> None:
    async def scenario() -> None:
        async with accepting(ManualClock(), per_turn=3) as (_, greeted, connect):
            for _ in range(30):
                connect()
            before = 0
            while len(greeted) < 30:
                await asyncio.sleep(0)  # noqa: TID251  a turn of the loop
                assert len(greeted) - before <= 3
                before = len(greeted)

    uvloop.run(scenario())


def test_small_answers_are_sent_without_delay() -> None:
    async def scenario() -> None:
        async with accepting(ManualClock()) as (_, greeted, connect):
            connect()
            await until(lambda: bool(greeted))
            served = greeted[0].get_extra_info("socket")
            assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    uvloop.run(scenario())


def test_a_connection_beyond_the_limit_is_closed_before_anything_is_made_for_it() -> None:
    async def scenario() -> None:
        def has_room(opening: int) -> bool:
            return len(greeted) + opening < 2

        async with accepting(ManualClock(), has_room=has_room) as (_, greeted, connect):
            loop = asyncio.get_running_loop()
            clients = [connect() for _ in range(10)]
            said = [await loop.sock_recv(each, 100) for each in clients]
            assert said == [b"hello"] * 2 + [b""] * 8
            assert len(greeted) == 2

    uvloop.run(scenario())


def test_clients_that_have_gone_before_they_were_accepted_harm_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with accepting(ManualClock()) as (_, _, connect):
            for _ in range(20):
                gone = connect()
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                gone.close()
            assert await asyncio.get_running_loop().sock_recv(connect(), 100) == b"hello"

    uvloop.run(scenario())
    assert not caplog.records


def test_without_a_descriptor_connections_wait_and_are_accepted_once_there_is_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        shortage = Shortage(clock)
        async with accepting(clock, shortage=shortage) as (_, greeted, connect):
            waiting = connect()
            with none_left():
                for _ in range(5):
                    alarms = clock.alarms_set
                    await until(lambda before=alarms: clock.alarms_set > before)  # type: ignore[misc]
                    for _ in range(100):  # turns in which nothing is tried again
                        await asyncio.sleep(0)  # noqa: TID251  a turn of the loop
                    assert clock.alarms_set == alarms + 1
                    clock.advance(seconds=RETRY_SECONDS)
            assert "no free file descriptor" in shortage.problem()
            assert len(caplog.records) == 1
            clock.advance(seconds=RETRY_SECONDS)
            assert await asyncio.get_running_loop().sock_recv(waiting, 100) == b"hello"
            assert len(greeted) == 1
            clock.advance(seconds=max(SHORTAGE_SECONDS, SAID_EVERY_SECONDS))
            assert shortage.problem() == ""

    uvloop.run(scenario())
    assert [record.getMessage() for record in caplog.records] == [
        "connections.not_accepted times=1 why='Too many open files'"
    ]

"""File descriptors: who gets how many, and what is said when none is left."""

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hookline.adapters import descriptors
from hookline.adapters.address_guard import AddressGuard
from hookline.adapters.descriptors import SHORTAGE_SECONDS, shares_of
from hookline.adapters.http_sender import HttpSender
from hookline.domain.networks import AllowedNetworks
from hookline.ports.sender import NoDescriptors, Post
from tests.fakes import ManualClock, RawReceiver, answering

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def none_left() -> Iterator[None]:
    """No descriptor is free until the block ends."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limits[0], 256), limits[1]))
    try:
        while not descriptors.none_is_left():
            opened.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for each in opened:
            os.close(each)


@pytest.mark.parametrize("limit", [64, 256, 1024, 4096, 65_536])
def test_clients_leave_enough_for_the_sender_and_the_store(limit: int) -> None:
    shares = shares_of(limit)
    assert 1 <= shares.default_clients <= min(shares.most_clients, 4000)
    reserve = limit - shares.sender - shares.most_clients * 3 / 2
    assert reserve >= min(256, limit // 4) - 1
    assert shares.sender >= min(1000, limit // 4)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_for_want_of_a_descriptor_nothing_is_sent_and_the_sender_says_so(host: str) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        sender = HttpSender(clock, AddressGuard(AllowedNetworks(["127.0.0.0/8", "::1"])))
        async with RawReceiver.running(answering(ANSWER, ANSWER)) as receiver:
            post = Post("http", host, receiver.port, "/", (), b"{}", 10)
            assert sender.problem() == ""
            with none_left():
                with pytest.raises(NoDescriptors):
                    await sender.send(post)
                assert "no free file descriptor" in sender.problem()
            assert "no free file descriptor" in sender.problem()
            assert (await sender.send(post)).status == 200
            clock.advance(seconds=SHORTAGE_SECONDS)
            assert sender.problem() == ""
            await sender.close()

    asyncio.run(scenario())

"""What an attempt leaves behind: no circle of references, which would be memory until garbage is collected. With the
answers of many bad receivers in such circles, a server grows by hundreds of megabytes.
"""

import asyncio
import gc
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trustme

from hookline.adapters.http_sender import HttpSender
from tests.adapters.posting import OK, Run, both_loops, post, sending
from tests.fakes import ManualClock, RawReceiver, Script, Visit, answering, until

pytestmark = both_loops


@contextmanager
def leaving_nothing() -> Iterator[None]:
    """Within the block, nothing of the sender's becomes garbage that does not go by itself."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        modules = ("hookline", "httptools")
        left = {type(each).__name__ for each in gc.garbage if type(each).__module__.startswith(modules)}
        assert left == set()
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def _resetting(visit: Visit) -> None:
    await visit.request()
    visit.reset()


ENDING: list[Script] = [
    answering(OK),
    answering(b""),
    answering(b"HTTP/1.1 200 O"),
    answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"),
    answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000),
    answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more"),
    answering(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"\r\n"),
    answering(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    answering(b"SSH-2.0-OpenSSH_9.2\r\n"),
    _resetting,
]


@pytest.mark.parametrize("script", ENDING, ids=range(len(ENDING)))
def test_an_attempt_that_ends_leaves_nothing(run: Run, script: Script) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(script) as receiver, sending() as sender:
            await sender.send(post(receiver.port))  # what is made once, is made
            await until(lambda: receiver.departures == 1)
            with leaving_nothing():
                for visits in range(2, 6):
                    await sender.send(post(receiver.port))
                    await until(lambda expected=visits: receiver.departures == expected)  # type: ignore[misc]

    run(scenario())


def test_an_attempt_without_a_connection_leaves_nothing(run: Run) -> None:
    async def scenario() -> None:
        async with sending() as sender, sending(allowed=()) as careful:
            await sender.send(post(1))
            with leaving_nothing():
                for _ in range(5):
                    await sender.send(post(1))
                    await careful.send(post(1))

    run(scenario())


async def timed_out(
    clock: ManualClock, sender: HttpSender, seconds: float, has_begun: Callable[[], bool], **to: Any
) -> None:
    """Have one attempt given up, once it has come as far as it will."""
    sent = asyncio.ensure_future(sender.send(post(**to)))
    await until(has_begun)
    clock.advance(seconds=seconds)
    assert "within" in (await sent).error


@pytest.mark.parametrize("scheme", ["http", "https"], ids=["answer", "handshake"])
def test_an_attempt_that_is_given_up_leaves_nothing(run: Run, scheme: str) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        trusting = ssl.create_default_context()
        trustme.CA().configure_trust(trusting)
        heard = 0

        async def silent(visit: Visit) -> None:
            nonlocal heard
            await visit.reader.read(1)
            heard += 1
            await visit.gone()

        async def give_up(number: int) -> None:
            seconds = 15 if scheme == "http" else 5
            await timed_out(clock, sender, seconds, lambda: heard == number, port=receiver.port, scheme=scheme)
            await until(lambda: receiver.departures == number)

        async with RawReceiver.running(silent) as receiver, sending(clock, tls=trusting) as sender:
            await give_up(1)
            with leaving_nothing():
                for number in range(2, 6):
                    await give_up(number)

    run(scenario())


async def _falling_silent(visit: Visit) -> None:
    await visit.request()
    await visit.write(OK)
    await visit.request()
    await visit.gone()


def test_a_connection_that_falls_silent_leaves_nothing(run: Run) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        async def answered_then_given_up(number: int) -> None:
            assert (await sender.send(post(receiver.port))).status == 200
            await timed_out(clock, sender, 15, lambda: len(receiver.requests) == 2 * number, port=receiver.port)
            await until(lambda: receiver.departures == number)

        async with RawReceiver.running(_falling_silent) as receiver, sending(clock) as sender:
            await answered_then_given_up(1)
            with leaving_nothing():
                for number in range(2, 6):
                    await answered_then_given_up(number)

    run(scenario())


async def _silent(visit: Visit) -> None:
    await visit.request()
    await visit.gone()


def test_who_waits_in_line_in_vain_leaves_nothing(run: Run) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        async with RawReceiver.running(_silent) as receiver, sending(clock, connections_per_origin=1) as sender:
            first = asyncio.ensure_future(sender.send(post(receiver.port, timeout_seconds=900)))
            await until(lambda: len(receiver.requests) == 1)

            def stands_in_line() -> bool:
                return any(room.line for room in sender._pool._rooms.values())

            await timed_out(clock, sender, 15, stands_in_line, port=receiver.port)
            with leaving_nothing():
                for _ in range(4):
                    await timed_out(clock, sender, 15, stands_in_line, port=receiver.port)
            first.cancel()

    run(scenario())

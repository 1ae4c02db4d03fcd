"""What an attempt leaves behind: no circle of references, which would be memory until garbage is collected. With the
answers of many bad receivers in such circles, a server grows by hundreds of megabytes.
"""

import asyncio
import gc
import ssl
from collections.abc import Awaitable, Callable, Iterator
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


async def _silent(visit: Visit) -> None:
    await visit.request()
    await visit.gone()


async def _mute(visit: Visit) -> None:
    await visit.reader.read(1)
    await visit.gone()


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


async def timed_out(clock: ManualClock, sender: HttpSender, seconds: float, **to: Any) -> None:
    sent = asyncio.ensure_future(sender.send(post(**to)))
    await until(lambda: clock.alarms_set > 0)
    await _asked(sender)
    clock.advance(seconds=seconds)
    assert "within" in (await sent).error


async def _asked(sender: HttpSender) -> None:
    """Until the request that is under way has gone as far as it will get."""
    for _ in range(200):
        await asyncio.sleep(0)  # noqa: TID251 - not a wait


@pytest.mark.parametrize("script", [_silent, _mute], ids=["answer", "handshake"])
def test_an_attempt_that_is_given_up_leaves_nothing(run: Run, script: Script) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        trusting = ssl.create_default_context()
        trustme.CA().configure_trust(trusting)
        async with RawReceiver.running(script) as receiver, sending(clock, tls=trusting) as sender:
            scheme, seconds = ("http", 15) if script is _silent else ("https", 5)
            give_up: Callable[[], Awaitable[None]] = lambda: timed_out(  # noqa: E731
                clock, sender, seconds, port=receiver.port, scheme=scheme
            )
            await give_up()
            with leaving_nothing():
                for visits in range(2, 6):
                    await give_up()
                    await until(lambda expected=visits: receiver.departures == expected)  # type: ignore[misc]

    run(scenario())


async def _falling_silent(visit: Visit) -> None:
    await visit.request()
    await visit.write(OK)
    await visit.request()
    await visit.gone()


def test_a_connection_that_falls_silent_leaves_nothing(run: Run) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        async with RawReceiver.running(_falling_silent) as receiver, sending(clock) as sender:

            async def answered_then_given_up() -> None:
                assert (await sender.send(post(receiver.port))).status == 200
                await timed_out(clock, sender, 15, port=receiver.port)

            await answered_then_given_up()
            with leaving_nothing():
                for visits in range(2, 6):
                    await answered_then_given_up()
                    await until(lambda expected=visits: receiver.departures == expected)  # type: ignore[misc]

    run(scenario())


def test_who_waits_in_line_in_vain_leaves_nothing(run: Run) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        async with RawReceiver.running(_silent) as receiver, sending(clock, connections_per_origin=1) as sender:
            first = asyncio.ensure_future(sender.send(post(receiver.port, timeout_seconds=900)))
            await until(lambda: len(receiver.requests) == 1)
            await timed_out(clock, sender, 15, port=receiver.port)
            with leaving_nothing():
                for _ in range(4):
                    await timed_out(clock, sender, 15, port=receiver.port)
            first.cancel()

    run(scenario())

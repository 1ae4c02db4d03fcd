"""How a connection comes about: names, addresses, races and the time they may take."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from hookline.domain.networks import Address
from tests.adapters.posting import OK, Run, both_loops, leading_to, post, sending
from tests.fakes import ManualClock, RawReceiver, answering, until

pytestmark = both_loops


def test_a_name_server_that_is_silent_is_given_up_after_the_time_for_connecting(run: Run) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        asked = asyncio.Event()

        async def silent(name: str, port: int) -> Sequence[Address]:
            asked.set()
            await asyncio.Event().wait()
            return []

        async with sending(clock, resolve=silent) as sender:
            sent = asyncio.ensure_future(sender.send(post(80, host="a.example")))
            await asked.wait()
            clock.advance(seconds=5)
            answer = await sent
            assert answer.error == "No address for the name a.example within 5 s."
            assert answer.duration_ms == pytest.approx(5000)

    run(scenario())


@contextmanager
def silent_port(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port that takes no further connection and refuses none: what a firewall that drops everything looks like."""
    with ExitStack() as streams:
        listening = streams.enter_context(socket.socket())
        listening.bind((host, port))
        listening.listen(0)
        place = listening.getsockname()
        for _ in range(4):
            caller = streams.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(place)
        yield place[1]


def test_an_address_that_is_silent_is_given_up_after_the_time_for_connecting(run: Run) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        with silent_port() as silent:
            async with sending(clock, resolve=leading_to("127.0.0.1", "127.0.0.1")) as sender:
                sent = asyncio.ensure_future(sender.send(post(silent, host="a.example")))
                await until(lambda: clock.alarms_set == 2)  # the time for connecting, and the head start
                clock.advance(seconds=5)
                answer = await sent
                place = f"a.example (127.0.0.1, 127.0.0.1) port {silent}"
                assert answer.error == f"No connection to {place} within 5 s."

    run(scenario())


def test_a_short_time_limit_holds_for_connecting_too(run: Run) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        with silent_port() as silent:
            async with sending(clock, resolve=leading_to("127.0.0.1", "127.0.0.1")) as sender:
                sent = asyncio.ensure_future(sender.send(post(silent, host="a.example", timeout_seconds=2.5)))
                await until(lambda: clock.alarms_set == 2)
                clock.advance(seconds=2.5)
                answer = await sent
                assert answer.error.endswith(f" port {silent} before the time for the whole request was over.")
                assert answer.duration_ms == pytest.approx(2500)

    run(scenario())


@pytest.mark.parametrize("spare", ["127.0.0.1", "::1"])
def test_a_silent_address_holds_up_the_next_for_a_quarter_of_a_second_only(run: Run, spare: str) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        async with RawReceiver.running(answering(OK), host=spare) as receiver:
            addresses = leading_to("127.0.0.2", spare)
            with silent_port("127.0.0.2", receiver.port):
                async with sending(clock, resolve=addresses) as sender:
                    sent = asyncio.ensure_future(sender.send(post(receiver.port, host="a.example")))
                    await until(lambda: clock.alarms_set == 2)
                    clock.advance(seconds=0.25)
                    answer = await sent
                    assert answer.status == 200
                    assert answer.duration_ms == pytest.approx(250)

    run(scenario())


def test_an_address_that_refuses_holds_up_the_next_not_at_all(run: Run) -> None:
    async def scenario() -> None:
        refusing_first = leading_to("::1", "127.0.0.2", "127.0.0.1")
        async with RawReceiver.running(answering(OK)) as receiver, sending(resolve=refusing_first) as sender:
            answer = await sender.send(post(receiver.port, host="a.example"))
            assert (answer.status, answer.duration_ms) == (200, 0)

    run(scenario())


def test_only_good_addresses_of_a_name_are_connected_to(run: Run) -> None:
    async def scenario() -> None:
        bad_and_good = leading_to("::1", "10.0.0.1", "127.0.0.1")
        allowed = ["127.0.0.1/32"]
        async with (
            RawReceiver.running(answering(OK)) as receiver,
            sending(allowed=allowed, resolve=bad_and_good) as sender,
        ):
            assert (await sender.send(post(receiver.port, host="a.example"))).status == 200

    run(scenario())


def test_a_receiver_is_reached_over_ipv6(run: Run) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(OK), host="::1") as receiver, sending() as sender:
            assert (await sender.send(post(receiver.port, host="::1"))).status == 200
            assert f"\r\nHost: [::1]:{receiver.port}\r\n".encode() in receiver.requests[0]

    run(scenario())


def test_whoever_is_cancelled_while_connecting_leaves_nothing_behind(run: Run) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        with silent_port() as silent:
            async with sending(clock, resolve=leading_to("127.0.0.1", "127.0.0.1")) as sender:
                sent = asyncio.ensure_future(sender.send(post(silent, host="a.example")))
                await until(lambda: clock.alarms_set == 2)
                sent.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await sent
                await until(lambda: clock.alarms_set == 0)

    run(scenario())

"""Connections that live on: which request takes which, how many there may be, when they go."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from hookline.adapters.http_answer import CLOSED_BEFORE
from hookline.ports.sender import Answer
from tests.adapters.posting import OK, Run, both_loops, post, sending
from tests.fakes import ManualClock, RawReceiver, Script, Visit, answering, turn, until

pytestmark = both_loops


def holding(gate: asyncio.Event) -> Script:
    """A script that answers everything, but only when the gate is open."""

    async def script(visit: Visit) -> None:
        while await visit.request():
            await gate.wait()
            await visit.write(OK)

    return script


async def always(visit: Visit) -> None:
    while await visit.request():
        await visit.write(OK)


# Again over the same connection


def test_a_connection_is_used_again(run: Run) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(always) as receiver, sending() as sender:
            for _ in range(5):
                assert (await sender.send(post(receiver.port))).status == 200
            assert (receiver.visits, len(receiver.requests)) == (1, 5)

    run(scenario())


def test_the_connection_that_was_used_last_is_used_next(run: Run) -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        served: list[int] = []

        async def numbered(visit: Visit) -> None:
            number = visit.receiver.visits
            while await visit.request():
                served.append(number)
                await gate.wait()
                await visit.write(OK)

        async with RawReceiver.running(numbered) as receiver, sending() as sender:
            both = [asyncio.ensure_future(sender.send(post(receiver.port))) for _ in range(2)]
            await until(lambda: len(served) == 2)
            gate.set()
            await asyncio.gather(*both)
            for _ in range(3):
                await sender.send(post(receiver.port))
            assert len(set(served[2:])) == 1

    run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20000,
    ],
)
def test_a_connection_that_is_spent_is_closed(run: Run, answer: bytes) -> None:
    async def scenario() -> None:
        async def once(visit: Visit) -> None:
            await visit.request()
            await visit.write(answer)
            await visit.gone()

        async with RawReceiver.running(once) as receiver, sending() as sender:
            assert (await sender.send(post(receiver.port))).status == 200
            await until(lambda: receiver.departures == 1)
            assert (await sender.send(post(receiver.port))).status == 200
            assert receiver.visits == 2

    run(scenario())


def test_other_origins_get_other_connections(run: Run) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(always) as receiver, sending() as sender:
            for host in ("127.0.0.1", "a.example", "b.example"):
                assert (await sender.send(post(receiver.port, host=host))).status == 200
            assert receiver.visits == 3

    run(scenario())


# Stale ones


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_a_request_is_repeated_on_a_fresh_connection_when_the_reused_one_was_dead(run: Run, how: str) -> None:
    async def scenario() -> None:
        async def tired(visit: Visit) -> None:
            await visit.request()
            await visit.write(OK)
            if visit.receiver.visits == 1:
                await visit.request()  # and no answer to this one
                if how == "resets":
                    visit.reset()

        async with RawReceiver.running(tired) as receiver, sending() as sender:
            await sender.send(post(receiver.port))
            answer = await sender.send(post(receiver.port, body=b"again"))
            assert (answer.status, answer.error) == (200, "")
            assert receiver.visits == 2
            assert [request[-5:] for request in receiver.requests[1:]] == [b"again"] * 2

    run(scenario())


def test_a_request_is_repeated_once_only(run: Run) -> None:
    async def scenario() -> None:
        async def only_the_first(visit: Visit) -> None:
            await visit.request()
            if visit.receiver.visits == 1:
                await visit.write(OK)
                await visit.request()

        async with RawReceiver.running(only_the_first) as receiver, sending() as sender:
            await sender.send(post(receiver.port))
            assert (await sender.send(post(receiver.port))).error == CLOSED_BEFORE
            assert receiver.visits == 2

    run(scenario())


def test_a_request_is_not_repeated_once_an_answer_has_begun(run: Run) -> None:
    async def scenario() -> None:
        async def half(visit: Visit) -> None:
            await visit.request()
            await visit.write(OK)
            await visit.request()
            await visit.write(b"H")

        async with RawReceiver.running(half) as receiver, sending() as sender:
            await sender.send(post(receiver.port))
            answer = await sender.send(post(receiver.port))
            assert answer.error == "The receiver closed the connection in the middle of the answer's head."
            assert receiver.visits == 1

    run(scenario())


def test_a_request_is_not_repeated_when_time_ran_out(run: Run) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        async def then_silent(visit: Visit) -> None:
            await visit.request()
            await visit.write(OK)
            await visit.request()
            await visit.gone()

        async with RawReceiver.running(then_silent) as receiver, sending(clock) as sender:
            await sender.send(post(receiver.port))
            sent = asyncio.ensure_future(sender.send(post(receiver.port)))
            await until(lambda: len(receiver.requests) == 2)
            clock.advance(seconds=15)
            assert (await sent).error == "No answer within 15 s."
            assert receiver.visits == 1

    run(scenario())


@pytest.mark.parametrize("sign_of_life", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n", b"x"])
def test_an_idle_connection_that_speaks_or_ends_is_dropped(run: Run, sign_of_life: bytes) -> None:
    async def scenario() -> None:
        speak = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.request()
            await visit.write(OK)
            await speak.wait()
            await visit.write(sign_of_life)
            if sign_of_life:
                await visit.gone()

        async with RawReceiver.running(script) as receiver, sending() as sender:
            await sender.send(post(receiver.port))
            speak.set()
            await until(lambda: receiver.departures == 1)
            assert (await sender.send(post(receiver.port))).status == 200
            assert (receiver.visits, len(receiver.requests)) == (2, 2)

    run(scenario())


def test_an_idle_connection_goes_within_a_minute(run: Run) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        async with RawReceiver.running(always) as receiver, sending(clock) as sender:
            await sender.send(post(receiver.port))
            clock.advance(seconds=49)
            await sender.send(post(receiver.port))
            assert receiver.visits == 1
            clock.advance(seconds=55)
            await until(lambda: receiver.departures == 1)
            assert clock.alarms_set == 0  # nothing is left to look through

    run(scenario())


def test_a_connection_is_not_used_past_its_time_even_if_nobody_has_swept_yet(run: Run) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        async with RawReceiver.running(always) as receiver, sending(clock, idle_seconds=3.0) as sender:
            await sender.send(post(receiver.port))
            clock.advance(seconds=4)
            await sender.send(post(receiver.port))
            assert receiver.visits == 2

    run(scenario())


# How many


async def crowd(send: Callable[[], Coroutine[Any, Any, Answer]], size: int) -> Sequence[asyncio.Future[Answer]]:
    """Have many send at once. When this returns, each has got as far as it can without waiting."""
    senders = [asyncio.ensure_future(send()) for _ in range(size)]
    await turn()
    return senders


def test_there_are_never_more_connections_to_an_origin_than_allowed(run: Run) -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        async with RawReceiver.running(holding(gate)) as receiver, sending(connections_per_origin=3) as sender:
            waiting = await crowd(lambda: sender.send(post(receiver.port)), 20)
            await until(lambda: len(receiver.requests) == 3)
            gate.set()
            assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}
            assert receiver.visits == 3

    run(scenario())


def test_who_came_first_is_served_first(run: Run) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(always) as receiver, sending(connections_per_origin=1) as sender:
            await asyncio.gather(*[sender.send(post(receiver.port, body=b"%03d" % number)) for number in range(20)])
            assert [request[-3:] for request in receiver.requests] == [b"%03d" % number for number in range(20)]

    run(scenario())


def test_who_waits_for_a_connection_waits_no_longer_than_its_own_limit(run: Run) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        gate = asyncio.Event()
        async with RawReceiver.running(holding(gate)) as receiver, sending(clock, connections_per_origin=1) as sender:
            first = asyncio.ensure_future(sender.send(post(receiver.port)))
            await until(lambda: len(receiver.requests) == 1)
            [hasty] = await crowd(lambda: sender.send(post(receiver.port, timeout_seconds=3)), 1)
            [patient] = await crowd(lambda: sender.send(post(receiver.port, timeout_seconds=10)), 1)
            clock.advance(seconds=3)
            answer = await hasty
            assert answer.error == f"No connection to 127.0.0.1 port {receiver.port} became free within 3 s."
            gate.set()
            assert (await first).status == 200
            assert (await patient).status == 200

    run(scenario())


def test_a_place_that_was_given_to_someone_who_left_goes_to_the_next(run: Run) -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        async with RawReceiver.running(holding(gate)) as receiver, sending(connections_per_origin=1) as sender:
            first = asyncio.ensure_future(sender.send(post(receiver.port)))
            await until(lambda: len(receiver.requests) == 1)
            leaving, staying = await crowd(lambda: sender.send(post(receiver.port)), 2)
            first.add_done_callback(lambda _: leaving.cancel())  # just when the connection is handed to it
            gate.set()
            assert (await staying).status == 200
            assert leaving.cancelled() or (await leaving).status == 200
            assert (await sender.send(post(receiver.port))).status == 200

    run(scenario())


def test_a_place_is_free_again_after_every_kind_of_failure(run: Run) -> None:
    async def scenario() -> None:
        async def failing(visit: Visit) -> None:
            await visit.request()
            match visit.receiver.visits % 3:
                case 0:
                    visit.reset()
                case 1:
                    await visit.write(b"no HTTP\r\n")

        async with RawReceiver.running(failing) as receiver, sending(connections_per_origin=1) as sender:
            waiting = [sender.send(post(receiver.port)) for _ in range(9)]
            assert all(answer.error for answer in await asyncio.gather(*waiting))
            assert receiver.visits == 9

    run(scenario())


def test_an_idle_connection_elsewhere_gives_way_when_the_limit_of_all_is_reached(run: Run) -> None:
    async def scenario() -> None:
        async with (
            RawReceiver.running(always) as old,
            RawReceiver.running(always) as young,
            RawReceiver.running(always) as new,
            sending(connections_in_all=2) as sender,
        ):
            for receiver in (old, young, new):
                assert (await sender.send(post(receiver.port))).status == 200
            await until(lambda: old.departures == 1)
            await sender.send(post(young.port))
            assert (old.visits, young.visits, new.visits) == (1, 1, 1)

    run(scenario())


def test_a_busy_origin_does_not_keep_another_from_its_first_connection(run: Run) -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        async with (
            RawReceiver.running(holding(gate)) as busy,
            RawReceiver.running(always) as other,
            sending(connections_per_origin=2, connections_in_all=2) as sender,
        ):
            many = await crowd(lambda: sender.send(post(busy.port)), 50)
            await until(lambda: len(busy.requests) == 2)
            [one] = await crowd(lambda: sender.send(post(other.port)), 1)
            gate.set()
            assert (await one).status == 200
            assert len(busy.requests) < 10
            assert {answer.status for answer in await asyncio.gather(*many)} == {200}

    run(scenario())


def test_many_origins_share_few_connections_and_all_are_served(run: Run) -> None:
    async def scenario() -> None:
        async with (
            RawReceiver.running(always) as receiver,
            sending(connections_per_origin=2, connections_in_all=3) as sender,
        ):
            hosts = [f"{number}.example" for number in range(20)] * 5
            answers = await asyncio.gather(*[sender.send(post(receiver.port, host=host)) for host in hosts])
            assert {(answer.status, answer.error) for answer in answers} == {(200, "")}

    run(scenario())


def test_origins_that_nobody_uses_any_longer_are_forgotten(run: Run) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        async with RawReceiver.running(answering(OK)) as receiver, sending(clock) as sender:
            for number in range(20):
                await sender.send(post(receiver.port, host=f"{number}.example"))
                await sender.send(post(1, host=f"{number}.example"))
            await until(lambda: receiver.departures == 20)
            clock.advance(seconds=60)
            await until(lambda: not sender._pool._open)
            assert not sender._pool._rooms

    run(scenario())


async def moody(visit: Visit) -> None:
    """Does anything that a receiver can do, in a mood that depends on how many have asked before."""
    while await visit.request():
        match len(visit.receiver.requests) % 11:
            case 0:
                return
            case 1:
                visit.reset()
                return
            case 2:
                await visit.write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
                return
            case 3:
                await visit.write(b"no HTTP\r\n\r\n")
            case 4:
                await visit.write(OK + b"and more")
            case 5:
                await visit.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                return
            case 6:
                await visit.gone()
            case _:
                await visit.write(OK)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_after_any_confusion_every_place_is_free_again(run: Run, limit: int) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        async with (
            RawReceiver.running(moody) as receiver,
            sending(clock, connections_per_origin=limit, connections_in_all=2 * limit) as sender,
        ):
            sent = []
            for number in range(300):
                port = 1 if number % 13 == 0 else receiver.port
                request = post(port, host=f"{number % 4}.example", timeout_seconds=1 + number % 5)
                sent.append(asyncio.ensure_future(sender.send(request)))
                if number % 3 == 0:
                    await turn()
                if number % 7 == 0:
                    sent[number * 5 // 7].cancel()
            while not all(each.done() for each in sent):
                await turn()
                clock.advance(seconds=0.01)
                assert sender._pool._places_taken <= 2 * limit
                assert all(room.places_taken <= limit for room in sender._pool._rooms.values())
            assert sender._pool._places_taken == len(sender._pool._idle)
            assert not sender._pool._starving
        assert not sender._pool._rooms

    run(scenario())

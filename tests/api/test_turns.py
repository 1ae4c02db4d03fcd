"""A bounded number of strangers is answered in a second, and known clients do not wait for them."""

import asyncio
import socket
import sys
from functools import partial

import uvloop

from hookline.api.turns import AT_ONCE, PER_SECOND, Turns
from tests.api.test_listening import AT_ONCE as RESET
from tests.api.test_listening import Gated, body_of_answer, get, listening
from tests.fakes import ManualClock, turn, until


def test_strangers_begin_in_their_order_and_so_many_in_a_second() -> None:
    clock, begun = ManualClock(), list[int]()
    turns, usual = Turns(clock), sys.getswitchinterval()
    clock.advance(seconds=1)
    for number in range(2 * PER_SECOND):
        turns.take(partial(begun.append, number))
    assert begun == list(range(AT_ONCE))
    assert sys.getswitchinterval() < usual
    for _ in range(100):
        clock.advance(seconds=0.01)
    assert abs(len(begun) - PER_SECOND - AT_ONCE) <= 1
    for _ in range(100):
        clock.advance(seconds=0.01)
    assert begun == list(range(2 * PER_SECOND))
    assert sys.getswitchinterval() == usual


def test_a_pause_saves_up_no_more_than_a_few_turns() -> None:
    clock, begun = ManualClock(), list[int]()
    turns = Turns(clock)
    clock.advance(seconds=3600)
    for number in range(10 * AT_ONCE):
        turns.take(partial(begun.append, number))
    assert len(begun) == AT_ONCE
    for _ in range(100):
        clock.advance(seconds=0.01)
    assert len(begun) == 10 * AT_ONCE


def test_known_clients_are_answered_while_strangers_wait() -> None:
    async def scenario() -> None:
        clock, app = ManualClock(), Gated()
        async with listening(app, clock) as (_, port):
            strangers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * AT_ONCE)]
            clock.advance(seconds=1)
            for _, writer in strangers:
                writer.write(get("/strange"))
            await until(lambda: app.asked == AT_ONCE)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(3):
                writer.write(get("/known"))
                assert await body_of_answer(reader) == b"/known"
            assert app.asked == AT_ONCE + 3
            while app.asked < len(strangers) + 3:
                clock.advance(seconds=0.01)
                await turn()
            for answers, _ in strangers:
                assert await body_of_answer(answers) == b"/strange"
            writer.close()
            for _, stranger in strangers:
                stranger.close()

    uvloop.run(scenario())


def test_a_known_client_that_was_refused_waits_for_its_turn_until_it_asks_rightly() -> None:
    async def scenario() -> None:
        clock, app = ManualClock(), Gated()
        async with listening(app, clock) as (_, port):
            clock.advance(seconds=1)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for path in ("/refused", "/long/refused"):
                writer.write(get(path) * (AT_ONCE + 2))
                await until(lambda: app.asked == AT_ONCE + 1)  # the first is a known client's
                clock.advance(seconds=1)
                for _ in range(AT_ONCE + 2):
                    assert await body_of_answer(reader) == path.encode()
                writer.write(get("/right"))
                clock.advance(seconds=1)
                assert await body_of_answer(reader) == b"/right"
                app.asked = 0
            writer.write(get("/right") * 5 * AT_ONCE)
            for _ in range(5 * AT_ONCE):
                assert await body_of_answer(reader) == b"/right"
            writer.close()

    uvloop.run(scenario())


def test_a_stranger_who_leaves_before_its_turn_is_passed_over() -> None:
    async def scenario() -> None:
        clock, app = ManualClock(), Gated()
        async with listening(app, clock) as (server, port):
            clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(AT_ONCE + 2)]
            clock.advance(seconds=1)
            for _, writer in clients[:-1]:
                writer.write(get("/strange"))
            await until(lambda: app.asked == AT_ONCE)
            clients[-2][1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            clients[-2][1].transport.abort()
            await until(lambda: len(server.server_state.connections) == len(clients) - 1)
            clients[-1][1].write(get("/strange"))
            clock.advance(seconds=1)
            while app.asked <= AT_ONCE:
                clock.advance(seconds=0.01)
                await turn()
            assert await body_of_answer(clients[-1][0]) == b"/strange"
            for _, writer in clients:
                writer.close()

    uvloop.run(scenario())

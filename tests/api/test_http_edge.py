"""The server's edge, over real connections: what came first is answered first, what is wrong is refused after it, and
nobody can make the server wait or hold more than is bounded.
"""

import asyncio
import errno
import json
import os
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import pytest
import uvloop

from hookline.adapters.system_clock import SystemClock
from hookline.api.admission import RESERVE, TOLD, Admission, Admitted
from hookline.api.app import Door
from hookline.api.http_messages import MAX_BODY, Request, Whole
from tests.api.test_listening import Gated, body_of_answer, get, listening
from tests.fakes import ManualClock, until

MIB: Final = 1024 * 1024


async def said_to(port: int, *pieces: bytes, half_closes: bool = False) -> bytes:
    """All that the server says until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
    if half_closes:
        writer.write_eof()
    said = await reader.read()
    writer.close()
    return said


def statuses(said: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]


def post(path: str, body: bytes, framing: str = "") -> bytes:
    framing = framing or f"Content-Length: {len(body)}"
    return f"POST {path} HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n".encode() + body


TOO_LONG: Final = b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 70_000
WRONG: Final = {
    "no HTTP": (b"\x16\x03\x01\x00\x00", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "a head too long": (TOO_LONG, 431),
    "a head much too long": (TOO_LONG + b"x" * MIB, 431),
    "101 headers": (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"x: y\r\n" * 100 + b"\r\n", 431),
    "an unknown coding": (post("/short", b"", "Transfer-Encoding: gzip"), 501),
    "an unknown expectation": (post("/short", b"", "Expect: more\r\nContent-Length: 5"), 417),
    "two lengths": (post("/short", b"", "Content-Length: 5\r\nContent-Length: 6"), 400),
    "a broken chunk": (post("/long", b"", "Transfer-Encoding: chunked") + b"what\r\n", 400),
    "a chunk too long": (post("/long", b"", "Transfer-Encoding: chunked") + b"1\r\nxyz\r\n", 400),
    "a million NULs": (bytes(1_000_000), 400),
}


@pytest.mark.parametrize("before", ["short", "long", "late"])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_refused_after_the_answers_to_what_came_before(before: str, wrong: str) -> None:
    async def scenario() -> None:
        app = Gated()
        async with listening(app) as (_, port):
            garbage, status = WRONG[wrong]
            accepted = [post(f"/{kind}/{before}", b"body") for kind in ("short", "long", "short")]
            saying = asyncio.create_task(said_to(port, *accepted, garbage))
            await until(lambda: app.asked >= 1)
            app.gate.set()
            said = await saying
            assert statuses(said) == [200, 200, 200, status], said[-600:]
            assert said.count(b"connection: close") == 1
            assert json.loads(said.rpartition(b"\r\n\r\n")[2]).keys() == {"code", "message"}

    uvloop.run(scenario())


@pytest.mark.parametrize(
    "half",
    [b"POST /sh", post("/short", b"half", "Content-Length: 9"), post("/long", b"0", "Transfer-Encoding: chunked")],
)
def test_whoever_closes_its_side_within_a_request_gets_the_answers_to_those_before(half: bytes) -> None:
    async def scenario() -> None:
        app = Gated()
        async with listening(app) as (server, port):
            saying = asyncio.create_task(
                said_to(
                    port, *(post(f"/{kind}/late", b"x") for kind in ("short", "long", "short")), half, half_closes=True
                )
            )
            await until(lambda: app.asked == 1)
            app.gate.set()
            assert statuses(await saying) == [200, 200, 200]
            await until(lambda: not server.server_state.connections)

    uvloop.run(scenario())


def test_a_thousand_pipelined_requests_are_answered_in_order() -> None:
    async def scenario() -> None:
        async with listening(Gated()) as (_, port):
            said = await said_to(port, *(get(f"/{number}") for number in range(1000)), half_closes=True)
            assert statuses(said) == [200] * 1000
            assert [int(part.rpartition(b"/")[2]) for part in said.split(b"HTTP/1.1")[1:]] == list(range(1000))

    uvloop.run(scenario())


def test_nothing_behind_a_request_that_closes_the_connection_is_done() -> None:
    async def scenario() -> None:
        app = Gated()
        async with listening(app) as (_, port):
            last = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            assert statuses(await said_to(port, last + get("/behind"))) == [200]
            assert statuses(await said_to(port, b"GET /last HTTP/1.0\r\n\r\n" + get("/behind"))) == [200]
            assert app.asked == 2

    uvloop.run(scenario())


@pytest.mark.parametrize(
    "target", ["http://other.example/short", "/short?x", "HTTPS://other.example/long", "http://h?x=/y"]
)
def test_a_target_may_be_a_url(target: str) -> None:
    async def scenario() -> None:
        async with listening(Gated()) as (_, port):
            said = await said_to(port, get(target), half_closes=True)
            assert statuses(said) == [200]
            assert said.rpartition(b"\r\n\r\n")[2] in {b"/short", b"/long", b"/"}

    uvloop.run(scenario())


class Refusing(Gated):
    """Refuses what goes the long way before it has read the body."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def test_a_body_that_nobody_reads_is_passed_over_and_one_that_is_too_large_ends_the_connection() -> None:
    async def scenario() -> None:
        async with listening(Refusing()) as (_, port):
            small = post("/long", bytes(MAX_BODY))
            assert statuses(await said_to(port, small, get("/short"), half_closes=True)) == [401, 200]
            large = await said_to(port, post("/long", bytes(2 * MAX_BODY)), get("/short"))
            assert statuses(large) == [401]
            assert b"connection: close" in large
            waiting = post("/long", b"", f"Content-Length: {MAX_BODY}\r\nExpect: 100-continue")
            assert statuses(await said_to(port, waiting)) == [401]

    uvloop.run(scenario())


def test_beyond_the_limit_of_connections_only_the_status_is_told() -> None:
    async def scenario() -> None:
        admission = Admission(SystemClock(), 2, status_paths=frozenset({"/healthz"}))
        async with listening(Gated(), admission=admission) as (server, port):
            first = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            await until(lambda: len(server.server_state.connections) == 2)
            assert statuses(await said_to(port, get("/short"), get("/short"))) == [503]
            assert statuses(await said_to(port, get("/healthz"), get("/healthz"))) == [200]
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(RESERVE)]
            await until(lambda: len(server.server_state.connections) == 2 + RESERVE)
            refused = await said_to(port)
            assert statuses(refused) == [503]
            assert b"retry-after: 1" in refused
            for reader, writer in first:
                writer.write(get("/short"))
                assert await body_of_answer(reader) == b"/short"
            for _, writer in (*first, *held):
                writer.close()
            await until(lambda: not server.server_state.connections)
            assert statuses(await said_to(port, get("/short"), half_closes=True)) == [200]

    uvloop.run(scenario())


def test_the_limit_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    admission = Admission(clock, 10)
    assert admission.admit(10) is Admitted.FULLY
    for beyond, admitted in (
        (1, Admitted.FOR_STATUS),
        (RESERVE, Admitted.FOR_STATUS),
        (RESERVE + 1, Admitted.TO_BE_TOLD),
        (RESERVE + TOLD + 1, Admitted.NOT),
    ):
        assert admission.admit(10 + beyond) is admitted
    assert [record.getMessage() for record in caplog.records] == ["connections.limit_reached limit=10 beyond=1"]
    clock.advance(seconds=60)
    admission.admit(11)
    assert [record.getMessage() for record in caplog.records][1:] == ["connections.limit_reached limit=10 beyond=4"]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_request_that_fails_for_want_of_a_descriptor_can_be_repeated(number: int) -> None:
    class Starved(Door):
        def owns(self, path: str) -> bool:
            return True

        def knows(self, path: str, headers: Mapping[bytes, bytes]) -> bool:
            return True

        async def done(self, request: Request) -> Whole:
            raise OSError(number, os.strerror(number), "a file of ours")

    answer = asyncio.run(Starved().answer(Request("GET", "/v3/calls", b"", {}, b"")))
    assert answer.status == 503
    assert (b"retry-after", b"1") in answer.headers
    assert b"a file of ours" not in answer.body


def test_unfinished_requests_hold_no_more_than_the_server_has_room_for() -> None:
    async def scenario() -> None:
        admission = Admission(SystemClock(), 1000, max_held_bytes=200_000)
        async with listening(Gated(), admission=admission) as (server, port):
            greedy = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
            for _, writer in greedy:
                writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 60_000)
            refused = 0
            for reader, _ in greedy[4:]:
                refused += statuses(await reader.read()) == [503]
            assert refused >= 4
            assert statuses(await said_to(port, get("/short"), half_closes=True)) == [200]
            for _, writer in greedy:
                writer.close()
            await until(lambda: not server.server_state.connections)
            assert admission.hold(0, 0)

    uvloop.run(scenario())


def test_a_client_that_takes_nothing_is_cut_off() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        async with listening(Gated(), clock) as (server, port):
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            for number in range(2000):
                writer.write(get(f"/{number}/{'x' * 8000}"))
            [connection] = server.server_state.connections or [None]
            while connection is None:
                await asyncio.sleep(0)  # noqa: TID251  a turn of the loop
                [connection] = server.server_state.connections or [None]
            await until(partial(lambda each: each.flow.write_paused, connection))
            for _ in range(14):
                clock.advance(seconds=5)
            await until(lambda: not server.server_state.connections)
            writer.close()

    uvloop.run(scenario())


class Large(Gated):
    """Answers with 4 MiB."""

    async def answer(self, request: Request) -> Whole:
        return (await super().answer(request))._replace(body=bytes(4 * 1024 * 1024))


def test_answers_that_nobody_takes_hold_no_more_than_the_server_has_room_for() -> None:
    async def scenario() -> None:
        room, app = 10 * 1024 * 1024, Large()
        admission = Admission(SystemClock(), 1000, max_untaken_bytes=room)
        async with listening(app, admission=admission) as (server, port):
            silent = [await asyncio.open_connection("127.0.0.1", port, limit=1) for _ in range(60)]
            for _, writer in silent:
                writer.write(get("/large") * 2)
            await until(lambda: app.asked >= len(silent))
            connections = server.server_state.connections
            untaken = sum(each.transport.get_write_buffer_size() for each in connections)
            assert room // 2 < untaken <= room
            assert not admission.may_send(room)
            assert statuses(await said_to(port, get("/large"), half_closes=True)) == [503]
            for _, writer in silent:
                writer.transport.abort()
            await until(lambda: not server.server_state.connections)
            assert admission.may_send(room)
            assert statuses((await said_to(port, get("/large"), half_closes=True))[:500]) == [200]

    uvloop.run(scenario())

"""The listening side, over real connections: each answer goes to the client that asked, and to no other."""

import asyncio
import gc
import json
import socket
import struct
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import uvicorn
import uvloop

from hookline.adapters.http_server import Server
from hookline.adapters.system_clock import SystemClock
from hookline.api.admission import Admission
from hookline.api.http_messages import Request, Whole
from hookline.api.listening import Listening
from hookline.api.patience import Patience
from hookline.api.turns import Turns
from hookline.bootstrap.server import listening_on
from hookline.ports.clock import Clock
from tests.api.door import ADMIN, CALL, serving
from tests.fakes import ManualClock, until

BODY: Final = json.dumps(CALL).encode()
#: Closing resets the connection: nothing more is sent or taken.
AT_ONCE: Final = struct.pack("ii", 1, 0)
PATIENCE: Final = Patience()
UPGRADE: Final = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"


class Gated:
    """Answers each request with its own path, those that end in `late` once the gate is open; those below /long the
    long way.
    """

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked = 0

    def was_asked_after(self, before: int) -> bool:
        """Whether more was asked than that."""
        return self.asked > before

    def owns(self, path: str) -> bool:
        return not path.startswith("/long")

    def knows(self, path: str, headers: Mapping[bytes, bytes]) -> bool:
        del headers
        return not path.startswith("/strange")

    async def answer(self, request: Request) -> Whole:
        self.asked += 1
        if request.path.endswith("late"):
            await self.gate.wait()
        body = request.path.encode()
        return Whole(200, (), body)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        answer = await self.answer(Request("GET", scope["path"], b"", {}, b""))
        headers = [(b"content-length", b"%d" % len(answer.body))]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


@asynccontextmanager
async def listening(
    app: Gated, clock: Clock | None = None, admission: Admission | None = None, patience: Patience = PATIENCE
) -> AsyncIterator[tuple[Server, int]]:
    """A server of `app`, with its port."""
    up = asyncio.Event()
    clock = clock or SystemClock()
    admission = admission or Admission(clock, 1000)
    protocol: Any = partial(Listening, app, clock, admission, Turns(clock), app.knows, patience=patience)
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = Server(config, up.set)
    with listening_on("127.0.0.1", 0) as bound:
        running = asyncio.create_task(server.serve([bound]))
        await up.wait()
        try:
            yield server, bound.getsockname()[1]
        finally:
            server.leave()
            await running


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: hookline.example\r\n\r\n".encode()


async def body_of_answer(reader: asyncio.StreamReader) -> bytes:
    """The body of the next answer on a connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length: "))
    return await reader.readexactly(int(length.partition(b": ")[2]))


def test_what_a_client_asked_before_it_left_is_not_told_to_the_one_that_came_after() -> None:
    """Connections are numbers to the system, and are given out again as soon as they are free."""

    async def scenario() -> None:
        app = Gated()
        async with listening(app) as (server, port):
            for _ in range(5):
                before = app.asked
                _, leaving = await asyncio.open_connection("127.0.0.1", port)
                leaving.write(get("/secret/late") + get("/other/late"))
                await until(partial(app.was_asked_after, before))
                leaving.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                leaving.transport.abort()
            await until(lambda: not server.server_state.connections)

            others = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
            await until(lambda: len(server.server_state.connections) == len(others))
            app.gate.set()
            for reader, writer in others:
                writer.write(get("/mine"))
                assert await body_of_answer(reader) == b"/mine"
                writer.close()

    uvloop.run(scenario())


HALF: Final = b"POST /long/more HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf"


@pytest.mark.parametrize(
    "asked",
    [get("/short"), get("/long/page"), get("/short") + HALF, get("/long/page") + HALF, get("/late"), get("/long/late")],
)
def test_of_a_client_that_has_gone_nothing_stays_in_memory(asked: bytes) -> None:
    """Also without garbage collection, which a server does seldom."""

    async def scenario() -> None:
        app = Gated()
        async with listening(app) as (server, port):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(asked)
            await until(lambda: app.asked > 0)
            [connection] = server.server_state.connections
            gone = weakref.ref(connection)
            del connection
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            writer.transport.abort()
            await until(lambda: not server.server_state.connections)
            app.gate.set()
            await until(lambda: gone() is None)

    gc.disable()
    try:
        uvloop.run(scenario())
    finally:
        gc.enable()


def test_pipelined_requests_are_answered_in_their_order_to_a_client_that_reads_late() -> None:
    async def scenario() -> None:
        app = Gated()
        async with listening(app) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            paths = [f"/{('short', 'long')[number % 3 == 0]}/{number}/{'x' * 8000}" for number in range(100)]
            writer.write(get("/late") + b"".join(get(path) for path in paths))
            await until(lambda: app.asked == 1)
            app.gate.set()
            for path in ("/late", *paths):
                assert await body_of_answer(reader) == path.encode()
            writer.close()

    uvloop.run(scenario())


def test_whoever_is_silent_is_not_waited_for_unless_it_waits_for_an_answer() -> None:
    async def scenario() -> None:
        app, clock = Gated(), ManualClock()
        async with listening(app, clock) as (server, port):
            silent = {"after nothing": b"", "after an answer": get("/short")}
            in_the_middle = {
                "in a head": get("/short")[:-2],
                "in a body": b"POST /short HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf",
                "in a long body": b"POST /long HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf",
                "in chunks": b"POST /long HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
                "in the head after an answer": get("/short") + b"GET /",
            }
            said = {**silent, **in_the_middle}
            callers = {name: await asyncio.open_connection("127.0.0.1", port) for name in said}
            waiting_reader, waiting = await asyncio.open_connection("127.0.0.1", port)
            for name, (_, writer) in callers.items():
                writer.write(said[name])
            waiting.write(get("/late"))
            await until(lambda: app.asked == 3)
            for name in ("after an answer", "in the head after an answer"):
                assert await body_of_answer(callers[name][0]) == b"/short"
            await until(lambda: clock.alarms_set == len(callers) + 1)
            for _ in range(3):
                clock.advance(seconds=5)
            for name in silent:
                assert await callers[name][0].read() == b"", name
            for _ in range(40):
                clock.advance(seconds=5)
            for name in in_the_middle:
                answer = await callers[name][0].read()
                assert answer.startswith(b"HTTP/1.1 408 "), (name, answer)
                assert b'{"code":"request_timeout"' in answer
            for _, writer in callers.values():
                writer.close()
            await until(lambda: len(server.server_state.connections) == 1)
            app.gate.set()
            assert await body_of_answer(waiting_reader) == b"/late"
            waiting.close()

    uvloop.run(scenario())


async def _answers(url: str, requests: bytes, count: int) -> list[bytes]:
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    writer.write(requests)
    bodies = [await body_of_answer(reader) for _ in range(count)]
    writer.close()
    return bodies


@pytest.mark.parametrize("framing", [f"Content-Length: {len(BODY)}", "Transfer-Encoding: chunked"])
def test_a_client_that_offers_to_go_on_in_http_2_is_heard_out(tmp_path: Path, framing: str) -> None:
    """Java's client offers it with every first request, whose body must not be lost."""
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY) if "chunked" in framing else BODY
    head = f"POST /v3/calls HTTP/1.1\r\nHost: h\r\napi-key: {ADMIN}\r\n{UPGRADE}{framing}\r\n\r\n"
    with serving(tmp_path) as url:
        for answer in asyncio.run(_answers(url, (head.encode() + sent) * 2, 2)):
            assert answer.startswith(b'{"id":"call_'), answer


def test_an_offer_of_http_2_to_a_connection_that_ends_here_loses_nothing_either(tmp_path: Path) -> None:
    head = f"POST /v3/calls HTTP/1.0\r\napi-key: {ADMIN}\r\n{UPGRADE}Content-Length: {len(BODY)}\r\n\r\n"
    with serving(tmp_path) as url:
        [answer] = asyncio.run(_answers(url, head.encode() + BODY, 1))
        assert answer.startswith(b'{"id":"call_'), answer


async def _all_said(url: str, requests: bytes) -> bytes:
    """What a server says to a client that closes its side once it has asked."""
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    writer.write(requests)
    writer.write_eof()
    said = await reader.read()
    writer.close()
    return said


def test_a_client_that_closes_its_side_is_answered_and_half_a_request_is_none(tmp_path: Path) -> None:
    head = f"POST /v3/calls HTTP/1.1\r\nHost: h\r\napi-key: {ADMIN}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    with serving(tmp_path) as url:
        said = asyncio.run(_all_said(url, (head + BODY) * 3))
        assert said.count(b"HTTP/1.1 201 Created") == 3
        assert asyncio.run(_all_said(url, head + BODY[:-1])) == b""
        assert asyncio.run(_all_said(url, head[:-1])) == b""
        assert asyncio.run(_all_said(url, b"")) == b""
        asked = f"GET /v3/calls HTTP/1.1\r\nHost: h\r\napi-key: {ADMIN}\r\nConnection: close\r\n\r\n"
        [listed] = asyncio.run(_answers(url, asked.encode(), 1))
        assert len(json.loads(listed)["calls"]) == 3


def test_what_follows_a_refused_body_of_many_chunks_is_answered_to_a_client_that_closes_its_side(
    tmp_path: Path,
) -> None:
    """Its chunks are read in several turns, and the client's end comes in between."""
    refused = b"POST /v3/calls HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5_000
    with serving(tmp_path) as url:
        said = asyncio.run(_all_said(url, refused + b"0\r\n\r\n" + get("/healthz")))
    assert said.startswith(b"HTTP/1.1 401"), said
    assert b"HTTP/1.1 200" in said, said


def test_what_is_no_http_gets_a_400_and_the_server_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        for request in (
            b"\x16\x03\x01\x02\x00\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        ):
            [answer] = asyncio.run(_answers(url, request, 1))
            assert answer.startswith(b'{"code":"bad_request","message":"What came is no HTTP/1.1 request.')
        assert asyncio.run(_answers(url, get("/healthz"), 1)) == [b'{"status":"up"}']

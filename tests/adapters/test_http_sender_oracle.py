"""The sender beside aiohttp: what one makes arrive, the other does too; what one understands, so does the other."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from hookline.ports.sender import MAX_ANSWER_BYTES, Answer, Post
from tests.adapters.posting import Run, both_loops, post, sending
from tests.fakes import RawReceiver, Visit, answering

#: Added by each client in its own way, or not at all.
_OF_THE_CLIENT = frozenset(("accept", "accept-encoding", "host", "content-length", "user-agent", "content-type"))


async def by_aiohttp(request: Post) -> tuple[int | None, Sequence[tuple[str, str]], bytes]:
    """Status, headers and body as aiohttp understands them; no status where it raises."""
    url = URL(f"http://127.0.0.1:{request.port}{request.target}", encoded=True)
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        try:
            async with session.post(
                url, headers=list(request.headers), data=request.body, allow_redirects=False
            ) as answer:
                headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.raw_headers]
                return answer.status, headers, await answer.content.read(-1)
        except aiohttp.ClientError:
            return None, (), b""


async def by_us(request: Post) -> Answer:
    async with sending() as sender:
        return await sender.send(request)


def arrived(raw: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Request line, headers that a caller sets, body."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    split = [header.partition(b":") for header in headers]
    ours = [(name, value.strip()) for name, _, value in split if name.decode().lower() not in _OF_THE_CLIENT]
    return line, ours, body


TOKENS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=1, max_size=20)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60).map(str.strip)
HEADERS = st.lists(st.tuples(TOKENS.map("X-{}".format), VALUES), max_size=8, unique_by=lambda header: header[0].lower())
#: aiohttp drops a question mark that nothing follows, and dots that lead up; we send what was configured.
TARGETS = (
    st.text("abcXYZ019-._~%/?&=+,;:@!$'()*", max_size=60)
    .map("/{}".format)
    .filter(lambda target: URL(f"http://a.example{target}", encoded=True).raw_path_qs == target)
)


@settings(max_examples=60, deadline=None)
@given(HEADERS, TARGETS, st.binary(max_size=3000))
def test_the_same_post_arrives(headers: list[tuple[str, str]], target: str, body: bytes) -> None:
    async def scenario() -> None:
        ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        async with RawReceiver.running(answering(ok)) as receiver:
            request = post(receiver.port, target=target, headers=tuple(headers), body=body)
            assert (await by_us(request)).status == 200
            assert (await by_aiohttp(request))[0] == 200
            ours, theirs = map(arrived, receiver.requests)
            assert ours == theirs

    asyncio.run(scenario())


STATUSES = st.sampled_from([200, 201, 202, 204, 301, 304, 400, 404, 410, 429, 500, 503])
BODIES = st.binary(max_size=300)


def framed(how: str, status: int, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """One answer, by one of HTTP's ways to tell where a body ends."""
    lines = [f"HTTP/1.1 {status} Reason", *(f"{name}: {value}" for name, value in headers)]
    if status in (204, 304):
        body = b""
    elif how == "length":
        lines.append(f"Content-Length: {len(body)}")
    elif how == "chunked":
        lines.append("Transfer-Encoding: chunked")
        chunks = [body[start : start + 7] for start in range(0, len(body), 7)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1") + body


def in_pieces(raw: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(raw), *(cut % len(raw) for cut in cuts)})
    return [raw[start:end] for start, end in pairwise(places)]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["length", "chunked", "until the end"]),
    STATUSES,
    HEADERS,
    BODIES,
    st.lists(st.integers(0, 2000), max_size=4),
    st.booleans(),
)
def test_the_same_answer_is_understood(
    how: str, status: int, headers: list[tuple[str, str]], body: bytes, cuts: list[int], hinted: bool
) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" if hinted else b""
    pieces = in_pieces(hint + framed(how, status, headers, body), cuts)

    async def in_turn(visit: Visit) -> None:
        await visit.request()
        for piece in pieces:
            await visit.write(piece)

    async def scenario() -> None:
        async with RawReceiver.running(in_turn) as receiver:
            ours = await by_us(post(receiver.port))
            theirs = await by_aiohttp(post(receiver.port))
            assert (ours.status, list(ours.headers), ours.body) == (theirs[0], list(theirs[1]), theirs[2])
            assert ours.error == ""

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
    ],
)
@both_loops
def test_what_aiohttp_takes_for_broken_is_an_error_here_too(run: Run, raw: bytes) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(raw)) as receiver:
            assert (await by_aiohttp(post(receiver.port)))[0] is None
            assert (await by_us(post(receiver.port))).error.endswith(".")

    run(scenario())


@both_loops
def test_an_aiohttp_server_is_content_with_our_requests(run: Run) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.query.get("chunked"):
            streamed = web.StreamResponse(status=202, headers={"X-Path": request.raw_path})
            await streamed.prepare(request)
            for start in range(0, len(body), 1000):
                await streamed.write(body[start : start + 1000])
            await streamed.write_eof()
            return streamed
        return web.Response(status=201, body=body, headers={"X-Path": request.raw_path})

    async def scenario() -> None:
        application = web.Application()
        application.router.add_post("/{anything:.*}", echo)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port: int = runner.addresses[0][1]
        try:
            async with sending() as sender:
                for target, status in (("/a%2Fb?x=%20", 201), ("/?chunked=1", 202)):
                    for body in (b"", b"{}", b"x" * MAX_ANSWER_BYTES, b"x" * (MAX_ANSWER_BYTES + 5000)):
                        answer = await sender.send(post(port, target=target, body=body))
                        assert (answer.status, answer.error) == (status, "")
                        assert answer.body == body[:MAX_ANSWER_BYTES]
                        assert ("X-Path", target) in answer.headers
        finally:
            await runner.cleanup()

    run(scenario())

"""Receivers that misbehave, each in one way, on real sockets: what they do, and what has to be said of it.

A receiver that has another kind of bad day in production and is not here yet, belongs here. The run over all of them:
`bad_receivers.py`. As a program, this is all of them in a process of their own (`python -m
tests.acceptance.bad_manners`): it prints a JSON object of their URLs by name, and ends when its input does.
"""

import asyncio
import gzip
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from tests.acceptance.serving import in_patience, real_seconds
from tests.fakes import RawReceiver, Script, Visit

#: The time limit of every webhook that leads to one of these: the shortest there is. The tests give more, since a busy
#: machine would not see in a second what a receiver does.
TIME_LIMIT_SECONDS: Final = int(os.environ.get("ACCEPTANCE_TIME_LIMIT_SECONDS", "1"))
_DRIP_SECONDS: Final = 0.25
_PIECE: Final = b"x" * 65_536
_HEAD: Final = b"HTTP/1.1 200 OK\r\n"
_OK: Final = _HEAD + b"Content-Length: 2\r\n\r\nok"
#: 50 MB of zeros, in 50 kB.
_BOMB: Final = gzip.compress(bytes(50_000_000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """One way to misbehave. `sentences` are patterns of what may be said of it; "" is an answer of `status`."""

    name: str
    script: Script | None  # None: nobody accepts connections there
    status: int | None
    sentences: tuple[str, ...]
    scheme: str = "http"

    def is_told_rightly(self, status: int | None, error: str) -> bool:
        """Whether this is what has to come of an attempt, on a machine that is not too busy to notice."""
        return status == self.status and any(re.fullmatch(sentence, error) for sentence in self.sentences)


def _endlessly(start: bytes, piece: bytes, *, seconds: float = 0.0) -> Script:
    """After the request, `start`, and then the same piece over and over until the sender has gone."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.write(start)
        while True:
            await visit.write(piece)
            await real_seconds(seconds)

    return script


def _saying(answer: bytes, then: Callable[[Visit], Awaitable[None]] | None = None) -> Script:
    """After the request, these bytes; then the end of the connection, or something else."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.write(answer)
        if then is not None:
            await then(visit)

    return script


def _greeting(banner: bytes) -> Script:
    """Speak first, in another language."""

    async def script(visit: Visit) -> None:
        await visit.write(banner)
        await visit.gone()

    return script


@contextmanager
def _full_backlog() -> Iterator[int]:
    """A port at which connections wait to be accepted and nobody ever does, with no room for one more to wait."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        is_full = False
        while not is_full:
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.2)  # a short bound: the kernel completes a handshake on loopback by itself
            try:
                waiting.connect(listening.getsockname())
            except TimeoutError:
                is_full = True
        yield listening.getsockname()[1]


async def _silent(visit: Visit) -> None:
    await visit.gone()


async def _closing_at_once(_: Visit) -> None:
    return


async def _reset(visit: Visit) -> None:
    visit.reset()


async def _redirecting(visit: Visit) -> None:
    """To itself, on a connection that stays open."""
    place = f"http://127.0.0.1:{visit.receiver.port}/hook".encode()
    while await visit.request():
        await visit.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + place + b"\r\n\r\n")


async def _talking_on(visit: Visit) -> None:
    """A whole answer, and then more and more that nobody asked for."""
    await visit.request()
    while True:
        await visit.write(_OK)


_NOT_IN_TIME: Final = f"within {TIME_LIMIT_SECONDS} s\\."
_HEAD_TOO_LONG: Final = r"The head of the answer is longer than 64 KiB\."
_TOO_MANY_HEADERS: Final = r"The answer has more than 200 headers\."
_NO_HTTP: Final = r"What came back is not HTTP/1\.1 \(.+\)\."
_CLOSED_BEFORE: Final = r"The receiver closed the connection before it answered\."
#: A connection has a time limit of its own; where that of the whole request is shorter, it ends the attempt.
_TOO_LATE: Final = r"(?:before the time for the whole request was over|within 5 s)\."
_BODY_CUT: Final = r"The receiver closed the connection in the middle of the answer's body\."
_HEAD_CUT: Final = r"The receiver closed the connection in the middle of the answer's head\."


def _bad(name: str, script: Script | None, status: int | None, *sentences: str, scheme: str = "http") -> Manner:
    return Manner(name=name, script=script, status=status, sentences=sentences, scheme=scheme)


MANNERS: Final = (
    _bad("accepts and never answers", _silent, None, f"No answer {_NOT_IN_TIME}"),
    _bad("never accepts", None, None, rf"No connection to 127\.0\.0\.1 port \d+ {_TOO_LATE}"),
    _bad(
        "never shakes hands", _silent, None, rf"No TLS connection to 127\.0\.0\.1 port \d+ {_TOO_LATE}", scheme="https"
    ),
    _bad(
        "drips its head",
        _endlessly(_HEAD + b"X: ", b"x", seconds=_DRIP_SECONDS),
        None,
        f"No end of the answer's head {_NOT_IN_TIME}",
    ),
    _bad(
        "drips its body",
        _endlessly(_HEAD + b"\r\n", b"x", seconds=_DRIP_SECONDS),
        200,
        f"No end of the answer {_NOT_IN_TIME}",
    ),
    _bad("streams a head for ever", _endlessly(_HEAD, b"X: " + b"x" * 8000 + b"\r\n"), None, _HEAD_TOO_LONG),
    _bad("streams a body for ever", _endlessly(_HEAD + b"\r\n", _PIECE), 200, ""),
    _bad(
        "streams framing for ever",
        _endlessly(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"y" * 8000 + b"\r\nx\r\n"),
        200,
        r"The answer is mostly framing: far more bytes than its body accounts for\.",
    ),
    _bad("continues for ever", _endlessly(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), None, _HEAD_TOO_LONG),
    _bad(
        "hints and falls silent",
        _saying(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", _silent),
        None,
        f"No end of the answer's head {_NOT_IN_TIME}",
    ),
    _bad(
        "sends 10,000 headers",
        _saying(_HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n", _silent),
        200,
        _TOO_MANY_HEADERS,
    ),
    _bad("sends megabytes", _saying(_HEAD + b"Content-Length: 8000000\r\n\r\n" + bytes(8_000_000)), 200, ""),
    _bad(
        "sends a gzip bomb",
        _saying(_HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(_BOMB) + _BOMB),
        200,
        "",
    ),
    _bad("answers and keeps writing", _talking_on, 200, ""),
    _bad("closes at once", _closing_at_once, None, _CLOSED_BEFORE),
    _bad("closes in its head", _saying(b"HTTP/1.1 200 O"), None, _HEAD_CUT),
    _bad("closes in its body", _saying(_HEAD + b"Content-Length: 100\r\n\r\nhalf"), 200, _BODY_CUT),
    _bad("resets", _saying(b"", _reset), None, _CLOSED_BEFORE),
    _bad("resets in its body", _saying(_HEAD + b"Content-Length: 100\r\n\r\nhalf", _reset), 200, _BODY_CUT),
    _bad("speaks SSH", _greeting(b"SSH-2.0-OpenSSH_9.2\r\n"), None, _NO_HTTP),
    _bad("speaks TLS", _greeting(bytes.fromhex("1503030002020a")), None, _NO_HTTP),
    _bad("speaks HTTP/2", _greeting(bytes.fromhex("000012040000000000000300000064")), None, _NO_HTTP),
    _bad(
        "switches protocols",
        _saying(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", _silent),
        101,
        r"The receiver wants to switch to another protocol \(101\), which a POST did not ask for\.",
    ),
    _bad("redirects in a circle", _redirecting, 302, ""),
)


@asynccontextmanager
async def _misbehaving(manner: Manner) -> AsyncIterator[str]:
    """A receiver that behaves like this until the block ends. Yields its URL."""
    if manner.script is None:
        with _full_backlog() as port:
            yield f"{manner.scheme}://127.0.0.1:{port}/hook"
    else:
        async with RawReceiver.running(manner.script) as receiver:
            yield f"{manner.scheme}://127.0.0.1:{receiver.port}/hook"


@asynccontextmanager
async def all_of_them() -> AsyncIterator[dict[str, str]]:
    """All bad receivers, in a process of their own. Yields the URL of each, by the name of its manner."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        urls: dict[str, str] = json.loads(await in_patience(process.stdout.readline(), "the bad receivers"))
        yield urls
    finally:
        await in_patience(process.communicate(b""), "the bad receivers to end")


async def _misbehave() -> None:
    async with AsyncExitStack() as stack:
        urls = {manner.name: await stack.enter_async_context(_misbehaving(manner)) for manner in MANNERS}
        sys.stdout.write(json.dumps(urls) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    os.nice(10)  # elsewhere they would have a machine of their own: they shall not take this one from who is measured
    asyncio.run(_misbehave())

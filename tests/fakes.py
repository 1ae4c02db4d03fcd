"""All the fakes there are. Each stands in for one port or one outside party, and says how it differs from it."""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from hookline.ports.sender import Answer, Post
from hookline.receiver import Message, Receiver, VerificationError
from tests.patience import PATIENCE_SECONDS

#: More turns of an event loop than a chain of its own steps takes.
_OWN_TURNS: Final = 100
_PAUSE_SECONDS: Final = 0.001

#: A Monday morning: where every manual clock starts unless told otherwise.
MONDAY: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@dataclass(eq=False, slots=True)
class ManualAlarm:
    """One ring that a `ManualClock` owes, at a point of its monotonic time."""

    due: float
    ring: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Never ring, and hold on to nobody who would have been rung."""
        self.cancelled = True
        self.ring = lambda: None


@dataclass(eq=False, slots=True)
class _Sleeper:
    until: datetime
    woken: asyncio.Future[None]


class ManualClock:
    """`ports.clock.Clock` that moves only when told to.

    `advance` moves wall and monotonic time together, through every alarm and sleeper on the way, in due order: an
    alarm sees exactly its own instant and may set further alarms, which ring too if their time has come. A woken
    sleeper's code runs when the test next awaits, and then reads the time that `advance` arrived at. `set_wall` is the
    administrator who sets the machine's time: monotonic time does not move.
    """

    def __init__(self, start: datetime = MONDAY) -> None:
        self._wall = start
        self._monotonic = 1000.0
        self._alarms: list[ManualAlarm] = []
        self._sleepers: list[_Sleeper] = []

    def now(self) -> datetime:
        """The wall time that was last arrived at."""
        return self._wall

    def monotonic(self) -> float:
        """Seconds; only `advance` moves them."""
        return self._monotonic

    async def sleep_until(self, instant: datetime) -> None:
        """Wait until the test has moved the wall time to `instant`."""
        while self._wall < instant:
            sleeper = _Sleeper(instant, asyncio.get_running_loop().create_future())
            self._sleepers.append(sleeper)
            try:
                await sleeper.woken
            finally:
                if sleeper in self._sleepers:
                    self._sleepers.remove(sleeper)

    async def pause(self, seconds: float) -> None:
        """Wait until the test has moved monotonic time by so much."""
        over = asyncio.Event()
        alarm = self.alarm(seconds, over.set)
        try:
            await over.wait()
        finally:
            alarm.cancel()

    def alarm(self, after_seconds: float, ring: Callable[[], None]) -> ManualAlarm:
        """Ring inside the `advance` that reaches the moment; with nothing to wait for, inside the next one."""
        alarm = ManualAlarm(self._monotonic + max(after_seconds, 0.0), ring)
        self._alarms.append(alarm)
        return alarm

    def advance(self, *, seconds: float) -> None:
        """Let time pass, ringing and waking everything that falls due on the way."""
        end = self._monotonic + seconds
        while (due := self._next_due()) is not None and due <= end:
            self._pass_to(max(due, self._monotonic))
            self._wake_sleepers()
            self._ring_alarms()
        self._pass_to(end)
        self._wake_sleepers()

    def set_wall(self, instant: datetime) -> None:
        """Set the machine's time. Whoever slept for an instant that has now been reached wakes."""
        self._wall = instant
        self._wake_sleepers()

    @property
    def alarms_set(self) -> int:
        """How many alarms have yet to ring."""
        return sum(not alarm.cancelled for alarm in self._alarms)

    @property
    def sleepers(self) -> int:
        """How many are asleep."""
        return len(self._sleepers)

    def _next_due(self) -> float | None:
        self._alarms = [alarm for alarm in self._alarms if not alarm.cancelled]
        waits = [(sleeper.until - self._wall).total_seconds() for sleeper in self._sleepers]
        dues = [alarm.due for alarm in self._alarms] + [self._monotonic + wait for wait in waits]
        return min(dues, default=None)

    def _pass_to(self, moment: float) -> None:
        # Rounded, so that a wall time met through a float is met exactly.
        self._wall += timedelta(microseconds=round((moment - self._monotonic) * 1_000_000))
        self._monotonic = moment

    def _wake_sleepers(self) -> None:
        for sleeper in sorted(self._sleepers, key=lambda sleeper: sleeper.until):
            if sleeper.until <= self._wall:
                self._sleepers.remove(sleeper)
                if not sleeper.woken.done():
                    sleeper.woken.set_result(None)

    def _ring_alarms(self) -> None:
        for alarm in [alarm for alarm in self._alarms if alarm.due <= self._monotonic]:
            if not alarm.cancelled:
                ring = alarm.ring
                alarm.cancel()
                ring()


async def turn(*, times: int = 1) -> None:
    """Let the event loop turn. No time is waited for."""
    for _ in range(times):
        await asyncio.sleep(0)  # noqa: TID251 - not a wait


async def until(fact: Callable[[], bool]) -> None:
    """Let the event loop turn until something is so, which has to become so by itself. A hang is a failure.

    What the loop does by itself is done after a few turns. After them each turn leaves the processor for a moment to
    the threads and processes that are waited for.
    """
    monotonic = asyncio.get_running_loop().time
    ends_at = monotonic() + PATIENCE_SECONDS
    turns = 0
    while not fact():
        assert monotonic() < ends_at, f"{fact.__qualname__} was still false after {PATIENCE_SECONDS} s"
        turns += 1
        await asyncio.sleep(0 if turns < _OWN_TURNS else _PAUSE_SECONDS)  # noqa: TID251  looks again at once


@dataclass(eq=False, slots=True)
class Visit:
    """One connection that a sender made to a `RawReceiver`, in the hands of the script."""

    receiver: "RawReceiver"
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """The next request, byte for byte, also noted at the receiver. Empty when the sender has gone instead."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        request = head + await self.reader.readexactly(int(length[1]) if length else 0)
        self.receiver.requests.append(request)
        return request

    async def write(self, piece: bytes) -> None:
        """Send bytes now."""
        self.writer.write(piece)
        await self.writer.drain()

    async def gone(self) -> None:
        """Return when the sender has closed the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            return

    def reset(self) -> None:
        """Break the connection: what a crashed receiver or a firewall does."""
        stream = self.writer.get_extra_info("socket")
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


#: What a receiver does with one connection. When it returns, the connection is closed.
Script = Callable[[Visit], Awaitable[None]]


@dataclass(eq=False, slots=True)
class RawReceiver:
    """A receiver on a real socket of this machine that does what its script says, right or wrong, byte for byte."""

    script: Script
    port: int = 0
    requests: list[bytes] = field(default_factory=list)  # all that were read, over all connections
    visits: int = 0
    departures: int = 0  # scripts that came to their end

    @classmethod
    @asynccontextmanager
    async def running(
        cls, script: Script, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> AsyncIterator["RawReceiver"]:
        """Listen on a free port until the block ends."""
        receiver = cls(script)
        scripts: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

        def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            receiver.visits += 1
            task = asyncio.ensure_future(receiver._receive(Visit(receiver, reader, writer)))
            scripts[task] = writer
            task.add_done_callback(scripts.pop)

        server = await asyncio.start_server(visited, host, 0, ssl=tls)
        receiver.port = server.sockets[0].getsockname()[1]
        try:
            yield receiver
        finally:
            server.close()
            await turn(times=5)  # whoever is just coming in
            left = tuple(scripts.items())
            for task, writer in left:
                task.cancel()
                writer.transport.abort()
            await asyncio.gather(*(task for task, _ in left), return_exceptions=True)

    async def _receive(self, visit: Visit) -> None:
        try:
            with suppress(ConnectionError):  # the sender has gone: nothing is left to do
                await self.script(visit)
        finally:
            visit.writer.close()
            self.departures += 1


def answering(*answers: bytes) -> Script:
    """A script that answers the requests of each connection in turn, then closes it."""

    async def script(visit: Visit) -> None:
        for answer in answers:
            if not await visit.request():
                return
            await visit.write(answer)

    return script


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it arrived at a `Subscriber`."""

    target: str  # path and query, byte for byte
    headers: tuple[tuple[str, str], ...]  # as spelt, in the order in which they came
    body: bytes
    message: Message | None  # what it says, when its signature is right
    complaint: str  # what is wrong with it, when it is not

    def header(self, name: str) -> str | None:
        """The value of the one header of this name."""
        values = [value for each, value in self.headers if each.lower() == name.lower()]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


#: How a subscriber answers one request; see the functions below `Subscriber`.
Manner = Callable[[Visit], Awaitable[None]]


class Subscriber:
    """A receiver as our users have one: it checks every signature, remembers every request in the order in which they
    arrive, and answers as `manner_for` says. Give it its webhook's secret as soon as that is known.
    """

    _door: RawReceiver

    def __init__(self, manner_for: Callable[[Received], Manner]) -> None:
        self.received: list[Received] = []
        self.receiver: Receiver | None = None
        self._manner_for = manner_for
        self._news = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def running(cls, manner_for: Callable[[Received], Manner]) -> AsyncIterator["Subscriber"]:
        """Listen on a free port until the block ends."""
        subscriber = cls(manner_for)
        async with RawReceiver.running(subscriber._serve) as subscriber._door:
            yield subscriber

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self._door.port}"

    @property
    def is_alone(self) -> bool:
        """Whether no connection is open any more."""
        return self._door.visits == self._door.departures

    async def until(self, fact: Callable[[], bool]) -> None:
        """Return when a request has arrived, or a connection ended, that makes it so."""
        while not fact():
            self._news.clear()
            await self._news.wait()

    def trust(self, *secrets: str) -> None:
        """Check the signatures of what arrives from now on."""
        self.receiver = Receiver(*secrets)

    async def _serve(self, visit: Visit) -> None:
        try:
            while request := await visit.request():
                received = self._read(request)
                self.received.append(received)
                self._news.set()
                await self._manner_for(received)(visit)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the sender died in the middle
        finally:
            asyncio.get_running_loop().call_soon(self._news.set)  # once the departure has been counted

    def _read(self, request: bytes) -> Received:
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        message, complaint = None, ""
        try:
            message = self.receiver.verify(body, dict(headers)) if self.receiver else None
        except VerificationError as refusal:
            complaint = refusal.message
        return Received(target=first.split(" ")[1], headers=headers, body=body, message=message, complaint=complaint)


def replying(status: int, *headers: str) -> Manner:
    """Answer at once, with a small body."""
    lines = [f"HTTP/1.1 {status} Reply", "Content-Length: 5", *headers]
    answer = "\r\n".join([*lines, "", "reply"]).encode()

    async def manner(visit: Visit) -> None:
        await visit.write(answer)

    return manner


def slowly(seconds: float, then: Manner) -> Manner:
    """Answer `seconds` of real time later, unless the sender is gone by then."""

    async def manner(visit: Visit) -> None:
        gone = asyncio.ensure_future(visit.gone())
        await asyncio.wait({gone}, timeout=seconds)
        if not gone.cancel():
            return
        await asyncio.wait({gone})
        await then(visit)

    return manner


def when(event: asyncio.Event, then: Manner) -> Manner:
    """Answer once the test says so."""

    async def manner(visit: Visit) -> None:
        await event.wait()
        await then(visit)

    return manner


async def hanging(visit: Visit) -> None:
    """Never answer."""
    await visit.gone()


async def resetting(visit: Visit) -> None:
    """Break the connection without an answer."""
    visit.reset()


async def closing(visit: Visit) -> None:
    """Close the connection without an answer."""
    visit.writer.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a scripted receiver says to one POST. Without a `status` there was no answer, for the reason in `error`."""

    status: int | None = 200
    error: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


#: What a scripted receiver does with one POST: a reply at once, or None to hang.
Replying = Callable[[Post], Reply | None]


@dataclass(eq=False, slots=True)
class _Hanging:
    post: Post
    answered: asyncio.Future[Reply]

    def answer(self, reply: Reply) -> None:
        if not self.answered.done():
            self.answered.set_result(reply)


class ScriptedSender:
    """`ports.sender.Sender` that connects to nowhere: what the far side does is a function of the request.

    One that hangs is cut off when the clock has passed the request's time limit, as the real one does, unless the test
    has it `answer` first. Unlike the real one it has no connections to run out of.
    """

    def __init__(self, clock: ManualClock, replying: Replying = lambda _: Reply()) -> None:
        self._clock = clock
        self.replying = replying
        self.posts: list[Post] = []
        self.hanging: list[_Hanging] = []
        self.is_closed = False

    async def send(self, post: Post) -> Answer:
        """Note the request, and answer as the script says."""
        self.posts.append(post)
        started_at, begun = self._clock.now(), self._clock.monotonic()
        reply = self.replying(post)
        if reply is None:
            reply = await self._hang(post)
        return Answer(
            status=reply.status,
            error=reply.error,
            headers=reply.headers,
            body=reply.body,
            started_at=started_at,
            duration_ms=(self._clock.monotonic() - begun) * 1000,
        )

    async def close(self) -> None:
        """Remember that it was asked to."""
        self.is_closed = True

    def answer(self, reply: Reply, *, host: str | None = None) -> None:
        """Have all that hang, or those at one host, end with this reply."""
        for hanging in tuple(self.hanging):
            if host in (None, hanging.post.host):
                hanging.answer(reply)

    async def _hang(self, post: Post) -> Reply:
        hanging = _Hanging(post, asyncio.get_running_loop().create_future())
        cut_off = Reply(status=None, error=f"There was no answer within {post.timeout_seconds} s.")
        alarm = self._clock.alarm(post.timeout_seconds, lambda: hanging.answer(cut_off))
        self.hanging.append(hanging)
        try:
            return await hanging.answered
        finally:
            self.hanging.remove(hanging)
            alarm.cancel()

"""One connection to a receiver: how it is opened, and how one request after another goes over it.

Which connection a request takes, and how many there may be: `http_pool.py`. What an answer's bytes mean:
`http_answer.py`. Where a name may lead: `address_guard.py`.
"""

import asyncio
import os
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from ipaddress import IPv4Address
from typing import Any, Final, NamedTuple, cast

from hookline.adapters import descriptors
from hookline.adapters.address_guard import AddressGuard, NowhereToConnect
from hookline.adapters.deadlines import TooLate, in_time
from hookline.adapters.http_answer import AnswerReader
from hookline.domain.networks import Address
from hookline.ports.clock import Clock
from hookline.ports.sender import NoDescriptors

#: How long one address may try alone before the next one joins the race (RFC 8305, 8).
HEAD_START_SECONDS: Final = 0.25
#: How many of a name's addresses a sentence names.
_NAMED_AT_MOST: Final = 3
#: OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH.
_NAME_MISMATCHES: Final = (62, 64)


class NoConnection(Exception):
    """A connection could not be had. Its text is a sentence for people."""


class Origin(NamedTuple):
    """What a connection leads to. Connections to different origins are never mixed up."""

    scheme: str
    host: str
    port: int

    @property
    def is_tls(self) -> bool:
        """Whether the receiver has to show a certificate."""
        return self.scheme == "https"


class Connection(asyncio.Protocol):
    """A keep-alive connection that carries one request at a time."""

    __slots__ = ("_answered", "_on_lost", "_transport", "answer", "idle_since", "reused")

    def __init__(self) -> None:
        self.answer = AnswerReader()
        self.reused = False
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[None] | None = None
        self._on_lost: Callable[[Connection], None] | None = None

    def exchange(self, *request: bytes) -> asyncio.Future[None]:
        """Write one request in its pieces; the future is done when `answer` is over. Cancelling it leaves only `close`
        to do.
        """
        if self.reused:
            self.answer.begin()
        answered = self._answered = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            self._end(cut=True)
        elif self.answer.over:
            self._settle()
        else:
            self._transport.writelines(request)
        return answered

    @property
    def is_open(self) -> bool:
        """Whether another request could go over it, as far as we know."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def was_stale(self) -> bool:
        """Whether it had carried a request before and then died without one byte of an answer to the next."""
        return self.reused and self.answer.over and not self.answer.has_begun

    def tell_when_lost(self, on_lost: Callable[["Connection"], None]) -> None:
        """Have `on_lost` called once the connection is gone, at once if it is gone already."""
        self._on_lost = on_lost
        if self._transport is None:
            on_lost(self)

    def close(self) -> None:
        """Close without a farewell: nothing of worth is on the way."""
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what we write to."""
        self._transport = cast("asyncio.Transport", transport)  # which is what stream sockets have

    def data_received(self, data: bytes) -> None:
        """Read on in the answer that is awaited."""
        if self._answered is None and self.reused:
            self.close()  # nobody asked; but who is new may turn us away at the door, and that is an answer
        elif self.answer.feed(data):
            self._settle()

    def eof_received(self) -> None:
        """The receiver has said all it wants to; the loop closes our side."""
        self._end(cut=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whoever's doing."""
        self._end(cut=exc is not None)
        self.answer.retire()
        self._transport = None
        if self._on_lost is not None:
            self._on_lost(self)

    def _end(self, *, cut: bool) -> None:
        self.answer.end(cut=cut)
        self._settle()

    def _settle(self) -> None:
        answered, self._answered = self._answered, None
        if answered is not None and not answered.done():
            answered.set_result(None)


class Dialer:
    """Opens connections: asks the guard where to, races the addresses, and has the certificate checked."""

    def __init__(self, clock: Clock, guard: AddressGuard, tls: ssl.SSLContext, connect_seconds: float) -> None:
        """Share `tls` among all connections: making one costs as much as dozens of handshakes.

        Certificates are checked against their subject alternative names alone (RFC 9525, 6.1).
        """
        tls.hostname_checks_common_name = False
        self._clock = clock
        self._guard = guard
        self._tls = tls
        self._connect_seconds = connect_seconds

    async def dial(self, origin: Origin, seconds: float) -> Connection:
        """A fresh connection, within `seconds` and within the time that any connection may take.

        Raises:
            NoConnection: there is none to be had; the text says at what it failed.
            NoDescriptors: there is none to be had for want of a file descriptor.
        """
        call = _Call(self._clock, origin, self._tls if origin.is_tls else None)
        dialling = asyncio.create_task(call.made(self._guard))
        connected: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        dialling.add_done_callback(partial(_pass_on, to=connected))
        try:
            return await in_time(self._clock, min(seconds, self._connect_seconds), connected)
        except TooLate:
            _hang_up(dialling)
            if seconds < self._connect_seconds:
                raise NoConnection(f"{call.missing} before the time for the whole request was over.") from None
            raise NoConnection(f"{call.missing} within {self._connect_seconds:g} s.") from None
        except asyncio.CancelledError:
            _hang_up(dialling)
            raise
        finally:
            del dialling, connected  # as in `in_time`


class _Call:
    """One attempt to reach an origin. `missing` begins the sentence to tell should time run out: what it waits for."""

    def __init__(self, clock: Clock, origin: Origin, tls: ssl.SSLContext | None) -> None:
        self.missing = f"No address for the name {origin.host}"
        self._clock = clock
        self._origin = origin
        self._tls = tls

    async def made(self, guard: AddressGuard) -> Connection:
        """Go all the way: name, address, certificate."""
        try:
            addresses = await guard.vetted(self._origin.host, self._origin.port)
        except NowhereToConnect as error:
            if descriptors.none_is_left():  # a lookup that could open no file says that there is no such name
                raise NoDescriptors from error
            raise NoConnection(str(error)) from error
        self.missing = f"No connection to {_place(self._origin, addresses)}"
        stream = await self._first_to_connect(addresses)
        if self._tls is not None:
            self.missing = f"No TLS connection to {self._origin.host} port {self._origin.port}"
        return await self._connection_over(stream)

    async def _first_to_connect(self, addresses: Sequence[Address]) -> socket.socket:
        """Race the addresses, each with a head start on the next; losers are closed."""
        waiting = deque(_families_in_turn(addresses))
        racers: list[asyncio.Task[socket.socket]] = []
        winner = None
        try:
            while winner is None and (waiting or not all(racer.done() for racer in racers)):
                if waiting:
                    racers.append(asyncio.create_task(_tcp(waiting.popleft(), self._origin.port)))
                await self._news_from(racers, head_start=bool(waiting))
                winner = next((racer for racer in racers if _has_result(racer)), None)
        finally:
            for racer in racers:
                if racer is not winner:
                    _hang_up(racer)
        if winner is None:
            if any(descriptors.is_exhausted(racer.exception()) for racer in racers):
                raise NoDescriptors
            raise NoConnection(f"{self.missing}: {_reason(racers[0].exception())}.")
        return winner.result()

    async def _news_from(self, racers: Iterable[asyncio.Task[socket.socket]], *, head_start: bool) -> None:
        """Return when one more racer is done, or when its head start is over."""
        bell: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        alarm = self._clock.alarm(HEAD_START_SECONDS, lambda: bell.set_result(None)) if head_start else None
        try:
            awaited: set[asyncio.Future[Any]] = {bell, *(racer for racer in racers if not racer.done())}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if alarm is not None:
                alarm.cancel()

    async def _connection_over(self, stream: socket.socket) -> Connection:
        host = self._origin.host.removesuffix(".")  # which no certificate has
        connection = Connection()
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection, sock=stream, ssl=self._tls, server_hostname=host if self._tls else None
            )
        except BaseException as error:
            stream.close()
            connection.answer.retire()
            if isinstance(error, ssl.SSLCertVerificationError):
                raise NoConnection(f"The certificate of {host} is not valid: {_complaint(error)}.") from error
            if isinstance(error, OSError | ValueError):
                raise NoConnection(f"{self.missing}: {_reason(error)}.") from error
            raise
        return connection


async def _tcp(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    stream = socket.socket(family, socket.SOCK_STREAM)
    try:
        stream.settimeout(0)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(stream, (str(address), port))
    except BaseException:
        stream.close()
        raise
    return stream


def _families_in_turn(addresses: Sequence[Address]) -> list[Address]:
    """The resolver's order, but never two of one family in a row while the other has some left (RFC 8305, 4)."""
    first = [address for address in addresses if address.version == addresses[0].version]
    second = [address for address in addresses if address.version != addresses[0].version]
    turns = max(len(first), len(second))
    return [address for turn in range(turns) for address in (*first[turn : turn + 1], *second[turn : turn + 1])]


def _has_result(task: asyncio.Task[socket.socket]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _pass_on(task: asyncio.Task[Connection], *, to: asyncio.Future[Connection]) -> None:
    if to.done() or task.cancelled():
        return
    error = task.exception()
    if error is not None:
        to.set_exception(error)
    else:
        to.set_result(task.result())


def _hang_up(task: asyncio.Task[socket.socket] | asyncio.Task[Connection]) -> None:
    """Stop opening what nobody waits for any longer, and close it if it is open."""

    def close(_: object) -> None:
        if not task.cancelled() and task.exception() is None:
            task.result().close()

    task.cancel()
    task.add_done_callback(close)


def _place(origin: Origin, addresses: Sequence[Address]) -> str:
    names = ", ".join(str(address) for address in addresses[:_NAMED_AT_MOST])
    more = f" and {len(addresses) - _NAMED_AT_MOST} more" if len(addresses) > _NAMED_AT_MOST else ""
    where = names if names == origin.host else f"{origin.host} ({names}{more})"
    return f"{where} port {origin.port}"


def _complaint(error: ssl.SSLCertVerificationError) -> str:
    complaint = error.verify_message.removesuffix(".")
    if error.verify_code in _NAME_MISMATCHES:
        return f"{complaint}; only its subject alternative names (SAN) count, not its common name"
    return complaint


def _reason(error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "the two sides do not understand each other").replace("_", " ").lower()
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or "closed by the other side"

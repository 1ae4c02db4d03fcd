"""The load: calls reported to the API, one a request, over connections that stay open.

A process of its own. Prints one JSON object: when the first request left and the last answer came and, at random
instants, when the request of each call left. Nanoseconds since 1970.

    python -m bench.load --url ... --count 10000 --connections 64     as fast as the answers come back
    python -m bench.load --url .../batch --count 10000 --together 100    the same, 100 calls in each request
    python -m bench.load --url ... --count 500 --rate 50              at random instants (Poisson), 50 a second
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Self, cast
from urllib.parse import urlsplit

import httptools
import uvloop

from bench.bodies import call_bodies

#: The dice of the random instants: every run of the bench asks at the same ones.
_SEED: Final = 20_240_229


@dataclass(slots=True)
class Exchange:
    """One request and its answer."""

    sent_ns: int
    answered_ns: int = 0
    status: int = 0
    body: bytearray = field(default_factory=bytearray)


class Connection(asyncio.Protocol):
    """One open connection with at most one request under way."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def to(cls, host: str, port: int) -> Self:
        """Connect."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for the first request."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """A server that hangs up ends the measurement."""
        if not self._answered.done():
            self._answered.set_exception(ConnectionError(f"The server hung up: {exc or 'without a reason'}."))

    def data_received(self, data: bytes) -> None:
        """Read on; the parser calls the `on_...` methods."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the answer."""
        self._exchange.body += body

    def on_message_complete(self) -> None:
        """Wake whoever asked."""
        self._exchange.answered_ns = time.time_ns()
        self._exchange.status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        self._answered.set_result(None)

    async def exchange(self, request: bytes) -> Exchange:
        """Send one request and wait for its answer."""
        self._answered = self._loop.create_future()
        self._exchange = exchange = Exchange(time.time_ns())
        self._transport.write(request)
        await self._answered
        return exchange


async def as_fast_as_answered(connections: list[Connection], requests: Iterator[bytes]) -> list[Exchange]:
    """Every connection asks again as soon as it is answered, until there is nothing left to ask."""
    exchanges: list[Exchange] = []

    async def ask_on(connection: Connection) -> None:
        for request in requests:
            exchanges.append(await connection.exchange(request))  # noqa: PERF401  # the other connections fill it too

    await asyncio.gather(*(ask_on(connection) for connection in connections))
    return exchanges


async def at_random_instants(connections: list[Connection], requests: Iterator[bytes], rate: float) -> list[Exchange]:
    """Ask `rate` times a second on average, whether or not the answers keep up."""
    dice = random.Random(_SEED)
    loop = asyncio.get_running_loop()
    idle = list(connections)
    under_way: list[asyncio.Task[Exchange]] = []

    async def ask_on(connection: Connection, request: bytes) -> Exchange:
        exchange = await connection.exchange(request)
        idle.append(connection)
        return exchange

    due_at = loop.time()
    for request in requests:
        due_at += dice.expovariate(rate)
        await asyncio.sleep(max(0.0, due_at - loop.time()))
        under_way.append(asyncio.create_task(ask_on(idle.pop(), request)))
    return await asyncio.gather(*under_way)


def requests_for(url: str, key: str, count: int, together: int = 1) -> Iterator[bytes]:
    """Whole requests, ready to be written, that report `count` calls: one each, or many `together`."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\napi-key: {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    ).encode()
    bodies = call_bodies(count)
    if together > 1:
        first = range(0, len(bodies), together)
        bodies = [b'{"calls":[%b]}' % b",".join(bodies[number : number + together]) for number in first]
    ready = [b"%b%d\r\n\r\n%b" % (head, len(body), body) for body in bodies]
    return (ready[number % len(ready)] for number in range(count // together))


async def _run(url: str, key: str, count: int, connection_count: int, rate: float, together: int) -> dict[str, object]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    connections = [await Connection.to(host, port) for _ in range(connection_count)]
    requests = requests_for(url, key, count, together)
    if rate:
        exchanges = await at_random_instants(connections, requests, rate)
    else:
        exchanges = await as_fast_as_answered(connections, requests)
    refused = [exchange for exchange in exchanges if exchange.status != 201]
    if refused:
        sys.exit(f"{len(refused)} of {count} calls were not accepted; the first: {refused[0].body.decode()}")
    told: dict[str, object] = {
        "first_sent_ns": min(exchange.sent_ns for exchange in exchanges),
        "last_answered_ns": max(exchange.answered_ns for exchange in exchanges),
    }
    if rate:
        told["sent_ns"] = {json.loads(exchange.body)["id"]: exchange.sent_ns for exchange in exchanges}
    return told


def main() -> None:
    """Ask, then print what became of it."""
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.0, help="calls a second; 0 is as fast as the answers come back")
    parser.add_argument("--together", type=int, default=1, help="calls in one request, which must divide the count")
    given = parser.parse_args()
    run = _run(given.url, given.key, given.count, given.connections, given.rate, given.together)
    print(json.dumps(uvloop.run(run)))


if __name__ == "__main__":
    main()

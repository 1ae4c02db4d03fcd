"""The receiver of every measurement: answers 200 at once and remembers when each POST arrived.

A process of its own, as lean as Python allows, so that what is measured is the side that sends.

    POST (any path)     one arrival
    GET /count          how many there were
    GET /arrivals       their instants, 8 bytes each in the machine's byte order: nanoseconds since 1970
    GET /keys           the value of the header named by --key-header of each, in the same order
    DELETE /arrivals    forget them
"""

import argparse
import asyncio
import json
import time
from array import array
from typing import Final, cast

import httptools
import uvloop

_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Arrivals:
    """What came in so far."""

    def __init__(self) -> None:
        self.at_ns = array("q")
        self.keys: list[str] = []

    def forget(self) -> None:
        """Begin again."""
        self.at_ns = array("q")
        self.keys = []

    def told(self, path: bytes) -> bytes:
        """The answer to a question of whoever measures."""
        if path == b"/arrivals":
            return self.at_ns.tobytes()
        if path == b"/keys":
            return json.dumps(self.keys).encode()
        return b"%d" % len(self.at_ns)


class Receiving(asyncio.Protocol):
    """One connection."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read requests."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Read on; the parser calls the `on_...` methods."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Remember what is asked for."""
        self._path = url

    def on_message_complete(self) -> None:
        """Answer one whole request."""
        method = self._parser.get_method()
        if method == b"POST":
            self._arrivals.at_ns.append(time.time_ns())
            self._transport.write(_OK)
            return
        if method == b"DELETE":
            self._arrivals.forget()
        told = self._arrivals.told(self._path)
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))


class Hanging(Receiving):
    """One connection whose POSTs are never answered."""

    def on_message_complete(self) -> None:
        """Answer whoever measures, and nobody else."""
        if self._parser.get_method() != b"POST":
            super().on_message_complete()


class ReceivingKeys(Receiving):
    """One connection whose requests are told apart by a header."""

    def __init__(self, arrivals: Arrivals, key_header: bytes) -> None:
        super().__init__(arrivals)
        self._key_header = key_header

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the value of the one header asked for."""
        if name.lower() == self._key_header:
            self._arrivals.keys.append(value.decode())


async def _serve(port: int, key_header: str, *, hangs: bool) -> None:
    arrivals = Arrivals()
    key = key_header.lower().encode()

    def connection() -> Receiving:
        if hangs:
            return Hanging(arrivals)
        return ReceivingKeys(arrivals, key) if key else Receiving(arrivals)

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m bench.receiver")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key-header", default="", help="remember the value of this header for every arrival")
    parser.add_argument("--hang", action="store_true", help="never answer a POST")
    options = parser.parse_args()
    uvloop.run(_serve(options.port, options.key_header, hangs=options.hang))


if __name__ == "__main__":
    main()

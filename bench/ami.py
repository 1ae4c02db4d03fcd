"""What listening to an Asterisk takes: events that are read from one connection, and what calls in the air weigh.

A process of its own, with the connector as a server has it, connected to a manager interface that plays captured
calls as fast as they are taken, each copy under ids of its own. Prints one JSON object: events a second until the last
call was reported; those of a plain reader that only splits lines, on the same bytes; megabytes that so many calls in
the air take.

`python -m bench.ami CALLS IN_THE_AIR`.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvloop

from hookline.adapters.system_clock import SystemClock
from hookline.connectors.asterisk import Asterisk
from hookline.connectors.asterisk.framing import Framing
from hookline.connectors.asterisk.hearing import Hearing
from hookline.connectors.asterisk.settings import read_settings
from hookline.ports.connectors import Report

_CAPTURES: Final = Path(__file__).parent.parent / "tests" / "fixtures" / "asterisk"
#: A call that is answered, with two legs; 103 events.
_CAPTURE: Final = "inbound_answered"
_GREETING: Final = b"Asterisk Call Manager/11.0.0\r\nResponse: Success\r\nMessage: Authentication accepted\r\n\r\n"
_SETTINGS: Final = {"host": "127.0.0.1", "username": "bench", "secret": "bench"}
_AT: Final = datetime(2026, 11, 23, tzinfo=UTC)


def call() -> bytes:
    """The events of one call."""
    stream = (_CAPTURES / _CAPTURE / "ami.txt").read_bytes()
    blocks = [block for block in stream.split(b"\r\n\r\n") if block.startswith(b"Event: ")]
    return b"".join(block + b"\r\n\r\n" for block in blocks if b"FullyBooted" not in block)


def copies(events: bytes, count: int) -> Iterator[bytes]:
    """So many calls, one after the other, none of which has an id of another."""
    for number in range(count):
        yield events.replace(b"pbx1-1795", b"pbx%d-1795" % (number + 2))


async def through_a_connection(events: bytes, count: int) -> float:
    """Seconds until all these calls were reported."""
    seen: set[str] = set()
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_GREETING)
        await reader.readuntil(b"\r\n\r\n")
        for copy in copies(events, count):
            writer.write(copy)
            await writer.drain()
        await done.wait()
        writer.close()

    async def take_in(report: Report) -> None:
        seen.add(report.call_key)
        if len(seen) == count:
            done.set()

    async def stand(_: str, __: str) -> None:
        return

    async def known() -> list[Report]:
        return []

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    begun = time.perf_counter()
    holding = asyncio.create_task(
        Asterisk(SystemClock(), lambda: 0.0).hold({**_SETTINGS, "port": port}, take_in, stand, known)
    )
    await done.wait()
    seconds = time.perf_counter() - begun
    holding.cancel()
    server.close()
    return seconds


def plainly(events: bytes, count: int) -> float:
    """Seconds in which the same bytes become dictionaries, as most scripts read them."""
    begun = time.perf_counter()
    for copy in copies(events, count):
        for block in copy.decode().split("\r\n\r\n"):
            dict(line.split(": ", 1) for line in block.split("\r\n") if ": " in line)
    return time.perf_counter() - begun


def megabytes_in_the_air(events: bytes, count: int) -> float:
    """What so many calls that are not over add to this process."""
    blocks = events.split(b"\r\n\r\n")
    talking = b"\r\n\r\n".join(
        blocks[: next(i for i, block in enumerate(blocks) if block.startswith(b"Event: Hangup"))]
    )
    hearing, framing = Hearing(read_settings(_SETTINGS)), Framing()
    framing.feed(_GREETING)
    before = _resident_bytes()
    for copy in copies(talking + b"\r\n\r\n", count):
        for message in framing.feed(copy):
            hearing.hear(message, _AT)
    if len(hearing) != count:
        raise SystemExit(f"{len(hearing)} calls are in the air, not {count}.")
    return (_resident_bytes() - before) / 1e6


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * resource.getpagesize()


def main() -> None:
    """Measure, then print."""
    calls, in_the_air = int(sys.argv[1]), int(sys.argv[2])
    events = call()
    each = events.count(b"\r\n\r\n")
    megabytes = megabytes_in_the_air(events, in_the_air)
    seconds = uvloop.run(through_a_connection(events, calls))
    plain = plainly(events, calls)
    print(
        json.dumps(
            {
                "events_per_second": calls * each / seconds,
                "plain_per_second": calls * each / plain,
                "in_the_air_mb": megabytes,
            }
        )
    )


if __name__ == "__main__":
    main()

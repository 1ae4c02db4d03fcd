"""The bare client: Hookline's own sender, signing and posting in a loop. Nothing is stored, nothing is planned.

What is left of its rate when a backlog is drained tells what durability costs. A process of its own; prints one JSON
object.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import uvloop

from bench.bodies import EVENT_NAME, SIGNING_SECRET, call_bodies
from hookline.adapters.address_guard import AddressGuard
from hookline.adapters.http_sender import HttpSender
from hookline.adapters.system_clock import SystemClock
from hookline.domain.networks import AllowedNetworks
from hookline.domain.signatures import Signer
from hookline.ports.sender import Post

_AT_A_TIME: Final = 64


def posts(url: str, count: int) -> Iterator[Post]:
    """`count` requests that look like the product's, each signed when it is asked for."""
    parts = urlsplit(url)
    signer = Signer([SIGNING_SECRET])
    bodies = call_bodies(count)
    for number in range(count):
        body = bodies[number % len(bodies)]
        event_id, timestamp = f"evt_{number:026d}", int(time.time())
        yield Post(
            scheme="http",
            host=parts.hostname or "",
            port=parts.port or 80,
            target=parts.path,
            headers=(
                ("Content-Type", "application/json"),
                ("User-Agent", "Hookline/bench"),
                ("webhook-id", event_id),
                ("webhook-timestamp", str(timestamp)),
                ("webhook-signature", signer.header(event_id, timestamp, body)),
                ("hookline-event", EVENT_NAME),
                ("hookline-subject", f"call_{number:026d}"),
                ("hookline-sequence", "1"),
                ("hookline-occurred-at", "2025-06-10T07:09:01.696Z"),
                ("hookline-attempt", "1"),
            ),
            body=body,
            timeout_seconds=15.0,
        )


async def _run(url: str, count: int) -> dict[str, float]:
    to_send = posts(url, count)
    sender = HttpSender(SystemClock(), AddressGuard(AllowedNetworks(["127.0.0.0/8"])))
    failed = 0

    async def send() -> None:
        nonlocal failed
        for post in to_send:
            answer = await sender.send(post)
            failed += answer.status != 200

    started, cpu_started = time.perf_counter(), time.process_time()
    await asyncio.gather(*(send() for _ in range(_AT_A_TIME)))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    await sender.close()
    return {
        "posts_per_second": count / seconds,
        "cpu_us_per_post": cpu_seconds / count * 1e6,
        "failed": failed,
    }


def main() -> None:
    """Send, then print how fast it went."""
    parser = argparse.ArgumentParser(prog="python -m bench.bare_client")
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    print(json.dumps(uvloop.run(_run(options.url, options.count))))


if __name__ == "__main__":
    main()

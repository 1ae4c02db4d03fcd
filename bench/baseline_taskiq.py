"""The fastest common choice: taskiq on Redis streams with aiohttp.

Two worker processes, a stream message acknowledged after its POST, one kept-alive session a process; the body signed as
Hookline signs it. Nothing is stored about an outcome. Run as a program, it puts tasks into the stream.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from typing import Final

import aiohttp
import uvloop
from taskiq import TaskiqEvents, TaskiqState
from taskiq_redis import RedisStreamBroker

from bench.bodies import call_bodies, signed_headers

_TIMEOUT: Final = aiohttp.ClientTimeout(total=15, sock_connect=5)
_PRODUCERS: Final = 64

broker = RedisStreamBroker(os.environ["BENCH_REDIS_URL"])


async def open_session(state: TaskiqState) -> None:
    """One session for all POSTs of a worker process."""
    state.session = aiohttp.ClientSession(timeout=_TIMEOUT)


async def close_session(state: TaskiqState) -> None:
    """Hang up."""
    await state.session.close()


async def deliver(url: str, event_id: str, body: str) -> None:
    """Make one POST. An answer other than 2xx raises, as it would to be tried again."""
    raw = body.encode()
    headers = signed_headers(event_id, raw)
    async with broker.state.session.post(url, data=raw, headers=headers, allow_redirects=False) as answer:
        await answer.read()
        answer.raise_for_status()


broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, open_session)
broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, close_session)
task = broker.register_task(deliver, task_name="deliver")


async def _enqueue(url: str, count: int) -> None:
    bodies = [body.decode() for body in call_bodies(count)]
    numbers: Iterator[int] = iter(range(count))

    async def produce() -> None:
        for number in numbers:
            await task.kiq(url, f"evt_{number:026d}", bodies[number % len(bodies)])

    await broker.startup()
    print(time.time_ns())
    await asyncio.gather(*(produce() for _ in range(_PRODUCERS)))
    await broker.shutdown()


def main() -> None:
    """Queue deliveries (`python -m bench.baseline_taskiq URL COUNT`); print when the first was, in nanoseconds."""
    uvloop.run(_enqueue(sys.argv[1], int(sys.argv[2])))


if __name__ == "__main__":
    main()

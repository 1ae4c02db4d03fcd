"""Large bodies are checked beside the event loop, and lists of meetings have bounds."""

import asyncio
import threading

from hookline.api.long_work import SHORT_BODY, LongWork
from tests.patience import PATIENCE_SECONDS

LARGE = b"x" * (SHORT_BODY + 1)


def test_the_event_loop_goes_on_while_a_large_body_is_checked() -> None:
    let_go = threading.Event()

    async def scenario() -> str:
        checking = asyncio.ensure_future(LongWork().check(LARGE, lambda: let_go.wait(PATIENCE_SECONDS)))
        asyncio.get_running_loop().call_soon(let_go.set)  # only a loop that goes on does so
        assert await checking
        return "checked"

    assert asyncio.run(scenario()) == "checked"


def test_one_large_body_is_checked_at_a_time() -> None:
    under_way, most = 0, 0
    lock = threading.Lock()

    def check() -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        with lock:
            under_way -= 1

    async def scenario() -> None:
        work = LongWork()
        await asyncio.gather(*(work.check(LARGE, check) for _ in range(50)))

    asyncio.run(scenario())
    assert most == 1


def test_a_short_body_is_checked_at_once_in_the_thread_of_the_loop() -> None:
    async def scenario() -> None:
        here = threading.current_thread()
        assert await LongWork().check(b"x" * SHORT_BODY, threading.current_thread) is here
        assert await LongWork().check(LARGE, threading.current_thread) is not here

    asyncio.run(scenario())

"""Large bodies are read and checked in a thread, so that the event loop goes on with starts and deliveries meanwhile.

A thousand meetings in a body take some tenths of a second of processor time. One thread does all of this, so one large
body is taken apart at a time.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from hookline.api.politeness import polite

T = TypeVar("T")
P = ParamSpec("P")

#: Bytes of a body up to which it is checked on the event loop, which takes less time than a thread needs to begin, and
#: up to which all its faults are told at once.
SHORT_BODY: Final = 24 * 1024


class LongWork:
    """One thread for what would hold up the event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hookline-check")

    async def check(self, body: bytes, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` makes of a body: at once of a short one, in the thread of a larger one."""
        if len(body) <= SHORT_BODY:
            return function(*args, **kwargs)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: _politely(function, *args, **kwargs))


def _politely(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with polite():
        return function(*args, **kwargs)

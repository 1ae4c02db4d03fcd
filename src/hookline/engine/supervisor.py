"""The supervisor: keeps the loops running, and knows whether they do."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from hookline.errors import Unavailable
from hookline.ports.clock import Clock

Loop = Callable[[], Awaitable[None]]

#: How long a loop that failed is left alone before it runs again.
PAUSE: Final = timedelta(seconds=1)

_log = logging.getLogger("hookline.supervisor")


class Supervisor:
    """Runs loops that never end; one that fails is logged, and runs again after a pause."""

    def __init__(self, clock: Clock, loops: Mapping[str, Loop]) -> None:
        self._clock = clock
        self._loops = loops
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failing: set[str] = set()

    def start(self) -> None:
        """Run every loop from now on."""
        for name, loop in self._loops.items():
            self._tasks[name] = asyncio.create_task(self._run(name, loop), name=name)

    async def stop(self, *names: str) -> None:
        """End these loops, or all of them, wherever they wait."""
        ending = [self._tasks.pop(name) for name in names or tuple(self._tasks) if name in self._tasks]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def failing(self) -> list[str]:
        """The loops that rest after a failure, or do not run at all."""
        return sorted(self._failing | (set(self._loops) - set(self._tasks)))

    async def _run(self, name: str, loop: Loop) -> None:
        while True:
            try:
                self._failing.discard(name)
                await loop()
            except Unavailable as refusal:
                _log.warning("loop.waits name=%s error=%r", name, refusal.message)
            except Exception:  # noqa: BLE001  no mistake may end a loop for good
                _log.exception("loop.failed name=%s", name)
            self._failing.add(name)
            await self._clock.sleep_until(self._clock.now() + PAUSE)

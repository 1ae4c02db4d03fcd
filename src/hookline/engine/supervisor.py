"""The supervisor: keeps the loops running, and knows whether they do."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from hookline.errors import Unavailable
from hookline.ports.clock import Clock

Loop = Callable[[], Awaitable[None]]

#: How long a loop that failed is left alone before it runs again.
PAUSE: Final = timedelta(seconds=1)
#: A loop that failed twice or more counts as failing until it has run for this long.
STEADY_SECONDS: Final = 10.0

_log = logging.getLogger("hookline.supervisor")


class Supervisor:
    """Runs loops that never end; one that fails is logged, and runs again after a pause."""

    def __init__(self, clock: Clock, loops: Mapping[str, Loop]) -> None:
        self._clock = clock
        self._loops = loops
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._running_since: dict[str, float] = {}  # monotonic; without the loops that rest after a failure
        self._failures = Counter[str]()  # in succession, with less than STEADY_SECONDS between them

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
        """The loops that do not run, or that failed again and again until now."""
        return sorted(name for name in self._loops if name not in self._tasks or self._is_failing(name))

    def _is_failing(self, name: str) -> bool:
        since = self._running_since.get(name, self._clock.monotonic())
        is_steady = self._clock.monotonic() - since >= STEADY_SECONDS
        rests = self._failures[name] > 0 and name not in self._running_since
        return rests or (self._failures[name] > 1 and not is_steady)

    async def _run(self, name: str, loop: Loop) -> None:
        while True:
            self._running_since[name] = self._clock.monotonic()
            try:
                await loop()
            except Unavailable as refusal:
                _log.warning("loop.waits name=%s error=%r", name, refusal.for_operator)
            except Exception:  # noqa: BLE001  no mistake may end a loop for good
                _log.exception("loop.failed name=%s", name)
            ran_for = self._clock.monotonic() - self._running_since.pop(name)
            self._failures[name] = 1 if ran_for >= STEADY_SECONDS else self._failures[name] + 1
            await self._clock.pause(PAUSE.total_seconds())

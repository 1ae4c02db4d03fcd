"""A bell: how a loop sleeps until an instant, or until somebody has work for it."""

import asyncio
from datetime import datetime

from hookline.ports.clock import Clock


class Bell:
    """Rung from the event loop; rings before anybody listens are kept (as one)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake whoever waits."""
        self._rung.set()

    async def wait(self, until: datetime | None = None) -> None:
        """Return when the bell was rung since the last wait, or when `until` is reached."""
        if until is None:
            await self._rung.wait()
        elif not self._rung.is_set():
            await self._first_of(until)
        self._rung.clear()

    async def _first_of(self, until: datetime) -> None:
        waits = [
            asyncio.ensure_future(self._rung.wait()),
            asyncio.ensure_future(self._clock.sleep_until(until)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

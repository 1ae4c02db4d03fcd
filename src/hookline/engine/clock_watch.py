"""The clock watch: plans anew what a wrong clock has planned; see `services/clock_repair.py`."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from hookline.ports.clock import Clock
from hookline.ports.storage import Database
from hookline.services import clock_repair

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: How often the clock is looked at, which costs nothing, and after how many looks the store is asked all the same.
EVERY: Final = timedelta(minutes=1)
LOOKS: Final = 60
#: A clock that goes back by less was corrected, not wrong.
JUMP: Final = timedelta(minutes=1)

_log = logging.getLogger("hookline.clock")


class ClockWatch:
    """Run `watch_forever`. Several nodes may: what is repaired is found by nobody else."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def watch_forever(self) -> None:
        """Look at once, since the clock may have been set right while nothing ran; then when it goes back, and hourly.

        Another node may have planned something under a clock of its own, which only the store tells.
        """
        while True:
            if await self._database.read(clock_repair.is_repair_needed):
                repaired = await self._database.write(clock_repair.repair)
                _log.warning("clock.was_wrong replanned=%d", repaired)
            await self._reason_to_ask()

    async def _reason_to_ask(self) -> None:
        """Return when the clock has gone back, or after an hour."""
        for _ in range(LOOKS):
            before = self._ahead_of_monotonic()
            await self._clock.pause(EVERY.total_seconds())
            if self._ahead_of_monotonic() < before - JUMP:
                return

    def _ahead_of_monotonic(self) -> timedelta:
        return self._clock.now() - _EPOCH - timedelta(seconds=self._clock.monotonic())

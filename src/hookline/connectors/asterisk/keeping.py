"""Keeping: reports are written down in the order in which their calls ended, while the connection is read on.

An Asterisk closes the connection of whoever does not read, so nothing waits here for the store. Of a call that is
reported again before it was written down only the later report counts: it has all that the earlier one had.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from hookline.connectors.pausing import rest
from hookline.errors import HooklineError
from hookline.ports.clock import Clock
from hookline.ports.connectors import Report, TakeIn

#: Calls that may wait for a store that does not answer: hours of a busy system.
MOST: Final = 20_000
_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0

_log = logging.getLogger("hookline.connectors.asterisk")


class Keeper:
    """Reports that are to be written down."""

    def __init__(self, take_in: TakeIn, clock: Clock) -> None:
        self._take_in = take_in
        self._clock = clock
        self._waiting: dict[str, Report] = {}
        self._news = asyncio.Event()

    def __len__(self) -> int:
        """How many calls are not yet written down."""
        return len(self._waiting)

    def put(self, reports: Iterable[Report]) -> None:
        """Have them written down soon."""
        for report in reports:
            self._waiting[report.call_key] = report
            self._news.set()
        while len(self._waiting) > MOST:
            lost = next(iter(self._waiting))
            del self._waiting[lost]
            _log.error("asterisk.call_lost key=%r waiting=%d", lost, MOST)

    async def run(self) -> None:
        """Write down what there is and what comes, until cancelled."""
        pause = _PAUSE_SECONDS
        while True:
            await self._news.wait()
            self._news.clear()
            if await self.flush():
                pause = _PAUSE_SECONDS
            else:
                await rest(self._clock, pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                self._news.set()

    async def flush(self) -> bool:
        """Try each that waits once. Returns whether none is left of those."""
        is_done = True
        for report in tuple(self._waiting.values()):
            try:
                await self._take_in(report)
            except HooklineError as refusal:
                _log.warning("asterisk.call_waits key=%r error=%r", report.call_key, refusal.message)
                is_done = False
            except Exception:  # noqa: BLE001  no mistake with one call may hold up the others
                _log.exception("asterisk.call_waits key=%r", report.call_key)
                is_done = False
            else:
                if self._waiting.get(report.call_key) is report:
                    del self._waiting[report.call_key]
        return is_done

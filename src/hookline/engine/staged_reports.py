"""Staged reports: applies what is left of a batch whose request has died with its process, or with its store.

Who accepts a large batch also applies it, while its caller waits. Any node goes on with a batch that has been left for
a while; if it was not left but only slow, two apply it at once, which does no harm.
"""

import logging
from datetime import timedelta
from typing import Final

from hookline.engine.bell import Bell
from hookline.ports.clock import Clock
from hookline.ports.storage import Database, News
from hookline.services import report_batches

#: How old a batch is when it counts as left. Most are applied within a second.
LEFT_FOR: Final = timedelta(seconds=10)

_log = logging.getLogger("hookline.batches")


class StagedReports:
    """Run `apply_forever`; hear the store's news through `committed`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._staged = Bell(clock)

    def committed(self, news: News) -> None:
        """Look again when a batch may have been staged."""
        if news.processes:
            self._staged.ring()

    async def apply_forever(self) -> None:
        """Apply slices of what was left, the oldest first, then sleep until something is."""
        while True:
            left_until = await self._database.read(report_batches.left_until, LEFT_FOR)
            if left_until is None or left_until > self._clock.now():
                await self._staged.wait(until=left_until)
            elif await self._database.write(report_batches.apply_left, LEFT_FOR):
                _log.info("batch.goes_on")

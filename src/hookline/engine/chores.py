"""Chores: what is done now and then, in small steps that delay nobody."""

from datetime import timedelta
from typing import Final

from hookline.ports.clock import Clock
from hookline.ports.storage import Database
from hookline.services import deliveries, idempotency, retention

EVERY: Final = timedelta(hours=1)
#: Rows of a table in one step.
STEP: Final = 500
#: Pieces of files in one step: they are far larger than rows.
PIECES: Final = 20


class Chores:
    """Tidies the store. Run `tidy_forever`."""

    def __init__(self, database: Database, clock: Clock, keep_for: timedelta) -> None:
        """Events older than `keep_for` are forgotten."""
        self._database = database
        self._clock = clock
        self._keep_for = keep_for

    async def tidy_forever(self) -> None:
        """Forget, each hour, what is too old, what nobody can ask for and what nobody will send any more."""
        while True:
            await self._database.write(deliveries.withdraw_abandoned)
            await self._database.tend(self._keep_for)
            while await self._database.write(idempotency.forget_old_answers, STEP):
                continue
            while await self._database.write(retention.forget_old_events, self._keep_for, STEP):
                continue
            while await self._database.write(retention.forget_old_files, PIECES):
                continue
            while await self._database.write(retention.forget_old_processes, self._keep_for, STEP):
                continue
            await self._clock.sleep_until(self._clock.now() + EVERY)

"""Chores: what is done now and then, in small steps that delay nobody."""

from datetime import timedelta
from typing import Final

from hookline.ports.clock import Clock
from hookline.ports.storage import Database
from hookline.services import idempotency

EVERY: Final = timedelta(hours=1)
#: Rows in one step.
STEP: Final = 500


class Chores:
    """Tidies the store. Run `tidy_forever`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def tidy_forever(self) -> None:
        """Forget what nobody can ask for any more, each hour."""
        while True:
            while await self._database.write(idempotency.forget_old_answers, STEP) == STEP:
                pass
            await self._clock.sleep_until(self._clock.now() + EVERY)

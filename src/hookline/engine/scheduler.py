"""The scheduler: sleeps until the next timer is due, and fires what is due, each once.

On several nodes each has one, and none of them leads: all wake at the same instant, one is first, and the others find
nothing left. What fires a timer also removes it, in one commit; a node that dies before that commit has fired nothing,
and the next one to look fires it.
"""

from typing import Final

from hookline.engine.bell import Bell
from hookline.ports.clock import Clock
from hookline.ports.storage import Database, News
from hookline.services import timers

#: Timers fired in one transaction: the first of many leave early, and bookings get in between.
BATCH: Final = 100


class Scheduler:
    """Fires timers. Run `fire_forever`; hear the store's news through `committed`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._moved = Bell(clock)

    def committed(self, news: News) -> None:
        """Look again when a timer was set or moved."""
        if news.timers:
            self._moved.ring()

    async def fire_forever(self) -> None:
        """Fire what is due, then sleep until something is. What became due while nothing ran fires first.

        Whoever is woken for nothing only reads: several nodes wake one another, and the store has one writer.
        """
        while True:
            due_at = await self._database.read(timers.next_timer_at)
            if due_at is not None and due_at <= self._clock.now():
                await self._database.write(timers.fire_due, BATCH)
            else:
                await self._moved.wait(until=due_at)

"""Deadlines: waiting that ends.

`in_time` sets an alarm of its own for each wait. `Deadlines` is for the many waits of one length that are under way at
the same time: the first to begin is the first to be over, so one alarm serves all of them.
"""

import asyncio
from functools import partial
from typing import TypeVar

from hookline.ports.clock import Alarm, Clock

T = TypeVar("T")


class TooLate(Exception):
    """The time allowed for something has passed."""


async def in_time(clock: Clock, seconds: float, awaited: asyncio.Future[T]) -> T:
    """What `awaited` comes to, unless that takes longer than `seconds`.

    Raises:
        TooLate: it did.
    """
    alarm = clock.alarm(seconds, partial(_ring, awaited))
    try:
        return await awaited
    finally:
        alarm.cancel()
        # The traceback of what was raised holds this frame. A frame that holds the raised in turn closes a circle,
        # which lasts until garbage is collected; and receivers that time out may be many.
        del awaited


class Deadlines:
    """Waits that all take the same number of seconds at most, counted from the moment at which they begin."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._over_at: dict[asyncio.Future[None], float] = {}  # in the order in which they began
        self._alarm: Alarm | None = None

    async def in_time(self, began: float, awaited: asyncio.Future[None]) -> None:
        """Wait for `awaited`, which began just now: at `began`, in monotonic seconds.

        Raises:
            TooLate: the seconds passed.
        """
        self._over_at[awaited] = began + self._seconds
        if self._alarm is None:
            self._alarm = self._clock.alarm(self._seconds, self._look)
        try:
            await awaited
        finally:
            del self._over_at[awaited]
            if not self._over_at and self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None
            del awaited  # as in the other

    def _look(self) -> None:
        """End what is over, and look again when the next may be."""
        self._alarm, now = None, self._clock.monotonic()
        for awaited, over_at in self._over_at.items():
            if over_at > now and not awaited.done():
                self._alarm = self._clock.alarm(over_at - now, self._look)
                return
            _ring(awaited)


def _ring(awaited: asyncio.Future[T]) -> None:
    # An exception, not a cancellation: whoever cancels the waiting task is never mistaken for the alarm.
    if not awaited.done():
        awaited.set_exception(TooLate())

"""Keeping: reports, and how the connection stands, are written down while the connection is read on.

An Asterisk closes the connection of whoever does not read, so nothing waits here for the store. Of a call that is
reported again before it was written down only the later report counts: it has all that the earlier one had.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from typing import Final

from hookline.errors import HooklineError
from hookline.ports.clock import Clock
from hookline.ports.connectors import Report, Stand, TakeIn

#: Calls that may wait for a store that does not answer: hours of a busy system.
MOST: Final = 20_000
_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
#: How long who is to stop still waits for the store.
_LAST_SECONDS: Final = 5.0

_log = logging.getLogger("hookline.connectors.asterisk")


class Keeper:
    """What is to be written down."""

    def __init__(self, take_in: TakeIn, stand: Stand, clock: Clock) -> None:
        self._take_in = take_in
        self._stand = stand
        self._stands: tuple[str, str] | None = None  # how it stands
        self._told: tuple[str, str] | None = None  # how it stood when that was written down last
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

    def tell(self, state: str, error: str) -> None:
        """Have it written down soon how the connection stands."""
        self._stands = state, error
        self._news.set()

    async def run(self) -> None:
        """Write down what there is and what comes, until cancelled."""
        pause = _PAUSE_SECONDS
        while True:
            await self._news.wait()
            self._news.clear()
            if await self.flush():
                pause = _PAUSE_SECONDS
            else:
                await self._clock.pause(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                self._news.set()

    async def flush(self) -> bool:
        """Try each that waits once. Returns whether none is left of those."""
        is_done = True
        if (stands := self._stands) is not None and stands != self._told:
            is_done = await self._is_kept(self._stand(*stands), "state")
            self._told = stands if is_done else self._told
        for key, report in tuple(self._waiting.items()):
            if not await self._is_kept(self._take_in(report), key):
                is_done = False
            elif self._waiting.get(key) is report:
                del self._waiting[key]
        return is_done

    async def last(self) -> None:
        """Write down what is left, in a short time: whoever stops us waits."""
        flushing = asyncio.ensure_future(self.flush())
        late = asyncio.ensure_future(self._clock.pause(_LAST_SECONDS))
        try:
            await asyncio.wait({flushing, late}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            flushing.cancel()
            late.cancel()
        await asyncio.gather(flushing, late, return_exceptions=True)
        if self._waiting:
            _log.error("asterisk.calls_lost calls=%d", len(self._waiting))

    async def _is_kept(self, keeping: Awaitable[None], what: str) -> bool:
        try:
            await keeping
        except HooklineError as refusal:
            _log.warning("asterisk.waits for=%r error=%r", what, refusal.message)
            return False
        except Exception:  # noqa: BLE001  no mistake with one call may hold up the others
            _log.exception("asterisk.waits for=%r", what)
            return False
        return True

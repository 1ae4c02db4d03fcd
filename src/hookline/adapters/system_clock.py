"""The real clock: the one place of the product that reads the time or sleeps."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from hookline.ports.clock import Alarm

#: How long a change of the machine's time may go unnoticed by a sleeper.
_GLANCE_SECONDS: Final = 1.0
#: A wait shorter than what event loops resolve would spin.
_SHORTEST_SECONDS: Final = 0.001


class SystemClock:
    """`ports.clock.Clock` on the machine's clocks and the running event loop."""

    monotonic = staticmethod(time.monotonic)

    def now(self) -> datetime:
        """The machine's wall time, aware UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, instant: datetime) -> None:
        """Sleep in slices, looking at the wall between them: it may have been set meanwhile."""
        while (left := (instant - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - the wall is no event
            await asyncio.sleep(min(max(left, _SHORTEST_SECONDS), _GLANCE_SECONDS))

    def alarm(self, after_seconds: float, ring: Callable[[], None]) -> Alarm:
        """Ring on the running loop. `after_seconds` below zero rings at once, on the loop's next turn."""
        return asyncio.get_running_loop().call_later(max(after_seconds, 0.0), ring)

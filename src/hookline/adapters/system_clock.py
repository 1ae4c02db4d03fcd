"""The real clock: the one place of the product that reads the time or sleeps."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from hookline.ports.clock import Alarm

#: How long a change of the machine's time may go unnoticed by a sleeper.
_GLANCE_SECONDS: Final = 1.0
#: A wait shorter than what event loops resolve would spin.
_SHORTEST_SECONDS: Final = 0.001


class SystemClock:
    """`ports.clock.Clock` on the machine's clocks and the running event loop."""

    monotonic = staticmethod(time.monotonic)

    def agree(self, instant: datetime) -> None:
        """Somebody else says that it is this instant. This clock is the machine's, and does not mind."""

    def now(self) -> datetime:
        """The machine's wall time, aware UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, instant: datetime) -> None:
        """Sleep in slices, looking at the wall between them: it may have been set meanwhile."""
        while (left := (instant - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - the wall is no event
            await asyncio.sleep(min(max(left, _SHORTEST_SECONDS), _GLANCE_SECONDS))

    async def pause(self, seconds: float) -> None:
        """Sleep whatever the wall says. Below zero is one turn of the loop."""
        await asyncio.sleep(max(seconds, 0.0))

    def alarm(self, after_seconds: float, ring: Callable[[], None]) -> Alarm:
        """Ring on the running loop. `after_seconds` below zero rings at once, on the loop's next turn."""
        return asyncio.get_running_loop().call_later(max(after_seconds, 0.0), ring)


class ServerClock(SystemClock):
    """The clock of a server, as a machine beside it knows it: nodes that share a server measure leases by one clock.

    It follows what the server was heard to say last, and between two words of it the machine's clocks: the one that has
    gone further, since the wall may be set back and the other stands still while the machine sleeps. To be early with
    the end of a lease does no harm. It is behind the server by as long as its word was on the way.
    """

    def __init__(self) -> None:
        self._heard: tuple[datetime, datetime, float] | None = None

    def agree(self, instant: datetime) -> None:
        """The server says that it is this instant now. From any thread."""
        self._heard = instant, super().now(), self.monotonic()

    def now(self) -> datetime:
        """The server's time, aware UTC; the machine's before anything was heard."""
        if self._heard is None:
            return super().now()
        said, wall, monotonic = self._heard
        return said + max(super().now() - wall, timedelta(seconds=self.monotonic() - monotonic))

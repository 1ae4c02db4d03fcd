"""Time, as the product sees it. The only real one is `adapters/system_clock.py`; tests hold a manual one."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol


class Alarm(Protocol):
    """Something set to ring once."""

    def cancel(self) -> None:
        """Never ring. Harmless when it has rung or was cancelled."""


class Clock(Protocol):
    """Where instants, durations and waiting come from."""

    def now(self) -> datetime:
        """The instant, aware UTC. It may jump when the machine's time is set."""

    def monotonic(self) -> float:
        """Seconds since some fixed point: only differences mean something, and they are never negative."""

    async def sleep_until(self, instant: datetime) -> None:
        """Return when `now()` has reached `instant`, never before, also when the machine's time is set meanwhile."""

    async def pause(self, seconds: float) -> None:
        """Return after so many seconds of monotonic time.

        For the pauses of loops: to sleep until an instant is right for what is due then, but a pause that began while
        the machine's time was a year ahead would last a year once that is set right.
        """

    def alarm(self, after_seconds: float, ring: Callable[[], None]) -> Alarm:
        """Call `ring` once on the event loop, `after_seconds` of monotonic time from now."""

"""The pace of a webhook that has a limit: when attempts on it may be begun, and how many are worth holding.

Attempts stand 1 / limit apart, the first one goes at once. Timers cannot tell much less than a millisecond, so of fast
webhooks a few go together, what a hundredth of a second has room for, and the next few when that time is over. It is
counted from when the latest were really begun: who is late catches up on nothing, so no second ever sees more.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hookline.ports.clock import Alarm, Clock

#: What may be begun within this time is begun together.
_TOGETHER_SECONDS: Final = 0.01
#: What can be begun within this time may be held; a stop gives it back, and it is far less than a lease.
_HORIZON_SECONDS: Final = 10


@dataclass(slots=True)
class Pace:
    """When attempts on one webhook were begun, and may be again. It outlives the lane and changes of the limit."""

    per_second: float
    begun_at: float = -math.inf  # of the latest, in monotonic seconds
    _alarm: Alarm | None = None

    @property
    def together(self) -> int:
        """How many are begun at the same moment."""
        return max(int(self.per_second * _TOGETHER_SECONDS), 1)

    @property
    def soon(self) -> int:
        """How many waiting claims are worth holding."""
        return max(int(self.per_second * _HORIZON_SECONDS), 1)

    @property
    def next_at(self) -> float:
        """When the next may be begun."""
        if self.together == 1:
            return self.begun_at + 1 / self.per_second
        return self.begun_at + 1 / (self.per_second // self.together)

    def begin(self, wanted: int, now: float) -> int:
        """Begin up to `wanted` attempts. Returns how many may be begun now."""
        if wanted <= 0 or now < self.next_at:
            return 0
        self.begun_at = now
        return min(wanted, self.together)

    def wake_at_next(self, clock: Clock, ring: Callable[[], None]) -> None:
        """Call `ring` when the next may be begun, in place of whatever was to be called."""
        self.sleep()
        self._alarm = clock.alarm(self.next_at - clock.monotonic(), ring)

    def sleep(self) -> None:
        """Call nobody."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

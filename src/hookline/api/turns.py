"""Clients with a known key are answered at once; strangers are answered so many in a second, in their order.

A client whose last request was refused is treated as a stranger. A flood of requests without a key, with a wrong key or
in no valid form therefore waits for its own turns. The event loop keeps most of its time for known clients and for
deliveries, and while a request waits the interpreter's lock is handed over often (`api/politeness.py`).
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from hookline.api.politeness import be_polite, be_usual
from hookline.ports.clock import Clock

#: Requests of strangers that are begun with in a second. Each takes 0.2 to 0.5 ms of the event loop.
PER_SECOND: Final = 400
#: Requests of strangers that are begun with at once after a pause.
AT_ONCE: Final = 16
#: How often those who wait are looked after.
TURN_SECONDS: Final = 0.005


class Turns:
    """One for a server, asked by each of its connections for each request of a stranger."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[Callable[[], None]] = deque()
        self._room = float(AT_ONCE)  # requests that may be begun with
        self._counted_at = 0.0  # in monotonic seconds

    def take(self, begin: Callable[[], None]) -> None:
        """Call `begin` when it is this request's turn: now if nobody waits and there is room."""
        if not self._waiting and self._has_room():
            begin()
            return
        self._waiting.append(begin)
        if len(self._waiting) == 1:
            be_polite()
            self._clock.alarm(TURN_SECONDS, self._go_on)

    def _go_on(self) -> None:
        while self._waiting and self._has_room():
            self._waiting.popleft()()
        if self._waiting:
            self._clock.alarm(TURN_SECONDS, self._go_on)
        else:
            be_usual()

    def _has_room(self) -> bool:
        """Take the room of one request, if there is any."""
        now = self._clock.monotonic()
        self._room = min(self._room + (now - self._counted_at) * PER_SECOND, AT_ONCE)
        self._counted_at = now
        if self._room < 1:
            return False
        self._room -= 1
        return True

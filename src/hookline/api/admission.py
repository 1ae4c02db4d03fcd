"""How many clients may be connected, and how much of their unfinished requests and untaken answers may be held in all.

One object for a server, asked by each of its connections. Beyond the limit there is a small reserve of connections for
whoever only asks how the server is, so that an orchestrator is answered while a flood is refused.
"""

import logging
from enum import Enum
from typing import Final

from hookline.api.http_messages import UNAVAILABLE
from hookline.api.request_reader import Refused
from hookline.ports.clock import Clock

#: How often the log says that connections are refused.
SAID_EVERY_SECONDS: Final = 60.0
#: Connections beyond the limit that only tell how the server is.
RESERVE: Final = 32
#: Connections beyond those that are told that there are too many; more are closed without a word.
TOLD: Final = 128
#: Bytes of unfinished requests that all connections together may hold.
MAX_HELD_BYTES: Final = 48 * 1024 * 1024
#: Bytes that each may hold nevertheless.
FAIR_SHARE_BYTES: Final = 8 * 1024
#: Bytes of answers that clients have not taken yet, of all connections together.
MAX_UNTAKEN_BYTES: Final = 48 * 1024 * 1024
#: An answer of up to so many bytes is sent nevertheless.
SMALL_ANSWER_BYTES: Final = 16 * 1024

_log = logging.getLogger("hookline.connections")


class Admitted(Enum):
    """What a new connection may do."""

    FULLY = "anything"
    FOR_STATUS = "ask how the server is, once"
    TO_BE_TOLD = "hear that there are too many"
    NOT = "nothing"


class Admission:
    """Counts connections and bytes against their limits."""

    def __init__(
        self,
        clock: Clock,
        max_connections: int,
        *,
        status_paths: frozenset[str] = frozenset(),
        max_held_bytes: int = MAX_HELD_BYTES,
        max_untaken_bytes: int = MAX_UNTAKEN_BYTES,
    ) -> None:
        """Let in up to `max_connections`; `status_paths` may be asked for by those of the reserve."""
        self.status_paths = status_paths
        self._clock = clock
        self._max_connections = max_connections
        self._max_held_bytes = max_held_bytes
        self._max_untaken_bytes = max_untaken_bytes
        self._held_bytes = 0
        self._untaken_bytes = 0
        self._said_at = -SAID_EVERY_SECONDS
        self._refused = 0

    def has_room(self, connections: int) -> bool:
        """Whether one more than so many connections is at least told something."""
        if connections < self._max_connections + RESERVE + TOLD:
            return True
        self._say()
        return False

    def admit(self, connections: int) -> Admitted:
        """What the newest of so many connections may do."""
        beyond = connections - self._max_connections
        if beyond <= 0:
            return Admitted.FULLY
        self._say()
        if beyond <= RESERVE:
            return Admitted.FOR_STATUS
        return Admitted.TO_BE_TOLD if beyond <= RESERVE + TOLD else Admitted.NOT

    def hold(self, before: int, now: int) -> bool:
        """Count what one connection holds, in bytes, before and now. False: it holds more than there is room for."""
        self._held_bytes += now - before
        return self._held_bytes <= self._max_held_bytes or now <= max(before, FAIR_SHARE_BYTES)

    def leave(self, before: int, now: int) -> None:
        """Count the bytes that one client has not taken yet, before and now."""
        self._untaken_bytes += now - before

    def may_send(self, size: int) -> bool:
        """Whether there is room for one more answer of this size, in bytes."""
        return size <= SMALL_ANSWER_BYTES or self._untaken_bytes + size <= self._max_untaken_bytes

    def _say(self) -> None:
        """Log that the limit is reached, at most once in a minute, with how many came beyond it since."""
        self._refused += 1
        now = self._clock.monotonic()
        if now - self._said_at >= SAID_EVERY_SECONDS:
            _log.warning("connections.limit_reached limit=%d beyond=%d", self._max_connections, self._refused)
            self._said_at, self._refused = now, 0


def too_many_connections() -> Refused:
    """The refusal of a connection beyond the limit."""
    return Refused(UNAVAILABLE, "unavailable", "There are too many connections to this server.")


def too_much_held() -> Refused:
    """The refusal of a request for which there is no room until it is whole."""
    return Refused(UNAVAILABLE, "unavailable", "There are too many unfinished requests at this server; ask again.")


def too_much_untaken() -> Refused:
    """What takes the place of an answer for which there is no room."""
    return Refused(UNAVAILABLE, "unavailable", "Too many answers wait for clients that do not read them.")

"""Pauses between two connections to the same system, for all connectors that hold one."""

from collections.abc import Callable
from typing import Final

#: The first pause, and the longest. Who was refused waits for the longest at once.
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 30.0
#: A connection that lasted so long was a good one: after it pauses begin with the first again.
GOOD_SECONDS: Final = 30.0


class Pauses:
    """Growing pauses, each up to a fifth shorter, so that many who lost one system do not come back all at once."""

    def __init__(self, dice: Callable[[], float]) -> None:
        """`dice` draws from [0, 1)."""
        self._dice = dice
        self._tries = 0  # since the last connection that was good

    def lasted(self, seconds: float) -> None:
        """A connection ended that was there for so long."""
        if seconds >= GOOD_SECONDS:
            self._tries = 0

    def seconds(self, *, is_refused: bool = False) -> float:
        """How long to wait before the next."""
        self._tries += 1
        growing = min(FIRST_PAUSE_SECONDS * 2 ** min(self._tries - 1, 10), LONGEST_PAUSE_SECONDS)
        return (LONGEST_PAUSE_SECONDS if is_refused else growing) * (1 - 0.2 * self._dice())

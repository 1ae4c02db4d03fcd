"""Asterisk, over its manager interface (AMI): one connection, on which it tells all that happens.

`link.py` is a connection, and `framing.py` what its bytes are; `login.py` lets us in. `hearing.py` makes calls of what
is said, with `words.py`; `keeping.py` writes them down; `holding.py` does all this again and again.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from hookline.connectors.asterisk.holding import Holding
from hookline.connectors.asterisk.settings import read_settings, written
from hookline.ports.clock import Clock
from hookline.ports.connectors import Known, Stand, TakeIn

#: Messages about a call come beside one another: a mailbox may tell after the last hang-up that it has a message.
_WAITS: Final = timedelta(seconds=1)


class Asterisk:
    """`ports.connectors.Held` for Asterisk 13 and later."""

    kind: Final = "asterisk"
    secrets: Final = frozenset({"secret"})
    waits: Final = _WAITS

    def __init__(self, clock: Clock, dice: Callable[[], float]) -> None:
        """`dice` draws from [0, 1)."""
        self._clock = clock
        self._dice = dice

    def check(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings, complete.

        Raises:
            Invalid: one is missing, wrong or unknown; names it as `settings.name`.
        """
        return written(read_settings(settings))

    async def hold(self, settings: Mapping[str, Any], take_in: TakeIn, stand: Stand, known: Known) -> None:
        """Stay connected until cancelled, again and again with growing pauses, and report what is over."""
        await Holding(read_settings(settings), self._clock, self._dice, take_in, stand, known).run()

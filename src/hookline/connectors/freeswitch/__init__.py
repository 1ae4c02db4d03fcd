"""FreeSWITCH: mod_json_cdr posts each leg when it is over; an event socket, if there is one, tells of messages left.

`body.py` is what is posted, `words.py` what it means, `causes.py` why a leg ended. `framing.py`, `link.py` and
`hearing.py` are the event socket, and `holding.py` stays connected to it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from hookline.connectors.freeswitch.body import read_record, require_credentials
from hookline.connectors.freeswitch.holding import Holding
from hookline.connectors.freeswitch.names import names_of
from hookline.connectors.freeswitch.settings import read_settings, written
from hookline.connectors.freeswitch.words import facts
from hookline.connectors.pausing import rest
from hookline.ports.clock import Clock
from hookline.ports.connectors import Posted, Report, Stand, TakeIn

#: Each leg is posted by itself, and one that was not taken is posted again 5 s later, unless told otherwise. A message
#: in a mailbox is told before the leg that left it is over.
_WAITS: Final = timedelta(seconds=7)
_DAY_SECONDS: Final = 86_400.0


class FreeSwitch:
    """`ports.connectors.Called` and `ports.connectors.Held` for FreeSWITCH 1.8 and later."""

    kind: Final = "freeswitch"
    secrets: Final = frozenset({"password", "eslPassword"})
    waits: Final = _WAITS

    def __init__(self, clock: Clock, dice: Callable[[], float]) -> None:
        """`dice` draws from [0, 1)."""
        self._clock = clock
        self._dice = dice

    def check(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings, complete.

        Raises:
            Invalid: one is wrong or unknown; names it as `settings.name`.
        """
        return written(read_settings(settings))

    def read(self, posted: Posted, settings: Mapping[str, Any]) -> Sequence[Report]:
        """One leg that is over."""
        ours = read_settings(settings)
        require_credentials(posted.headers.get("authorization", ""), ours)
        record = read_record(posted.body)
        return (Report(call_key=record.uuid, facts=facts(record, ours), names=names_of(record)),)

    async def hold(self, settings: Mapping[str, Any], take_in: TakeIn, stand: Stand) -> None:
        """Stay connected to the event socket until cancelled. Without one there is nothing to be connected to."""
        ours = read_settings(settings)
        if ours.esl_host:
            await Holding(ours, self._clock, self._dice, take_in, stand).run()
            return
        await stand("connected", "")
        while True:
            await rest(self._clock, _DAY_SECONDS)

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
from hookline.ports.clock import Clock
from hookline.ports.connectors import Known, Posted, Report, Stand, TakeIn

#: Each leg is posted by itself, and one that was not taken is posted again 5 s later, unless told otherwise. A message
#: in a mailbox is told before the leg that left it is over.
_WAITS: Final = timedelta(seconds=7)
#: Those who stay in a conference tell of it when they leave.
_CONFERENCE: Final = timedelta(minutes=10)
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
        follows = _CONFERENCE if record.get("conference_uuid") else timedelta(0)
        told = Report(
            call_key=record.uuid, facts=facts(record, ours), names=names_of(record), others_follow=follows
        )  # fmt: skip
        return (told,)

    @property
    def repeats_refusals(self) -> bool:
        """What is refused is posted again, and kept in `err-log-dir` in the end: also what can never be an event."""
        return True

    async def hold(self, settings: Mapping[str, Any], take_in: TakeIn, stand: Stand, _: Known) -> None:
        """Stay connected to the event socket until cancelled. Without one nothing is held: it is connected once it has
        posted something.
        """
        ours = read_settings(settings)
        if ours.esl_host:
            await Holding(ours, self._clock, self._dice, take_in, stand).run()
            return
        while True:
            await self._clock.pause(_DAY_SECONDS)

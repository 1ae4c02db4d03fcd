"""Holding on to one Asterisk: connected again and again, until cancelled."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from hookline.connectors.asterisk.hearing import Hearing
from hookline.connectors.asterisk.keeping import Keeper
from hookline.connectors.asterisk.link import BEAT_SECONDS, Link, LoginRefused, NoLink
from hookline.connectors.asterisk.settings import AsteriskSettings
from hookline.connectors.pausing import Pauses
from hookline.ports.clock import Alarm, Clock
from hookline.ports.connectors import Known, Stand, TakeIn

#: How often we ask which channels there are, in beats; and how soon again when some were missing.
BEATS_BETWEEN_LISTINGS: Final = 10
DOUBT_SECONDS: Final = 5.0

_log = logging.getLogger("hookline.connectors.asterisk")


class Holding:
    """One Asterisk that is held on to."""

    def __init__(
        self,
        settings: AsteriskSettings,
        clock: Clock,
        dice: Callable[[], float],
        take_in: TakeIn,
        stand: Stand,
        known: Known,
    ) -> None:
        """`dice` draws from [0, 1)."""
        self._settings = settings
        self._clock = clock
        self._pauses = Pauses(dice)
        self._hearing = Hearing(settings)
        self._keeper = Keeper(take_in, stand, clock)
        self._known = known
        self._away_since: datetime | None = None

    async def run(self) -> None:
        """Stay connected until cancelled. What is over by then is still written down, if the store answers."""
        keeping = asyncio.create_task(self._keeper.run())
        try:
            self._keeper.tell("connecting", "")
            self._hearing.restore(await self._known())
            while True:
                await self._clock.pause(await self._stay())
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._keeper.last()

    async def _stay(self) -> float:
        """One connection, from its beginning to its end. Returns how many seconds to wait before the next."""
        began = self._clock.monotonic()
        try:
            link = await Link.opened(self._settings, self._clock)
        except NoLink as problem:
            self._keeper.tell("failed", str(problem))
            return self._pauses.seconds(is_refused=isinstance(problem, LoginRefused))
        try:
            self._keeper.tell("connected", self._came_back())
            await self._listen(link)
        except NoLink as problem:
            self._keeper.tell("connecting", str(problem))
            _log.warning("asterisk.lost connector=%s reason=%r", self._settings.place, str(problem))
        finally:
            link.close()
            self._keeper.put(self._hearing.lost())
        self._away_since = self._clock.now()
        self._pauses.lasted(self._clock.monotonic() - began)
        return self._pauses.seconds()

    async def _listen(self, link: Link) -> None:
        """Hear all that is said on it.

        Raises:
            NoLink: it has ended.
        """
        pulse = _Pulse(link, self._hearing, self._keeper, self._clock)
        skipped = 0
        pulse.start()
        try:
            while True:
                messages, now = await link.messages(), self._clock.now()
                for message in messages:
                    self._keeper.put(self._hearing.hear(message, now))
                self._keeper.put(self._hearing.outlines())
                for question in self._hearing.questions():
                    link.say(question)
                pulse.look()
                if link.framing.skipped > skipped:
                    skipped = link.framing.skipped
                    _log.warning("asterisk.skipped connector=%s messages=%d", self._settings.place, skipped)
        finally:
            pulse.stop()

    def _came_back(self) -> str:
        """What was missed meanwhile, in words."""
        since, now = self._away_since, self._clock.now()
        if since is None:
            return ""
        self._away_since = None
        _log.warning("asterisk.gap connector=%s seconds=%.0f", self._settings.place, (now - since).total_seconds())
        return f"Was away from {_time(since, now)} to {_time(now, now)} UTC; calls that ended then may be missing."


class _Pulse:
    """What is done on a connection as time passes: asking whether somebody is there, and which channels are."""

    def __init__(self, link: Link, hearing: Hearing, keeper: Keeper, clock: Clock) -> None:
        self._link = link
        self._hearing = hearing
        self._keeper = keeper
        self._clock = clock
        self._beats = 0
        self._next: Alarm | None = None
        self._again: Alarm | None = None  # when channels are asked for again

    def start(self) -> None:
        """Begin, with the question which channels there are."""
        self._ask()
        self._next = self._clock.alarm(BEAT_SECONDS, self._beat)

    def look(self) -> None:
        """Something was heard: channels that were missing in the answer have to be looked for again."""
        if self._hearing.is_in_doubt and self._again is None:
            self._again = self._clock.alarm(DOUBT_SECONDS, self._ask)

    def stop(self) -> None:
        """Never ring again."""
        for alarm in (self._next, self._again):
            if alarm is not None:
                alarm.cancel()

    def _beat(self) -> None:
        self._next = self._clock.alarm(BEAT_SECONDS, self._beat)
        self._beats += 1
        self._keeper.put(self._hearing.beat(self._clock.now()))
        self._link.beat()
        if self._beats % BEATS_BETWEEN_LISTINGS == 0:
            self._ask()

    def _ask(self) -> None:
        self._again = None
        self._hearing.is_in_doubt = False
        if self._hearing.may_list:
            for question in self._hearing.ask_for_channels():
                self._link.say(question)


def _time(at: datetime, now: datetime) -> str:
    """The time of day, with the day when it was another."""
    return f"{at:%H:%M:%S}" if now - at < timedelta(hours=12) else f"{at:%Y-%m-%d %H:%M:%S}"

"""Holding on to one event socket: connected again and again, until cancelled."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from hookline.connectors.freeswitch.hearing import hear
from hookline.connectors.freeswitch.link import BEAT_SECONDS, Link, NoLink, Refused
from hookline.connectors.freeswitch.settings import FreeSwitchSettings
from hookline.connectors.pausing import LONGEST_PAUSE_SECONDS, Pauses
from hookline.errors import HooklineError
from hookline.ports.clock import Alarm, Clock
from hookline.ports.connectors import Report, Stand, TakeIn

#: How often a report is offered to a store that does not answer.
_OFFERS: Final = 10
#: Reports that may wait for the store.
_MOST_WAITING: Final = 10_000

_log = logging.getLogger("hookline.connectors.freeswitch")


class Holding:
    """One event socket that is held on to."""

    def __init__(
        self, settings: FreeSwitchSettings, clock: Clock, dice: Callable[[], float], take_in: TakeIn, stand: Stand
    ) -> None:
        """`dice` draws from [0, 1)."""
        self._settings = settings
        self._clock = clock
        self._pauses = Pauses(dice)
        self._take_in = take_in
        self._stand = stand
        self._waiting: asyncio.Queue[Report] = asyncio.Queue(_MOST_WAITING)
        self._told: tuple[str, str] | None = None
        self._away_since: datetime | None = None

    async def run(self) -> None:
        """Stay connected until cancelled."""
        keeping = asyncio.create_task(self._keep_all())
        try:
            await self._tell("connecting", "")
            while True:
                await self._clock.pause(await self._stay())
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _stay(self) -> float:
        """One connection, from its beginning to its end. Returns how many seconds to wait before the next."""
        began = self._clock.monotonic()
        try:
            link = await Link.opened(self._settings, self._clock)
        except NoLink as problem:
            await self._tell("failed", str(problem))
            return self._pauses.seconds(is_refused=isinstance(problem, Refused))
        try:
            await self._tell("connected", self._came_back())
            await self._listen(link)
        except NoLink as problem:
            _log.warning("freeswitch.lost connector=%s reason=%r", self._settings.place, str(problem))
            await self._tell("connecting", str(problem))
        finally:
            link.close()
        self._away_since = self._clock.now()
        self._pauses.lasted(self._clock.monotonic() - began)
        return self._pauses.seconds()

    async def _listen(self, link: Link) -> None:
        pulse = _Pulse(link, self._clock)
        try:
            while True:
                messages, now = await link.messages(), self._clock.now()
                for message in messages:
                    self._put(hear(message, now))
        finally:
            pulse.stop()

    def _put(self, report: Report | None) -> None:
        """Nothing waits here for the store: FreeSWITCH closes the connection of whoever does not read."""
        if report is None:
            return
        if self._waiting.full():
            lost = self._waiting.get_nowait()
            _log.error("freeswitch.report_lost key=%r waiting=%d", lost.call_key, _MOST_WAITING)
        self._waiting.put_nowait(report)

    async def _keep_all(self) -> None:
        while True:
            await self._keep(await self._waiting.get())

    async def _keep(self, report: Report) -> None:
        """Write down one report; a store that does not answer is asked again, and nothing is waited for in vain."""
        for offer in range(_OFFERS):
            try:
                await self._take_in(report)
            except HooklineError as refusal:
                _log.warning("freeswitch.report_waits key=%r error=%r", report.call_key, refusal.message)
            except Exception:  # noqa: BLE001  no mistake with one call may hold up the others
                _log.exception("freeswitch.report_waits key=%r", report.call_key)
            else:
                return
            await self._clock.pause(min(2.0**offer, LONGEST_PAUSE_SECONDS))
        _log.error("freeswitch.report_lost key=%r offers=%d", report.call_key, _OFFERS)

    def _came_back(self) -> str:
        """What was missed meanwhile, in words."""
        since, now = self._away_since, self._clock.now()
        self._away_since = None
        if since is None:
            return ""
        return f"Was away from {since:%H:%M:%S} to {now:%H:%M:%S} UTC; messages left then may be missing."

    async def _tell(self, state: str, error: str) -> None:
        """Say how it stands, once. A store that does not answer hears it the next time."""
        if self._told == (state, error):
            return
        try:
            await self._stand(state, error)
            self._told = state, error
        except HooklineError as refusal:
            _log.warning("freeswitch.untold connector=%s error=%r", self._settings.place, refusal.message)


class _Pulse:
    """Asks again and again whether somebody is there."""

    def __init__(self, link: Link, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._next: Alarm = clock.alarm(BEAT_SECONDS, self._beat)

    def stop(self) -> None:
        """Never ask again."""
        self._next.cancel()

    def _beat(self) -> None:
        self._next = self._clock.alarm(BEAT_SECONDS, self._beat)
        self._link.beat()

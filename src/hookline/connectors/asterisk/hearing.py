"""Hearing one Asterisk: its messages go in, calls that are over come out.

What is heard outlasts a connection. What was missed between two is found out by asking which channels there are: a call
of which nothing is there any more has ended. An Asterisk that never answers that changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from hookline.connectors.asterisk.framing import Message
from hookline.connectors.asterisk.login import action, answers
from hookline.connectors.asterisk.privacy import Privacy
from hookline.connectors.asterisk.settings import AsteriskSettings
from hookline.connectors.asterisk.words import Words
from hookline.domain.calls_in_the_air import AirCall, CallsInTheAir
from hookline.domain.legs import (
    Answered,
    CallPlaced,
    Fact,
    Forwarded,
    GivenUp,
    HungUp,
    Joined,
    Left,
    LegStarted,
    MessageLeft,
    Rang,
    RecordingStarted,
    RecordingStopped,
    Redialled,
    Shown,
    Side,
)
from hookline.ports.connectors import Report

_LIST: Final = "CoreShowChannels"
_BRIDGES: Final = "BridgeList"
#: What is written down at once. The rest is written with it, or is told again by the next one.
_NOTED: Final = (
    *(LegStarted, CallPlaced, Redialled, Shown, Rang, Answered, Forwarded, GivenUp, Joined, Left, MessageLeft, HungUp),
    *(RecordingStarted, RecordingStopped),
)
#: What is told about a start may be late by this much.
_SLACK: Final = timedelta(seconds=2)


@dataclass(slots=True)
class _Listing:
    """An answer to the question which channels there are, as far as it has come."""

    entries: list[Message] = field(default_factory=list)
    hung_up: set[str] = field(default_factory=set)  # by Uniqueid, since it was asked


class Hearing:
    """What one Asterisk has told us, on one connection after another."""

    def __init__(self, settings: AsteriskSettings) -> None:
        self.may_list = True
        self.is_in_doubt = False  # whether legs were not there when it was last asked: it should be asked again soon
        self._words = Words(
            trunk_channel_prefixes=settings.trunk_channel_prefixes, inbound_contexts=settings.inbound_contexts
        )
        self._air = CallsInTheAir()
        self._privacy = Privacy()
        self._listing: _Listing | None = None
        self._heard_at: datetime | None = None
        self._alive_at: datetime | None = None  # when anything was said on this connection, of our clock
        self._changed: dict[str, AirCall] = {}  # by key: calls whose outline is to be written down
        self._ahead = timedelta(0)  # how far Asterisk's clock is before ours, by the last event that had its own time
        self._has_restarted = False

    def __len__(self) -> int:
        """How many calls are in the air."""
        return len(self._air)

    def restore(self, known: Iterable[Report]) -> None:
        """Know calls that another process heard of. Those of which nothing is there any more end when it is asked."""
        for report in known:
            self._air.restore(report.call_key, report.facts)
            self._words.restore(report.facts)
            self._heard_at = max(filter(None, (self._heard_at, *(fact.at for fact in report.facts))), default=None)

    def ask_for_channels(self) -> Sequence[bytes]:
        """Ask which bridges and channels there are."""
        self._listing = _Listing()
        return [action(_BRIDGES), action(_LIST)]

    def questions(self) -> Sequence[bytes]:
        """What is to be said to Asterisk after what was heard."""
        return self._privacy.questions()

    def hear(self, message: Message, at: datetime) -> Sequence[Report]:
        """A message that came at this instant. Returns the calls about which it tells and that are over."""
        event = message.get("Event")
        self._alive_at = at
        if (read := _OTHERS.get(event)) is not None:
            return read(self, message, at)
        if event == "Hangup" and self._listing is not None:
            self._listing.hung_up.add(message.get("Uniqueid"))
        self._heard_at = at
        facts = self._words.facts(message, at)
        if not facts:
            return ()
        self._ahead = facts[0].at - at
        self._ask_for_privacy(message, facts)
        return self._feed(facts)

    def beat(self, now: datetime) -> Sequence[Report]:
        """Time has passed. What was in the air when Asterisk restarted, and was not heard of since, is over; and what
        nobody spoke of for a day is forgotten.
        """
        there = now + self._ahead  # what is heard is of Asterisk's clock
        self._air.forget(there)
        reports = [_report(call) for call in self._air.lingering(there)]
        if self._has_restarted:
            self._has_restarted = False
            reports += self._none_is_there()
        return [*self._signs_of_life(), *reports]

    def lost(self) -> Sequence[Report]:
        """The connection has ended: what was being answered on it stays unanswered, and what is allowed may change."""
        self._listing, self.may_list = None, True
        self._privacy.lost()
        signs = self._signs_of_life()
        self._alive_at = None
        return signs

    def outlines(self) -> Sequence[Report]:
        """What is known of calls that go on and about which something was heard: it is written down, so that another
        process may go on with it.
        """
        changed, self._changed = self._changed, {}
        return [_outline(call) for call in changed.values() if self._air.is_open(call)]

    def _signs_of_life(self) -> Sequence[Report]:
        """Calls with somebody outside go on until now: had they ended, that would have been heard."""
        if self._alive_at is None:
            return ()
        calls = self._air.still_there(self._alive_at + self._ahead)
        return [_outline(call) for call in calls if any(map(_leads_outside, call.facts))]

    def _feed(self, facts: Iterable[Fact]) -> Sequence[Report]:
        heard = tuple(facts)
        over = self._air.feed(heard)
        for fact in heard:
            if isinstance(fact, _NOTED) and (call := self._air.call_of(fact.leg)) is not None:
                self._changed[call.key] = call
        return [_report(call) for call in over]

    def _none_is_there(self) -> Sequence[Report]:
        """No channel is there. Calls end when they were missing two times, as `CallsInTheAir.missing` has it."""
        return self._feed(self._air.missing(()))

    def _shut_down(self, _: Message, __: datetime) -> Sequence[Report]:
        return [*self._none_is_there(), *self._none_is_there()]

    def _booted(self, message: Message, at: datetime) -> Sequence[Report]:
        uptime = message.get("Uptime")
        if self._heard_at is None or not (uptime.isascii() and uptime.isdigit() and len(uptime) < 10):
            return ()
        self._has_restarted = at - timedelta(seconds=int(uptime)) > self._heard_at + _SLACK
        return self._none_is_there() if self._has_restarted else ()

    def _ask_for_privacy(self, message: Message, facts: Sequence[Fact]) -> None:
        if any(map(_shows_a_caller, facts)) and self._words.leads_outside(message):
            self._privacy.ask(message.get("Channel"), message.get("Uniqueid"))

    def _answered(self, message: Message, at: datetime) -> Sequence[Report]:
        if withheld := self._privacy.hear(message):
            return self._feed([Shown(leg=self._words.leg(withheld), at=at + self._ahead, shows="")])
        if message.get("Response") == "Error" and message.get("ActionID") == f"hookline-{_LIST}":
            self.may_list, self._listing = False, None
        return ()

    def _bridge_listed(self, message: Message, at: datetime) -> Sequence[Report]:
        self._words.facts(message, at)
        return ()

    def _listing_goes_on(self, message: Message, _: datetime) -> Sequence[Report]:
        if self._listing is not None and answers(message, _LIST):
            self._listing.entries.append(message)
        return ()

    def _listed(self, message: Message, at: datetime) -> Sequence[Report]:
        """All that are there are known, unless entries were lost on the way."""
        listing = self._listing
        if listing is None or not answers(message, _LIST):
            return ()
        self._listing = None
        if message.get("ListItems", str(len(listing.entries))) != str(len(listing.entries)):
            return ()
        at += self._ahead  # entries have no time, and must not seem to be before what was told before
        there = [entry for entry in listing.entries if entry.get("Uniqueid") not in listing.hung_up]
        reports: list[Report] = []
        for entry in there:
            facts = self._words.facts(entry, at)
            self._ask_for_privacy(entry, facts)
            reports += self._feed(facts)
        legs = {self._words.leg(entry.get("Uniqueid")) for entry in there}
        reports += self._feed(self._air.missing(legs))
        self.is_in_doubt = bool(self._air.legs() - legs)
        return reports


def _leads_outside(fact: Fact) -> bool:
    return isinstance(fact, LegStarted) and fact.side is Side.OUTSIDE


def _shows_a_caller(fact: Fact) -> bool:
    return isinstance(fact, CallPlaced | LegStarted) and bool(fact.shows)


def _report(call: AirCall) -> Report:
    return Report(call_key=call.key, facts=tuple(call.facts), absorbed=frozenset(call.absorbed))


def _outline(call: AirCall) -> Report:
    return Report(call_key=call.key, facts=tuple(call.outline), absorbed=frozenset(call.absorbed))


#: What is not about one call. A message without an event is an answer.
_OTHERS: Final[Mapping[str, Callable[[Hearing, Message, datetime], Sequence[Report]]]] = {
    "": Hearing._answered,  # noqa: SLF001  the table of this class
    "BridgeListItem": Hearing._bridge_listed,  # noqa: SLF001
    "CoreShowChannel": Hearing._listing_goes_on,  # noqa: SLF001
    "CoreShowChannelsComplete": Hearing._listed,  # noqa: SLF001
    "FullyBooted": Hearing._booted,  # noqa: SLF001
    "Shutdown": Hearing._shut_down,  # noqa: SLF001
}

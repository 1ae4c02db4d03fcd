"""What happened on a call: facts in, its story out.

Which legs there were, in which order, which of them leads to the contact, and who heard whom from when to when. What
the call was by that, `domain/finished_calls.py` decides.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from hookline.domain.legs import (
    Answered,
    CallPlaced,
    Dialled,
    Fact,
    GivenUp,
    HungUp,
    Identified,
    Joined,
    Left,
    LegStarted,
    NeverJoined,
    Rang,
    Redialled,
    Shown,
    Side,
    Wired,
)

#: Between an answer and hearing one another; more is not the system's doing: somebody is asked to accept the call.
_JOINING: Final = timedelta(seconds=1)
#: Where legs of persons lead.
PERSONS: Final = frozenset({Side.OURS, Side.OUTSIDE})


@dataclass(slots=True)
class LegStory:
    """A leg as the facts about it left it."""

    name: str
    started_at: datetime | None = None
    side: Side = Side.NOBODY
    places: bool = False
    asked_for: str = ""  # at first
    dialled: str = ""  # in the end
    shows: str = ""  # of one that places the call: at first. What is shown to one that is called: in the end
    identity: str = ""
    given_name: str = ""
    family_name: str = ""
    rang: bool = False
    talks: bool = False
    was_given_up: bool = False
    had_dialled: bool = False
    answered_at: datetime | None = None
    ended_at: datetime | None = None  # the first time
    end_is_estimated: bool = False  # nobody heard it
    sip: int | None = None
    q850: int | None = None
    called_for: str = ""
    is_hearsay: bool = False  # another leg told how this one began
    ends_by_hearsay: bool = False  # another leg told how this one ended

    def hear(self, fact: Fact) -> None:
        """One more fact, in order. What is about more than this leg: see _Story."""
        self._hear_addresses(fact)
        self._hear_progress(fact)

    def _hear_addresses(self, fact: Fact) -> None:
        match fact:
            case LegStarted() if self.started_at is None or (self.is_hearsay and not fact.is_hearsay):
                self._begin(fact)
            case CallPlaced():
                self.places = True
                self.asked_for, self.dialled, self.shows = fact.dialled, fact.dialled, fact.shows
            case Redialled():
                self.dialled = fact.dialled
            case Shown() if not fact.shows or not (self.places and self.side is Side.OUTSIDE):
                self.shows = fact.shows  # who withholds it says so late; another one is the work of a dial plan
            case Identified():
                self.identity = fact.identity
            case _:
                pass

    def _hear_progress(self, fact: Fact) -> None:
        match fact:
            case Dialled():
                self.had_dialled = True
            case Rang():
                self.rang = True
            case Answered():
                self.answered_at = self.answered_at or fact.at
            case GivenUp():
                self.was_given_up = True
            case HungUp():
                self._end(fact)
            case _:
                pass

    def _begin(self, fact: LegStarted) -> None:
        if self.is_hearsay:  # what was told by others is void
            self.dialled = self.shows = ""
        self.started_at, self.side, self.places = fact.at, fact.side, fact.places
        self.asked_for = fact.dialled
        self.dialled = self.dialled or fact.dialled
        self.shows, self.identity = self.shows or fact.shows, fact.identity
        self.given_name, self.family_name = fact.given_name, fact.family_name
        self.called_for, self.is_hearsay = fact.called_for or self.called_for, fact.is_hearsay

    def _end(self, fact: HungUp) -> None:
        if self.ends_by_hearsay and not fact.is_hearsay:  # of the causes only what nobody else knows stays
            self.ended_at = None
            self.sip = None if fact.sip is not None else self.sip
            self.q850 = None if fact.q850 is not None else self.q850
        if self.ended_at is None or (self.end_is_estimated and fact.heard):
            self.ended_at, self.ends_by_hearsay = fact.at, fact.is_hearsay
            self.end_is_estimated = not fact.heard
        self.sip = fact.sip if self.sip is None else self.sip
        self.q850 = fact.q850 if self.q850 is None else self.q850


def legs_in(facts: Iterable[Fact]) -> list[LegStory]:
    """All legs that are known to have started, the first one first."""
    legs: dict[str, LegStory] = {}
    for fact in facts:
        legs.setdefault(fact.leg, LegStory(fact.leg)).hear(fact)
    started = [(leg.started_at, not leg.places, leg) for leg in legs.values() if leg.started_at is not None]
    return _callers_first([leg for *_, leg in sorted(started, key=lambda each: each[:2])])


def _callers_first(legs: Sequence[LegStory]) -> list[LegStory]:
    """The same legs, each after the one for which it was called."""
    by_name = {leg.name: leg for leg in legs}
    placed: dict[str, LegStory] = {}
    for leg in legs:
        chain = [leg]
        while (caller := by_name.get(chain[-1].called_for)) and caller.name not in placed and caller not in chain:
            chain.append(caller)
        placed |= {each.name: each for each in reversed(chain)}
    return list(placed.values())


def _answered(joined_at: datetime, *legs: LegStory) -> datetime:
    """When the last of those answered who hear one another now."""
    answers = [leg.answered_at for leg in legs if leg.answered_at is not None]
    answered_at = max((at for at in answers if at <= joined_at), default=joined_at)
    return answered_at if joined_at - answered_at <= _JOINING else joined_at


@dataclass(slots=True)
class _Air:
    """Who hears whom at one instant."""

    bridges: dict[str, str] = field(default_factory=dict)  # leg -> the bridge that it is in
    wires: dict[str, str] = field(default_factory=dict)  # leg -> the other end

    def change(self, fact: Fact) -> None:
        match fact:
            case Joined():
                self.bridges[fact.leg] = fact.bridge
            case Left() if self.bridges.get(fact.leg) == fact.bridge:
                del self.bridges[fact.leg]
            case Wired():
                self.wires[fact.leg], self.wires[fact.to] = fact.to, fact.leg
            case HungUp():
                self.bridges.pop(fact.leg, None)
                self.wires.pop(self.wires.pop(fact.leg, ""), None)
            case _:
                pass

    def heard_by(self, leg: str) -> Iterator[str]:
        """Everybody whom this leg hears, through bridges and wires."""
        reached, ahead = {leg}, [leg]
        while ahead:
            here = ahead.pop()
            bridge = self.bridges.get(here)
            beside = [other for other, its in self.bridges.items() if its == bridge] if bridge is not None else []
            for other in (*beside, *filter(None, [self.wires.get(here)])):
                if other not in reached:
                    reached.add(other)
                    ahead.append(other)
                    yield other


def _without_false_joins(facts: Iterable[Fact]) -> Sequence[Fact]:
    """The facts without joins of legs that the system says were never connected."""
    told = tuple(facts)
    never = {fact.leg for fact in told if isinstance(fact, NeverJoined)}
    return [fact for fact in told if not (isinstance(fact, Joined) and fact.leg in never)] if never else told


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A person whom the contact heard: at first and at last."""

    leg: str
    from_at: datetime
    until: datetime | None  # None: to the end of what is known


class Story:
    """All that the facts tell, in the order in which it happened."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self.facts: Sequence[Fact] = sorted(_without_false_joins(facts), key=attrgetter("at"))
        self.legs = legs_in(self.facts)
        self._by_name = {leg.name: leg for leg in self.legs}
        self._talks = self._first_talks()
        self.contact = self._contact()
        self.is_inbound = self.contact is not None and self.contact.places
        talk = self._talks.get(self.contact.name) if self.contact is not None else None
        self.talk_at: datetime | None = talk[0] if talk is not None else self._heard_by_a_program()
        self.partner: LegStory | None = talk[1] if talk is not None else None

    def _contact(self) -> LegStory | None:
        outside = [leg for leg in self.legs if leg.side is Side.OUTSIDE]
        if not outside or outside[0].places:
            return outside[0] if outside else None
        talked = [leg for leg in outside if leg.name in self._talks]
        return min(talked, key=lambda leg: self._talks[leg.name][0]) if talked else outside[-1]

    def _heard_by_a_program(self) -> datetime | None:
        """When a contact picked up whom nobody of ours called, but a program did."""
        contact = self.contact
        is_called = contact is not None and not contact.places and self.caller is None
        return contact.answered_at if contact is not None and is_called else None

    def _first_talks(self) -> dict[str, tuple[datetime, LegStory]]:
        """Of each leg outside: when it first heard a person, and whom."""
        talks: dict[str, tuple[datetime, LegStory]] = {}
        air = _Air()
        for fact in self.facts:
            air.change(fact)
            if isinstance(fact, Joined | Wired):
                for leg in self.legs:
                    if leg.side.is_somebody and leg.name not in talks:
                        partner = self._person(air.heard_by(leg.name))
                        if partner is not None:
                            talks[leg.name] = (_answered(fact.at, leg, partner), partner)
                            leg.talks = True
        return talks

    def _person(self, names: Iterable[str]) -> LegStory | None:
        """The first to be called of those who are persons; one of ours before one outside."""
        persons = [leg for name in names if (leg := self._by_name.get(name)) and leg.side.is_somebody]
        order = {leg.name: place for place, leg in enumerate(self.legs)}
        return min(persons, key=lambda leg: (leg.side is not Side.OURS, order[leg.name]), default=None)

    @property
    def called_outside(self) -> Sequence[LegStory]:
        """The legs outside that we called: over a second carrier when the first one failed."""
        return [leg for leg in self.legs if leg.side is Side.OUTSIDE and not leg.places]

    @property
    def caller(self) -> LegStory | None:
        """Of an outbound call, the leg of ours for which the contact was called; None when it was called by itself."""
        first = next((leg for leg in self.legs if leg.side.is_somebody), None)
        return first if first is not None and first.side is Side.OURS else None

    @property
    def started_at(self) -> datetime | None:
        """When the first leg began, those of machines aside."""
        return next((leg.started_at for leg in self.legs if leg.side is not Side.NOBODY), None)

    @property
    def talking_since(self) -> dict[str, datetime]:
        """Since when each leg outside or of ours heard a person, if it did."""
        return {leg: at for leg, (at, _) in self._talks.items()}

    def heard_by(self, listener: LegStory) -> Sequence[Heard]:
        """The persons whom this leg heard, in order."""
        air, heard, now = _Air(), dict[str, Heard](), set[str]()
        persons = {leg.name for leg in self.legs if leg.side in PERSONS}
        for fact in self.facts:
            air.change(fact)
            if isinstance(fact, Joined | Left | Wired | HungUp):
                before, now = now, persons.intersection(air.heard_by(listener.name))
                for leg in before - now:
                    heard[leg] = replace(heard[leg], until=fact.at)
                for leg in now - before:
                    from_at = heard[leg].from_at if leg in heard else fact.at
                    heard[leg] = Heard(leg=leg, from_at=from_at, until=None)
        return sorted(heard.values(), key=attrgetter("from_at"))

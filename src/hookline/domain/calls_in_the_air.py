"""Calls in the air: facts about legs, as a phone system tells them one by one, become calls that are over.

For systems that tell what happens on all their legs in one stream. Which legs are one call is told bit by bit: groups
that share a leg are one call, so calls are joined when one is transferred to the other. What a call was is not asked
here: `domain/finished_calls.py`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from hookline.domain.finished_calls import contact_has_gone, is_over
from hookline.domain.legs import (
    Answered,
    CallPlaced,
    Fact,
    Forwarded,
    HungUp,
    Joined,
    LegStarted,
    MessageLeft,
    Rang,
    RangInVain,
    RecordingStarted,
    Side,
    StillThere,
    Together,
    Wired,
)

#: Facts that one call may have. Of those beyond only the ends of legs are kept, so that it ends.
MOST_FACTS: Final = 2_000
#: Phones that rang in vain of which is kept that they did.
MOST_IN_VAIN: Final = 50
#: Calls that are over and still remembered, since something about them may come late.
_REMEMBERED: Final = 1_000
#: How long legs of ours may outlive the contact's, without a word.
_LINGERING: Final = timedelta(minutes=10)
#: How long a call may be in the air without a word about it.
_FORGOTTEN_AFTER: Final = timedelta(hours=24)
#: What makes a phone of ours that we call more than one of many that ring.
_KEEPS_A_PHONE: Final = (Answered, CallPlaced, Joined, MessageLeft, RecordingStarted, Wired)


@dataclass(slots=True)
class AirCall:
    """A call, as far as it is known. Its key is the leg that came first: no other call has it."""

    key: str
    facts: list[Fact] = field(default_factory=list)
    heard_at: datetime | None = None  # the last time
    alive_at: datetime | None = None  # had it ended before, that would have been heard
    absorbed: set[str] = field(default_factory=set)  # keys of calls that turned out to be this one
    legs: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)

    def hear(self, fact: Fact) -> None:
        """One more fact. Which legs belong together is known by then, and needs no room."""
        if isinstance(fact, StillThere):
            self.alive_at = fact.at if self.alive_at is None else max(self.alive_at, fact.at)
            return
        self.heard_at = fact.at if self.heard_at is None else max(self.heard_at, fact.at)
        if isinstance(fact, Together):
            return
        if len(self.facts) < MOST_FACTS or isinstance(fact, HungUp):
            self.facts.append(fact)
        if isinstance(fact, HungUp) and fact.leg != self.key:
            self._prune(fact)

    @property
    def outline(self) -> Sequence[Fact]:
        """What has to be known of it to go on in another process: all but phones of ours that ring and may do so in
        vain. Nothing of it is pruned later. The last is the sign of life.
        """
        ringing = {fact.leg for fact in self.facts if _is_phone_called(fact)}
        ringing -= {fact.leg for fact in self.facts if isinstance(fact, _KEEPS_A_PHONE)}
        known = [fact for fact in self.facts if fact.leg not in ringing or isinstance(fact, Forwarded)]
        return known if self.seen_at is None else [*known, StillThere(leg=self.key, at=self.seen_at)]

    @property
    def seen_at(self) -> datetime | None:
        """The last instant at which it is known to have gone on."""
        return max(filter(None, (self.heard_at, self.alive_at)), default=None)

    def _prune(self, end: HungUp) -> None:
        """Keep one fact of a phone that rang in vain, and its forwarding: a queue may ring hundreds."""
        its = [fact for fact in self.facts if fact.leg == end.leg]
        start = next((fact for fact in its if isinstance(fact, LegStarted) and _is_phone_called(fact)), None)
        if start is None or any(isinstance(fact, _KEEPS_A_PHONE) for fact in its):
            return
        kept: list[Fact] = [fact for fact in its if isinstance(fact, Forwarded)]
        if sum(isinstance(fact, RangInVain) for fact in self.facts) < MOST_IN_VAIN:
            kept.append(
                RangInVain(
                    leg=end.leg,
                    at=start.at,
                    identity=start.identity,
                    dialled=start.dialled,
                    rang_at=next((fact.at for fact in its if isinstance(fact, Rang)), None),
                    ended_at=end.at,
                    sip=end.sip,
                    q850=end.q850,
                )
            )
        self.facts = [*(fact for fact in self.facts if fact.leg != end.leg), *kept]


class CallsInTheAir:
    """All calls of one phone system that are not over yet, and the latest of those that are."""

    def __init__(self) -> None:
        self._by_leg: dict[str, AirCall] = {}
        self._by_group: dict[str, AirCall] = {}
        self._open: dict[str, set[str]] = {}  # call -> legs that have not ended
        self._over: dict[str, AirCall] = {}  # the oldest first
        self._missing: set[str] = set()  # legs that were not there when it was last asked

    def __len__(self) -> int:
        """How many calls are in the air."""
        return len(self._open)

    def feed(self, facts: Iterable[Fact]) -> Sequence[AirCall]:
        """Hear facts, in the order in which they are told. Returns the calls that they are about and that are over: a
        call is returned again when more is heard about it.
        """
        touched: set[str] = set()
        for fact in facts:
            call = self._call_of(fact)
            if call is None:
                continue  # about a leg whose beginning nobody saw
            call.hear(fact)
            self._missing.discard(fact.leg)
            self._count(call, fact)
            touched.add(fact.leg)
        changed = {call.key: call for leg in sorted(touched) if (call := self._by_leg.get(leg))}
        over = [call for key, call in changed.items() if key in self._over or self._is_over(call)]
        for call in over:
            self._remember(call)
        return over

    def call_of(self, leg: str) -> AirCall | None:
        """The call that a leg belongs to, also of one that is over and still remembered."""
        return self._by_leg.get(leg)

    def legs(self) -> set[str]:
        """Every leg that has not ended."""
        return {leg for legs in self._open.values() for leg in legs}

    def restore(self, key: str, facts: Iterable[Fact]) -> None:
        """Know a call that another process heard of, as far as it wrote that down. Call it before anything is fed."""
        known = tuple(facts)
        legs = {fact.leg for fact in known if isinstance(fact, LegStarted)}
        if not legs:
            return
        call = AirCall(key)
        self._open[key] = set()
        for fact in known:
            call.hear(fact)
            self._count(call, fact)
        for leg in legs | {key}:
            call = self._joined(self._by_leg.setdefault(leg, call), call)
            call.legs.add(leg)
        groups = {*legs, *(_bridge(fact) for fact in known if isinstance(fact, Joined))}
        for group in groups:
            call = self._in_group(group, call)
        if self._is_over(call):
            self._remember(call)

    def still_there(self, at: datetime) -> Sequence[AirCall]:
        """Had a call ended until this instant, that would have been heard. Returns those that are in the air."""
        calls = {id(call): call for legs in self._open.values() for leg in legs if (call := self._by_leg.get(leg))}
        for call in calls.values():
            call.hear(StillThere(leg=call.key, at=at))
        return tuple(calls.values())

    def is_open(self, call: AirCall) -> bool:
        """Whether a call is not over."""
        return call.key in self._open

    def missing(self, there: Collection[str]) -> Sequence[Fact]:
        """Which legs have ended unheard, given all that there are now: facts to be fed, in which they end when their
        call last gave a sign of life. A leg has to be missing two times in a row, without a word in between: what there
        is and what happens are told beside one another, and either may come first.
        """
        gone = self.legs() - set(there)
        ended = gone & self._missing
        self._missing = gone - ended
        seen = {leg: self._by_leg[leg].seen_at for leg in ended}
        return [HungUp(leg=leg, at=at, heard=False) for leg, at in sorted(seen.items()) if at is not None]

    def lingering(self, now: datetime) -> Sequence[AirCall]:
        """Calls whose contact has gone and of which nothing was heard for ten minutes: their last hang-up was lost."""
        calls = {id(call): call for legs in self._open.values() for leg in legs if (call := self._by_leg.get(leg))}
        found = [
            call
            for call in calls.values()
            if call.heard_at is not None and call.heard_at < now - _LINGERING and contact_has_gone(call.facts)
        ]
        for call in found:
            self._remember(call)
        return found

    def forget(self, now: datetime) -> int:
        """Forget calls of which nothing was heard for a day. Returns how many."""
        silent = [
            self._by_leg[next(iter(legs))]
            for legs in self._open.values()
            if (at := self._by_leg[next(iter(legs))].heard_at) is not None and at < now - _FORGOTTEN_AFTER
        ]
        for call in silent:
            del self._open[call.key]
            self._let_go(call)
        return len(silent)

    def _call_of(self, fact: Fact) -> AirCall | None:
        call = self._by_leg.get(fact.leg)
        if call is None and isinstance(fact, LegStarted):
            call = self._by_leg[fact.leg] = AirCall(fact.leg, legs={fact.leg})
            self._open[call.key] = set()
        if call is not None and isinstance(fact, Together):
            call = self._in_group(fact.group, call)
        if call is not None and isinstance(fact, Joined):  # they hear one another: it is one call
            call = self._in_bridge(_bridge(fact), call)
        return call

    def _in_bridge(self, bridge: str, call: AirCall) -> AirCall:
        """All who are in a bridge at the same time are in one call. A bridge ends with its call: when its name is heard
        again after that, it is another bridge.
        """
        before = self._by_group.get(bridge)
        if before is not None and before is not call and before.key in self._over:
            before.groups.discard(bridge)
            del self._by_group[bridge]
        return self._in_group(bridge, call)

    def _in_group(self, group: str, call: AirCall) -> AirCall:
        call = self._joined(self._by_group.setdefault(group, call), call)
        call.groups.add(group)
        return call

    def _joined(self, one: AirCall, other: AirCall) -> AirCall:
        """Two that turned out to be one: the earlier takes the later."""
        if one is other:
            return one
        first, second = sorted((one, other), key=_began)
        if first.key in self._over and second.key not in self._over:
            self._open[first.key] = set()  # it goes on
            del self._over[first.key]
        first.facts += second.facts
        first.heard_at = max(filter(None, (first.heard_at, second.heard_at)), default=None)
        first.alive_at = max(filter(None, (first.alive_at, second.alive_at)), default=None)
        first.absorbed |= {second.key, *second.absorbed}
        self._open.setdefault(first.key, set()).update(self._open.pop(second.key, ()))
        self._over.pop(second.key, None)
        first.legs |= second.legs
        first.groups |= second.groups
        self._by_leg.update(dict.fromkeys(second.legs, first))
        self._by_group.update(dict.fromkeys(second.groups, first))
        return first

    def _count(self, call: AirCall, fact: Fact) -> None:
        if isinstance(fact, LegStarted) and fact.side is not Side.NOBODY and call.key in self._open:
            self._open[call.key].add(fact.leg)
        elif isinstance(fact, HungUp) and call.key in self._open:
            self._open[call.key].discard(fact.leg)

    def _is_over(self, call: AirCall) -> bool:
        return not self._open[call.key] and is_over(call.facts)

    def _remember(self, call: AirCall) -> None:
        self._open.pop(call.key, None)
        self._over[call.key] = call
        while len(self._over) > _REMEMBERED:
            self._let_go(self._over.pop(next(iter(self._over))))

    def _let_go(self, call: AirCall) -> None:
        for leg in call.legs:
            del self._by_leg[leg]
        for group in call.groups:
            del self._by_group[group]


def _bridge(fact: Joined) -> str:
    return f"bridge {fact.bridge}"


def _is_phone_called(fact: Fact) -> bool:
    return isinstance(fact, LegStarted) and fact.side is Side.OURS and not fact.places


def _began(call: AirCall) -> datetime:
    return min(fact.at for fact in call.facts)

"""The legs of a decided call as people are shown them: who rang, who answered, who waited, and who was transferred to.

`domain/finished_calls.py` decides what a call was; here its story is told leg by leg. Machines and the wires inside a
phone system are left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from hookline.domain.call_story import LegStory
from hookline.domain.finished_calls import CallStory, placed, story_of
from hookline.domain.legs import Fact, Forwarded, MessageLeft, QueueJoined, QueueLeft, Rang, RangInVain, Side
from hookline.domain.numbers import read_number
from hookline.domain.phonebook import Phonebook

#: Legs that are kept of one call; a queue may ring hundreds of phones.
MOST_LEGS: Final = 50
#: Queues that are kept of one leg.
MOST_QUEUES: Final = 20
#: Between the end of the talk and the last hang-up; a leg that ends within it ends with the call.
_TOGETHER: Final = timedelta(seconds=1)


class Party(StrEnum):
    """Whose leg it is."""

    CONTACT = "contact"  # the one whom the call is with
    USER = "user"  # a phone of ours
    OUTSIDE = "outside"  # another number: forwarded to, transferred to, or tried before


class LegOutcome(StrEnum):
    """What became of a leg."""

    ANSWERED = "answered"
    VOICEMAIL = "voicemail"  # the caller left a message
    NO_ANSWER = "no answer"
    BUSY = "busy"
    REJECTED = "rejected"
    CANCELLED = "cancelled"  # it stopped ringing: somebody else answered, or the caller gave up
    FORWARDED = "forwarded"  # it sent the call elsewhere
    FAILED = "failed"  # no such number, or the network or trunk failed
    UNFINISHED = "unfinished"  # its end was never heard


#: RFC 3261, section 21.
_BY_SIP: Final[Mapping[LegOutcome, frozenset[int]]] = {
    LegOutcome.BUSY: frozenset({486, 600}),
    LegOutcome.REJECTED: frozenset({403, 603}),
    LegOutcome.NO_ANSWER: frozenset({408, 480}),
}
_CANCELLED_SIP: Final = 487
#: ITU-T Q.850, table 1; switches use 26 for a leg whose call was answered elsewhere.
_BY_Q850: Final[Mapping[LegOutcome, frozenset[int]]] = {
    LegOutcome.BUSY: frozenset({17}),
    LegOutcome.REJECTED: frozenset({21}),
    LegOutcome.NO_ANSWER: frozenset({18, 19, 20}),
    LegOutcome.CANCELLED: frozenset({26}),
}
#: Causes that say nothing of why a leg ended.
_SILENT_Q850: Final = frozenset({None, 0, 16, 31, 127})


@dataclass(frozen=True, slots=True, kw_only=True)
class LegUser:
    """The user of a phone of ours, as the phone book knew them; id and email are "" when only the system did."""

    id: str
    email: str
    given_name: str
    family_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStay:
    """A time for which the caller on a leg waited in a queue."""

    queue: str
    entered_at: datetime
    left_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLeg:
    """One leg. Instants are aware UTC, None where nothing of the kind happened or was told."""

    party: Party
    number: str  # E.164, or as dialled; "" when withheld, and for phones of ours
    address: str  # of a phone of ours, as its system names it: a channel, an extension, a SIP address; else ""
    user: LegUser | None
    started_at: datetime
    rang_at: datetime | None
    answered_at: datetime | None
    talked_from: datetime | None  # first heard a person
    ended_at: datetime | None
    outcome: LegOutcome
    sip: int | None  # the last status of its signalling; RFC 3261, section 21
    q850: int | None  # its cause; ITU-T Q.850, table 1
    transferred_to: int | None = None  # the leg to which its partner was transferred: a place in the list, from 0
    queues: tuple[QueueStay, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLegs:
    """The legs of a call, at most `MOST_LEGS`, and how many more there were."""

    legs: tuple[CallLeg, ...] = ()
    omitted: int = 0


NO_LEGS: Final = CallLegs()


def legs_of(facts: Iterable[Fact], phonebook: Phonebook) -> CallLegs:
    """The legs of a call, in the order in which they began."""
    known = placed(facts, phonebook)
    story = story_of(known, phonebook)
    told = _Told(known)
    legs = {leg.name: _leg(leg, at, story, told, phonebook) for leg in story.legs if (at := leg.started_at) is not None}
    legs |= {fact.leg: _in_vain(fact, story, phonebook) for fact in told.in_vain if fact.leg not in legs}
    ordered = sorted(legs, key=lambda name: legs[name].started_at) if told.in_vain else list(legs)
    kept = _most_telling(ordered, legs)
    places = {name: place for place, name in enumerate(kept)}
    transfers = _transfers(story, legs)
    return CallLegs(
        legs=tuple(replace(legs[name], transferred_to=places.get(transfers.get(name, ""))) for name in kept),
        omitted=len(ordered) - len(kept),
    )


class _Told:
    """What facts say of single legs, beside the story."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.rang_at: dict[str, datetime] = {}
        self.forwarded: set[str] = set()
        self.message_left: set[str] = set()
        self.in_vain: list[RangInVain] = []
        self.queues: dict[str, list[QueueStay]] = {}
        for fact in sorted(facts, key=lambda fact: fact.at):
            self._hear(fact)

    def _hear(self, fact: Fact) -> None:
        match fact:
            case Rang():
                self.rang_at.setdefault(fact.leg, fact.at)
            case Forwarded():
                self.forwarded.add(fact.leg)
            case MessageLeft():
                self.message_left.add(fact.leg)
            case RangInVain():
                self.in_vain.append(fact)
            case QueueJoined():
                stays = self.queues.setdefault(fact.leg, [])
                if len(stays) < MOST_QUEUES:
                    stays.append(QueueStay(queue=fact.queue, entered_at=fact.at, left_at=None))
            case QueueLeft():
                stays = self.queues.get(fact.leg, [])
                for place, stay in enumerate(stays):
                    if stay.queue == fact.queue and stay.left_at is None:
                        stays[place] = replace(stay, left_at=fact.at)
                        break
            case _:
                pass


def _leg(leg: LegStory, started_at: datetime, story: CallStory, told: _Told, phonebook: Phonebook) -> CallLeg:
    is_ours = leg.side is Side.OURS
    party = Party.CONTACT if leg is story.contact else Party.USER if is_ours else Party.OUTSIDE
    stays = told.queues.get(leg.name, ())
    return CallLeg(
        party=party,
        number=_number(leg, party, story, phonebook),
        address=leg.identity if is_ours else "",
        user=_user(leg.identity, phonebook, leg.given_name, leg.family_name) if is_ours else None,
        started_at=started_at,
        rang_at=told.rang_at.get(leg.name),
        answered_at=leg.answered_at,
        talked_from=story.talk_at if leg is story.contact else story.talking_since.get(leg.name),
        ended_at=leg.ended_at,
        outcome=_outcome(leg, story, told),
        sip=leg.sip,
        q850=leg.q850,
        queues=tuple(replace(stay, left_at=stay.left_at or leg.ended_at) for stay in stays),
    )


def _in_vain(fact: RangInVain, story: CallStory, phonebook: Phonebook) -> CallLeg:
    return CallLeg(
        party=Party.USER,
        number="",
        address=fact.identity,
        user=_user(fact.identity, phonebook),
        started_at=fact.at,
        rang_at=fact.rang_at,
        answered_at=None,
        talked_from=None,
        ended_at=fact.ended_at,
        outcome=_why_nobody_answered(fact, fact.ended_at, story, has_rung=True),
        sip=fact.sip,
        q850=fact.q850,
    )


def _number(leg: LegStory, party: Party, story: CallStory, phonebook: Phonebook) -> str:
    match party:
        case Party.CONTACT:
            return story.number
        case Party.OUTSIDE if leg.places:
            return phonebook.caller(leg.shows, story.line).text
        case Party.OUTSIDE:
            return phonebook.dialled(leg.dialled, story.line).text
        case Party.USER:
            return ""


def _user(identity: str, phonebook: Phonebook, given_name: str = "", family_name: str = "") -> LegUser | None:
    user = phonebook.user_of(identity)
    if user is not None:
        names = (user.given_name, user.family_name)
        if not any(names):
            names = (given_name, family_name)
        return LegUser(id=user.id, email=user.email, given_name=names[0], family_name=names[1])
    if given_name or family_name:
        return LegUser(id="", email="", given_name=given_name, family_name=family_name)
    return None


def _outcome(leg: LegStory, story: CallStory, told: _Told) -> LegOutcome:
    if leg.name in told.forwarded:
        return LegOutcome.FORWARDED
    if leg.talks or (leg is story.contact and story.talk_at is not None):
        return LegOutcome.ANSWERED
    if leg.name in told.message_left:
        return LegOutcome.VOICEMAIL
    return LegOutcome.UNFINISHED if leg.ended_at is None else _outcome_without_talk(leg, leg.ended_at, story)


def _outcome_without_talk(leg: LegStory, ended_at: datetime, story: CallStory) -> LegOutcome:
    if leg.places:
        return LegOutcome.NO_ANSWER
    if leg.answered_at is not None:
        return LegOutcome.ANSWERED
    if leg.was_given_up:
        return LegOutcome.CANCELLED
    has_rung = leg.rang or leg.side is Side.OURS  # not every system says that a phone of ours rings
    return _why_nobody_answered(leg, ended_at, story, has_rung=has_rung)


def _why_nobody_answered(
    leg: LegStory | RangInVain, ended_at: datetime, story: CallStory, *, has_rung: bool
) -> LegOutcome:
    """By the SIP status if there is one, else by the cause."""
    if leg.sip is not None:
        for outcome, statuses in _BY_SIP.items():
            if leg.sip in statuses:
                return outcome
        is_silent = leg.sip == _CANCELLED_SIP
    else:
        for outcome, causes in _BY_Q850.items():
            if leg.q850 in causes:
                return outcome
        is_silent = leg.q850 in _SILENT_Q850
    return _stopped(ended_at, story) if is_silent and has_rung else LegOutcome.FAILED


def _stopped(ended_at: datetime, story: CallStory) -> LegOutcome:
    """Ringing was ended by our side: since somebody answered or the caller left, or since it took too long."""
    others = (story.talk_at, story.contact.ended_at if story.contact is not None else None)
    is_cut_short = any(at is not None and abs(ended_at - at) <= _TOGETHER for at in others)
    return LegOutcome.CANCELLED if is_cut_short else LegOutcome.NO_ANSWER


def _transfers(story: CallStory, legs: Mapping[str, CallLeg]) -> dict[str, str]:
    """Leg -> the leg to which the contact was transferred from there.

    Whoever stops hearing the contact while the contact stays has transferred the call: to the next person whom the
    contact heard, or to the leg that was called last when nobody answered there.
    """
    contact = story.contact
    if contact is None or contact.ended_at is None:
        return {}
    found: dict[str, str] = {}
    for place, one in enumerate(story.heard):
        if one.until is None or one.until > contact.ended_at - _TOGETHER:
            continue
        later = [each for each in story.heard[place + 1 :] if each.until is None or each.until > one.until]
        target = later[0].leg if later else _called_in_vain(one.leg, one.from_at, one.until, contact.name, legs)
        if target is not None:
            found[one.leg] = target
    return found


def _called_in_vain(
    leg: str, talked_from: datetime, until: datetime, contact: str, legs: Mapping[str, CallLeg]
) -> str | None:
    """The leg that was called during the talk and rang on after it."""
    rang_on = [
        name
        for name, each in legs.items()
        if name not in (leg, contact)
        and each.started_at > talked_from
        and each.talked_from is None
        and (each.ended_at is None or each.ended_at > until)
    ]
    return rang_on[-1] if rang_on else None


def _most_telling(names: Sequence[str], legs: Mapping[str, CallLeg]) -> Sequence[str]:
    """At most `MOST_LEGS`, in their order: the contact and those who talked, then the first ones."""
    if len(names) <= MOST_LEGS:
        return names
    talked = [name for name in names if legs[name].party is Party.CONTACT or legs[name].talked_from is not None]
    others = [name for name in names if name not in talked]
    kept = {*talked[:MOST_LEGS], *others[: max(0, MOST_LEGS - len(talked))]}
    return [name for name in names if name in kept]


def without_number(legs: CallLegs, number: str) -> CallLegs:
    """The same, as if this number (E.164) had been withheld wherever it stands."""
    return replace(legs, legs=tuple(_without(leg, number) for leg in legs.legs))


def _without(leg: CallLeg, number: str) -> CallLeg:
    is_address = bool(leg.address) and read_number(leg.address).text == number
    if leg.number != number and not is_address:
        return leg
    return replace(leg, number="" if leg.number == number else leg.number, address="" if is_address else leg.address)


def numbers_in(legs: CallLegs) -> frozenset[str]:
    """The numbers outside that stand in legs."""
    return frozenset(leg.number for leg in legs.legs if leg.number)

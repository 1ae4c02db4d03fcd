"""What a call was: legs in, one call out. A telephony engineer can read and check this one file.

The story of the legs (their order, who heard whom and when) is in `domain/call_story.py`; the rules are here.

| order      | a leg comes after the one for which it was called, whatever the clocks say. Others are ordered by time;
|            | of one instant, legs that came in come before those that were called
| contact    | of the legs that lead outside, the first; did it come in, the call is inbound. Else the call is
|            | outbound, and the contact is the leg we called that somebody of ours talked to, or the last
| talk       | begins when the contact and a person have answered and hear one another: at a phone of ours, or at a
|            | number that the call was forwarded to. It ends when the contact's leg ends. Voicemail, menus, queues and
|            | music answer, and nobody talks. A contact whom a program calls talks from the answer on

| inbound    | talk                                                                               | answered
|            | no talk, and a message was stored                                                  | missed voicemail
|            | no talk, whatever the reason                                                       | missed
| outbound   | talk                                                                               | connected
|            | no talk: our side gave up before the answer                                        | failed/cancelled
|            | no talk: the far side was busy, rang in vain, was not there or rejected, on any    | not connected
|            | carrier that was tried
|            | no talk: no such number, no way there, carrier or trunk failed                     | failed/cancelled
| no event   | internal calls and consultations; a phone of ours was called for nothing (click to call); a number of
|            | ours that is no line

| transfer   | changes nothing: one event, under the first user and the first line, when the contact has hung up
| forwarded  | sent to another number before anybody answered, also when nobody did there; but a mobile that rang
|            | beside a phone, or before it, is none when the phone took the call
| recording  | of the talk: a message in a mailbox is none, and what was recorded while it rang is none
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from hookline.domain.call_story import PERSONS, Heard, LegStory, Story, legs_in
from hookline.domain.events import AccountName, CallPayload, CallType
from hookline.domain.legs import (
    Fact,
    Forwarded,
    LegStarted,
    MessageLeft,
    RecordingKept,
    RecordingStarted,
    RecordingStopped,
    Side,
)
from hookline.domain.numbers import NumberKind, ReadNumber, read_caller, read_number
from hookline.domain.phonebook import Phonebook, PhoneLine, User

#: The far side was reached, or is known to be there: busy, not there now, does not take it. RFC 3261, section 21.
_REFUSED_SIP: Final = frozenset({403, 480, 486, 600, 603})
#: The same as causes: user busy, no answer, subscriber absent, call rejected. ITU-T Q.850, table 1.
_REFUSED_Q850: Final = frozenset({17, 19, 20, 21})
#: Nothing came back in time: the far side was reached if it rang.
_SILENT_SIP: Final = frozenset({408, 487})
_SILENT_Q850: Final = frozenset({0, 16, 18, 31, 102, 127})


#: Digits of a number that is dialled without a prefix: North American ones have ten.
_SHORTEST_OUTSIDE: Final = 8


class Reason(StrEnum):
    """Why a call is no event."""

    INTERNAL = "internal"  # nobody outside was in it
    NEVER_DIALLED = "never dialled"  # a phone of ours was called, and the contact was not
    UNKNOWN_LINE = "unknown line"  # the number of ours is in no phone book
    UNFINISHED = "unfinished"  # the contact's leg did not end
    PART_OF_ANOTHER = "part of another call"  # it was joined to one that had begun before


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedCall:
    """A call that becomes an event."""

    payload: CallPayload
    started_at: datetime  # of its first leg
    answered_at: datetime | None  # when the talk began; None: nobody talked
    ended_at: datetime
    end_is_estimated: bool = False  # nobody heard the end: `ended_at` is the last sign of life
    not_understood: str | None = None  # the contact's number as it was told, if it is neither a number nor a stand-in


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCall:
    """Legs that become none."""

    reason: Reason
    line: str = ""  # the number that is no line, as it was spelt


def is_over(facts: Iterable[Fact]) -> bool:
    """Whether every leg has ended, those of machines aside. Wires count: whoever is called through one may yet come."""
    legs = legs_in(facts)
    return bool(legs) and all(leg.ended_at for leg in legs if leg.side is not Side.NOBODY)


def placed(facts: Iterable[Fact], phonebook: Phonebook) -> Sequence[Fact]:
    """The facts with the side of each leg: ours is one whose address the phone book knows.

    A caller whom it does not know is outside, unless the number that is asked for is none of ours: only phones of ours
    call others through their system. A leg that is called by an address, not by a number, is a phone of ours.
    """
    known = tuple(facts)
    if not any(isinstance(fact, LegStarted) and fact.side is Side.BY_PHONE_BOOK for fact in known):
        return known
    return tuple(_placed(fact, phonebook) if isinstance(fact, LegStarted) else fact for fact in known)


def _placed(leg: LegStarted, phonebook: Phonebook) -> LegStarted:
    if leg.side is not Side.BY_PHONE_BOOK:
        return leg
    if phonebook.user_of(leg.identity) is None and _is_outside(leg, phonebook):
        return replace(leg, side=Side.OUTSIDE, identity="")
    shows, dialled = ("", leg.dialled) if leg.places else (leg.shows, "")
    return replace(leg, side=Side.OURS, shows=shows, dialled=dialled)


def _is_outside(leg: LegStarted, phonebook: Phonebook) -> bool:
    """Whether an address that the phone book does not know is that of somebody outside."""
    if not leg.identity:
        return True
    number = read_caller(leg.identity) if leg.places else read_number(leg.identity)
    is_plain = not any(mark in leg.identity for mark in ":@")
    if number.kind is NumberKind.E164 or (number.kind is NumberKind.SHORT and is_plain):
        return True
    if not leg.places:
        return False
    return number.kind is NumberKind.WITHHELD or phonebook.line(phonebook.our_number(leg.dialled)) is not None


def contact_has_gone(facts: Iterable[Fact]) -> bool:
    """Whether the contact's leg has ended: whoever is left does not talk to anybody outside."""
    story = Story(facts)
    return story.contact is not None and story.contact.ended_at is not None


def has_talked(facts: Iterable[Fact]) -> bool:
    """Whether the contact and a person are known to have heard one another."""
    return Story(facts).talk_at is not None


def line_of(facts: Iterable[Fact], phonebook: Phonebook) -> str | None:
    """The number of ours on which a call is, E.164, or as it is spelt when it is no line of ours.

    None while that cannot be told, or when there is none.
    """
    story = Story(placed(facts, phonebook))
    return None if story.contact is None else _line(story, story.contact, phonebook) or None


def finished_call(facts: Iterable[Fact], phonebook: Phonebook) -> FinishedCall | NoCall:
    """What the call was. The facts may be in any order; of those of one instant the given order counts."""
    story = Story(placed(facts, phonebook))
    contact = story.contact
    if contact is None:
        return _without_contact(story, phonebook)
    if not story.is_inbound and _is_diverted_inside(story, phonebook):
        return NoCall(reason=Reason.INTERNAL)
    if contact.ended_at is None:
        return NoCall(reason=Reason.UNFINISHED)
    line = _line(story, contact, phonebook)
    told, number = _number(story, contact, phonebook, line)
    return _on_a_line(story, phonebook, line, told, number, contact.ended_at)


def _inbound_type(story: Story) -> CallType:
    if story.talk_at is not None:
        return CallType.ANSWERED
    return CallType.MISSED_VOICEMAIL if _message_was_left(story) else CallType.MISSED


def _outbound_type(story: Story) -> CallType:
    if story.talk_at is not None:
        return CallType.CONNECTED
    contact = story.contact
    if contact is None or contact.was_given_up:
        return CallType.FAILED_CANCELLED
    return CallType.NOT_CONNECTED if any(map(_was_refused, story.called_outside)) else CallType.FAILED_CANCELLED


def _was_refused(leg: LegStory) -> bool:
    """Whether the far side was reached and did not answer, for whatever reason."""
    if leg.sip is not None:
        return leg.sip in _REFUSED_SIP or (leg.sip in _SILENT_SIP and leg.rang)
    if leg.q850 is not None:
        return leg.q850 in _REFUSED_Q850 or (leg.q850 in _SILENT_Q850 and leg.rang)
    return leg.rang


def _line(story: Story, contact: LegStory, phonebook: Phonebook) -> str:
    """Inbound the number that was asked for at first, outbound the one that is shown; E.164, or as spelt."""
    if story.is_inbound:
        return phonebook.our_number(contact.asked_for) or contact.asked_for
    return _line_shown(contact, story.caller, phonebook)


def _line_shown(leg: LegStory, caller: LegStory | None, phonebook: Phonebook) -> str:
    shown = phonebook.our_number(leg.shows)
    if phonebook.line(shown) is not None:
        return shown
    user = phonebook.user_of(caller.identity) if caller is not None else None
    return (user.outbound_line if user is not None else "") or shown or leg.shows


def _number(story: Story, contact: LegStory, phonebook: Phonebook, line: str) -> tuple[str, ReadNumber]:
    """The number of who called, or who was called: as it was told, and as it is understood."""
    if story.is_inbound:
        return contact.shows, phonebook.caller(contact.shows, line)
    asked_for = story.caller.dialled if story.caller is not None else ""
    told = [(spelling, phonebook.dialled(spelling, line)) for spelling in (contact.dialled, asked_for) if spelling]
    for kind in (NumberKind.E164, NumberKind.SHORT):
        for spelling, number in told:
            if number.kind is kind:
                return spelling, number
    return told[0] if told else ("", read_number(""))


def _user(story: Story, phonebook: Phonebook, line: PhoneLine) -> User | None:
    """Outbound who called; inbound who answered first, and when that was nobody of ours, whose line it is."""
    partner = story.partner
    if not story.is_inbound:
        on_it = story.caller or partner
        return phonebook.user_of(on_it.identity) if on_it is not None else None
    if partner is not None and partner.side is Side.OURS:
        return phonebook.user_of(partner.identity)
    return phonebook.user_at(line.owner_email)


def _name(story: Story, user: User | None) -> AccountName:
    """The name in the phone book, and where that has none the one that the phone system knows."""
    if user is not None and (user.family_name or user.given_name):
        return AccountName(family_name=user.family_name, given_name=user.given_name)
    leg = _named_leg(story)
    if leg is None:
        return AccountName(family_name="", given_name="")
    return AccountName(family_name=leg.family_name, given_name=leg.given_name)


def _named_leg(story: Story) -> LegStory | None:
    """The leg of the user on the call; of a call that nobody took, the first phone of ours that has a name."""
    if not story.is_inbound:
        return story.caller or story.partner
    if story.partner is not None:
        return story.partner
    return next((leg for leg in story.legs if leg.side is Side.OURS and (leg.given_name or leg.family_name)), None)


def _is_diverted_inside(story: Story, phonebook: Phonebook) -> bool:
    """Whether somebody of ours called a colleague, whose phone sent the call outside: to the colleague's mobile."""
    caller = story.caller
    return (
        caller is not None
        and caller.places
        and phonebook.is_extension(caller.asked_for)
        and story.contact is not None
        and not any(leg.side is Side.OURS and leg is not caller and leg.talks for leg in story.legs)
    )


def _talk_seconds(story: Story) -> int:
    """Whole seconds, cut, from the first word to the end of the contact's leg."""
    if story.talk_at is None or story.contact is None or story.contact.ended_at is None:
        return 0
    return max(0, int((story.contact.ended_at - story.talk_at).total_seconds()))


def _message_was_left(story: Story) -> bool:
    return any(isinstance(fact, MessageLeft) for fact in story.facts)


def _was_forwarded(story: Story) -> bool:
    """Whether it was sent elsewhere before anybody answered. A mobile that rang beside the phone, or before it, counts
    only if nobody of ours took the call.
    """
    before = [fact for fact in story.facts if story.talk_at is None or fact.at <= story.talk_at]
    if any(isinstance(fact, Forwarded) for fact in before):
        return True
    is_taken = story.partner is not None and story.partner.side is Side.OURS
    return not is_taken and any(_is_early(leg, story) for leg in story.called_outside)


def _is_early(leg: LegStory, story: Story) -> bool:
    """Whether this leg began before the talk, or there was none."""
    return story.talk_at is None or (leg.started_at is not None and leg.started_at <= story.talk_at)


def _was_recorded(story: Story) -> bool:
    """Whether there is a recording with some of the talk on it."""
    if story.talk_at is None or story.contact is None or story.contact.ended_at is None:
        return False
    running: set[str] = set()
    silent = {leg.name for leg in story.legs if leg.side is Side.OURS and not leg.talks}  # rang, and no more
    for fact in story.facts:
        if fact.leg in silent or (fact.at >= story.contact.ended_at and not isinstance(fact, RecordingKept)):
            continue
        match fact:
            case RecordingKept():
                return True
            case RecordingStarted():
                running.add(fact.leg)
                if fact.at >= story.talk_at:
                    return True
            case RecordingStopped() if fact.at <= story.talk_at:
                running.discard(fact.leg)
            case _:
                pass
    return bool(running)


def _without_contact(story: Story, phonebook: Phonebook) -> FinishedCall | NoCall:
    """No leg leads outside. Was that the intention, or is there no way to the number that was asked for?"""
    ours = [leg for leg in story.legs if leg.side is Side.OURS]
    if len(ours) != 1:
        return NoCall(reason=Reason.INTERNAL)
    caller = ours[0]
    if not caller.had_dialled:
        return NoCall(reason=Reason.INTERNAL if caller.places else Reason.NEVER_DIALLED)
    line = _line_shown(caller, caller, phonebook)
    number = phonebook.dialled(caller.dialled, line) if _leads_outside(caller.dialled) else None
    if number is None or not number.e164 or phonebook.line(number.e164) is not None:
        return NoCall(reason=Reason.INTERNAL)
    if caller.ended_at is None:
        return NoCall(reason=Reason.UNFINISHED)
    return _on_a_line(story, phonebook, line, caller.dialled, number, caller.ended_at)


def _leads_outside(dialled: str) -> bool:
    """Whether it looks like a number of the telephone network: in many countries short ones are possible numbers too,
    and so extensions, conferences and codes would be.
    """
    return dialled.startswith(("+", "0")) or (dialled.isdigit() and len(dialled) >= _SHORTEST_OUTSIDE)


def _on_a_line(
    story: Story, phonebook: Phonebook, line: str, told: str, number: ReadNumber, ended_at: datetime
) -> FinishedCall | NoCall:
    known = phonebook.line(line)
    if known is None:
        return NoCall(reason=Reason.UNKNOWN_LINE, line=line)
    payload = CallPayload(
        account_name=_name(story, _user(story, phonebook, known)),
        duration_seconds=_talk_seconds(story),
        is_forwarded=story.is_inbound and _was_forwarded(story),
        phone_line=line,
        phone_line_name=known.name,
        phone_number=number.text,
        recording=_was_recorded(story),
        type=_inbound_type(story) if story.is_inbound else _outbound_type(story),
    )
    not_understood = told if number.kind is NumberKind.NOT_UNDERSTOOD else None
    return FinishedCall(
        payload=payload,
        started_at=story.started_at or ended_at,
        answered_at=story.talk_at,
        ended_at=ended_at,
        end_is_estimated=any(leg.end_is_estimated and leg.ended_at == ended_at for leg in story.legs),
        not_understood=not_understood,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStory:
    """What happened on the legs of a call, as far as it decides what the call was."""

    legs: Sequence[LegStory]  # those of machines and wires aside, in their order
    contact: LegStory | None
    is_inbound: bool
    number: str  # the contact's, as in the payload
    line: str  # the number of ours, as in the payload; "" when there is none
    talk_at: datetime | None
    talking_since: dict[str, datetime]  # leg -> when it first heard a person
    heard: Sequence[Heard]  # by the contact, in the order of `from_at`


def story_of(facts: Iterable[Fact], phonebook: Phonebook) -> CallStory:
    """The story by which `finished_call` decides."""
    story = Story(placed(facts, phonebook))
    contact, number, line = story.contact, "", ""
    if contact is not None:
        line = _line(story, contact, phonebook)
        number = _number(story, contact, phonebook, line)[1].text
    return CallStory(
        legs=[leg for leg in story.legs if leg.side in PERSONS],
        contact=contact,
        is_inbound=story.is_inbound,
        number=number,
        line=line,
        talk_at=story.talk_at,
        talking_since=story.talking_since,
        heard=story.heard_by(contact) if contact is not None else (),
    )

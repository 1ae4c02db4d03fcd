"""Erasure: everything about a participant or a contact is replaced, and what is still owed of it is withdrawn.

It is done in steps, each in a transaction of its own: a step takes whole meetings or calls until it has changed enough.
What a step did is done for good; whoever begins again after a crash goes on where it ended.
"""

from collections.abc import Callable
from dataclasses import replace

from hookline.domain.call_legs import without_number
from hookline.domain.calls import Call
from hookline.domain.erasure import (
    BECAUSE_ERASED,
    ERASED_EMAIL,
    Erased,
    facts_without_contact,
    without_contact,
    without_participant,
)
from hookline.domain.ids import SubjectId
from hookline.domain.meetings import Meeting
from hookline.ports.storage import Transaction


def erase_participant(tx: Transaction, email: str, limit: int) -> Erased | None:
    """Erase a participant from some meetings and their events; from all, when it is done again until there is None.

    Other participants stay, and so do hosts. A step changes about `limit` rows. A start that is still to come will be
    announced, with what is left.
    """
    erased = Erased()
    for meeting in tx.erasure.meetings_with(email, limit) if email.lower() != ERASED_EMAIL else ():
        erased += _erase_from_meeting(tx, meeting, email)
        if erased.rows >= limit:
            break
    return erased if erased.rows else None


def erase_contact(tx: Transaction, phone_number: str, limit: int) -> Erased | None:
    """Erase a contact's number from some calls and their events; from all, when done until there is None.

    The number is spelt as calls have it: E.164, or as it was told where it was not understood.

    Calls that are not over are events later, without it. Of what connectors told of settled ones the legs are kept.
    """
    erased = Erased()
    for call in tx.erasure.calls_with(phone_number, limit):
        erased += _erase_from_call(tx, call, phone_number)
        if erased.rows >= limit:
            break
    else:
        erased += _erase_from_intake(tx, phone_number)
    return erased if erased.rows else None


def _erase_from_meeting(tx: Transaction, meeting: Meeting, email: str) -> Erased:
    def without(body: bytes) -> bytes:
        return without_participant(body, email)

    tx.erasure.rewrite_meeting(
        meeting.id,
        body=without(meeting.details.body),
        booked_body=without(meeting.booked_body),
        participant=email,
        becomes=ERASED_EMAIL,
    )
    return Erased(meetings=1) + _erase_from_events(tx, meeting.id, without)


def _erase_from_call(tx: Transaction, call: Call, phone_number: str) -> Erased:
    tx.erasure.rewrite_legs(call.id, without_number(call.legs, phone_number), phone_number)
    if call.payload.phone_number != phone_number:
        return Erased(calls=1)
    tx.erasure.rewrite_call(call.id, without_contact(call.body))
    return Erased(calls=1) + _erase_from_events(tx, call.id, without_contact)


def _erase_from_intake(tx: Transaction, phone_number: str) -> Erased:
    """All at once: there are no more of them than calls that people are in just now, and the last ones that became no
    event.
    """
    erased = Erased()
    for call in tx.intake.unsettled():
        facts = facts_without_contact(call.facts, phone_number, tx.phonebook.book(call.region))
        if facts != call.facts:
            tx.erasure.rewrite_facts(replace(call, facts=facts))
            erased += Erased(calls=1)
    for decided in tx.decisions.mentioning(phone_number):
        legs = without_number(decided.legs, phone_number)
        if legs != decided.legs:
            tx.decisions.rewrite_legs(decided, legs)
            erased += Erased(calls=1)
    return erased


def _erase_from_events(tx: Transaction, subject: SubjectId, without: Callable[[bytes], bytes]) -> Erased:
    """Every event of a subject: its body, what is owed of it, and what receivers said to it."""
    erased = Erased()
    for event_id, body in tx.erasure.bodies_of(subject):
        tx.erasure.rewrite_event(event_id, without(body))
        withdrawn = tx.erasure.withdraw(event_id, because=BECAUSE_ERASED)
        erased += Erased(events=1, withdrawn=withdrawn, answers=tx.erasure.empty_answers(event_id))
    return erased

"""Legs of calls over HTTP: one shape, in calls and in what was decided on a connector's calls."""

from typing import Annotated

import msgspec

from hookline.api.routes import doc, doc_instant, instant_or_null
from hookline.domain.call_legs import CallLeg, LegOutcome, LegUser, Party, QueueStay
from hookline.domain.instants import wire_form

INSTANT_OR_NULL = {"format": "date-time", "examples": [None]}


class LegUserView(msgspec.Struct):
    """The user of a phone of yours."""

    id: Annotated[str | None, doc("Id of the user; null when only the phone system has a name.", examples=[None])]
    email: Annotated[str | None, doc("Mail address of the user; null alike.", examples=[None])]
    givenName: Annotated[str, doc("First name.", examples=["John"])]
    familyName: Annotated[str, doc("Last name.", examples=["Doe"])]


class QueueView(msgspec.Struct):
    """A time for which a caller waited in a queue."""

    queue: Annotated[str, doc("The queue, as the phone system names it.", examples=["sales"])]
    enteredAt: Annotated[str, doc_instant("When the caller came in.")]
    leftAt: Annotated[str | None, doc("When the caller left it, answered or not.", **INSTANT_OR_NULL)]
    waitedSeconds: Annotated[int | None, doc("Whole seconds between the two.", examples=[28])]


class LegView(msgspec.Struct):
    """One leg of a call."""

    party: Annotated[Party, doc("Whose it is: the contact, a phone of yours, or another number.")]
    number: Annotated[
        str, doc("E.164, or as dialled; empty when withheld, and for phones of yours.", examples=["+14002007868"])
    ]
    address: Annotated[str, doc("Of a phone of yours, as its system names it; else empty.", examples=[""])]
    user: Annotated[LegUserView | None, doc("Whose phone it is; null when nobody knows.", examples=[None])]
    startedAt: Annotated[str, doc_instant("When it began.")]
    rangAt: Annotated[str | None, doc("When it began to ring.", **INSTANT_OR_NULL)]
    answeredAt: Annotated[str | None, doc("When it was picked up, by whomever.", **INSTANT_OR_NULL)]
    talkedFrom: Annotated[str | None, doc("When it first heard a person.", **INSTANT_OR_NULL)]
    endedAt: Annotated[str | None, doc("When it ended.", **INSTANT_OR_NULL)]
    outcome: Annotated[LegOutcome, doc("What became of it.")]
    sipStatus: Annotated[int | None, doc("The last status of its signalling (RFC 3261).", examples=[None])]
    q850Cause: Annotated[int | None, doc("Its cause (ITU-T Q.850).", examples=[16])]
    transferredTo: Annotated[
        int | None, doc("The leg to which it transferred the call: its place in this list, from 0.", examples=[None])
    ]
    queues: Annotated[list[QueueView], doc("Queues in which it waited, in order.", examples=[[]])]


def leg_view(leg: CallLeg) -> LegView:
    """A leg as people are shown it."""
    return LegView(
        party=leg.party,
        number=leg.number,
        address=leg.address,
        user=None if leg.user is None else _user(leg.user),
        startedAt=wire_form(leg.started_at),
        rangAt=instant_or_null(leg.rang_at),
        answeredAt=instant_or_null(leg.answered_at),
        talkedFrom=instant_or_null(leg.talked_from),
        endedAt=instant_or_null(leg.ended_at),
        outcome=leg.outcome,
        sipStatus=leg.sip,
        q850Cause=leg.q850,
        transferredTo=leg.transferred_to,
        queues=[_queue(stay) for stay in leg.queues],
    )


def _user(user: LegUser) -> LegUserView:
    return LegUserView(
        id=user.id or None, email=user.email or None, givenName=user.given_name, familyName=user.family_name
    )


def _queue(stay: QueueStay) -> QueueView:
    waited = None if stay.left_at is None else max(0, int((stay.left_at - stay.entered_at).total_seconds()))
    return QueueView(
        queue=stay.queue,
        enteredAt=wire_form(stay.entered_at),
        leftAt=instant_or_null(stay.left_at),
        waitedSeconds=waited,
    )

"""Erasing a person over HTTP: a participant by mail address, a contact by phone number."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final

import msgspec

from hookline.api.routes import ADMIN_ONLY, Asked, Reply, Route, Steps, doc
from hookline.domain.calls import parse_contact
from hookline.domain.erasure import Erased
from hookline.domain.text import require_email, require_storable_text
from hookline.errors import Invalid
from hookline.ports.storage import Transaction
from hookline.services.erasure import erase_contact, erase_participant
from hookline.services.report_batches import apply_slice_until

#: About how many rows one step changes: others wait for it no longer than for a batch of meetings.
STEP: Final = 500


class ErasedView(msgspec.Struct):
    """What was erased by this request: how many of each."""

    meetings: Annotated[int, doc("Meetings that the participant was taken out of.")]
    calls: Annotated[int, doc("Calls whose number is withheld now.")]
    events: Annotated[int, doc("Their events.")]
    withdrawn: Annotated[int, doc("Deliveries that were still owed.")]
    answers: Annotated[int, doc("Answers of receivers that were emptied.")]


def participant(asked: Asked) -> Steps[Erased]:
    email = asked.path["email"]
    require_storable_text(email, "email")
    require_email(email, "email")
    return _all_of(lambda tx: erase_participant(tx, email, STEP))


def contact(asked: Asked) -> Steps[Erased]:
    told = asked.path["phoneNumber"]
    try:
        phone_number = parse_contact(told, "phoneNumber")
    except Invalid as refusal:
        return _as_told(told, refusal)
    return _all_of(lambda tx: erase_contact(tx, phone_number, STEP))


def _as_told(text: str, refusal: Invalid) -> Steps[Erased]:
    """Erase a contact whose number was not understood, by the text that calls have for it; refuse what none has."""
    require_storable_text(text, "phoneNumber")
    if not any(map(str.isdecimal, text)):
        raise refusal
    everywhere = _all_of(lambda tx: erase_contact(tx, text, STEP))

    def step(tx: Transaction, done: Erased) -> Erased | None:
        after = everywhere.step(tx, done)
        if after is None and not done.rows:
            raise refusal
        return after

    return replace(everywhere, step=step)


def _all_of(erase: Callable[[Transaction], Erased | None]) -> Steps[Erased]:
    began_at: datetime | None = None

    def step(tx: Transaction, done: Erased) -> Erased | None:
        nonlocal began_at
        began_at = began_at or tx.now
        if apply_slice_until(tx, began_at):  # what was accepted before may name the person
            return done
        more = erase(tx)
        return None if more is None else done + more

    return Steps(begin=Erased(), step=step, reply=_reply)


def _reply(erased: Erased) -> Reply:
    return Reply(
        200,
        ErasedView(
            meetings=erased.meetings,
            calls=erased.calls,
            events=erased.events,
            withdrawn=erased.withdrawn,
            answers=erased.answers,
        ),
    )


ROUTES = (
    Route(
        method="DELETE", path="/participants/{email}", handler=participant, scopes=ADMIN_ONLY, status=200,
        summary="Erase a participant from meetings and their events.", gives=ErasedView, may_hold_slashes=True,
    ),
    Route(
        method="DELETE", path="/contacts/{phoneNumber}", handler=contact, scopes=ADMIN_ONLY, status=200,
        summary="Erase a contact's number from calls and their events.", gives=ErasedView,
    ),
)  # fmt: skip

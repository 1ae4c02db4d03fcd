"""Meetings over HTTP."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from hookline.api.routes import (
    MAX_BATCH,
    PAGING,
    READERS,
    REPORTERS,
    Asked,
    Batch,
    Reply,
    Route,
    Work,
    checked_batch,
    doc,
    doc_instant,
    listed,
)
from hookline.domain.events import MAX_ANSWERS, MAX_PARTICIPANTS, MeetingPayload, Participant, QuestionAndAnswer
from hookline.domain.instants import parse_instant, wire_form
from hookline.domain.meetings import MAX_NAME, Meeting, MeetingStatus, check_meeting, require_participants
from hookline.domain.text import require_storable_text
from hookline.errors import Invalid
from hookline.ports.storage import MeetingFilter, Transaction
from hookline.services import booking, report_batches

MAX_REASON = 1000
MEETING_ID = doc("Id of the meeting.", examples=["mtg_01k2j3q4r5s6t7v8w9x0y1z2a3"])


class MeetingEdit(msgspec.Struct, omit_defaults=True):
    """What may be changed without moving a meeting; what is absent stays."""

    event_participants: Annotated[
        tuple[Participant, ...] | UnsetType,
        doc("Booker first, then guests, whole; the host is left out.", minItems=1, maxItems=MAX_PARTICIPANTS),
    ] = UNSET
    meeting_name: Annotated[str | UnsetType, doc("Name of the meeting.", minLength=1, maxLength=MAX_NAME)] = UNSET
    meeting_notes: Annotated[str | UnsetType, doc("Notes in the meeting.")] = UNSET
    meeting_location: Annotated[str | UnsetType, doc("Label of the place, or the link.")] = UNSET
    meeting_address: Annotated[str | UnsetType, doc("Street address of an in-person meeting, else empty.")] = UNSET
    questions_and_answers: Annotated[
        tuple[QuestionAndAnswer, ...] | UnsetType,
        doc("The booking form, in its order, whole.", maxItems=MAX_ANSWERS),
    ] = UNSET
    price: Annotated[int | float | UnsetType, doc("Cost in major units; 0 when free.", minimum=0)] = UNSET
    currency: Annotated[str | UnsetType, doc("ISO 4217 code.")] = UNSET


class Cancellation(msgspec.Struct):
    """Why, if anybody wants to say."""

    reason: Annotated[str, doc("Kept with the meeting; no event carries it.", maxLength=MAX_REASON)] = ""


class Move(msgspec.Struct):
    """A new time. Without an end the meeting stays as long as it was."""

    meeting_start_timestamp: Annotated[str, doc_instant("The new start, with any offset.")]
    meeting_end_timestamp: Annotated[str | UnsetType, doc_instant("The new end, not before the start.")] = UNSET


class MeetingBatch(msgspec.Struct):
    """Up to 1000 meetings."""

    meetings: Annotated[tuple[MeetingPayload, ...], doc("The meetings.", minItems=1, maxItems=MAX_BATCH)]


class MeetingMade(msgspec.Struct):
    """The id of a new meeting."""

    id: Annotated[str, MEETING_ID]


class MeetingsMade(msgspec.Struct):
    """The ids of new meetings, in the order of the request."""

    ids: Annotated[list[str], doc("One for each meeting.")]


class MeetingState(msgspec.Struct):
    """Where a meeting stands now."""

    id: Annotated[str, MEETING_ID]
    status: Annotated[MeetingStatus, doc("Its state at this instant.")]


class MeetingView(msgspec.Struct):
    """A meeting with what is known about it; `meeting` is exactly the body of its events."""

    id: Annotated[str, MEETING_ID]
    status: Annotated[MeetingStatus, doc("Its state at this instant.")]
    sequence: Annotated[int, doc("Number of its latest event.")]
    createdAt: Annotated[str, doc_instant("When it was booked.")]
    modifiedAt: Annotated[str, doc_instant("When it was last changed.")]
    cancelReason: Annotated[
        str | None, doc("Why it was cancelled, as far as anybody said; null unless it was.", examples=[None])
    ]
    meetingTypeId: Annotated[str | None, doc("What it was booked from; null for a reported meeting.", examples=[None])]
    hostTimeZone: Annotated[str | None, doc("The host's time zone; null where it is not known.", examples=[None])]
    meeting: Annotated[Any, MeetingPayload, doc("The body of its next event.")]


class MeetingList(msgspec.Struct):
    """A page of meetings, the latest made first."""

    meetings: Annotated[list[MeetingView], doc("The meetings of this page.")]
    next: Annotated[str | None, doc("Cursor of the next page; null at the end.", examples=[None])]


def create(asked: Asked) -> Work:
    details = check_meeting(asked.read(MeetingPayload))
    return lambda tx: Reply(201, MeetingMade(booking.book_meeting(tx, details)))


def create_batch(asked: Asked) -> Batch:
    many = checked_batch("meetings", asked.read(MeetingBatch).meetings, check_meeting)
    return Batch(accept=lambda tx: report_batches.accept_meetings(tx, many), made=lambda ids: MeetingsMade(list(ids)))


def read(asked: Asked) -> Work:
    def work(tx: Transaction) -> Reply:
        return Reply(200, _view(booking.read_meeting(tx, asked.path["id"]), tx))

    return work


def list_(asked: Asked) -> Work:
    query = asked.query
    wanted = MeetingFilter(
        status=query.choice("status", MeetingStatus),
        account_email=query.text("accountEmail"),
        participant=query.text("participant"),
        from_at=query.instant("from"),
        to_at=query.instant("to"),
    )
    limit, cursor = query.page(r"mtg_[0-9a-z]{26}")

    def work(tx: Transaction) -> Reply:
        page = booking.list_meetings(tx, wanted, limit=limit, cursor=cursor)
        return listed("meetings", page, lambda meeting: _view(meeting, tx))

    return work


def edit(asked: Asked) -> Work:
    changes = {
        name: value for name, value in msgspec.structs.asdict(asked.read(MeetingEdit)).items() if value is not UNSET
    }
    require_participants(changes.get("event_participants", ()))  # now, while nobody waits for the thread that writes

    def work(tx: Transaction) -> Reply:
        booking.edit_meeting(tx, asked.path["id"], changes)
        return Reply(204)

    return work


def cancel(asked: Asked) -> Work:
    reason = asked.read(Cancellation).reason
    require_storable_text(reason, "reason")
    if len(reason) > MAX_REASON:
        raise Invalid.field("reason", f"expected at most {MAX_REASON} characters.", code="out_of_range")
    return lambda tx: _state(booking.cancel_meeting(tx, asked.path["id"], reason), tx)


def reschedule(asked: Asked) -> Work:
    move = asked.read(Move)
    start_at = parse_instant(move.meeting_start_timestamp, "meeting_start_timestamp")
    end_at = (
        None
        if isinstance(move.meeting_end_timestamp, UnsetType)
        else parse_instant(move.meeting_end_timestamp, "meeting_end_timestamp")
    )
    return lambda tx: _state(booking.reschedule_meeting(tx, asked.path["id"], start_at, end_at), tx)


def _state(meeting: Meeting, tx: Transaction) -> Reply:
    return Reply(200, MeetingState(id=meeting.id, status=meeting.status(tx.now)))


def _view(meeting: Meeting, tx: Transaction) -> MeetingView:
    return MeetingView(
        id=meeting.id,
        status=meeting.status(tx.now),
        sequence=meeting.sequence,
        createdAt=wire_form(meeting.created_at),
        modifiedAt=wire_form(meeting.modified_at),
        cancelReason=meeting.cancel_reason if meeting.cancelled_at else None,
        meetingTypeId=None,
        hostTimeZone=None,
        meeting=msgspec.Raw(meeting.details.body),
    )


ROUTES = (
    Route(
        method="POST", path="/meetings", handler=create, scopes=REPORTERS, status=201,
        summary="Book a meeting: meetingBooked now, meetingStarted at the start.",
        takes=MeetingPayload, gives=MeetingMade,
    ),
    Route(
        method="POST", path="/meetings/batch", handler=create_batch, scopes=REPORTERS, status=201,
        summary="Book up to 1000 meetings, all or none.", takes=MeetingBatch, gives=MeetingsMade,
    ),
    Route(
        method="GET", path="/meetings", handler=list_, scopes=READERS, status=200,
        summary="List meetings, the latest made first.", gives=MeetingList,
        query={
            "status": Annotated[MeetingStatus, doc("Where they stand.")],
            "accountEmail": Annotated[str, doc("Address of the host.")],
            "participant": Annotated[str, doc("Address of a participant.")],
            "from": Annotated[str, doc_instant("Starts at or after this time.")],
            "to": Annotated[str, doc_instant("Starts before this time.")],
            **PAGING,
        },
    ),
    Route(
        method="GET", path="/meetings/{id}", handler=read, scopes=READERS, status=200,
        summary="Read a meeting.", gives=MeetingView,
    ),
    Route(
        method="PUT", path="/meetings/{id}", handler=edit, scopes=REPORTERS, status=204,
        summary="Edit a meeting without moving it: no event, later ones show it.", takes=MeetingEdit,
    ),
    Route(
        method="POST", path="/meetings/{id}/cancel", handler=cancel, scopes=REPORTERS, status=200,
        summary="Cancel a meeting: meetingCancelled; to cancel it again changes nothing.",
        takes=Cancellation, gives=MeetingState,
    ),
    Route(
        method="POST", path="/meetings/{id}/reschedule", handler=reschedule, scopes=REPORTERS, status=200,
        summary="Move a meeting: meetingCancelled with the old times, then meetingBooked with the new ones.",
        takes=Move, gives=MeetingState,
    ),
)  # fmt: skip

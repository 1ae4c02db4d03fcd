"""Meetings over HTTP."""

from typing import Annotated, Any

import msgspec

from hookline.api.routes import (
    PAGING,
    READERS,
    REPORTERS,
    Asked,
    Reply,
    Route,
    Work,
    listed,
)
from hookline.domain.events import MeetingPayload, QuestionAndAnswer, canonical_bytes
from hookline.domain.instants import parse_instant, wire_form
from hookline.domain.meetings import Meeting, MeetingDetails, MeetingStatus, check_meeting
from hookline.domain.text import require_storable_text
from hookline.errors import Invalid
from hookline.ports.storage import MeetingFilter, Transaction
from hookline.services import booking

MAX_BATCH = 1000
MAX_REASON = 1000


class MeetingEdit(msgspec.Struct, omit_defaults=True):
    """What may be changed without moving a meeting; what is absent stays."""

    meeting_name: str | msgspec.UnsetType = msgspec.UNSET
    meeting_notes: str | msgspec.UnsetType = msgspec.UNSET
    meeting_location: str | msgspec.UnsetType = msgspec.UNSET
    meeting_address: str | msgspec.UnsetType = msgspec.UNSET
    questions_and_answers: tuple[QuestionAndAnswer, ...] | msgspec.UnsetType = msgspec.UNSET
    price: int | float | msgspec.UnsetType = msgspec.UNSET
    currency: str | msgspec.UnsetType = msgspec.UNSET


class Cancellation(msgspec.Struct):
    """Why, if anybody wants to say."""

    reason: str = ""


class Move(msgspec.Struct):
    """A new time. Without an end the meeting stays as long as it was."""

    meeting_start_timestamp: str
    meeting_end_timestamp: str | msgspec.UnsetType = msgspec.UNSET


class MeetingBatch(msgspec.Struct):
    """Up to 1000 meetings."""

    meetings: tuple[MeetingPayload, ...]


class MeetingMade(msgspec.Struct):
    """The id of a new meeting."""

    id: str


class MeetingsMade(msgspec.Struct):
    """The ids of new meetings, in the order of the request."""

    ids: list[str]


class MeetingState(msgspec.Struct):
    """Where a meeting stands now."""

    id: str
    status: MeetingStatus


class MeetingView(msgspec.Struct):
    """A meeting with what is known about it; `meeting` is exactly the body of its events."""

    id: str
    status: MeetingStatus
    sequence: int
    createdAt: str
    modifiedAt: str
    cancelReason: str | None
    meetingTypeId: str | None
    hostTimeZone: str | None
    meeting: Annotated[Any, MeetingPayload]


class MeetingList(msgspec.Struct):
    """A page of meetings, the latest made first."""

    meetings: list[MeetingView]
    next: str | None


def create(asked: Asked) -> Work:
    details = check_meeting(asked.read(MeetingPayload))
    return lambda tx: Reply(201, MeetingMade(booking.book_meeting(tx, details)))


def create_batch(asked: Asked) -> Work:
    many = checked_batch("meetings", asked.read(MeetingBatch).meetings)
    return lambda tx: Reply(201, MeetingsMade(list(booking.book_meetings(tx, many))))


def checked_batch(name: str, payloads: tuple[MeetingPayload, ...]) -> list[MeetingDetails]:
    """Check each; a refusal names the index."""
    if not 1 <= len(payloads) <= MAX_BATCH:
        raise Invalid.field(name, f"expected 1 to {MAX_BATCH}, got {len(payloads)}.", code="out_of_range")
    checked = []
    for index, payload in enumerate(payloads):
        try:
            checked.append(check_meeting(payload))
        except Invalid as refusal:
            raise refusal.under(f"{name}[{index}]") from None
    return checked


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
        name: value
        for name, value in msgspec.structs.asdict(asked.read(MeetingEdit)).items()
        if value is not msgspec.UNSET
    }

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
        if isinstance(move.meeting_end_timestamp, msgspec.UnsetType)
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
        meeting=msgspec.Raw(canonical_bytes(meeting.details.payload)),
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
            "status": "booked, started, cancelled or ended.",
            "accountEmail": "Address of the host.",
            "participant": "Address of a participant.",
            "from": "Starts at or after this time.",
            "to": "Starts before this time.",
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

"""Meetings and timers in SQL: what both databases share."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from hookline.adapters.sql.bodies import WITH_THE_ROW
from hookline.adapters.sql.paging import Where, page_of, until_full
from hookline.adapters.sql.session import (
    Insert,
    Row,
    Session,
    first,
    instant,
    instant_or_none,
    micros,
    micros_or_none,
    to_json,
)
from hookline.domain.events import MeetingPayload, Participant, QuestionAndAnswer
from hookline.domain.ids import MeetingId
from hookline.domain.meetings import Meeting, MeetingDetails, MeetingStatus
from hookline.ports.storage import MeetingFilter, Page, Timer

_COLUMNS: Final = """
    id, start_at, end_at, payload, booked_body, version, sequence, created_at, modified_at, cancelled_at, cancel_reason
"""
#: As `_COLUMNS`, but texts come only when they are short.
_BOUNDED_COLUMNS: Final = f"""
    id, start_at, end_at, CASE WHEN LENGTH(payload) + LENGTH(booked_body) <= {WITH_THE_ROW} THEN payload END,
    CASE WHEN LENGTH(payload) + LENGTH(booked_body) <= {WITH_THE_ROW} THEN booked_body END, version, sequence,
    created_at, modified_at, cancelled_at, cancel_reason
"""
ADD_MEETING: Final = Insert(
    "meeting",
    (
        *("id", "account_email", "start_at", "end_at", "payload", "booked_body", "version", "sequence"),
        *("created_at", "modified_at", "cancelled_at", "cancel_reason"),
    ),
)
SAVE_MEETING: Final = """
    UPDATE meeting SET account_email = :account_email, start_at = :start_at, end_at = :end_at, payload = :payload,
        booked_body = :booked_body, version = :version, sequence = :sequence, modified_at = :modified_at,
        cancelled_at = :cancelled_at, cancel_reason = :cancel_reason
    WHERE id = :id
"""
ADD_PARTICIPANT: Final = Insert("meeting_participant", ("email", "meeting_id"), "DO NOTHING")
CHANGE_PARTICIPANT: Final = Insert(
    "meeting_participant",
    ("email", "meeting_id", "is_former"),
    "(email, meeting_id) DO UPDATE SET is_former = excluded.is_former",
)
MEETING: Final = f"SELECT {_COLUMNS} FROM meeting WHERE id = :id"
MEETINGS: Final = f"SELECT {_BOUNDED_COLUMNS} FROM meeting WHERE {{where}} ORDER BY id DESC LIMIT :limit"
SET_TIMER: Final = Insert(
    "timer",
    ("meeting_id", "version", "due_at"),
    "(meeting_id) DO UPDATE SET version = excluded.version, due_at = excluded.due_at",
)
CLEAR_TIMERS: Final = "DELETE FROM timer WHERE meeting_id IN (SELECT value FROM json_each(:ids))"
MEETINGS_OF: Final = f"SELECT {_COLUMNS} FROM meeting WHERE id IN (SELECT value FROM json_each(:ids))"
COUNT_EVENT: Final = """
    UPDATE meeting SET sequence = sequence + 1 WHERE id IN (SELECT value FROM json_each(:ids))
"""
HAS_TIMER: Final = "SELECT 1 FROM timer WHERE meeting_id = :meeting_id"
DUE_TIMERS: Final = """
    SELECT t.meeting_id, t.version, t.due_at, COALESCE(LENGTH(m.payload) + LENGTH(m.booked_body), 0)
    FROM timer t LEFT JOIN meeting m ON m.id = t.meeting_id
    WHERE t.due_at <= :now ORDER BY t.due_at, t.meeting_id LIMIT :limit
"""
NEXT_TIMER: Final = "SELECT min(due_at) FROM timer"


class SqlCalendar:
    """`ports.storage.Calendar`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, meeting: Meeting) -> None:
        values = _parameters(meeting)
        self._session.insert(ADD_MEETING, tuple(values[column] for column in ADD_MEETING.columns))
        for participant in meeting.details.payload.event_participants:
            self._session.insert(ADD_PARTICIPANT, (participant.EMAIL.lower(), meeting.id))

    def save(self, meeting: Meeting) -> None:
        self._session.run(SAVE_MEETING, _parameters(meeting))

    def change_participants(
        self, meeting_id: MeetingId, before: Sequence[Participant], after: Sequence[Participant]
    ) -> None:
        current = {participant.EMAIL.lower() for participant in after}
        for email in sorted(current | {participant.EMAIL.lower() for participant in before}):
            self._session.insert(CHANGE_PARTICIPANT, (email, meeting_id, int(email not in current)))

    def meeting(self, meeting_id: str) -> Meeting | None:
        row = first(self._session.rows(MEETING, {"id": meeting_id}))
        return None if row is None else _meeting(row)

    def meetings_of(self, meeting_ids: Sequence[MeetingId]) -> dict[MeetingId, Meeting]:
        rows = self._session.rows(MEETINGS_OF, {"ids": to_json(meeting_ids)}) if meeting_ids else []
        return {MeetingId(row[0]): _meeting(row) for row in rows}

    def count_event(self, meeting_ids: Sequence[MeetingId]) -> None:
        if meeting_ids:
            self._session.run(COUNT_EVENT, {"ids": to_json(meeting_ids)})

    def meetings(self, wanted: MeetingFilter, *, limit: int, cursor: str | None) -> Page[Meeting]:
        where = Where()
        where.before("id", cursor)
        if wanted.account_email is not None:
            where.add("account_email = :account_email", account_email=wanted.account_email.lower())
        if wanted.participant is not None:
            where.add(
                "id IN (SELECT meeting_id FROM meeting_participant"
                " WHERE email = :participant AND COALESCE(is_former, 0) <= :former)",
                participant=wanted.participant.lower(),
                former=int(wanted.includes_former),
            )
        where.between("start_at", wanted.from_at, wanted.to_at)
        if wanted.status is not None:
            where.add(_STATUS[wanted.status], now=micros(self._session.now))
        rows = self._session.rows(MEETINGS.format(where=where.sql), {**where.parameters, "limit": limit + 1})
        return page_of(rows, limit, self._whole, _text_bytes)

    def set_timer(self, timer: Timer) -> None:
        self._session.insert(SET_TIMER, (timer.meeting_id, timer.version, micros(timer.due_at)))
        self._session.doings.timers = True

    def clear_timers(self, meeting_ids: Sequence[MeetingId]) -> None:
        if meeting_ids:
            self._session.run(CLEAR_TIMERS, {"ids": to_json(meeting_ids)})

    def has_timer(self, meeting_id: MeetingId) -> bool:
        return bool(self._session.rows(HAS_TIMER, {"meeting_id": meeting_id}))

    def due_timers(self, limit: int) -> list[Timer]:
        rows = self._session.rows(DUE_TIMERS, {"now": micros(self._session.now), "limit": limit})
        return [
            Timer(meeting_id=MeetingId(meeting_id), version=version, due_at=instant(due_at))
            for meeting_id, version, due_at, _ in until_full(rows, lambda row: int(row[-1]))
        ]

    def next_timer_at(self) -> datetime | None:
        [(earliest,)] = self._session.rows(NEXT_TIMER)
        return instant_or_none(earliest)

    def _whole(self, row: Row) -> Meeting:
        """The meeting in a row of `_BOUNDED_COLUMNS`, whose texts are read now if they are long."""
        [whole] = [row] if row[3] is not None else self._session.rows(MEETING, {"id": row[0]})
        return _meeting(whole)


#: A status is a question to the clock (domain/meetings.py), here in SQL.
_STATUS: Final = {
    MeetingStatus.CANCELLED: "cancelled_at IS NOT NULL",
    MeetingStatus.BOOKED: "cancelled_at IS NULL AND start_at > :now",
    MeetingStatus.STARTED: "cancelled_at IS NULL AND start_at <= :now AND end_at > :now",
    MeetingStatus.ENDED: "cancelled_at IS NULL AND start_at <= :now AND end_at <= :now",
}


def _parameters(meeting: Meeting) -> dict[str, object]:
    return {
        "id": meeting.id,
        "account_email": meeting.details.payload.account_email.lower(),
        "start_at": micros(meeting.details.start_at),
        "end_at": micros(meeting.details.end_at),
        "payload": meeting.details.body.decode(),
        "booked_body": meeting.booked_body,
        "version": meeting.version,
        "sequence": meeting.sequence,
        "created_at": micros(meeting.created_at),
        "modified_at": micros(meeting.modified_at),
        "cancelled_at": micros_or_none(meeting.cancelled_at),
        "cancel_reason": meeting.cancel_reason,
    }


def _text_bytes(meeting: Meeting) -> int:
    """How much of a list a meeting takes up."""
    return len(meeting.details.body) + len(meeting.booked_body)


def _meeting(row: Row) -> Meeting:
    (id_, start_at, end_at, payload, booked_body, version, sequence, created_at, modified_at, cancelled_at, reason) = (
        row
    )
    return Meeting(
        id=MeetingId(id_),
        details=MeetingDetails(
            payload=meeting_payload(payload), body=payload.encode(), start_at=instant(start_at), end_at=instant(end_at)
        ),
        booked_body=booked_body,
        version=version,
        sequence=sequence,
        created_at=instant(created_at),
        modified_at=instant(modified_at),
        cancelled_at=instant_or_none(cancelled_at),
        cancel_reason=reason,
    )


def meeting_payload(text: str) -> MeetingPayload:
    """The payload of a meeting, from its canonical bytes as text."""
    kept = json.loads(text)
    kept["event_participants"] = tuple(Participant(**each) for each in kept["event_participants"])
    kept["questions_and_answers"] = tuple(QuestionAndAnswer(**each) for each in kept["questions_and_answers"])
    return MeetingPayload(**kept)

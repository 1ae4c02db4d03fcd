"""Booking: meetings are booked, edited, moved and cancelled, and everybody who wants to know is told.

Plain functions of (tx, ...). Nothing here waits, sends or reads a clock: tx.now is the one instant of the transaction.
What makes a meeting true: `domain/meetings.py`. Starts that are reached while nobody touches the meeting:
`services/timers.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from hookline.domain.events import EventKind
from hookline.domain.ids import MeetingId
from hookline.domain.meetings import Meeting, MeetingDetails, check_edit, start_useful_until
from hookline.errors import NotFound
from hookline.ports.storage import MeetingFilter, Page, Timer, Transaction
from hookline.services.phonebook import meet
from hookline.services.publishing import publish


def book_meeting(tx: Transaction, details: MeetingDetails) -> MeetingId:
    """Book a meeting: it is announced now, and its start when that is reached."""
    return book_meetings(tx, [details])[0]


def book_meetings(tx: Transaction, many: Sequence[MeetingDetails]) -> list[MeetingId]:
    """Book many, all or none, in one commit. For more than a few: `services/report_batches.py`."""
    booked = [new_meeting(tx, details) for details in many]
    keep_booked(tx, booked)
    return [meeting.id for meeting in booked]


def new_meeting(tx: Transaction, details: MeetingDetails) -> Meeting:
    """A meeting that is booked now, with an id of its own. It is not kept yet."""
    return Meeting.booked(MeetingId(f"mtg_{tx.ulid()}"), details, tx.now)


def keep_booked(tx: Transaction, many: Sequence[Meeting]) -> None:
    """Keep new meetings, and announce them."""
    for meeting in many:
        tx.calendar.add(meeting)
        publish(
            tx,
            EventKind.MEETING_BOOKED,
            meeting.id,
            sequence=meeting.sequence,
            body=meeting.booked_body,
            occurred_at=meeting.created_at,
        )
        _set_start_timer(tx, meeting)
    for email in dict.fromkeys(meeting.details.payload.account_email for meeting in many):
        meet(tx, email)


def edit_meeting(tx: Transaction, meeting_id: str, changes: Mapping[str, Any]) -> None:
    """Change what a meeting says, not when it is: nothing is announced, later events show it.

    `changes` are attributes of the payload.

    Raises:
        NotFound: no such meeting.
        Conflict: it was cancelled.
        Invalid: it would no longer be a meeting.
    """
    meeting = _meeting_of_this_instant(tx, meeting_id)
    meeting.require_not_cancelled()
    details = check_edit(meeting.details, changes)
    if details == meeting.details:
        return
    tx.calendar.save(meeting.edited(details, tx.now))
    before, after = meeting.details.payload.event_participants, details.payload.event_participants
    if before != after:
        tx.calendar.change_participants(meeting.id, before, after)


def cancel_meeting(tx: Transaction, meeting_id: str, reason: str) -> Meeting:
    """Cancel a booked meeting; to cancel it again changes nothing.

    Raises:
        NotFound: no such meeting.
        Conflict: it has started.
    """
    meeting = _meeting_of_this_instant(tx, meeting_id)
    if meeting.cancelled_at is not None:
        return meeting
    meeting.require_not_started(tx.now)
    cancelled = _announce_cancellation(tx, meeting).cancelled(reason, tx.now)
    tx.calendar.clear_timers([meeting.id])
    tx.calendar.save(cancelled)
    return cancelled


def reschedule_meeting(tx: Transaction, meeting_id: str, start_at: datetime, end_at: datetime | None) -> Meeting:
    """Move a booked meeting: cancelled at its old time, then booked at the new one, in one commit.

    Without `end_at` it stays as long as it was. To move it to where it is changes nothing, also once it has started: a
    request that is repeated because its answer was lost gets that answer.

    Raises:
        NotFound: no such meeting.
        Conflict: it has started, or was cancelled.
        Invalid: it would end before it starts, or beyond the years there are.
    """
    meeting = _meeting_of_this_instant(tx, meeting_id)
    meeting.require_not_cancelled()
    details = meeting.details.moved(start_at, end_at)
    if details is meeting.details:
        return meeting
    meeting.require_not_started(tx.now)
    moved = _announce_cancellation(tx, meeting).moved(details, tx.now)
    moved = replace(moved, sequence=moved.sequence + 1)
    publish(tx, EventKind.MEETING_BOOKED, moved.id, sequence=moved.sequence, body=moved.booked_body)
    tx.calendar.save(moved)
    _set_start_timer(tx, moved)
    return moved


def announce_starts(tx: Transaction, meetings: Sequence[Meeting]) -> None:
    """Tell that starts were reached, each once, unless that is of no use to anybody any more."""
    useful = [meeting for meeting in meetings if tx.now < start_useful_until(meeting.details)]
    for meeting in useful:
        publish(
            tx,
            EventKind.MEETING_STARTED,
            meeting.id,
            sequence=meeting.sequence + 1,
            body=meeting.details.body,
            occurred_at=meeting.details.start_at,
            give_up_at=start_useful_until(meeting.details),
        )
    tx.calendar.count_event([meeting.id for meeting in useful])
    tx.calendar.clear_timers([meeting.id for meeting in meetings])


def read_meeting(tx: Transaction, meeting_id: str) -> Meeting:
    """The meeting as it is now.

    Raises:
        NotFound: no such meeting.
    """
    meeting = tx.calendar.meeting(meeting_id)
    if meeting is None:
        raise NotFound(f"There is no meeting {meeting_id[:40]!r}.")
    return meeting


def list_meetings(tx: Transaction, wanted: MeetingFilter, *, limit: int, cursor: str | None) -> Page[Meeting]:
    """Meetings, the latest made first."""
    return tx.calendar.meetings(wanted, limit=limit, cursor=cursor)


def _meeting_of_this_instant(tx: Transaction, meeting_id: str) -> Meeting:
    """The meeting, its start announced if it was reached: who changes it just behind its start must not be faster
    than the timer, since meetingStarted carries the values as they were at the start.
    """
    meeting = read_meeting(tx, meeting_id)
    if meeting.details.start_at <= tx.now and tx.calendar.has_timer(meeting.id):
        announce_starts(tx, [meeting])
        return read_meeting(tx, meeting_id)
    return meeting


def _announce_cancellation(tx: Transaction, meeting: Meeting) -> Meeting:
    """Repeat what was last announced as booked, whatever was edited since."""
    cancelled = replace(meeting, sequence=meeting.sequence + 1)
    publish(tx, EventKind.MEETING_CANCELLED, cancelled.id, sequence=cancelled.sequence, body=cancelled.booked_body)
    return cancelled


def _set_start_timer(tx: Transaction, meeting: Meeting) -> None:
    """Have the start announced when it is reached; at once if it already is; never when nobody could use that."""
    if tx.now < start_useful_until(meeting.details):
        timer = Timer(meeting_id=meeting.id, version=meeting.version, due_at=meeting.details.start_at)
        tx.calendar.set_timer(timer)
    else:
        tx.calendar.clear_timers([meeting.id])

"""Timers: what was planned for an instant is done when the instant is reached."""

from datetime import datetime

from hookline.domain.events import EventKind
from hookline.domain.meetings import Meeting
from hookline.ports.storage import Timer, Transaction
from hookline.services.booking import announce_starts
from hookline.services.publishing import events_per_commit


def fire_due(tx: Transaction, limit: int) -> int:
    """Announce up to `limit` starts that are reached, fewer where many webhooks want them. Returns how many timers are
    done with.

    A timer of another version of its meeting, or of a cancelled one, is void.
    """
    limit = min(limit, events_per_commit(tx, EventKind.MEETING_STARTED, rows=1))
    timers = tx.calendar.due_timers(limit)
    meetings = tx.calendar.meetings_of([timer.meeting_id for timer in timers])
    valid = {timer.meeting_id for timer in timers if _is_valid(timer, meetings.get(timer.meeting_id))}
    tx.calendar.clear_timers([timer.meeting_id for timer in timers if timer.meeting_id not in valid])
    announce_starts(tx, [meetings[timer.meeting_id] for timer in timers if timer.meeting_id in valid])
    return len(timers)


def _is_valid(timer: Timer, meeting: Meeting | None) -> bool:
    return meeting is not None and meeting.version == timer.version and meeting.cancelled_at is None


def next_timer_at(tx: Transaction) -> datetime | None:
    """The earliest instant at which there is something to do."""
    return tx.calendar.next_timer_at()

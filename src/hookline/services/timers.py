"""Timers: what was planned for an instant is done when the instant is reached."""

from datetime import datetime

from hookline.ports.storage import Transaction
from hookline.services.booking import announce_start


def fire_due(tx: Transaction, limit: int) -> int:
    """Announce up to `limit` starts that are reached. Returns how many timers are done with.

    A timer of another version of its meeting, or of a cancelled one, is void.
    """
    timers = tx.calendar.due_timers(limit)
    for timer in timers:
        meeting = tx.calendar.meeting(timer.meeting_id)
        if meeting is None or meeting.version != timer.version or meeting.cancelled_at is not None:
            tx.calendar.clear_timer(timer.meeting_id)
        else:
            announce_start(tx, meeting)
    return len(timers)


def next_timer_at(tx: Transaction) -> datetime | None:
    """The earliest instant at which there is something to do."""
    return tx.calendar.next_timer_at()

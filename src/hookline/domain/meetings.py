"""Meetings: what makes one true, in which state it is, and what may still be done with it.

A meeting has started when its start is reached, whether or not anything was running then: its state is a question to
the clock, not a flag that somebody sets. Publishing what happens to it: `services/booking.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from hookline.domain.events import MeetingPayload, canonical_bytes
from hookline.domain.ids import MeetingId
from hookline.domain.instants import parse_instant, wire_form
from hookline.domain.money import parse_currency, parse_price
from hookline.domain.text import require_email, require_storable
from hookline.errors import Conflict, Invalid

MAX_NAME: Final = 255
#: A start is of no use to anybody once the meeting has been over for this long.
START_USEFUL_FOR: Final = timedelta(hours=24)


class MeetingStatus(StrEnum):
    """Where a meeting stands at a given instant."""

    BOOKED = "booked"
    STARTED = "started"
    CANCELLED = "cancelled"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingDetails:
    """What a meeting is, checked: its payload, the bytes of that, and its times as instants."""

    payload: MeetingPayload
    body: bytes
    start_at: datetime
    end_at: datetime

    @classmethod
    def of(cls, payload: MeetingPayload, start_at: datetime, end_at: datetime) -> "MeetingDetails":
        """The details of a meeting at this time, whatever time `payload` says.

        Raises:
            Invalid: it would end before it starts.
        """
        require_order(start_at, end_at)
        timed = replace(payload, meeting_start_timestamp=wire_form(start_at), meeting_end_timestamp=wire_form(end_at))
        return cls(payload=timed, body=canonical_bytes(timed), start_at=start_at, end_at=end_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """A meeting as it is kept."""

    id: MeetingId
    details: MeetingDetails
    booked_body: bytes  # what the last meetingBooked said, and meetingCancelled will repeat
    version: int  # 1, 2 ...: grows with every change of its times; a timer belongs to one
    sequence: int  # of its latest event
    created_at: datetime
    modified_at: datetime
    cancelled_at: datetime | None = None
    cancel_reason: str = ""

    def status(self, now: datetime) -> MeetingStatus:
        """Where it stands at `now`."""
        if self.cancelled_at is not None:
            return MeetingStatus.CANCELLED
        if now < self.details.start_at:
            return MeetingStatus.BOOKED
        return MeetingStatus.STARTED if now < self.details.end_at else MeetingStatus.ENDED

    def require_not_cancelled(self) -> None:
        """Refuse to change what was cancelled."""
        if self.cancelled_at is not None:
            raise Conflict(
                f"Meeting {self.id} was cancelled at {wire_form(self.cancelled_at)}.",
                code="meeting_cancelled",
                hint="Book a new meeting.",
            )

    def require_not_started(self, now: datetime) -> None:
        """Refuse to cancel or move what has begun."""
        if now >= self.details.start_at:
            raise Conflict(
                f"Meeting {self.id} started at {wire_form(self.details.start_at)}.", code="meeting_already_started"
            )

    def edited(self, details: MeetingDetails, now: datetime) -> "Meeting":
        """With other details at the same times: nothing is announced, later events show it."""
        return replace(self, details=details, modified_at=now)

    def moved(self, details: MeetingDetails, now: datetime) -> "Meeting":
        """Booked anew at another time: a new version, so that timers of the old one are void."""
        return replace(
            self,
            details=details,
            booked_body=details.body,
            version=self.version + 1,
            modified_at=now,
        )

    def cancelled(self, reason: str, now: datetime) -> "Meeting":
        """Cancelled, for `reason` (may be empty)."""
        return replace(self, version=self.version + 1, cancelled_at=now, cancel_reason=reason, modified_at=now)


def start_useful_until(details: MeetingDetails) -> datetime:
    """From this instant on nobody is told any more that the meeting started."""
    return details.end_at + START_USEFUL_FOR


def require_order(start_at: datetime, end_at: datetime) -> None:
    """Refuse a meeting that ends before it starts, as events say it: to the millisecond.

    One without length is fine, as in the page's sample.
    """
    if wire_form(end_at) < wire_form(start_at):
        raise Invalid.field(
            "meeting_end_timestamp",
            f"expected an end not before the start ({wire_form(start_at)}), got {wire_form(end_at)}.",
        )


def check_meeting(raw: MeetingPayload) -> MeetingDetails:
    """Make details out of a payload as somebody sent it.

    Raises:
        Invalid: names the first attribute that breaks a rule.
    """
    require_storable(raw)
    require_email(raw.account_email, "account_email")
    require_participants(participant.EMAIL for participant in raw.event_participants)
    if not 1 <= len(raw.meeting_name) <= MAX_NAME:
        raise Invalid.field(
            "meeting_name", f"expected 1 to {MAX_NAME} characters, got {len(raw.meeting_name)}.", code="out_of_range"
        )
    currency = parse_currency(raw.currency)
    priced = replace(raw, currency=currency, price=parse_price(raw.price, currency))
    start_at = parse_instant(raw.meeting_start_timestamp, "meeting_start_timestamp")
    end_at = parse_instant(raw.meeting_end_timestamp, "meeting_end_timestamp")
    return MeetingDetails.of(priced, start_at, end_at)


def require_participants(emails: Iterable[str]) -> None:
    """Refuse a meeting to which nobody comes, and anybody without a mail address."""
    count = 0
    for count, email in enumerate(emails, 1):
        require_email(email, f"event_participants[{count - 1}].EMAIL")
    if not count:
        raise Invalid.field("event_participants", "expected at least one participant, got none.")

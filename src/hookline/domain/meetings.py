"""Meetings: what makes one true, in which state it is, and what may still be done with it.

A meeting has started when its start is reached, whether or not anything was running then: its state is a question to
the clock, not a flag that somebody sets. Publishing what happens to it: `services/booking.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from hookline.domain.events import MAX_ANSWERS, MAX_PARTICIPANTS, MeetingPayload, Participant, canonical_bytes
from hookline.domain.ids import MeetingId
from hookline.domain.instants import later, parse_instant, to_wire_precision, wire_form
from hookline.domain.money import parse_currency, parse_price
from hookline.domain.text import require_email, require_storable, same_address
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

    def moved(self, start_at: datetime, end_at: datetime | None) -> "MeetingDetails":
        """The same details at another time; without `end_at` the meeting keeps its length.

        To where it is, as payloads say it (to the millisecond), it does not move: the answer is `self`.

        Raises:
            Invalid: it would end before it starts, or beyond the years there are.
        """
        if end_at is None:
            if to_wire_precision(start_at) == to_wire_precision(self.start_at):
                return self
            end_at = later(start_at, self.end_at - self.start_at, "meeting_end_timestamp")
        moved = MeetingDetails.of(self.payload, start_at, end_at)
        return self if moved.payload == self.payload else moved


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

    @classmethod
    def booked(cls, meeting_id: MeetingId, details: MeetingDetails, now: datetime) -> "Meeting":
        """A meeting that is booked now: its first version, with its first event."""
        return cls(
            id=meeting_id,
            details=details,
            booked_body=details.body,
            version=1,
            sequence=1,
            created_at=now,
            modified_at=now,
        )

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
    """Make details out of a payload as somebody sent it. The host is left out of the participants.

    Raises:
        Invalid: names the first attribute that breaks a rule.
    """
    _require_at_most(MAX_PARTICIPANTS, "event_participants", raw.event_participants)
    _require_at_most(MAX_ANSWERS, "questions_and_answers", raw.questions_and_answers)
    require_storable(raw)
    for _, checked in _RULES:
        raw = checked(raw)
    start_at = parse_instant(raw.meeting_start_timestamp, "meeting_start_timestamp")
    end_at = parse_instant(raw.meeting_end_timestamp, "meeting_end_timestamp")
    return MeetingDetails.of(raw, start_at, end_at)


def check_edit(details: MeetingDetails, changes: Mapping[str, Any]) -> MeetingDetails:
    """The details with other values at the same time; `changes` are attributes of the payload, but no times.

    Only the rules of what changes are looked at, so that a meeting kept under older rules can be corrected.

    Raises:
        Invalid: names the first attribute that breaks a rule.
    """
    payload = replace(details.payload, **changes)
    require_storable(payload)
    for attributes, checked in _RULES:
        if not attributes.isdisjoint(changes):
            payload = checked(payload)
    return replace(details, payload=payload, body=canonical_bytes(payload))


def _require_at_most(most: int, attribute: str, items: Sequence[object]) -> None:
    if len(items) > most:
        raise Invalid.field(attribute, f"expected at most {most} items, got {len(items)}.", code="out_of_range")


def _with_a_host(payload: MeetingPayload) -> MeetingPayload:
    require_email(payload.account_email, "account_email")
    return payload


def _with_participants(payload: MeetingPayload) -> MeetingPayload:
    """Refuse a meeting to which nobody comes, and anybody without a mail address; leave out the host."""
    given = payload.event_participants
    require_participants(given)
    if not given:
        raise Invalid.field("event_participants", "expected at least one participant, got none.")
    guests = tuple(each for each in given if not same_address(each.EMAIL, payload.account_email))
    if not guests:
        raise Invalid.field(
            "event_participants",
            f"expected at least one participant besides the host, got only the host ({payload.account_email}).",
        )
    return payload if len(guests) == len(given) else replace(payload, event_participants=guests)


def require_participants(participants: Sequence[Participant]) -> None:
    """Refuse too many participants, and those without a mail address.

    What was looked at once is remembered for a while: looked at before a transaction, it costs nothing in it.

    Raises:
        Invalid: there are too many, or it names the first without an address.
    """
    _require_at_most(MAX_PARTICIPANTS, "event_participants", participants)
    for index, participant in enumerate(participants):
        require_email(participant.EMAIL, f"event_participants[{index}].EMAIL")


def _with_a_name(payload: MeetingPayload) -> MeetingPayload:
    length = len(payload.meeting_name)
    if not 1 <= length <= MAX_NAME:
        raise Invalid.field("meeting_name", f"expected 1 to {MAX_NAME} characters, got {length}.", code="out_of_range")
    return payload


def _with_a_price(payload: MeetingPayload) -> MeetingPayload:
    currency = parse_currency(payload.currency)
    return replace(payload, currency=currency, price=parse_price(payload.price, currency))


def _with_answers(payload: MeetingPayload) -> MeetingPayload:
    _require_at_most(MAX_ANSWERS, "questions_and_answers", payload.questions_and_answers)
    return payload


#: The attributes that a rule is about, and the rule: it gives the payload in its checked form, or raises `Invalid`.
_RULES: Final[tuple[tuple[frozenset[str], Callable[[MeetingPayload], MeetingPayload]], ...]] = (
    (frozenset({"account_email"}), _with_a_host),
    (frozenset({"event_participants"}), _with_participants),
    (frozenset({"meeting_name"}), _with_a_name),
    (frozenset({"currency", "price"}), _with_a_price),
    (frozenset({"questions_and_answers"}), _with_answers),
)

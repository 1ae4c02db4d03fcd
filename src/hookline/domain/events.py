"""The four events: what they are called, what they carry, and the one way their bytes are made.

This is the only place that knows the page's payloads. JSON Schemas, the `webhooks` section of the OpenAPI document,
the API's readers and the receiver library are all made from these classes, so this module needs nothing but the
standard library. Whether values are true: `domain/meetings.py`, `domain/calls.py`.

Source of names and meaning: Brevo, "Meetings and phone webhooks".
"""

import json
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, Final, get_origin, get_type_hints

from hookline.domain.ids import EventId, SubjectId


class EventKind(StrEnum):
    """The name of an event, as in a webhook's `events` and in the header `hookline-event`."""

    MEETING_BOOKED = "meetingBooked"
    MEETING_STARTED = "meetingStarted"
    MEETING_CANCELLED = "meetingCancelled"
    CALL_FINISHED = "callFinished"


class CallType(StrEnum):
    """How a call ended. The direction is in the word: the first three are inbound."""

    ANSWERED = "answered"
    MISSED = "missed"
    MISSED_VOICEMAIL = "missed voicemail"
    CONNECTED = "connected"
    NOT_CONNECTED = "not connected"
    FAILED_CANCELLED = "failed/cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What holds for one attribute beyond its JSON type; becomes words of its JSON Schema."""

    doc: str
    min_length: int | None = None
    max_length: int | None = None
    minimum: int | None = None
    format: str | None = None
    pattern: str | None = None


#: Most participants of a meeting, and most questions of its form.
MAX_PARTICIPANTS: Final = 1000
MAX_ANSWERS: Final = 1000
_WIRE_INSTANT: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"
_E164: Final = r"^\+[1-9]\d{1,14}$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Who comes to a meeting. The keys are in capitals because the page has them so."""

    EMAIL: Annotated[str, Rule(doc="Email of the participant.", min_length=1)]
    FIRSTNAME: Annotated[str, Rule(doc="First name; empty when unknown.")] = ""
    LASTNAME: Annotated[str, Rule(doc="Last name; empty when unknown.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAndAnswer:
    """One field of the booking form with what was put in."""

    answer: Annotated[str, Rule(doc='The answer; several choices are joined with ", ".')] = ""
    question: Annotated[str, Rule(doc="The question as the form asked it.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingPayload:
    """The body of `meetingBooked`, `meetingStarted` and `meetingCancelled`, all three alike."""

    account_email: Annotated[str, Rule(doc="Email of the host.", min_length=1)]
    currency: Annotated[str, Rule(doc="ISO 4217 code, three capitals.", pattern="^([A-Z]{3})?$")] = ""
    event_participants: Annotated[
        tuple[Participant, ...],
        Rule(doc="Booker first, then guests; the host is not in it.", min_length=1, max_length=MAX_PARTICIPANTS),
    ]
    meeting_address: Annotated[str, Rule(doc="Street address of an in-person meeting, else empty.")] = ""
    meeting_end_timestamp: Annotated[
        str, Rule(doc="End: UTC, three decimals, Z. Not before the start.", format="date-time", pattern=_WIRE_INSTANT)
    ]
    meeting_location: Annotated[str, Rule(doc="Label of the place, or the link.")] = ""
    meeting_name: Annotated[str, Rule(doc="Name of the meeting.", min_length=1, max_length=255)]
    meeting_notes: Annotated[str, Rule(doc="Notes in the meeting.")] = ""
    meeting_start_timestamp: Annotated[
        str, Rule(doc="Start: UTC, three decimals, Z.", format="date-time", pattern=_WIRE_INSTANT)
    ]
    price: Annotated[int | float, Rule(doc="Cost in major units (123 is 123 euros); 0 when free.", minimum=0)] = 0
    questions_and_answers: Annotated[
        tuple[QuestionAndAnswer, ...], Rule(doc="The booking form, in its order.", max_length=MAX_ANSWERS)
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountName:
    """The user on a call; of a missed one, the line's user. Empty where there is none."""

    family_name: Annotated[str, Rule(doc="Family name of the user.")] = ""
    given_name: Annotated[str, Rule(doc="Given name of the user.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPayload:
    """The body of `callFinished`."""

    account_name: Annotated[AccountName, Rule(doc="The user on the call.")] = AccountName()
    duration_seconds: Annotated[
        int, Rule(doc="Talk time in whole seconds; 0 unless answered or connected.", minimum=0)
    ] = 0
    is_forwarded: Annotated[bool, Rule(doc="Whether the call went through call forwarding.")] = False
    phone_line: Annotated[str, Rule(doc="Our own number, E.164.", pattern=_E164)]
    phone_line_name: Annotated[str, Rule(doc="The label of our number.")] = ""
    phone_number: Annotated[
        str,
        Rule(doc="The contact's number, E.164, whoever called; as dialled if it has no such form; empty if withheld."),
    ]
    recording: Annotated[bool, Rule(doc="Whether a recording of the call exists.")] = False
    type: Annotated[CallType, Rule(doc="How the call ended.")]


Payload = MeetingPayload | CallPayload

#: What each event carries.
PAYLOADS: Final[dict[EventKind, type[Payload]]] = {
    EventKind.MEETING_BOOKED: MeetingPayload,
    EventKind.MEETING_STARTED: MeetingPayload,
    EventKind.MEETING_CANCELLED: MeetingPayload,
    EventKind.CALL_FINISHED: CallPayload,
}

#: When each event happens, for schemas and documentation.
FIRED_WHEN: Final[dict[EventKind, str]] = {
    EventKind.MEETING_BOOKED: "A meeting is confirmed.",
    EventKind.MEETING_STARTED: "The scheduled start of a booked meeting is reached; once; never for a cancelled one.",
    EventKind.MEETING_CANCELLED: "A booked meeting is cancelled.",
    EventKind.CALL_FINISHED: "A call is over: final hang-up, after all transfers.",
}


_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def plain(value: Any) -> Any:
    """A payload as JSON's own kinds of value, every key present."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    names = attributes_of(value.__class__)
    if not names:
        return value
    attributes = dict(zip(names, attrgetter(*names)(value), strict=True))
    for name in _nested_in(value.__class__):
        attributes[name] = plain(attributes[name])
    return attributes


@cache
def attributes_of(kind: type[Any]) -> tuple[str, ...]:
    """The names of a payload class's attributes; none for JSON's own kinds of value."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


@cache
def _nested_in(kind: type[Any]) -> tuple[str, ...]:
    """The attributes of a payload class that are lists or payload classes themselves."""
    return tuple(name for name, hint in get_type_hints(kind).items() if is_dataclass(hint) or get_origin(hint) is tuple)


def canonical_bytes(value: Any) -> bytes:
    """UTF-8 JSON, keys sorted by code point at every level, no insignificant white space, non-ASCII unescaped."""
    return _CANONICAL(plain(value)).encode()


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Event:
    """A fact that happened, immutable, with its final bytes. All claims on its deliveries share one such value."""

    id: EventId
    kind: EventKind
    subject: SubjectId
    sequence: int  # 1, 2, 3 ... of the events of this subject
    occurred_at: datetime
    created_at: datetime
    body: bytes
    is_test: bool = False


_SAMPLE_MEETING: Final = MeetingPayload(
    account_email="john@example.com",
    currency="EUR",
    event_participants=(Participant(EMAIL="john@example.coo", FIRSTNAME="john", LASTNAME="doe"),),
    meeting_address="12345 CityAB",
    meeting_end_timestamp="2025-06-10T07:09:01.696Z",
    meeting_location="MeetingpointA",
    meeting_name="Testmeeting",
    meeting_notes="Meeting-notes",
    meeting_start_timestamp="2025-06-10T07:09:01.696Z",
    price=123,
    questions_and_answers=(QuestionAndAnswer(answer="Answer to the question", question="What is the question?"),),
)
_SAMPLE_CALL: Final = CallPayload(
    account_name=AccountName(family_name="doe", given_name="john"),
    duration_seconds=123,
    is_forwarded=True,
    phone_line="+441400800008",
    phone_line_name="My number",
    phone_number="+14002007868",
    recording=True,
    type=CallType.ANSWERED,
)

#: The page's own sample of each event: what a test send carries.
SAMPLES: Final[dict[EventKind, Payload]] = {
    EventKind.MEETING_BOOKED: _SAMPLE_MEETING,
    EventKind.MEETING_STARTED: _SAMPLE_MEETING,
    EventKind.MEETING_CANCELLED: _SAMPLE_MEETING,
    EventKind.CALL_FINISHED: _SAMPLE_CALL,
}

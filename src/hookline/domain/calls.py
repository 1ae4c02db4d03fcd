"""Calls: what makes a finished one true.

`type` carries the direction; seconds are talk time, so only a call on which people talked has any.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from hookline.domain.call_legs import NO_LEGS, CallLegs
from hookline.domain.events import CallPayload, CallType
from hookline.domain.ids import CallId, ConnectorId
from hookline.domain.instants import wire_form
from hookline.domain.numbers import NumberKind, home_of, is_service, is_withheld, read_number
from hookline.domain.text import require_storable
from hookline.errors import Invalid

TALKED: Final = frozenset({CallType.ANSWERED, CallType.CONNECTED})
_INBOUND: Final = frozenset({CallType.ANSWERED, CallType.MISSED, CallType.MISSED_VOICEMAIL})
_MAX_SECONDS: Final = 2**31 - 1


#: Systems that tell whole seconds may seem to end a call a moment before they began it.
_ROUNDING: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTimes:
    """When a call began, was answered and ended; aware UTC, None where that is not known."""

    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    end_is_estimated: bool = False  # nobody heard the end: `ended_at` is the last sign of life


NO_TIMES: Final = CallTimes()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOrigin:
    """The connector that reported a call, and the id that its phone system has for the call."""

    connector_id: ConnectorId
    external_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A finished call as it is kept."""

    id: CallId
    payload: CallPayload
    body: bytes  # of its event
    source: str  # who reported it: "api", or a connector's kind
    created_at: datetime
    times: CallTimes = NO_TIMES
    origin: CallOrigin | None = None  # None: not from a connector
    legs: CallLegs = NO_LEGS


def check_times(times: CallTimes) -> CallTimes:
    """Refuse times that no call can have.

    Raises:
        Invalid: the end or the answer is a second or more before the start, or the end before the answer.
    """
    told = (("startedAt", times.started_at), ("answeredAt", times.answered_at), ("endedAt", times.ended_at))
    known = [(field, at) for field, at in told if at is not None]
    for (before, earlier), (field, at) in pairwise(known):
        if at <= earlier - _ROUNDING:
            raise Invalid.field(field, f"expected a time not before {before}, {wire_form(earlier)}.")
    return times


def parse_number(spelling: str, field: str) -> str:
    """E.164 of a number in any international spelling (`+44 1400 800008`, `0044...`, `tel:+44...`).

    Raises:
        Invalid: no number, or one whose country cannot be known.
    """
    number = read_number(spelling).e164
    if not number:
        raise Invalid.field(
            field, f"expected a phone number with its country code such as +441400800008, got {spelling[:40]!r}."
        )
    return number


def parse_contact(spelling: str, field: str) -> str:
    """A contact's number to look for: E.164, or the digits of one that has no international form (112, 116117).

    Raises:
        Invalid: no number, or one whose country cannot be known.
    """
    number = read_number(spelling)
    is_service = number.kind is NumberKind.SHORT and spelling.strip() == number.text
    return number.text if is_service else parse_number(spelling, field)


def check_call(raw: CallPayload) -> CallPayload:
    """The payload with its numbers in E.164.

    Raises:
        Invalid: names the first attribute that breaks a rule.
    """
    require_possible(raw)
    line = parse_number(raw.phone_line, "phone_line")
    contact = raw.phone_number
    if contact and raw.type in _INBOUND and is_withheld(contact):
        raise Invalid.field(
            "phone_number", f'expected the number of the contact, or "" when it is withheld, got {contact[:40]!r}.'
        )
    if contact and not is_service(contact, home_of(line)):
        contact = parse_number(contact, "phone_number")
    if (line, contact) == (raw.phone_line, raw.phone_number):
        return raw
    return replace(raw, phone_line=line, phone_number=contact)


def require_possible(raw: CallPayload) -> None:
    """Refuse a payload that no call can have, whatever its numbers are.

    Raises:
        Invalid: names the first attribute that breaks a rule.
    """
    require_storable(raw)
    if not 0 <= raw.duration_seconds <= _MAX_SECONDS:
        raise Invalid.field("duration_seconds", f"expected 0 to {_MAX_SECONDS}.", code="out_of_range")
    if raw.duration_seconds and raw.type not in TALKED:
        raise Invalid.field(
            "duration_seconds", f"expected 0 for a call of type {raw.type!s}, got {raw.duration_seconds}."
        )

"""Aircall: its webhooks become facts about two legs, the contact's and the user's.

Every event carries the whole call as it stands. `call.ended` comes about half a minute after the end, with recording
and message: nothing comes after it. `call.hungup` tells the end at once, should `call.ended` get lost. Who answered is
told best by `call.answered`, since later events may name the user that the call was transferred to.

`status` is `done` for every call that is over. A call was taken if it has an `answered_at` and no `missed_call_reason`.

Source: https://developer.aircall.io/api-references/#call-webhooks-events
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from hookline.connectors import reading
from hookline.domain.legs import (
    Fact,
    HungUp,
    Joined,
    LegStarted,
    MessageLeft,
    Rang,
    RecordingKept,
    Side,
)
from hookline.domain.users import split_name
from hookline.errors import Unauthorized
from hookline.ports.connectors import Posted, Report

_COMPLETE: Final = "call.ended"
_ANSWERED: Final = "call.answered"
_READ: Final = frozenset({_ANSWERED, "call.hungup", "call.voicemail_left", _COMPLETE})
_CONTACT: Final = "contact"
_USER: Final = "user"
_TALK: Final = "talk"
#: Times are whole seconds. Legs that start in the same one are kept apart by this, in the order in which they start.
_TICK: Final = timedelta(microseconds=1)


class Settings(reading.Settings, frozen=True, kw_only=True):
    """What has to be known of an Aircall account."""

    token: str  # of the webhook, shown when it is made; it comes in each body


class _Number(msgspec.Struct):
    digits: str = ""


class _User(msgspec.Struct):
    id: int | str | None = None
    email: str | None = None
    name: str | None = None  # given and family name in one


class _Call(msgspec.Struct):
    id: int | str
    direction: Literal["inbound", "outbound", "internal"]
    started_at: int | float
    answered_at: int | float | None = None
    ended_at: int | float | None = None
    missed_call_reason: str | None = None  # of inbound calls that nobody took, such as abandoned_in_ivr
    raw_digits: str | None = None
    number: _Number | None = None
    user: _User | None = None
    recording: str | None = None
    voicemail: str | None = None


class Aircall:
    """Calls of an Aircall account."""

    kind = "aircall"
    secrets = frozenset({"token"})
    #: call.ended comes about 30 s after the end, and is tried again when we were not there.
    waits = timedelta(minutes=2)

    def check(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings, complete."""
        return reading.complete(settings, Settings)

    def read(self, posted: Posted, settings: Mapping[str, Any]) -> Sequence[Report]:
        """What an event tells. Events about anything but the course of a call tell nothing."""
        body = reading.read_object(posted.body)
        _require_token(body.get("token"), str(settings["token"]))
        event = body.get("event")
        if body.get("resource") != "call" or event not in _READ:
            return ()
        call = reading.read_shape(body.get("data"), _Call, "data")
        if call.direction == "internal":
            return ()
        key = reading.call_key(call.id, field="data.id")
        facts = tuple(_facts(call, is_who_answered=event == _ANSWERED))
        return (Report(call_key=key, facts=facts, complete=event == _COMPLETE),)


def _require_token(given: object, ours: str) -> None:
    if not isinstance(given, str) or not hmac.compare_digest(given.encode("utf-8", "replace"), ours.encode()):
        raise Unauthorized(
            "The token in the body is not that of this connector.", hint="It is settings.token: see Aircall's webhook."
        )


def _facts(call: _Call, *, is_who_answered: bool) -> Iterator[Fact]:
    """The legs, the talk, then the end: in this order, since times of the same second cannot be told apart."""
    started_at = reading.since_1970(call.started_at, "data.started_at")
    yield from _legs(call, started_at, is_who_answered=is_who_answered)
    if call.voicemail:
        yield MessageLeft(leg=_CONTACT, at=started_at)
    if call.answered_at and not call.missed_call_reason:
        yield from _talk(reading.since_1970(call.answered_at, "data.answered_at"))
    if call.ended_at:
        yield from _end(call, reading.since_1970(call.ended_at, "data.ended_at"))


def _legs(call: _Call, started_at: datetime, *, is_who_answered: bool) -> Iterator[Fact]:
    line = call.number.digits if call.number is not None else ""
    contact = call.raw_digits or ""
    is_inbound = call.direction == "inbound"
    # Of two that are said to be the user the earlier one counts: see the top of this file.
    user_at = started_at + _TICK * (is_inbound + (not is_who_answered))
    given_name, family_name = split_name(call.user.name if call.user is not None else "")
    yield LegStarted(
        leg=_USER, at=user_at, side=Side.OURS, places=not is_inbound, identity=_identity(call.user),
        given_name=given_name, family_name=family_name,
    )  # fmt: skip
    if is_inbound:
        yield LegStarted(leg=_CONTACT, at=started_at, side=Side.OUTSIDE, places=True, dialled=line, shows=contact)
        return
    contact_at = started_at + 2 * _TICK
    yield LegStarted(leg=_CONTACT, at=contact_at, side=Side.OUTSIDE, places=False, dialled=contact, shows=line)
    yield Rang(leg=_CONTACT, at=contact_at)  # it is not told why nobody answered


def _talk(answered_at: datetime) -> Iterator[Fact]:
    yield Joined(leg=_CONTACT, at=answered_at, bridge=_TALK)
    yield Joined(leg=_USER, at=answered_at, bridge=_TALK)


def _end(call: _Call, ended_at: datetime) -> Iterator[Fact]:
    if call.recording:
        yield RecordingKept(leg=_CONTACT, at=ended_at)
    yield HungUp(leg=_USER, at=ended_at)
    yield HungUp(leg=_CONTACT, at=ended_at)


def _identity(user: _User | None) -> str:
    """The mail address; an id where there is none."""
    if user is None:
        return ""
    return user.email or str(user.id or "")

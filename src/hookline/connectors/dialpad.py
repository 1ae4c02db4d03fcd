"""Dialpad: its call events become facts about the contact's leg and one leg for each phone of ours.

A call has many legs, each with a `call_id` of its own, and each state of each is an event, in no particular order. An
event is a picture of its leg when it was sent. What joins the legs is the one through which the call came in: a leg
that came later names it as its entry point. `hangup` says that a leg is over; it was taken if it has a `date_connected`
and is neither `missed` nor at a mailbox.

The contact's leg ends when the leg through which the call came in does, or, once that was transferred, the leg that it
was transferred to. A leg to a department, a menu or a queue is nobody's phone: it may be answered, and nobody talks.

Source: https://developers.dialpad.com/docs/call-events
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from hookline.connectors import reading
from hookline.connectors.json_web_token import claims_of
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

_CONTACT: Final = "contact"
_TALK: Final = "talk"
#: Targets at which somebody sits. The others are offices, departments, call centers, menus.
_PERSONS: Final = frozenset({"user", "room", "coaching_group_member"})
_MISSED: Final = "missed"
_VOICEMAIL_STATES: Final = frozenset({"voicemail", "voicemail_uploaded"})
#: Of two legs, or users, of the same instant, the one that came first is earlier by this.
_TICK: Final = timedelta(microseconds=1)

_Millis = int | float | str | None
_Id = int | str | None


class Settings(reading.Settings, frozen=True, kw_only=True):
    """What has to be known of a Dialpad company."""

    secret: str  # of the webhook: with one, Dialpad signs what it sends


class _Target(msgspec.Struct):
    id: _Id = None
    type: str | None = None
    email: str | None = None
    name: str | None = None  # given and family name in one
    phone: str | None = None

    @property
    def is_person(self) -> bool:
        return self.type in _PERSONS

    @property
    def identity(self) -> str:
        """The mail address; an id where there is none."""
        return self.email or str(self.id or "")


class _Leg(msgspec.Struct):
    """A leg as it stood when the event was sent."""

    call_id: int | str
    state: str
    direction: Literal["inbound", "outbound"]
    date_started: int | float | str
    date_connected: _Millis = None
    date_ended: _Millis = None
    entry_point_call_id: _Id = None
    master_call_id: _Id = None
    external_number: str | None = None
    internal_number: str | None = None
    selected_caller_id: Any = None
    target: _Target = msgspec.field(default_factory=_Target)
    transferred_from: _Target = msgspec.field(default_factory=_Target)
    is_internal: bool | None = None
    is_transferred: bool | None = None
    was_recorded: bool | None = None
    voicemail_link: str | None = None

    @property
    def key(self) -> str:
        """What all legs of a call have in common."""
        names = (self.entry_point_call_id, self.master_call_id, self.call_id)
        return reading.call_key(*names, field="call_id")

    @property
    def is_entry(self) -> bool:
        return str(self.call_id) == self.key

    @property
    def was_transferred_here(self) -> bool:
        return self.transferred_from.id is not None

    @property
    def is_message(self) -> bool:
        """Whether a mailbox took it. What its date_connected tells is the mailbox's answer then."""
        return bool(self.voicemail_link) or self.state in _VOICEMAIL_STATES

    @property
    def was_taken(self) -> bool:
        """Whether somebody talked on it."""
        return bool(self.date_connected) and not self.is_message and self.state != _MISSED

    @property
    def ends_the_call(self) -> bool:
        return self.was_transferred_here or (self.is_entry and not self.is_transferred)


class Dialpad:
    """Calls of a Dialpad company."""

    kind = "dialpad"
    secrets = frozenset({"secret"})
    #: A refused event is tried again for 14 s; recordings and messages are told after the hang-up.
    waits = timedelta(minutes=1)

    def check(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings, complete."""
        return reading.complete(settings, Settings)

    def read(self, posted: Posted, settings: Mapping[str, Any]) -> Sequence[Report]:
        """What an event tells. The body is a token, signed with the secret of the webhook."""
        claims = claims_of(_token(posted.body), str(settings["secret"]), "HS256", at=posted.at)
        if "call_id" not in claims or "state" not in claims:
            return ()  # an event about something else: a message, a contact
        leg = reading.read_shape(_without_nulls(claims), _Leg)
        if leg.is_internal:
            return ()
        return (Report(call_key=leg.key, facts=tuple(_facts(leg))),)


def _token(body: bytes) -> str:
    text = body.decode("ascii", "replace").strip()
    if text.startswith("{"):
        raise Unauthorized(
            "The event is not signed.", hint="Give Dialpad's webhook the secret that is settings.secret here."
        )
    return text


def _without_nulls(claims: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if value is not None}


def _facts(leg: _Leg) -> Iterator[Fact]:
    started_at = _instant(leg.date_started, "date_started")
    yield from _contact(leg, started_at)
    users = list(_users(leg))
    for place, user in enumerate(users):
        at = started_at + _TICK * place
        is_caller = leg.direction == "outbound" and place == 0
        given_name, family_name = split_name(user.name)
        yield LegStarted(
            leg=_name(leg, user), at=at, side=Side.OURS, places=is_caller, identity=user.identity,
            given_name=given_name, family_name=family_name,
        )  # fmt: skip
    if leg.date_connected and leg.was_taken:
        yield from _talk(leg, users, _instant(leg.date_connected, "date_connected"))
    if leg.voicemail_link:
        yield MessageLeft(leg=_CONTACT, at=started_at)
    if leg.was_recorded:
        yield RecordingKept(leg=_CONTACT, at=started_at)
    if leg.date_ended:
        yield from _end(leg, users, _instant(leg.date_ended, "date_ended"))


def _contact(leg: _Leg, started_at: datetime) -> Iterator[Fact]:
    """The contact's leg. The leg through which the call came in knows best which number was asked for."""
    number = leg.external_number or ""
    if leg.direction == "inbound":
        at = started_at if leg.is_entry else started_at + _TICK
        line = _number(leg.internal_number, leg.target.phone)
        yield LegStarted(leg=_CONTACT, at=at, side=Side.OUTSIDE, places=True, dialled=line, shows=number)
        return
    at = started_at + (2 if leg.is_entry else 3) * _TICK  # after the user's, who calls
    line = _number(leg.selected_caller_id, leg.internal_number, leg.target.phone)
    yield LegStarted(leg=_CONTACT, at=at, side=Side.OUTSIDE, places=False, dialled=number, shows=line)
    yield Rang(leg=_CONTACT, at=at)  # it is not told why nobody answered


def _users(leg: _Leg) -> Iterator[_Target]:
    """Whose phones the leg has led to, the first one first."""
    if leg.transferred_from.is_person:
        yield leg.transferred_from
    if leg.target.is_person:
        yield leg.target


def _name(leg: _Leg, user: _Target) -> str:
    return f"{leg.call_id}:{user.id or user.email}"


def _talk(leg: _Leg, users: Sequence[_Target], connected_at: datetime) -> Iterator[Fact]:
    if users:
        yield Joined(leg=_CONTACT, at=connected_at, bridge=_TALK)
    for user in users:
        yield Joined(leg=_name(leg, user), at=connected_at, bridge=_TALK)


def _end(leg: _Leg, users: Sequence[_Target], ended_at: datetime) -> Iterator[Fact]:
    for user in users:
        yield HungUp(leg=_name(leg, user), at=ended_at)
    if leg.ends_the_call:
        yield HungUp(leg=_CONTACT, at=ended_at)


def _number(*spellings: object) -> str:
    """The first that may be a number of ours: `blocked` and the like are none."""
    return next((each for each in spellings if isinstance(each, str) and any(map(str.isdigit, each))), "")


def _instant(millis: float | str, field: str) -> datetime:
    """An instant that is told as milliseconds since 1970, as a number or as text."""
    try:
        seconds = float(millis) / 1000
    except ValueError:
        seconds = 0.0
    return reading.since_1970(seconds, field)

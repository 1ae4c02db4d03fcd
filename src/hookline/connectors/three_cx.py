"""3CX: what its call journaling posts becomes facts about two legs, the contact's and the agent's.

3CX has no webhooks, but a template for a CRM of one's own may have a scenario that is run at the end of each call: ours
posts to us (`docs/how-to/connect-3cx-template.xml`). It knows no id of the call and no number of ours: the call is
known by who, where to and when, and the number is a parameter of the template. Nothing is signed, so the token in the
URL is all that there is.

Source: https://www.3cx.com/docs/server-side-crm-template-xml-description/
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from re import compile as pattern
from typing import Any, Final

import msgspec

from hookline.connectors import reading
from hookline.domain.instants import parse_instant
from hookline.domain.legs import Fact, HungUp, Joined, LegStarted, Rang, Side
from hookline.errors import Invalid, MissingField
from hookline.ports.connectors import Posted, Report

_CONTACT: Final = "contact"
_TALK: Final = "talk"
_DURATION: Final = pattern(r"(?:(\d{1,3})\.)?(\d{1,3}):(\d{2}):(\d{2})(?:\.\d+)?")
_TICK: Final = timedelta(microseconds=1)


class _CallType(StrEnum):
    """What [CallType] says, in small letters."""

    INBOUND = "inbound"  # and a person answered
    MISSED = "missed"
    OUTBOUND = "outbound"  # and the contact answered
    NOT_ANSWERED = "notanswered"


_INBOUND: Final = frozenset({_CallType.INBOUND, _CallType.MISSED})
_TALKED: Final = frozenset({_CallType.INBOUND, _CallType.OUTBOUND})


class Settings(reading.Settings, frozen=True, kw_only=True):
    """What has to be known of a 3CX: nothing but where it is."""


class _Call(msgspec.Struct):
    """What our template posts."""

    call_type: str
    started_at: str
    ended_at: str
    number: str = ""  # the contact's
    line: str = ""  # ours, as the template was told
    agent: str = ""
    agent_email: str = ""
    established_at: str = ""
    duration: str = ""  # hh:mm:ss

    @property
    def type(self) -> _CallType:
        """What kind of call it was.

        Raises:
            Invalid: none that 3CX has.
        """
        name = self.call_type.strip().lower().replace(" ", "")
        if name not in set(_CallType):
            raise Invalid.field(
                "call_type", f"expected Inbound, Outbound, Missed or Notanswered, got {self.call_type[:40]!r}."
            )
        return _CallType(name)

    @property
    def key(self) -> str:
        """What no other call has. A call of ours has one caller; one to us may be told for each phone that rang."""
        caller = "" if self.type in _INBOUND else self.agent
        number = "".join(filter(str.isprintable, self.number.strip()))
        return f"{self.started_at.strip()} {caller}>{number}"


class ThreeCx:
    """Calls of a 3CX."""

    kind = "3cx"
    secrets = frozenset[str]()
    #: A call that rang at several phones may be told once for each, within seconds of its end.
    waits = timedelta(seconds=30)

    def check(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings, complete."""
        return reading.complete(settings, Settings)

    def read(self, posted: Posted, settings: Mapping[str, Any]) -> Sequence[Report]:  # noqa: ARG002  nothing to check
        """What the template posts at the end of a call."""
        call = reading.read_shape(reading.read_object(posted.body), _Call)
        key = reading.call_key(call.key, field="number")
        return (Report(call_key=key, facts=tuple(_facts(call))),)


def _facts(call: _Call) -> Iterator[Fact]:
    started_at = parse_instant(call.started_at.strip(), "started_at")
    ended_at = max(parse_instant(call.ended_at.strip(), "ended_at"), started_at)
    user = f"agent {call.agent}"
    yield from _legs(call, user, started_at)
    talk_at = _talk_at(call, started_at, ended_at) if call.type in _TALKED else None
    if talk_at is not None:
        yield Joined(leg=_CONTACT, at=talk_at, bridge=_TALK)
        yield Joined(leg=user, at=talk_at, bridge=_TALK)
    yield HungUp(leg=user, at=ended_at)
    yield HungUp(leg=_CONTACT, at=ended_at)


def _legs(call: _Call, user: str, started_at: datetime) -> Iterator[Fact]:
    is_inbound = call.type in _INBOUND
    user_at = started_at + _TICK * is_inbound
    identity = call.agent_email.strip() or call.agent.strip()
    yield LegStarted(leg=user, at=user_at, side=Side.OURS, places=not is_inbound, identity=identity)
    number, line = call.number.strip(), call.line.strip()
    if is_inbound:
        if not line:
            raise MissingField("line")
        yield LegStarted(leg=_CONTACT, at=started_at, side=Side.OUTSIDE, places=True, dialled=line, shows=number)
        return
    contact_at = started_at + _TICK
    yield LegStarted(leg=_CONTACT, at=contact_at, side=Side.OUTSIDE, places=False, dialled=number, shows=line)
    yield Rang(leg=_CONTACT, at=contact_at)  # it is not told why nobody answered


def _talk_at(call: _Call, started_at: datetime, ended_at: datetime) -> datetime | None:
    """When the talk began: as told, else counted back from the end. None: it has no length, and nobody talked."""
    told = call.established_at.strip()
    established_at = parse_instant(told, "established_at") if told else None
    if established_at is not None and started_at <= established_at <= ended_at:
        return established_at
    match = _DURATION.fullmatch(call.duration.strip())
    if match is None:
        raise Invalid.field("established_at", "expected when the call was answered, or its length as duration.")
    days, hours, minutes, seconds = (int(each or 0) for each in match.groups())
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return max(started_at, ended_at - length) if length else None

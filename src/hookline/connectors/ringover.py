"""Ringover: its webhooks become facts about two legs, the contact's and the user's.

`hangup` tells how long was talked, and nothing before it does exactly; `missed` and `voicemail` come instead of it, or
beside it. A `hangup` says that a call is over, not that it was taken: its `duration_in_seconds` may be null, and then
people talked only if there was an `answered`, from its instant on. That there is a recording or a message may be told
later.

Numbers are E.164 without the plus (33123456789 in all examples of the webhook reference).

Two ways of signing: by default a token in a header that holds a copy of the message, and the copy is what is read; on
request a signature over method, URL, body and time.

Sources: https://developer.ringover.com/#tag/webhook, and the models of the official SDK,
https://github.com/ringover/ringover-webhooks-php (`HangupCallEventRequest`, `UserDataCallEventRequest`).
"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import urlsplit

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
from hookline.domain.numbers import international
from hookline.domain.users import told_name
from hookline.errors import Invalid, Unauthorized
from hookline.ports.connectors import Posted, Report

_TOKEN_HEADER: Final = "x-ringover-webhook-signature"  # noqa: S105  a header's name
_V3_HEADER: Final = "x-ringover-webhook-signature-v3"
_V3_TIME_HEADER: Final = "x-ringover-request-signature-v3-timestamp"
_TOLERANCE_SECONDS: Final = 300
#: Numbers as large as this are milliseconds: as seconds they would be in the year 5138.
_MILLIS_FROM: Final = 100_000_000_000

_OVER: Final = frozenset({"hangup", "missed", "voicemail"})
_ANSWERED: Final = "answered"
_CONTACT: Final = "contact"
_USER: Final = "user"
_TALK: Final = "talk"
_TICK: Final = timedelta(microseconds=1)

_Seconds = int | float | None


class Settings(reading.Settings, frozen=True, kw_only=True):
    """What has to be known of a Ringover account."""

    key: str  # of the webhooks, shown above their addresses


class _User(msgspec.Struct):
    user_id: int | str | None = None
    email: str | None = None
    firstname: str | None = None
    lastname: str | None = None


class _Menu(msgspec.Struct):
    number: str | int | None = None


class _Call(msgspec.Struct):
    """What an event tells about a call. Of what is told when it is over, only its id and a link."""

    call_id: int | str
    direction: Literal["inbound", "outbound"] | None = None
    start_time: _Seconds = None
    hangup_time: _Seconds = None
    duration_in_seconds: _Seconds = None
    from_number: str | int | None = None
    to_number: str | int | None = None
    user_id: int | str | None = None
    is_internal: bool | None = None
    is_anonymous: bool | None = None
    is_ivr: bool | None = None
    ivr_data: _Menu | None = None
    user: _User | None = None
    record: str | None = None
    record_link: str | None = None
    voicemail_link: str | None = None

    @property
    def identity(self) -> str:
        """The mail address; an id where there is none."""
        user = self.user or _User()
        return user.email or str(user.user_id or self.user_id or "")


class Ringover:
    """Calls of a Ringover account."""

    kind = "ringover"
    secrets = frozenset({"key"})
    #: Message and recording are told after the hang-up, when they are ready.
    waits = timedelta(minutes=1)

    def check(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings, complete."""
        return reading.complete(settings, Settings)

    def read(self, posted: Posted, settings: Mapping[str, Any]) -> Sequence[Report]:
        """What an event tells. Events about anything but the course of a call tell nothing."""
        body = _signed(posted, str(settings["key"]))
        told = body.get("data")
        if body.get("resource") != "call" or not isinstance(told, dict) or "call_id" not in told:
            return ()
        call = reading.read_shape(told, _Call, "data")
        if call.is_internal:
            return ()
        facts = tuple(_facts(str(body.get("event")), call, _sent_at(body, posted.at)))
        return (Report(call_key=reading.call_key(call.call_id, field="data.call_id"), facts=facts),) if facts else ()


def _signed(posted: Posted, key: str) -> dict[str, Any]:
    """The message that is signed.

    Raises:
        Unauthorized: it is signed by nobody, by somebody else, for another address or too long ago.
    """
    if (token := posted.headers.get(_TOKEN_HEADER)) is not None:
        claims = claims_of(token.strip(), key, "HS512", at=posted.at)
        _require_address(claims.get("url"), posted.url)
        return _payload(claims)
    if (signature := posted.headers.get(_V3_HEADER)) is not None:
        _require_v3(posted, key, signature)
        return reading.read_object(posted.body)
    raise Unauthorized("The event is not signed.", hint="Ringover signs with the key that is settings.key here.")


def _payload(claims: dict[str, Any]) -> dict[str, Any]:
    """The copy of the message in the token: under a name of its own, or as the claims themselves."""
    copy = claims.get("payload", claims)
    if isinstance(copy, str):
        return reading.read_object(copy.encode())
    if not isinstance(copy, dict):
        raise Invalid.field("payload", "expected an object.")
    return copy


def _require_address(signed: object, ours: str) -> None:
    """What was signed for somebody else is not for us. Where no address is signed, none can be looked at."""
    if signed is None:
        return
    theirs, here = urlsplit(str(signed)), urlsplit(ours)
    if (theirs.netloc.lower(), theirs.path) != (here.netloc.lower(), here.path):
        raise Unauthorized(
            "The token was signed for another address.",
            hint="HOOKLINE_PUBLIC_URL must be what Ringover was told to call.",
        )


def _require_v3(posted: Posted, key: str, signature: str) -> None:
    stamp = posted.headers.get(_V3_TIME_HEADER, "")
    content = f"{posted.method}{posted.url}".encode() + posted.body + stamp.encode()
    ours = b64encode(hmac.new(key.encode(), content, hashlib.sha256).digest())
    if not hmac.compare_digest(ours, signature.strip().encode("utf-8", "replace")):
        raise Unauthorized("The signature is not made with the key of this connector.")
    if not (stamp.isascii() and stamp.isdigit()):
        raise Unauthorized(f"{_V3_TIME_HEADER}: expected a time.")
    if abs(_seconds(int(stamp)) - posted.at.timestamp()) > _TOLERANCE_SECONDS:
        raise Unauthorized(f"The signature is not of the last {_TOLERANCE_SECONDS} seconds.")


def _seconds(number: float) -> float:
    return number / 1000 if number >= _MILLIS_FROM else number


def _sent_at(body: Mapping[str, Any], came_at: datetime) -> datetime:
    stamp = body.get("timestamp")
    return _instant(stamp, "timestamp") if isinstance(stamp, int | float) and stamp else came_at


def _instant(number: float, field: str) -> datetime:
    return reading.since_1970(_seconds(number), field)


def _facts(event: str, call: _Call, sent_at: datetime) -> Iterator[Fact]:
    if event in _OVER or event == _ANSWERED:
        yield from _legs(call, _started_at(call, sent_at), is_who_answered=event == _ANSWERED)
    if event == _ANSWERED:
        yield Joined(leg=_USER, at=sent_at, bridge=_TALK)
    if event == "voicemail" or call.voicemail_link:
        yield MessageLeft(leg=_CONTACT, at=sent_at)
    if event in _OVER:
        ended_at = _instant(call.hangup_time, "data.hangup_time") if call.hangup_time else sent_at
        yield from _end(call, ended_at, has_talk=event == "hangup")
    if call.record or call.record_link:
        yield RecordingKept(leg=_CONTACT, at=sent_at)


def _legs(call: _Call, started_at: datetime, *, is_who_answered: bool) -> Iterator[Fact]:
    if call.direction is None:
        raise Invalid.field("data.direction", "expected inbound or outbound.")
    is_inbound = call.direction == "inbound"
    asked_for, shown = _number(call.to_number), "" if call.is_anonymous else _number(call.from_number)
    # Of two that are said to be the user who answered counts, not whom the call was transferred to.
    user_at = started_at + _TICK * (is_inbound + (not is_who_answered))
    user = call.user or _User()
    yield LegStarted(
        leg=_USER, at=user_at, side=Side.OURS, places=not is_inbound, identity=call.identity,
        given_name=told_name(user.firstname), family_name=told_name(user.lastname),
    )  # fmt: skip
    if is_inbound:
        line = _menu_number(call) or asked_for
        yield LegStarted(leg=_CONTACT, at=started_at, side=Side.OUTSIDE, places=True, dialled=line, shows=shown)
        return
    contact_at = started_at + 2 * _TICK
    yield LegStarted(leg=_CONTACT, at=contact_at, side=Side.OUTSIDE, places=False, dialled=asked_for, shows=shown)
    yield Rang(leg=_CONTACT, at=contact_at)  # it is not told why nobody answered


def _menu_number(call: _Call) -> str:
    return _number(call.ivr_data.number) if call.is_ivr and call.ivr_data is not None else ""


def _end(call: _Call, ended_at: datetime, *, has_talk: bool) -> Iterator[Fact]:
    """The end, and when the contact came into the talk: `answered` tells only of the user.

    With a length both came in when it began. Without one the contact waits from the start for an `answered`.
    """
    seconds = call.duration_in_seconds if has_talk else 0
    if seconds is None:
        yield Joined(leg=_CONTACT, at=_started_at(call, ended_at), bridge=_TALK)
    elif seconds > 0:
        talk_at = ended_at - timedelta(seconds=min(seconds, ended_at.timestamp()))
        yield Joined(leg=_CONTACT, at=talk_at, bridge=_TALK)
        yield Joined(leg=_USER, at=talk_at, bridge=_TALK)
    yield HungUp(leg=_USER, at=ended_at)
    yield HungUp(leg=_CONTACT, at=ended_at)


def _started_at(call: _Call, otherwise: datetime) -> datetime:
    return _instant(call.start_time, "data.start_time") if call.start_time else otherwise


def _number(spelling: str | int | None) -> str:
    """With its plus: see the top of this file."""
    return international(str(spelling or "").strip())

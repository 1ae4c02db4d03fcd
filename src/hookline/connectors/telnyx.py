"""Telnyx: events of its call control become facts about legs. Legs of one session are one call.

A hang-up tells neither how long the call was nor whether anybody answered, so each event is one fact, and the end has
nothing but its instant and its cause. That a message was left is told by nothing but the recording of a leg to which
nobody was joined.

Sources: https://developers.telnyx.com/docs/voice/programmable-voice/voice-api-webhooks, and the official SDK.
"""

from base64 import b64decode
from binascii import Error
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hookline.connectors import reading
from hookline.connectors.ends import leg_between
from hookline.domain.instants import parse_instant
from hookline.domain.legs import (
    Answered,
    Fact,
    GivenUp,
    HungUp,
    Joined,
    MessageLeft,
    RecordingKept,
)
from hookline.errors import Invalid, Unauthorized
from hookline.ports.connectors import Posted, Report

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_KEY_BYTES: Final = 32
#: As the SDK has it: how far the time of a request may be from ours.
TOLERANCE: Final = timedelta(minutes=5)
_TALK: Final = "talk"
#: Where no SIP status is told, the one that says the same.
_CAUSES: Final = {
    "user_busy": 486,
    "call_rejected": 603,
    "no_answer": 480,
    "timeout": 480,
    "not_found": 404,
    "unspecified": 503,
}


class Settings(reading.Settings, frozen=True, kw_only=True, rename="camel"):
    """What has to be known of a Telnyx account."""

    public_key: str  # base64, as the portal shows it


class _Call(msgspec.Struct):
    call_leg_id: str
    call_session_id: str
    direction: str = ""
    from_: str = msgspec.field(name="from", default="")
    to: str = ""
    hangup_cause: str = ""
    sip_hangup_cause: str = ""


class Telnyx:
    """Calls of a Telnyx account."""

    kind = "telnyx"
    secrets = frozenset[str]()
    #: A recording is saved some seconds after the call.
    waits = timedelta(seconds=45)

    def check(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings, complete."""
        complete = reading.complete(settings, Settings)
        _public_key(complete["publicKey"])
        return complete

    def read(self, posted: Posted, settings: Mapping[str, Any]) -> Sequence[Report]:
        """What an event tells."""
        _require_signature(posted, _public_key(settings["publicKey"]))
        event = reading.read_object(posted.body).get("data")
        if not isinstance(event, dict) or event.get("event_type") not in _READERS:
            return ()
        call = reading.read_shape(event.get("payload"), _Call, "data.payload")
        at = parse_instant(str(event.get("occurred_at", "")), "data.occurred_at")
        key = reading.call_key(call.call_session_id, field="data.payload.call_session_id")
        facts = tuple(_READERS[str(event["event_type"])](call, at))
        return (Report(call_key=key, facts=facts),)


def _public_key(text: str) -> "Ed25519PublicKey":
    """Loaded by who has this connector: a server without one starts sooner, and is smaller."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415  see above

    try:
        raw = b64decode(text, validate=True)
    except (Error, ValueError):
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise Invalid.field("settings.publicKey", f"expected {_KEY_BYTES} bytes in base64, as the portal shows them.")
    return Ed25519PublicKey.from_public_bytes(raw)


def _require_signature(posted: Posted, key: "Ed25519PublicKey") -> None:
    """Signed are the time and the raw body."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  see `_public_key`

    stamp = posted.headers.get("telnyx-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 11):
        raise Unauthorized("The request tells no time at which it was signed.")
    if abs(int(stamp) - posted.at.timestamp()) > TOLERANCE.total_seconds():
        raise Unauthorized("The request was signed more than 5 minutes ago, or will be.", hint="Is our clock right?")
    try:
        signature = b64decode(posted.headers.get("telnyx-signature-ed25519", ""), validate=True)
        key.verify(signature, stamp.encode() + b"|" + posted.body)
    except (Error, ValueError, InvalidSignature):
        raise Unauthorized("The signature is not right.", hint="Is settings.publicKey that of the account?") from None


def _started(call: _Call, at: datetime) -> Iterator[Fact]:
    """A leg that comes in is the contact's, or that of a phone of ours which dials; an address is no number."""
    places = call.direction == "incoming"
    yield leg_between(call.call_leg_id, at, places=places, caller=call.from_, called=call.to)


def _answered(call: _Call, at: datetime) -> Iterator[Fact]:
    yield Answered(leg=call.call_leg_id, at=at)


def _bridged(call: _Call, at: datetime) -> Iterator[Fact]:
    yield Joined(leg=call.call_leg_id, at=at, bridge=_TALK)


def _recorded(call: _Call, at: datetime) -> Iterator[Fact]:
    """Of a talk it is a recording, of a leg that nobody was joined to a message: which of them, the talk decides."""
    yield RecordingKept(leg=call.call_leg_id, at=at)
    yield MessageLeft(leg=call.call_leg_id, at=at)


def _hung_up(call: _Call, at: datetime) -> Iterator[Fact]:
    """`originator_cancel` is ours on legs that we call, and the caller's on those that come in."""
    if call.hangup_cause == "originator_cancel":
        yield GivenUp(leg=call.call_leg_id, at=at)
    told = call.sip_hangup_cause
    sip = int(told) if told.isascii() and told.isdigit() and "400" <= told < "700" else None
    yield HungUp(leg=call.call_leg_id, at=at, sip=sip if sip is not None else _CAUSES.get(call.hangup_cause))


_READERS: Final = {
    "call.initiated": _started,
    "call.answered": _answered,
    "call.bridged": _bridged,
    "call.recording.saved": _recorded,
    "call.hangup": _hung_up,
}

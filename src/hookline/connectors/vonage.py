"""Vonage Voice: its events become facts about legs. Legs of one conversation are one call.

Every event tells the status of one leg, with both of its numbers, in E.164 without the plus (447700900000 in all
examples of the webhook reference). The first leg of a conversation is the one whose direction is inbound, or the first
that was called; people talk when a second leg is answered.

Sources: https://developer.vonage.com/en/voice/voice-api/webhook-reference, .../getting-started/concepts/webhooks
(signed webhooks), and the official SDK, which checks the signature only.
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec

from hookline.connectors import reading
from hookline.connectors.ends import leg_between
from hookline.connectors.json_web_token import claims_of
from hookline.domain.instants import parse_instant
from hookline.domain.legs import (
    Answered,
    Fact,
    GivenUp,
    HungUp,
    Joined,
    LegStarted,
    MessageLeft,
    Rang,
    RecordingKept,
)
from hookline.domain.numbers import international
from hookline.errors import PermissionDenied, Unauthorized
from hookline.ports.connectors import Posted, Report

#: How old a request may be, and how far its clock may be ahead of ours.
TOLERANCE: Final = timedelta(minutes=5)
_TALK: Final = "talk"
_BEARER: Final = "bearer "
#: How a leg ended that was not answered, as a SIP status that says the same.
_CAUSES: Final = {"busy": 486, "timeout": 480, "unanswered": 480, "rejected": 603, "failed": 503}
_ENDED: Final = frozenset({*_CAUSES, "completed", "cancelled"})


class Settings(reading.Settings, frozen=True, kw_only=True, rename="camel"):
    """What has to be known of a Vonage account."""

    signature_secret: str
    api_key: str = ""  # events of another account are refused
    application_id: str = ""  # events of another application are refused


class _Event(msgspec.Struct):
    uuid: str = ""
    conversation_uuid: str = ""
    status: str = ""
    direction: str = ""
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    timestamp: str = ""
    start_time: str | None = None
    end_time: str | None = None
    duration: str | int | None = None
    recording_url: str = ""


class Vonage:
    """Calls of a Vonage account."""

    kind = "vonage"
    secrets = frozenset({"signatureSecret"})
    #: A recording is told of by an event of its own, some seconds after the call.
    waits = timedelta(seconds=45)

    def check(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings, complete."""
        return reading.complete(settings, Settings)

    def read(self, posted: Posted, settings: Mapping[str, Any]) -> Sequence[Report]:
        """What an event tells."""
        _require_signature(posted, settings)
        event = reading.read_shape(reading.read_object(posted.body), _Event)
        if not event.conversation_uuid:
            return ()
        key = reading.call_key(event.conversation_uuid, field="conversation_uuid")
        at = parse_instant(event.timestamp, "timestamp") if event.timestamp else posted.at
        facts = tuple(_facts(event, at))
        return (Report(call_key=key, facts=facts),) if facts else ()


def _require_signature(posted: Posted, settings: Mapping[str, Any]) -> None:
    """Signed are the time and the hash of the body, in a token."""
    header = posted.headers.get("authorization", "")
    if not header.lower().startswith(_BEARER):
        raise Unauthorized("The request is not signed.", hint="Switch on signed webhooks in your account at Vonage.")
    claims = claims_of(header[len(_BEARER) :].strip(), settings["signatureSecret"], "HS256", at=posted.at)
    issued = claims.get("iat")
    if not isinstance(issued, int | float) or abs(issued - posted.at.timestamp()) > TOLERANCE.total_seconds():
        raise Unauthorized("The request was signed more than 5 minutes ago, or will be.", hint="Is our clock right?")
    signed = claims.get("payload_hash")
    body_hash = sha256(posted.body).hexdigest()
    if not isinstance(signed, str) or not hmac.compare_digest(
        signed.lower().encode("utf-8", "replace"), body_hash.encode()
    ):
        raise Unauthorized("The body is not the one that was signed.")
    for name, claim in (("apiKey", "api_key"), ("applicationId", "application_id")):
        if settings[name] and claims.get(claim) != settings[name]:
            raise PermissionDenied(f"This is about another {claim.replace('_', ' ')} of Vonage.")


def _facts(event: _Event, at: datetime) -> Iterator[Fact]:
    if event.recording_url:
        yield from _recorded(event, at)
        return
    if not event.uuid:
        return
    if event.from_ is not None and event.to is not None and event.direction in ("inbound", "outbound"):
        yield _leg(event, at)
    match event.status:
        case "ringing":
            yield Rang(leg=event.uuid, at=at)
        case "answered" | "human" | "machine":
            yield from _picked_up(event, at)
        case "completed":
            yield from _completed(event, at)
        case "cancelled":
            yield GivenUp(leg=event.uuid, at=at)
            yield HungUp(leg=event.uuid, at=at)
        case status if status in _CAUSES:
            yield HungUp(leg=event.uuid, at=at, sip=_CAUSES[status])


def _leg(event: _Event, at: datetime) -> LegStarted:
    """A leg that comes in is the contact's or that of an app of ours; one that is called leads to either.

    Every event of a leg tells its ends, and none when it began: who comes in was there before whom it reaches.
    """
    places = event.direction == "inbound"
    began_at = at - timedelta(days=1) if places else at
    from_, to = international(event.from_ or ""), international(event.to or "")
    return leg_between(event.uuid, began_at, places=places, caller=from_, called=to)


def _completed(event: _Event, at: datetime) -> Iterator[Fact]:
    """The leg is over. It comes after `busy`, `timeout`, `unanswered`, `failed` and `cancelled`, too.

    Only a leg that lasted was picked up; of one that was not, `start_time` is null and `duration` is 0.
    """
    ended_at = parse_instant(event.end_time, "end_time") if event.end_time else at
    began_at = parse_instant(event.start_time, "start_time") if event.start_time else ended_at
    has_length = event.duration is None or str(event.duration).strip("0.") != ""
    if began_at < ended_at and has_length:
        yield from _picked_up(event, began_at)
    yield HungUp(leg=event.uuid, at=ended_at)


def _picked_up(event: _Event, at: datetime) -> Iterator[Fact]:
    """All who have answered in a conversation hear one another."""
    yield Answered(leg=event.uuid, at=at)
    yield Joined(leg=event.uuid, at=at, bridge=_TALK)


def _recorded(event: _Event, at: datetime) -> Iterator[Fact]:
    """A recording of the conversation; when nobody talked, it is a message. Which of them, the talk decides."""
    leg = event.uuid or event.conversation_uuid
    yield RecordingKept(leg=leg, at=at)
    yield MessageLeft(leg=leg, at=at)

"""Twilio: its callbacks become facts about the leg that called or was called, and about those it was put through to.

Status callbacks tell how a leg ended, with its length; the `action` of a Dial how it went with those it was put through
to; the `action` of a Record that a message was left; recording callbacks, after the call, what became of a recording.
None tells the beginning of a leg: it is counted back from the end, and whoever calls was there before whom it reaches.

`completed` says that a leg is over. People talked only if it lasted, or if `DialBridged` ("whether or not the dialing
call has been connected to the dialed destination") says so. A caller who dials a conference is told as `answered`, of
which neither a length nor a leg is sent.

Sources: https://www.twilio.com/docs/voice/api/call-resource#statuscallback, .../twiml/dial#action (`DialBridged`,
`DialCallStatus`, `DialCallDuration`), .../twiml/record, .../usage/security#validating-requests, and the official SDK.
"""

import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha1, sha256
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from hookline.connectors import reading
from hookline.connectors.ends import leg_between
from hookline.connectors.forms import fields_of_query, mail_date, read_form, seconds_in
from hookline.domain.legs import (
    Answered,
    Fact,
    GivenUp,
    HungUp,
    Joined,
    LegStarted,
    MessageLeft,
    NeverJoined,
    Rang,
    RecordingKept,
    Side,
)
from hookline.domain.numbers import is_international, is_withheld
from hookline.errors import Invalid, PermissionDenied, Unauthorized
from hookline.ports.connectors import Acknowledgement, Posted, Report

_TALK: Final = "talk"
#: Who calls was there before all others; by how much is not told. Twilio ends calls after a day.
_BEFORE: Final = timedelta(days=1)
#: What is only guessed of a leg stands behind what is known of it: of several beginnings the first counts.
_AFTER: Final = timedelta(days=1)
#: Callers and the called of WhatsApp calls: https://www.twilio.com/docs/voice/whatsapp-business-calling.
_WHATSAPP: Final = "whatsapp:"
_ENDED: Final = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
_TALKED: Final = frozenset({"completed", "answered"})
_ALGORITHMS: Final = {"HMAC_SHA1": sha1, "HMAC_SHA256": sha256}


class Settings(reading.Settings, frozen=True, kw_only=True, rename="camel"):
    """What has to be known of a Twilio account."""

    auth_token: str
    account_sid: str = ""  # callbacks about another account are refused
    shared_key: str = ""  # of webhooks that are signed with SHA-256


class Twilio:
    """Calls of a Twilio account."""

    kind = "twilio"
    secrets = frozenset({"authToken", "sharedKey"})
    #: A recording is told of by a callback of its own, some seconds after the call.
    waits = timedelta(seconds=45)
    #: The `action` of a verb has to be answered with what is to happen next: nothing.
    acknowledgement = Acknowledgement(
        content_type="text/xml", body=b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
    )

    def check(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings, complete."""
        return reading.complete(settings, Settings)

    def read(self, posted: Posted, settings: Mapping[str, Any]) -> Sequence[Report]:
        """What a callback tells."""
        fields = read_form(posted.query.encode() if posted.method == "GET" else posted.body)
        _require_signature(posted, fields, settings)
        form = dict(fields)
        if settings["accountSid"] and form.get("AccountSid") != settings["accountSid"]:
            raise PermissionDenied("This is about another account of Twilio.")
        key = reading.call_key(form.get("ParentCallSid"), form.get("CallSid"), field="CallSid")
        facts = tuple(_facts(form, posted.at))
        return (Report(call_key=key, facts=facts),) if facts else ()


def _require_signature(posted: Posted, fields: Sequence[tuple[str, str]], settings: Mapping[str, Any]) -> None:
    """Signed is the URL, with or without its port, and the form that was posted."""
    given = posted.headers.get("x-twilio-signature", "")
    algorithm, key = _algorithm(posted.headers.get("x-twilio-webhooks-signature-settings", "")), settings["authToken"]
    if algorithm == "HMAC_SHA256":
        key = settings["sharedKey"]
    if algorithm not in _ALGORITHMS or not key or not given:
        raise Unauthorized("The request is not signed as this connector expects it.", hint="See settings.sharedKey.")
    signed = fields if posted.method == "POST" else []
    text = "".join(f"{name}{value}" for name, value in sorted(set(signed)))
    url = urlsplit(posted.url)
    hashes = [each for each in fields_of_query(url.query).get("bodySHA256", []) if each]
    if hashes and not _is_form(posted):
        text = ""
        if not hmac.compare_digest(sha256(posted.body).hexdigest().encode(), hashes[0].encode()):
            raise Unauthorized("The body is not the one that was signed.")
    theirs = given.encode("utf-8", "replace")
    ours = [_signature(str(key), each + text, algorithm) for each in _spellings(url)]
    if not hmac.compare_digest(ours[0], theirs) | hmac.compare_digest(ours[1], theirs):
        raise Unauthorized(
            "The signature is not right.",
            hint="Is settings.authToken that of the account, and HOOKLINE_PUBLIC_URL the address that Twilio calls?",
        )


def _is_form(posted: Posted) -> bool:
    return posted.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded")


def _algorithm(header: str) -> str:
    parts = dict(part.strip().partition("=")[::2] for part in header.split(","))
    return parts.get("algorithm", "").strip().upper() or "HMAC_SHA1"


def _spellings(url: SplitResult) -> tuple[str, str]:
    """The URL without and with its port: which of them is signed is not told."""
    host = url.netloc.rpartition(":")[0] if url.port else url.netloc
    port = url.port or (443 if url.scheme == "https" else 80)
    return url._replace(netloc=host).geturl(), url._replace(netloc=f"{host}:{port}").geturl()


def _signature(key: str, text: str, algorithm: str) -> bytes:
    return b64encode(hmac.new(key.encode(), text.encode(), _ALGORITHMS[algorithm]).digest())


def _facts(form: Mapping[str, str], at: datetime) -> Iterator[Fact]:
    """What kind of callback it is shows in its fields."""
    if "RecordingStatus" in form:
        yield from _recording(form, at)
    elif "ParentCallSid" in form:
        yield from _put_through(form, at)
    elif "CallSid" in form:
        yield from _first_leg(form, at)
        if "DialCallStatus" in form:
            yield from _dialled(form, at)
        elif form.get("RecordingUrl"):
            yield from _recorded(form, at)


def _first_leg(form: Mapping[str, str], at: datetime) -> Iterator[Fact]:
    """The leg that called, or that was called through the API. Every callback but those of others tells its numbers."""
    leg, status = form["CallSid"], form.get("CallStatus", "")
    told_at = mail_date(form["Timestamp"], "Timestamp") if form.get("Timestamp") else at
    if "Direction" in form:
        yield _leg(form, told_at - _BEFORE, places=form["Direction"] == "inbound")
    if not _tells_the_end(form) or status not in _ENDED:
        return
    if form.get("Direction", "").startswith("outbound"):
        yield from _how_it_went(leg, status, form, told_at)
        seconds = seconds_in(form, "CallDuration")
        if status == "completed" and seconds:
            yield Answered(leg=leg, at=told_at - timedelta(seconds=seconds))
    yield HungUp(leg=leg, at=told_at)


def _tells_the_end(form: Mapping[str, str]) -> bool:
    """The `action` of a verb says completed when the caller has hung up, but not since when."""
    return "CallDuration" in form or "CallbackSource" in form


def _leg(form: Mapping[str, str], at: datetime, *, places: bool) -> LegStarted:
    """A leg by its two ends: numbers with their plus, `client:` and `sip:` addresses, or `whatsapp:` and a number."""
    return leg_between(form["CallSid"], at, places=places, caller=_end(form, "From"), called=_end(form, "To"))


def _end(form: Mapping[str, str], name: str) -> str:
    return form.get(name, "").removeprefix(_WHATSAPP)


def _is_from_ours(form: Mapping[str, str]) -> bool:
    """Whether a client or a SIP phone has the program dial for it, and not a number that came in."""
    caller = _end(form, "From")
    return ":" in caller and not is_withheld(caller) and not is_international(caller)


def _put_through(form: Mapping[str, str], at: datetime) -> Iterator[Fact]:
    """A leg that a Dial made. Whose leg it was made for is known only by its name."""
    parent, leg, status = form["ParentCallSid"], form.get("CallSid", ""), form.get("CallStatus", "")
    told_at = mail_date(form["Timestamp"], "Timestamp") if form.get("Timestamp") else at
    seconds = timedelta(seconds=seconds_in(form, "CallDuration"))
    yield LegStarted(leg=parent, at=told_at + _AFTER, side=Side.OURS, places=True)
    yield _leg(form, told_at - seconds, places=False)
    if status == "ringing":
        yield Rang(leg=leg, at=told_at)
    if status in _ENDED:
        if status == "completed" and seconds:
            yield Joined(leg=parent, at=told_at - seconds, bridge=_TALK)
            yield Joined(leg=leg, at=told_at - seconds, bridge=_TALK)
        yield from _how_it_went(leg, status, form, told_at)
        yield HungUp(leg=leg, at=told_at)


def _dialled(form: Mapping[str, str], at: datetime) -> Iterator[Fact]:
    """How a Dial went. To whom it led is not told here: to somebody of ours when the contact calls."""
    leg, status = form.get("DialCallSid") or f"{form['CallSid']}/dial", form["DialCallStatus"]
    calls_out = _is_from_ours(form)
    began_at = at - timedelta(seconds=seconds_in(form, "DialCallDuration"))
    yield LegStarted(
        leg=leg,
        at=at + _AFTER,
        side=Side.OUTSIDE if calls_out else Side.OURS,
        places=False,
        dialled=_end(form, "To") if calls_out else "",
    )
    if _was_bridged(form):
        yield Joined(leg=form["CallSid"], at=began_at, bridge=_TALK)
        yield Joined(leg=leg, at=began_at, bridge=_TALK)
        if form.get("RecordingUrl"):
            yield RecordingKept(leg=form["CallSid"], at=at)
    if _bridged(form) is False:
        yield NeverJoined(leg=leg, at=at)
    yield from _how_it_went(leg, status, form, at)
    yield HungUp(leg=leg, at=at)


def _was_bridged(form: Mapping[str, str]) -> bool:
    """Whether a Dial connected its caller: as `DialBridged` says, else by its status, unless its length is 0."""
    if form["DialCallStatus"] not in _TALKED:
        return False
    bridged = _bridged(form)
    if bridged is None:
        return not form.get("DialCallDuration") or seconds_in(form, "DialCallDuration") > 0
    return bridged


def _bridged(form: Mapping[str, str]) -> bool | None:
    """What `DialBridged` says; None when it says nothing."""
    return {"true": True, "false": False}.get(form.get("DialBridged", "").strip().lower())


def _how_it_went(leg: str, status: str, form: Mapping[str, str], at: datetime) -> Iterator[Fact]:
    """Why nobody answered: by the last word of the signalling where that is told."""
    if status == "canceled":
        yield GivenUp(leg=leg, at=at)
    if status in _TALKED:
        yield Rang(leg=leg, at=at)  # it was reached, even when nobody talked
    code = form.get("SipResponseCode", "")
    known = int(code) if code.isascii() and code.isdigit() and len(code) == 3 and code >= "400" else None
    sip = {"busy": 486, "no-answer": 480, "failed": known or 503}.get(status)
    if sip is not None:
        yield HungUp(leg=leg, at=at, sip=sip)


def _recorded(form: Mapping[str, str], at: datetime) -> Iterator[Fact]:
    """With the end of a call comes its recording; before that, what a Record took: a message."""
    if _tells_the_end(form):
        yield RecordingKept(leg=form["CallSid"], at=at)
    elif seconds_in(form, "RecordingDuration"):
        yield MessageLeft(leg=form["CallSid"], at=at)


def _recording(form: Mapping[str, str], at: datetime) -> Iterator[Fact]:
    """What became of a recording."""
    if form["RecordingStatus"] != "completed":
        return
    kind = MessageLeft if form.get("RecordingSource") == "RecordVerb" else RecordingKept
    if not form.get("CallSid"):
        raise Invalid.field("CallSid", "is needed.", code="missing_parameter")
    yield kind(leg=form["CallSid"], at=at)

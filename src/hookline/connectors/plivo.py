"""Plivo: its callbacks become facts about the leg that called or was called, and about those it was put through to.

The hangup callback tells how the first leg ended, with its times; the `action` of a Dial how it went with those it was
put through to, and its `callbackUrl` each step of it; the callback of a Record that a message was left, that of a Dial
or of a call its recording.

`completed` says that a Dial or a leg is over. Of a Dial, `DialBLegUUID` is "empty if nobody answers"; its length is
told in callbacks only. People talked if somebody answered, and the length, where one is told, is not 0.

Numbers are E.164 without the plus: `From` and `To` are "the phone number of the party [...] including the country code"
(voice/xml/request), and E.164 is written as 14157654321 there (voice/api/call/make-a-call).

Sources: https://www.plivo.com/docs/voice/concepts/callbacks, .../voice/xml/request, .../voice/api/call/make-a-call,
.../voice/xml/dial ("Parameters sent to action URL", "Parameters sent to callback URL"), .../voice/xml/record,
.../concepts/signature-validation, and the official SDK.
"""

import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

from hookline.connectors import reading
from hookline.connectors.ends import leg_between
from hookline.connectors.forms import fields_of_query, read_form, seconds_in
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
    Side,
)
from hookline.domain.numbers import international, is_international, is_withheld
from hookline.errors import PermissionDenied, Unauthorized
from hookline.ports.connectors import Acknowledgement, Posted, Report

_TALK: Final = "talk"
#: Who calls was there before all others; by how much is not told.
_BEFORE: Final = timedelta(days=1)
#: What is only guessed of a leg stands behind what is known of it.
_AFTER: Final = timedelta(days=1)
_CAUSES: Final = {"busy": 486, "timeout": 480, "no-answer": 480, "failed": 503}
_ENDED: Final = frozenset({*_CAUSES, "completed", "cancel"})
#: Of several guesses at when a dialled leg began, one that tells its number stands before one that does not.
_NAMED: Final = timedelta(hours=1)


class Settings(reading.Settings, frozen=True, kw_only=True, rename="camel"):
    """What has to be known of a Plivo account."""

    auth_token: str
    auth_id: str = ""  # callbacks about another account are refused


class Plivo:
    """Calls of a Plivo account."""

    kind = "plivo"
    secrets = frozenset({"authToken"})
    #: A recording is told of by a callback of its own, some seconds after the call.
    waits = timedelta(seconds=45)
    #: The `action` of an element has to be answered with what is to happen next: nothing.
    acknowledgement = Acknowledgement(content_type="text/xml", body=b"<Response></Response>")

    def check(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings, complete."""
        return reading.complete(settings, Settings)

    def read(self, posted: Posted, settings: Mapping[str, Any]) -> Sequence[Report]:
        """What a callback tells."""
        fields = read_form(posted.query.encode() if posted.method == "GET" else posted.body)
        _require_signature(posted, dict(fields), settings["authToken"])
        form = dict(fields)
        if settings["authId"] and form.get("ParentAuthID", settings["authId"]) != settings["authId"]:
            raise PermissionDenied("This is about another account of Plivo.")
        key = reading.call_key(form.get("CallUUID"), field="CallUUID")
        facts = tuple(_facts(form, posted.at))
        return (Report(call_key=key, facts=facts),) if facts else ()


def _require_signature(posted: Posted, form: Mapping[str, str], token: str) -> None:
    """Signed are the URL, what was posted, and a number that is used once. Several signatures may be given."""
    nonce = posted.headers.get("x-plivo-signature-v3-nonce", "")
    given = posted.headers.get("x-plivo-signature-v3", "")
    signed = f"{_signed(posted, form)}.{nonce}".encode()
    ours = b64encode(hmac.new(token.encode(), signed, sha256).digest())
    matches = [hmac.compare_digest(each.encode("utf-8", "replace"), ours) for each in given.split(",")]
    if not (nonce and any(matches)):
        raise Unauthorized(
            "The signature is not right.",
            hint="Is settings.authToken that of the account, and HOOKLINE_PUBLIC_URL the address that Plivo calls?",
        )


def _signed(posted: Posted, form: Mapping[str, str]) -> str:
    url = urlsplit(posted.url)
    given = fields_of_query(url.query)
    query = "&".join(f"{name}={value}" for name in sorted(given) for value in sorted(given[name]))
    base = url._replace(query="", fragment="").geturl()
    posts = "".join(f"{name}{form[name]}" for name in sorted(form)) if posted.method == "POST" else ""
    if posted.method == "GET" or not form:
        return f"{base}?{query}" if query else base
    return f"{base}?{query}.{posts}" if query else f"{base}?{posts}"


def _facts(form: Mapping[str, str], at: datetime) -> Iterator[Fact]:
    """What kind of callback it is shows in its fields."""
    leg = form["CallUUID"]
    ended_at = _told(form.get("EndTime", "")) or at
    if "Direction" in form:
        yield _first_leg(form, ended_at)
    if form.get("RecordUrl"):
        yield from _recorded(form, at)
    elif form.get("DialAction"):
        yield from _stepped(form, at)
    elif "DialStatus" in form:
        yield from _dialled(form, at)
    elif form.get("Event", "Hangup") == "Hangup" and form.get("CallStatus") in _ENDED:
        yield from _hung_up(leg, form, ended_at)


def _first_leg(form: Mapping[str, str], at: datetime) -> LegStarted:
    """The leg that called, or was called through the API, by its two ends: one that is no number is ours."""
    places = form["Direction"] == "inbound"
    return leg_between(
        form["CallUUID"], at - _BEFORE, places=places, caller=_end(form, "From"), called=_end(form, "To")
    )


def _end(form: Mapping[str, str], name: str) -> str:
    return international(form.get(name, ""))


def _is_address(end: str) -> bool:
    """Whether it is that of a SIP phone, not of a number."""
    return (":" in end or "@" in end) and not is_withheld(end) and not is_international(end)


def _hung_up(leg: str, form: Mapping[str, str], at: datetime) -> Iterator[Fact]:
    status = form["CallStatus"]
    if form.get("Direction") == "outbound":
        if status == "completed" and (answered_at := _answered_at(form, at)) is not None:
            yield Answered(leg=leg, at=answered_at)
        yield from _how_it_went(leg, status, at)
    yield HungUp(leg=leg, at=at)


def _answered_at(form: Mapping[str, str], ended_at: datetime) -> datetime | None:
    """When the leg was picked up: `completed` says that it is over. None: it never was."""
    told, seconds = _told(form.get("AnswerTime", "")), seconds_in(form, "Duration")
    if form.get("Duration") and not seconds:
        return None
    return told or (ended_at - timedelta(seconds=seconds) if seconds else None)


def _dialled(form: Mapping[str, str], at: datetime) -> Iterator[Fact]:
    """How a Dial went, with the leg that answered."""
    leg, status = _dialled_leg(form), form["DialStatus"]
    yield _dialled_start(form, leg, at)
    if form.get("DialRingStatus", "").lower() == "true" or status == "completed":
        yield Rang(leg=leg, at=at)
    if status == "completed" and _was_answered(form):
        yield from _joined(form, leg, at - timedelta(seconds=seconds_in(form, "DialBLegDuration")))
    yield from _how_it_went(leg, status, at)
    yield HungUp(leg=leg, at=at)


def _was_answered(form: Mapping[str, str]) -> bool:
    has_length = not form.get("DialBLegDuration") or seconds_in(form, "DialBLegDuration") > 0
    return bool(form.get("DialBLegUUID")) and has_length


def _stepped(form: Mapping[str, str], at: datetime) -> Iterator[Fact]:
    """A step of a Dial as it happens. Its last one says that the leg is over, and nothing of a talk."""
    leg, step = _dialled_leg(form), form["DialAction"]
    yield _dialled_start(form, leg, at)
    if step == "answer":
        yield Answered(leg=leg, at=at)
    if step == "connected":
        yield from _joined(form, leg, at)
    if step == "hangup":
        yield HungUp(leg=leg, at=at)


def _dialled_leg(form: Mapping[str, str]) -> str:
    return form.get("DialBLegUUID") or f"{form['CallUUID']}/dial"


def _dialled_start(form: Mapping[str, str], leg: str, at: datetime) -> LegStarted:
    """The leg that a Dial called. A number that is dialled for a caller is a forwarding."""
    to = _end(form, "DialBLegTo")
    calls_out = _is_address(_end(form, "From"))
    number = to or (_end(form, "To") if calls_out else "")
    is_ours = not calls_out and (_is_address(number) or not number)
    return LegStarted(
        leg=leg, at=at - _BEFORE / 2 - (_NAMED if to else timedelta(0)),
        side=Side.OURS if is_ours else Side.OUTSIDE, places=False,
        dialled="" if is_ours else number, shows=_end(form, "DialBLegFrom"), identity=number if is_ours else "",
    )  # fmt: skip


def _joined(form: Mapping[str, str], leg: str, at: datetime) -> Iterator[Fact]:
    yield Joined(leg=form["CallUUID"], at=at, bridge=_TALK)
    yield Joined(leg=leg, at=at, bridge=_TALK)


def _how_it_went(leg: str, status: str, at: datetime) -> Iterator[Fact]:
    if status == "cancel":
        yield GivenUp(leg=leg, at=at)
    if status in _CAUSES:
        yield HungUp(leg=leg, at=at, sip=_CAUSES[status])


def _recorded(form: Mapping[str, str], at: datetime) -> Iterator[Fact]:
    """Of a talk it is a recording, of a call that nobody took a message: which of them, the talk decides."""
    if seconds_in(form, "RecordingDuration"):
        yield RecordingKept(leg=form["CallUUID"], at=at)
        yield MessageLeft(leg=form["CallUUID"], at=at)


def _told(text: str) -> datetime | None:
    """`2025-06-10 07:09:01`, in UTC."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None

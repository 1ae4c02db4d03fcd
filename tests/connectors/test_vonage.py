"""Vonage: what its events tell, and who may tell it."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vonage_jwt.errors import VonageVerifyJwtError
from vonage_jwt.verify_jwt import verify_signature

from hookline.connectors.vonage import Vonage
from hookline.errors import Invalid, PermissionDenied, Unauthorized
from hookline.ports.connectors import Posted
from tests.connectors.called import CONTACT, LINE, URL, payload, reports, right

SECRET = "a-signature-secret" * 5
SETTINGS = {"signatureSecret": SECRET}
#: Long ago: the SDK has a clock of its own, and refuses what is ahead of it.
AT = datetime(2025, 11, 25, 9, tzinfo=UTC)
_NOW = int(AT.timestamp())


def request(body: bytes, token: str | None) -> Posted:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return Posted(method="POST", url=URL, query="", headers=headers, body=body, at=AT)


def token_of(body: bytes, secret: str = SECRET, algorithm: str = "HS256", **more: Any) -> str:
    claims = {"iat": _NOW, "jti": "j", "iss": "Vonage", "api_key": "abc", "application_id": "app",
              "payload_hash": sha256(body).hexdigest(), **more}  # fmt: skip
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm)


def signed(body: bytes) -> Posted:
    return request(body, token_of(body))


def event(status: str, seconds: float, leg: str = "c", **more: Any) -> Posted:
    when = f"2026-11-25T08:{int(seconds) // 60:02}:{seconds % 60:06.3f}Z"
    body = {"uuid": leg, "conversation_uuid": "CON-1", "timestamp": when, "status": status, **more}
    return signed(json.dumps(body).encode())


#: As Vonage writes numbers.
IN = {"from": CONTACT[1:], "to": LINE[1:], "direction": "inbound"}
USER = {"from": CONTACT[1:], "to": "101", "direction": "outbound"}
APP = {"from": "sip:101@pbx.example", "to": CONTACT[1:], "direction": "inbound"}
OUT = {"from": LINE[1:], "to": CONTACT[1:], "direction": "outbound"}
SIP = {**USER, "to": "sip:101@pbx.example"}
COMES_IN = [event("started", 0, **IN), event("ringing", 0, **IN), event("answered", 1, **IN)]
RINGS = [event("started", 1, "u", **SIP), event("ringing", 2, "u", **SIP)]
CALLS = [event("started", 0, "u", **APP), event("answered", 1, "u", **APP)]
GOES_OUT = [event("started", 1, **OUT), event("ringing", 2, **OUT)]


def ends(leg: dict[str, str], name: str = "c") -> Posted:
    return event("completed", 150, name, **leg, start_time="2026-11-25T08:00:27Z", end_time="2026-11-25T08:02:30Z")


def never_began(leg: dict[str, str], name: str = "c", **more: Any) -> Posted:
    """What comes after `busy` and the like: the leg is over, and nobody took it."""
    return event("completed", 150, name, **leg, start_time=None, end_time="2026-11-25T08:02:30Z", **more)


def over(leg: dict[str, str], name: str) -> Posted:
    return event("completed", 150, name, **leg, start_time="2026-11-25T08:00:01Z", end_time="2026-11-25T08:02:30Z")


STORIES: dict[str, tuple[list[Posted], dict[str, Any]]] = {
    "answered": (
        [*COMES_IN, *RINGS, event("answered", 27, "u", **SIP), ends(SIP, "u"), over(IN, "c")],
        right("answered"),
    ),
    "answered and recorded": (
        [*COMES_IN, *RINGS, ends(SIP, "u"), over(IN, "c"),
         event("record", 152, recording_url="https://api.nexmo.com/v1/files/1")],
        right("answered", recording=True),
    ),
    "missed": ([*COMES_IN, *RINGS, event("timeout", 30, "u", **SIP), over(IN, "c")], right("missed")),
    "missed voicemail": (
        [*COMES_IN, over(IN, "c"), event("record", 152, recording_url="https://api.nexmo.com/v1/files/1")],
        right("missed voicemail"),
    ),
    "connected": ([*CALLS, *GOES_OUT, ends(OUT), over(APP, "u")], right("connected")),
    "not connected, busy": ([*CALLS, *GOES_OUT, event("busy", 9, **OUT), over(APP, "u")], right("not connected")),
    "not connected, in vain": ([*CALLS, *GOES_OUT, event("timeout", 9, **OUT), over(APP, "u")], right("not connected")),
    "not connected, rejected": ([*CALLS, event("rejected", 9, **OUT), over(APP, "u")], right("not connected")),
    "failed": ([*CALLS, *GOES_OUT, event("failed", 9, **OUT), over(APP, "u")], right("failed/cancelled")),
    "cancelled": ([*CALLS, *GOES_OUT, event("cancelled", 9, **OUT), over(APP, "u")], right("failed/cancelled")),
    **{
        f"{status}, then completed": (
            [*CALLS, *GOES_OUT, event(status, 9, **OUT), never_began(OUT, **length), over(APP, "u")], right(kind)
        )
        for status, kind in (
            ("busy", "not connected"), ("timeout", "not connected"), ("unanswered", "not connected"),
            ("rejected", "not connected"), ("failed", "failed/cancelled"), ("cancelled", "failed/cancelled"),
        )
        for length in ({"duration": "0"},)
    },
    "busy, then completed with times": (
        [*CALLS, *GOES_OUT, event("busy", 9, **OUT),
         event("completed", 10, **OUT, start_time="2026-11-25T08:00:01Z", end_time="2026-11-25T08:00:09Z",
               duration="0"),
         over(APP, "u")],
        right("not connected"),
    ),
    "missed, then completed": (
        [*COMES_IN, *RINGS, event("timeout", 30, "u", **SIP), never_began(SIP, "u"), over(IN, "c")], right("missed")
    ),
    "a program calls, busy, then completed": (
        [*GOES_OUT, event("busy", 9, **OUT), never_began(OUT)], right("not connected", account_name="")
    ),
    "a program calls": ([*GOES_OUT, ends(OUT)], right("connected", account_name="")),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_events_become_the_right_call(story: str) -> None:
    told, expected = STORIES[story]
    assert payload(Vonage(), SETTINGS, told) == expected


@given(st.data(), st.sampled_from(sorted(STORIES)))
def test_events_in_any_order_and_any_number_become_the_same_call(data: st.DataObject, story: str) -> None:
    told, expected = STORIES[story]
    order = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
    assert payload(Vonage(), SETTINGS, order) == expected


def accepts(posted: Posted) -> bool:
    try:
        reports(Vonage(), SETTINGS, [posted])
    except Unauthorized:
        return False
    return True


def sdk_accepts(token: str) -> bool:
    try:
        return bool(verify_signature(token, SECRET))
    except VonageVerifyJwtError:
        return False


BODY = b'{"status": "started"}'


def test_what_is_signed_is_accepted_by_both() -> None:
    token = token_of(BODY)
    assert sdk_accepts(token)
    assert accepts(request(BODY, token))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "none"])
def test_another_algorithm_is_refused_by_both(algorithm: str) -> None:
    token = token_of(BODY, "" if algorithm == "none" else SECRET, algorithm)
    assert not sdk_accepts(token)
    assert not accepts(request(BODY, token))


def test_on_whatever_is_changed_in_the_token_we_say_what_the_sdk_says() -> None:
    token = token_of(BODY)
    for place in range(len(token)):
        for other in "A.z":
            changed = token[:place] + other + token[place + 1 :]
            assert accepts(request(BODY, changed)) <= sdk_accepts(changed)
            assert accepts(request(BODY, changed)) == (changed == token)
    assert not accepts(request(BODY, token_of(BODY, "another-secret" * 5)))
    for given_token in (None, "", "a.b", "a.b.c", token[:-1], token + "A", f"{token}.x", "é"):
        assert not accepts(request(BODY, given_token))


def test_what_the_sdk_does_not_look_at_is_looked_at_here() -> None:
    assert sdk_accepts(token_of(BODY))
    assert not accepts(request(BODY + b" ", token_of(BODY)))
    assert not accepts(request(BODY, token_of(BODY, payload_hash=None)))
    for late in (-301, -300, 300, 301):
        assert accepts(request(BODY, token_of(BODY, iat=_NOW + late))) == (abs(late) <= 300)
    assert not accepts(request(BODY, token_of(BODY, iat=None)))


@pytest.mark.parametrize("settings", [{"apiKey": "other"}, {"applicationId": "other"}])
def test_another_account_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(PermissionDenied):
        reports(Vonage(), {**SETTINGS, **settings}, [signed(BODY)])
    assert reports(Vonage(), {**SETTINGS, "apiKey": "abc", "applicationId": "app"}, [signed(BODY)]) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"call", b"\xff"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        reports(Vonage(), SETTINGS, [signed(body)])


@pytest.mark.parametrize(
    ("different", "field"),
    [({"timestamp": "now"}, "timestamp"), ({"start_time": "now", "status": "completed"}, "start_time"),
     ({"conversation_uuid": "a\x00b"}, "conversation_uuid"), ({"uuid": 5}, "uuid")],
)  # fmt: skip
def test_what_is_no_event_is_refused_by_name(different: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        reports(
            Vonage(), SETTINGS, [signed(json.dumps({"uuid": "c", "conversation_uuid": "CON", **different}).encode())]
        )
    assert refusal.value.fields[0].field == field


@pytest.mark.parametrize(
    ("settings", "field"),
    [({}, "settings.signatureSecret"), ({**SETTINGS, "colour": "red"}, "settings.colour")],
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Vonage().check(settings)
    assert refusal.value.fields[0].field == field

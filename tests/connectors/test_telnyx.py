"""Telnyx: what its events tell, and who may tell it."""

import json
from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from telnyx.lib import webhook_verification as sdk

from hookline.connectors.telnyx import Telnyx
from hookline.errors import Invalid, Unauthorized
from hookline.ports.connectors import Posted
from tests.connectors.called import CONTACT, LINE, NOW, URL, payload, reports, right

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SETTINGS = {"publicKey": b64encode(KEY.public_key().public_bytes_raw()).decode()}
_STAMP = int(NOW.timestamp())
JOHN = "sip:101@sip.telnyx.com"


def signed(body: bytes, stamp: int = _STAMP, **headers: str) -> Posted:
    signature = b64encode(KEY.sign(f"{stamp}|".encode() + body)).decode()
    given = {"telnyx-signature-ed25519": signature, "telnyx-timestamp": str(stamp), **headers}
    return Posted(method="POST", url=URL, query="", headers=given, body=body, at=NOW)


def event(kind: str, seconds: float, leg: str = "c", **more: str) -> Posted:
    call = {"call_leg_id": leg, "call_session_id": "s", "call_control_id": "v3:x", **more}
    when = f"2026-11-25T08:{int(seconds) // 60:02}:{seconds % 60:09.6f}Z"
    return signed(json.dumps({"data": {"record_type": "event", "event_type": f"call.{kind}", "id": "e",
                                       "occurred_at": when, "payload": call}}).encode())  # fmt: skip


COMES_IN = event("initiated", 0, direction="incoming", **{"from": CONTACT, "to": LINE})
RINGS = event("initiated", 1, "u", direction="outgoing", **{"from": CONTACT, "to": JOHN})
CALLS = event("initiated", 0, "u", direction="incoming", **{"from": JOHN, "to": CONTACT})
GOES_OUT = event("initiated", 1, "c", direction="outgoing", **{"from": LINE, "to": CONTACT})


def hangups(cause: str, sip: str = "unspecified") -> list[Posted]:
    return [event("hangup", 150, "u", hangup_cause="normal_clearing"),
            event("hangup", 150, "c", hangup_cause=cause, sip_hangup_cause=sip)]  # fmt: skip


TALK = [event("answered", 27, "u"), event("answered", 26.9), event("bridged", 27, "u"), event("bridged", 27.2)]
STORIES: dict[str, tuple[list[Posted], dict[str, Any]]] = {
    "answered": ([COMES_IN, RINGS, *TALK, *hangups("normal_clearing")], right("answered")),
    "answered and recorded": (
        [COMES_IN, RINGS, *TALK, *hangups("normal_clearing"), event("recording.saved", 151)],
        right("answered", recording=True),
    ),
    "missed": ([COMES_IN, event("answered", 1), *hangups("originator_cancel"), RINGS], right("missed")),
    "missed voicemail": (
        [COMES_IN, event("answered", 1), event("recording.saved", 40), event("hangup", 41, hangup_cause="x")],
        right("missed voicemail"),
    ),
    "connected": ([CALLS, GOES_OUT, *TALK, *hangups("normal_clearing")], right("connected")),
    "not connected, busy": ([CALLS, GOES_OUT, *hangups("user_busy", "486")], right("not connected")),
    "not connected, no answer": ([CALLS, GOES_OUT, *hangups("timeout")], right("not connected")),
    "not connected, rejected": ([CALLS, GOES_OUT, *hangups("call_rejected", "603")], right("not connected")),
    "failed": ([CALLS, GOES_OUT, *hangups("not_found", "404")], right("failed/cancelled")),
    "failed, it is not told why": ([CALLS, GOES_OUT, *hangups("unspecified")], right("failed/cancelled")),
    "cancelled": ([CALLS, GOES_OUT, *hangups("originator_cancel", "487")], right("failed/cancelled")),
    "a program calls": (
        [GOES_OUT, event("answered", 27), event("hangup", 150, hangup_cause="normal_clearing")],
        right("connected", account_name=""),
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_events_become_the_right_call(story: str) -> None:
    told, expected = STORIES[story]
    assert payload(Telnyx(), SETTINGS, told) == expected


@given(st.data(), st.sampled_from(sorted(STORIES)))
def test_events_in_any_order_and_any_number_become_the_same_call(data: st.DataObject, story: str) -> None:
    told, expected = STORIES[story]
    order = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
    assert payload(Telnyx(), SETTINGS, order) == expected


#: Every cause of `call.hangup` -> what a call that was never bridged is, of ours when nobody answered.
CAUSES = {
    "normal_clearing": "failed/cancelled", "originator_cancel": "failed/cancelled", "not_found": "failed/cancelled",
    "unspecified": "failed/cancelled", "time_limit": "failed/cancelled", "user_busy": "not connected",
    "call_rejected": "not connected", "no_answer": "not connected", "timeout": "not connected",
}  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES)
def test_a_hangup_does_not_say_that_somebody_talked_whatever_its_cause(cause: str) -> None:
    assert payload(Telnyx(), SETTINGS, [CALLS, GOES_OUT, *hangups(cause)])["type"] == CAUSES[cause]
    answered_by_a_program = [COMES_IN, event("answered", 1), *hangups(cause), RINGS]
    assert payload(Telnyx(), SETTINGS, answered_by_a_program) == right("missed")
    assert payload(Telnyx(), SETTINGS, [GOES_OUT, event("hangup", 9, hangup_cause=cause)])["type"] == CAUSES[cause]
    talked = [COMES_IN, RINGS, *TALK, *hangups(cause)]
    assert payload(Telnyx(), SETTINGS, talked) == right("answered")


def agree(posted: Posted, monkeypatch: pytest.MonkeyPatch, key: str = SETTINGS["publicKey"]) -> bool:
    """We accept what the official SDK accepts, and nothing else."""
    monkeypatch.setattr("telnyx.lib.webhook_verification.time.time", NOW.timestamp)
    try:
        sdk.verify_webhook_signature(posted.body, posted.headers, key)
        theirs = True
    except sdk.WebhookVerificationError:
        theirs = False
    try:
        Telnyx().read(posted, {"publicKey": key})
        ours = True
    except Unauthorized:
        ours = False
    except Invalid:
        ours = True
    assert ours == theirs
    return ours


@pytest.mark.parametrize("late", [-301, -300, 0, 300, 301])
def test_what_is_signed_is_accepted_for_five_minutes(late: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert agree(signed(b'{"data": {}}', _STAMP + late), monkeypatch) == (abs(late) <= 300)


def test_on_whatever_is_changed_we_say_what_the_sdk_says(monkeypatch: pytest.MonkeyPatch) -> None:
    good = signed(b'{"data": {"event_type": "x"}}')
    signature, stamp = good.headers["telnyx-signature-ed25519"], good.headers["telnyx-timestamp"]
    assert agree(good, monkeypatch)
    for place in range(len(good.body)):
        changed = bytes(byte ^ (place == here) for here, byte in enumerate(good.body))
        assert not agree(
            Posted(method="POST", url=URL, query="", headers=good.headers, body=changed, at=NOW), monkeypatch
        )
    for place in range(len(signature) - 3):
        other = "A" if signature[place] != "A" else "B"
        given = {
            "telnyx-signature-ed25519": signature[:place] + other + signature[place + 1 :],
            "telnyx-timestamp": stamp,
        }
        assert not agree(Posted(method="POST", url=URL, query="", headers=given, body=good.body, at=NOW), monkeypatch)
    for headers in ({}, {"telnyx-timestamp": stamp}, {"telnyx-signature-ed25519": signature},
                    {"telnyx-signature-ed25519": signature, "telnyx-timestamp": str(_STAMP + 1)},
                    {"telnyx-signature-ed25519": signature, "telnyx-timestamp": "now"},
                    {"telnyx-signature-ed25519": "", "telnyx-timestamp": stamp},
                    {"telnyx-signature-ed25519": "é", "telnyx-timestamp": stamp}):  # fmt: skip
        assert not agree(Posted(method="POST", url=URL, query="", headers=headers, body=good.body, at=NOW), monkeypatch)
    other_key = b64encode(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()).decode()
    assert not agree(good, monkeypatch, other_key)


@pytest.mark.parametrize("body", [b"", b"[]", b"call", b"\xff"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        reports(Telnyx(), SETTINGS, [signed(body)])


@pytest.mark.parametrize("body", [b"{}", b'{"data": 5}', b'{"data": {"event_type": "call.speak.ended"}}'])
def test_other_events_tell_nothing(body: bytes) -> None:
    assert reports(Telnyx(), SETTINGS, [signed(body)]) == []


def test_an_event_without_a_call_is_refused_by_name() -> None:
    with pytest.raises(Invalid) as refusal:
        reports(Telnyx(), SETTINGS, [signed(b'{"data": {"event_type": "call.hangup", "payload": {}}}')])
    assert refusal.value.fields[0].field == "data.payload.call_leg_id"


@pytest.mark.parametrize(
    ("settings", "field"),
    [({}, "settings.publicKey"), ({"publicKey": "AAAA"}, "settings.publicKey"),
     ({"publicKey": "é"}, "settings.publicKey"), ({**SETTINGS, "colour": "red"}, "settings.colour")],
)  # fmt: skip
def test_wrong_settings_are_refused_by_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Telnyx().check(settings)
    assert refusal.value.fields[0].field == field

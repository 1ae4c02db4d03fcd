"""Plivo: what its callbacks tell, and who may tell it."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plivo.utils import signature_v3 as sdk

from hookline.connectors.plivo import Plivo
from hookline.errors import Invalid, PermissionDenied, Unauthorized
from hookline.ports.connectors import Posted
from tests.connectors.called import CONTACT, LINE, NOW, payload, reports, right

SETTINGS = {"authToken": "tok"}
URL = "https://hookline.company.example/in/plivo/token"
NONCE = "12345"
JOHN = "sip:101@phone.plivo.com"
INBOUND = {"CallUUID": "c1", "From": CONTACT[1:], "To": LINE[1:], "Direction": "inbound", "ParentAuthID": "MA1"}
#: A phone of ours calls by way of a program, which dials the contact.
PHONE = {**INBOUND, "From": JOHN, "To": CONTACT[1:]}


def theirs(form: dict[str, str], url: str, method: str, token: str = "tok", nonce: str = NONCE) -> str:
    base = sdk.construct_get_url(url, {}) if method == "GET" else sdk.construct_post_url(url, dict(form))
    return str(sdk.get_signature_v3(token.encode(), base.decode(), nonce).decode())


def request(form: dict[str, str], url: str, signature: str, method: str = "POST", nonce: str = NONCE) -> Posted:
    headers = {"x-plivo-signature-v3": signature, "x-plivo-signature-v3-nonce": nonce}
    body = b"" if method == "GET" else urlencode(form).encode()
    query = url.partition("?")[2]
    return Posted(method=method, url=url, query=query, headers=headers, body=body, at=NOW)


def signed(form: dict[str, str], url: str = URL) -> Posted:
    return request(form, url, theirs(form, url, "POST"))


def ended(leg: dict[str, str], status: str, **more: str) -> Posted:
    return signed({**leg, "Event": "Hangup", "CallStatus": status, "Duration": "140",
                   "EndTime": "2026-11-25 09:00:00", **more})  # fmt: skip


def dialled(status: str, seconds: int = 0, leg: dict[str, str] = INBOUND, to: str = JOHN, from_: str = "") -> Posted:
    return signed({**leg, "DialStatus": status, "DialBLegUUID": "b1", "DialBLegTo": to, "DialBLegFrom": from_,
                   "DialBLegDuration": str(seconds)})  # fmt: skip


def recorded(seconds: int) -> Posted:
    return signed({"CallUUID": "c1", "RecordUrl": "https://media.plivo.com/r.mp3", "RecordingDuration": str(seconds)})


def out(status: str, seconds: int = 0) -> Posted:
    return dialled(status, seconds, PHONE, CONTACT[1:], LINE[1:])


API = {**INBOUND, "From": LINE[1:], "To": CONTACT[1:], "Direction": "outbound"}
STORIES: dict[str, tuple[list[Posted], dict[str, Any]]] = {
    "answered": ([dialled("completed", 123), ended(INBOUND, "completed")], right("answered")),
    "answered and recorded": (
        [dialled("completed", 123), recorded(123), ended(INBOUND, "completed")],
        right("answered", recording=True),
    ),
    "forwarded": (
        [dialled("completed", 123, to="447700900103"), ended(INBOUND, "completed")],
        right("answered", account_name="Olga Owner", is_forwarded=True),
    ),
    "missed": ([dialled("no-answer"), ended(INBOUND, "completed")], right("missed")),
    "missed, nobody to dial": ([ended(INBOUND, "completed")], right("missed")),
    "missed voicemail": ([dialled("busy"), recorded(12), ended(INBOUND, "completed")], right("missed voicemail")),
    "an empty message": ([dialled("busy"), recorded(0), ended(INBOUND, "completed")], right("missed")),
    "connected": ([out("completed", 123), ended(PHONE, "completed")], right("connected")),
    "not connected, busy": ([out("busy"), ended(PHONE, "completed")], right("not connected")),
    "not connected, in vain": ([out("timeout"), ended(PHONE, "completed")], right("not connected")),
    "failed": ([out("failed"), ended(PHONE, "completed")], right("failed/cancelled")),
    "cancelled": ([out("cancel"), ended(PHONE, "completed")], right("failed/cancelled")),
    "called through the API": (
        [ended(API, "completed", AnswerTime="2026-11-25 08:57:57")],
        right("connected", account_name=""),
    ),
    "called through the API in vain": ([ended(API, "no-answer")], right("not connected", account_name="")),
}


@pytest.mark.parametrize("story", STORIES)
def test_callbacks_become_the_right_call(story: str) -> None:
    told, expected = STORIES[story]
    assert payload(Plivo(), SETTINGS, told) == expected


@given(st.data(), st.sampled_from(sorted(STORIES)))
def test_callbacks_in_any_order_and_any_number_become_the_same_call(data: st.DataObject, story: str) -> None:
    told, expected = STORIES[story]
    order = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
    assert payload(Plivo(), SETTINGS, order) == expected


#: How a Dial ended -> what a call to us is then, and what a call of a phone of ours.
DIAL_ENDS: dict[str, tuple[dict[str, str], str, str]] = {
    "completed with a length": ({"DialStatus": "completed", "DialBLegDuration": "123"}, "answered", "connected"),
    "completed, and no length is told": ({"DialStatus": "completed"}, "answered", "connected"),
    "completed with length 0": ({"DialStatus": "completed", "DialBLegDuration": "0"}, "missed", "not connected"),
    "completed, and nobody answered": ({"DialStatus": "completed", "DialBLegUUID": ""}, "missed", "not connected"),
    "busy": ({"DialStatus": "busy"}, "missed", "not connected"),
    "timeout": ({"DialStatus": "timeout"}, "missed", "not connected"),
    "no-answer": ({"DialStatus": "no-answer"}, "missed", "not connected"),
    "failed": ({"DialStatus": "failed"}, "missed", "failed/cancelled"),
    "cancel": ({"DialStatus": "cancel"}, "missed", "failed/cancelled"),
    "cancel after it rang": ({"DialStatus": "cancel", "DialRingStatus": "true"}, "missed", "failed/cancelled"),
    **{
        f"{status} with a length": ({"DialStatus": status, "DialBLegDuration": "9"}, "missed", outbound)
        for status, outbound in (("busy", "not connected"), ("timeout", "not connected"),
                                 ("no-answer", "not connected"), ("failed", "failed/cancelled"),
                                 ("cancel", "failed/cancelled"))
    },
}  # fmt: skip


@pytest.mark.parametrize("name", DIAL_ENDS)
def test_a_dial_that_is_over_was_taken_only_if_somebody_answered(name: str) -> None:
    form, inbound, outbound = DIAL_ENDS[name]
    for leg, expected in ((INBOUND, inbound), (PHONE, outbound)):
        told = [signed({**leg, "DialBLegUUID": "b1", "DialBLegFrom": LINE[1:], **form}), ended(leg, "completed")]
        assert payload(Plivo(), SETTINGS, told)["type"] == expected


@pytest.mark.parametrize(
    ("status", "times", "kind"),
    [("completed", {"Duration": "123"}, "connected"),
     ("completed", {"Duration": "123", "AnswerTime": "2026-11-25 08:57:57"}, "connected"),
     ("completed", {"Duration": "0", "AnswerTime": "2026-11-25 08:57:57"}, "failed/cancelled"),
     ("completed", {"Duration": "0"}, "failed/cancelled"), ("completed", {"Duration": ""}, "failed/cancelled"),
     ("busy", {}, "not connected"), ("no-answer", {}, "not connected"), ("timeout", {}, "not connected"),
     ("failed", {}, "failed/cancelled"), ("cancel", {}, "failed/cancelled")],
)  # fmt: skip
def test_a_leg_that_is_over_was_taken_only_if_it_is_completed_and_lasted(
    status: str, times: dict[str, str], kind: str
) -> None:
    assert payload(Plivo(), SETTINGS, [ended(API, status, **times)])["type"] == kind
    assert payload(Plivo(), SETTINGS, [ended(INBOUND, status, **times)])["type"] == "missed"


def step(action: str, at: datetime, **more: str) -> Posted:
    """A step of a Dial, as its `callbackUrl` is told of it."""
    form = {**INBOUND, "DialAction": action, "DialBLegUUID": "b1", "DialBLegTo": JOHN, **more}
    return replace(signed(form), at=at)


def test_the_steps_of_a_dial_tell_when_the_talk_began_and_who_took_it() -> None:
    talk_at = NOW - timedelta(seconds=123)
    action = signed({**INBOUND, "DialStatus": "completed", "DialALegUUID": "c1", "DialBLegUUID": "b1"})
    told = [
        step("answer", talk_at), step("connected", talk_at), step("hangup", NOW, DialBLegDuration="123"), action,
        ended(INBOUND, "completed"),
    ]  # fmt: skip
    for order in permutations(told):
        assert payload(Plivo(), SETTINGS, order) == right("answered")


def test_a_phone_that_answered_and_was_never_connected_took_no_call() -> None:
    action = signed({**INBOUND, "DialStatus": "no-answer", "DialBLegUUID": ""})
    told = [step("answer", NOW - timedelta(seconds=9)), step("hangup", NOW, DialBLegDuration="9"), action,
            ended(INBOUND, "completed")]  # fmt: skip
    assert payload(Plivo(), SETTINGS, told) == right("missed")


def agree(
    form: dict[str, str], url: str, signature: str, method: str = "POST", nonce: str = NONCE, token: str = "tok"
) -> bool:
    """We accept what the official SDK accepts, and nothing else."""
    posts = dict(form) if method == "POST" else {}
    accepted = bool(sdk.validate_v3_signature(method, url, nonce, token, signature, posts))
    try:
        Plivo().read(request(form, url, signature, method, nonce), Plivo().check({"authToken": token}))
        ours = True
    except Unauthorized:
        ours = False
    except Invalid:
        ours = True
    assert ours == accepted
    return ours


_TEXT = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6)
_FORMS = st.dictionaries(_TEXT, _TEXT, max_size=5)
_URLS = st.sampled_from([URL, URL + "?b=2&a=1", URL + "?a=1", URL.replace(".example", ".example:8443")])


@given(_FORMS, _URLS, st.sampled_from(["GET", "POST"]))
def test_what_the_sdk_signs_is_accepted(form: dict[str, str], url: str, method: str) -> None:
    if method == "POST" and not form:  # a POST without a body and with a query is spelt by the SDK as a GET
        method = "GET"
    assert agree(form, url, theirs(form, url, method), method)
    assert agree(form, url, "other," + theirs(form, url, method), method)


@given(_FORMS.filter(bool), _FORMS.filter(bool), _URLS, _URLS)
def test_on_whatever_is_changed_we_say_what_the_sdk_says(
    form: dict[str, str], other: dict[str, str], url: str, elsewhere: str
) -> None:
    signature = theirs(form, url, "POST")
    agree(other, url, signature)
    agree(form, elsewhere, signature)
    agree(form, url, signature[1:])
    agree(form, url, signature + "A")
    agree(form, url, signature, nonce="12346")
    agree(form, url, signature, token="tol")
    agree(form, url, signature, method="GET")


def test_without_a_signature_or_a_nonce_nothing_is_read() -> None:
    good = ended(INBOUND, "completed")
    for missing in good.headers:
        headers = {name: value for name, value in good.headers.items() if name != missing}
        with pytest.raises(Unauthorized):
            reports(
                Plivo(), SETTINGS, [Posted(method="POST", url=URL, query="", headers=headers, body=good.body, at=NOW)]
            )


def test_another_account_is_refused() -> None:
    with pytest.raises(PermissionDenied):
        reports(Plivo(), {**SETTINGS, "authId": "MA2"}, [ended(INBOUND, "completed")])
    assert reports(Plivo(), {**SETTINGS, "authId": "MA1"}, [ended(INBOUND, "completed")])


@pytest.mark.parametrize("different", [{"CallUUID": ""}, {"CallUUID": "a\x01"}])
def test_what_is_no_callback_is_refused_by_name(different: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refusal:
        reports(Plivo(), SETTINGS, [ended(INBOUND, "completed", **different)])
    assert refusal.value.fields[0].field == next(iter(different))


@pytest.mark.parametrize(
    ("settings", "field"), [({}, "settings.authToken"), ({"authToken": "t", "colour": "red"}, "settings.colour")]
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Plivo().check(settings)
    assert refusal.value.fields[0].field == field


def test_a_query_of_more_fields_than_a_phone_system_sends_is_refused() -> None:
    url = URL + "?" + "&".join(f"a{number}=1" for number in range(201))
    with pytest.raises(Invalid, match="more than 200 fields"):
        Plivo().read(request(INBOUND, url, "signature"), SETTINGS)

"""What a FreeSWITCH posts of the legs of a call becomes the right event, whatever its form and order."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from itertools import permutations
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.finished_calls import is_over
from hookline.domain.legs import MessageLeft
from hookline.errors import Invalid, Unauthorized
from tests.connectors.freeswitch.switch import (
    CALLS,
    connector,
    live,
    live_payloads,
    live_phonebook,
    payloads,
    posted,
    reports,
)

ANSWERED = live("inbound_answered")[0]
RING_GROUP = live("ring_group_answered")


def right(name: str) -> list[dict[str, Any]]:
    expected = CALLS[name]["expected"]
    return [] if expected is None else [expected]


@pytest.mark.parametrize("name", CALLS)
def test_legs_become_the_right_call_in_any_order_and_twice(name: str) -> None:
    told = reports(CALLS[name]["legs"])
    for order in permutations(told):
        assert payloads(order) == right(name)
        assert payloads([*order, *order]) == right(name)


@pytest.mark.parametrize("name", CALLS)
def test_the_first_leg_alone_becomes_the_same_call(name: str) -> None:
    told = reports(CALLS[name]["legs"][:1], logBLeg=False)
    assert payloads(told) == right(name)


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if len(call["legs"]) > 1])
def test_a_leg_that_is_told_before_the_one_that_called_it_decides_nothing(name: str) -> None:
    for leg in reports(CALLS[name]["legs"][1:]):
        assert not is_over(leg.facts)


@pytest.mark.parametrize("name", CALLS)
def test_all_legs_of_a_call_name_the_first_one(name: str) -> None:
    legs = CALLS[name]["legs"]
    first = legs[0]["variables"]["uuid"]
    assert all(first in report.names for report in reports(legs))


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "json": lambda text: text,
    "percent-encoded": lambda text: b"cdr=" + quote(text, safe="").encode(),
    "form": lambda text: b"cdr=" + quote_plus(text).encode(),
    "base64": lambda text: b"cdr=" + base64.b64encode(text),
    "bare base64": base64.b64encode,
    "spaces around": lambda text: b"\r\n " + text + b"\n",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "", "text/plain"])
def test_a_body_is_known_by_itself_in_every_form(form: str, content_type: str) -> None:
    body = json.dumps(ANSWERED).encode()
    kind = connector()
    told = kind.read(posted(FORMS[form](body), **{"content-type": content_type}), kind.check({}))
    assert list(told) == reports([ANSWERED])


def test_values_may_be_encoded_or_not() -> None:
    legs = [
        {**leg, "variables": {name: unquote(value) for name, value in leg["variables"].items()}} for leg in RING_GROUP
    ]
    assert reports(legs) == reports(RING_GROUP)


def test_a_name_that_is_no_utf_8_does_not_cost_the_call() -> None:
    body = json.dumps(ANSWERED).encode()
    kind = connector()
    told = kind.read(posted(body.replace(b'"vm"', b'"M\xfcller"')), kind.check({}))
    assert list(told) == reports([ANSWERED])


def test_other_contexts_and_trunks_are_told_by_settings() -> None:
    text = json.dumps(live("outbound_connected")).replace("sofia/external/", "sofia/carriers/")
    legs = json.loads(text.replace('"default"', '"phones"').replace("sip_gateway_name", "x").replace("gateway", "y"))
    told = reports(legs, outboundContexts=["phones"], trunkChannelPrefixes=["sofia/carriers/"])
    assert payloads(told, live_phonebook()) == live_payloads("outbound_connected")


# Who may post


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_the_right_credentials_are_let_in() -> None:
    kind = connector()
    settings = kind.check({"username": "switch", "password": "pä:ss"})
    body = json.dumps(ANSWERED).encode()
    assert kind.read(posted(body, authorization=basic("switch:pä:ss")), settings)


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", basic("switch:wrong"), basic("other:pass"), "Bearer pass", "Basic \u00e9", "Digest x"],
)
def test_wrong_or_missing_credentials_are_refused_before_the_body_is_looked_at(authorization: str) -> None:
    kind = connector()
    settings = kind.check({"username": "switch", "password": "pass"})
    with pytest.raises(Unauthorized):
        kind.read(posted(b"no JSON", authorization=authorization), settings)


# What is wrong


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"cdr=", b"cdr=%7B", b"cdr=!!!", b"{}", b'{"variables":{}}', b"\xff\xfe", b"[" * 100_000,
     b'{"variables":{"uuid":"a"},"callflow":[]}', b'{"variables":{"uuid":"a"},"callflow":[{"caller_profile":{}}]}',
     b'{"variables":{"uuid":"a"},"callflow":[{"caller_profile":{"uuid":"a"},"times":{"created_time":"x"}}]}',
     b'{"variables":{"uuid":"' + b"a" * 300 + b'"}}', b'{"variables":[],"callflow":{}}'],
)  # fmt: skip
def test_what_is_no_record_is_refused(body: bytes) -> None:
    kind = connector()
    with pytest.raises(Invalid):
        kind.read(posted(body), kind.check({}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_whatever_stands_where_it_should_not_is_refused_or_read(data: st.DataObject) -> None:
    leg = json.loads(json.dumps(data.draw(st.sampled_from(live("transfer_blind_answered")))))
    spot = leg
    while isinstance(spot, dict | list) and spot:
        key = data.draw(st.sampled_from(sorted(spot) if isinstance(spot, dict) else range(len(spot))))
        if data.draw(st.booleans()) or not isinstance(spot[key], dict | list):
            spot[key] = data.draw(JSON)
            break
        spot = spot[key]
    with suppress(Invalid):
        payloads(reports([leg]))


@given(st.binary(max_size=200))
def test_no_body_makes_it_stumble(body: bytes) -> None:
    kind = connector()
    with pytest.raises(Invalid):
        kind.read(posted(body), kind.check({}))


@pytest.mark.parametrize(
    ("given_settings", "field"),
    [
        ({"nonsense": 1}, "settings.nonsense"),
        ({"eslPort": 0}, "settings.eslPort"),
        ({"eslPort": "8021"}, "settings.eslPort"),
        ({"eslHost": "pbx.example"}, "settings.eslPassword"),
        ({"username": "switch"}, "settings.password"),
        ({"password": "pass"}, "settings.username"),
        ({"region": "XX"}, "settings.region"),
        ({"inboundContexts": "public"}, "settings.inboundContexts"),
        ({"eslHost": "pbx.example", "eslPassword": "a\nexit"}, "settings.eslPassword"),
    ],
)
def test_a_wrong_setting_is_named(given_settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        connector().check(given_settings)
    assert refused.value.fields[0].field == field


def test_settings_are_completed_and_read_again() -> None:
    settings = connector().check({"region": "GB"})
    assert settings["inboundContexts"] == ["public"]
    assert settings["eslPort"] == 8021
    assert settings["region"] == "GB"
    assert connector().check(settings) == settings


def test_no_message_is_taken_for_one_that_was_left() -> None:
    told = reports(live("inbound_voicemail_short"))
    assert not any(isinstance(fact, MessageLeft) for report in told for fact in report.facts)

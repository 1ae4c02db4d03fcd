"""Erasing a person through the door."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import pytest

from hookline.api.app import Api
from hookline.api.erasure import STEP, _all_of
from hookline.domain.erasure import Erased
from hookline.domain.events import CallPayload, CallType
from hookline.errors import Unavailable
from hookline.services.calls import report_call
from tests.api.door import CALL, MEETING, WEBHOOK, Door

NOTHING: Final = {"meetings": 0, "calls": 0, "events": 0, "withdrawn": 0, "answers": 0}


def meeting_with(email: str) -> dict[str, Any]:
    return {**MEETING, "event_participants": [{"EMAIL": email, "FIRSTNAME": "Ada", "LASTNAME": "L"}]}


def erased(door: Door, path: str) -> Any:
    answer = door.ask("DELETE", path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_participant_is_erased_and_counted(door: Door) -> None:
    door.post("/v3/webhooks", WEBHOOK)
    id_ = door.post("/v3/meetings", meeting_with("Ada@example.com"))["id"]
    assert erased(door, "/v3/participants/ada@EXAMPLE.com") == {**NOTHING, "meetings": 1, "events": 1, "withdrawn": 1}
    meeting = door.get(f"/v3/meetings/{id_}")["meeting"]
    assert meeting["event_participants"] == [{"EMAIL": "erased@erased.invalid", "FIRSTNAME": "", "LASTNAME": ""}]
    assert (meeting["meeting_name"], meeting["account_email"]) == ("Erased", MEETING["account_email"])
    [event] = door.get("/v3/events")["events"]
    assert event["payload"] == meeting
    assert door.get("/v3/deliveries")["deliveries"][0]["status"] == "withdrawn"
    assert erased(door, "/v3/participants/ada@example.com") == NOTHING


def test_a_contact_is_erased_in_any_spelling(door: Door) -> None:
    for spelt in ("+14002007868", "%2B1%20400%20200%207868", "0014002007868"):
        id_ = door.post("/v3/calls", CALL)["id"]
        assert erased(door, f"/v3/contacts/{spelt}") == {**NOTHING, "calls": 1, "events": 1}
        assert door.get(f"/v3/calls/{id_}")["call"] == {**CALL, "phone_number": ""}


@pytest.mark.parametrize("told", ["441400A800008", "02079460018", "1-800-FLOWERS 9", "12345678901234567890"])
def test_a_contact_whose_number_was_not_understood_is_erased_by_the_text_as_told(door: Door, told: str) -> None:
    missed = CallPayload(phone_line=CALL["phone_line"], phone_number=told, type=CallType.MISSED)
    id_ = door.run(door.site._database.write(report_call, missed, source="twilio"))
    path = f"/v3/contacts/{told.replace(' ', '%20')}"
    assert erased(door, path) == {**NOTHING, "calls": 1, "events": 1}
    assert door.get(f"/v3/calls/{id_}")["call"]["phone_number"] == ""
    answer = door.ask("DELETE", path)
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "phoneNumber")


def test_the_digits_of_a_service_are_a_contact(door: Door) -> None:
    service = {**CALL, "type": "connected", "phone_number": "116117"}
    door.post("/v3/calls", service)
    assert erased(door, "/v3/contacts/116117") == {**NOTHING, "calls": 1, "events": 1}
    assert erased(door, "/v3/contacts/123") == NOTHING


@pytest.mark.parametrize("address", ["a/b@example.com", "zo\u00eb@example.com", "a+b@example.com", "a%25@example.com"])
def test_any_address_can_be_erased(door: Door, address: str) -> None:
    real = address.replace("%25", "%")
    door.post("/v3/meetings", meeting_with(real))
    assert erased(door, f"/v3/participants/{address}")["meetings"] == 1
    assert door.get(f"/v3/meetings?participant={real.replace('+', '%2B').replace('%', '%25')}")["meetings"] == []


def test_more_than_one_step_is_one_answer(door: Door) -> None:
    count = 3 * STEP // 2
    door.post("/v3/meetings/batch", {"meetings": [meeting_with("ada@example.com")] * count})
    assert erased(door, "/v3/participants/ada@example.com") == {**NOTHING, "meetings": count, "events": count}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v3/participants/ada", "email"),
        ("/v3/participants/ada@", "email"),
        ("/v3/contacts/12a", "phoneNumber"),
        ("/v3/contacts/ada@example.com", "phoneNumber"),
    ],
)
def test_what_is_no_address_and_no_number_is_refused_by_name(shared_door: Door, path: str, field: str) -> None:
    answer = shared_door.ask("DELETE", path)
    assert answer.status_code == 400
    assert answer.json()["fields"][0]["field"] == field


@pytest.mark.parametrize("path", ["/v3/participants/", "/v3/contacts/", "/v3/contacts/1/2"])
def test_without_anybody_there_is_nothing(shared_door: Door, path: str) -> None:
    assert shared_door.ask("DELETE", path).status_code == 404


@pytest.mark.parametrize("scope", ["read", "ingest"])
def test_only_an_admin_may(shared_door: Door, scope: str) -> None:
    assert shared_door.ask("DELETE", "/v3/participants/ada@example.com", scope=scope).status_code == 403


class Failing:
    """A store that does one step, and cannot answer from then on."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    async def write(self, step: Callable[..., Any], done: Erased) -> Erased:
        if not self._left:
            raise Unavailable("The disk is full.")
        self._left -= 1
        return done + Erased(meetings=1)


@pytest.mark.parametrize(("steps", "said"), [(0, "Nothing was kept"), (2, "A part was done and stays so")])
def test_a_store_that_fails_on_the_way_says_whether_anything_was_done(steps: int, said: str) -> None:
    store: Any = Failing(steps)
    nobody: Any = None
    api = Api(store, nobody, nobody, {})
    with pytest.raises(Unavailable) as refusal:
        asyncio.run(api._step_by_step(_all_of(lambda tx: None)))
    assert said in refusal.value.hint

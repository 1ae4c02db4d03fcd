"""Users through the door."""

from typing import Any

import pytest

from tests.api.door import MEETING, Door

JOHN: dict[str, Any] = {
    "email": "john.doe@company.example",
    "givenName": "John",
    "familyName": "Doe",
    "phone": {
        "extension": "101",
        "channelPrefixes": ["PJSIP/101-"],
        "outboundLine": "+441400800008",
        "providerIds": ["client:john"],
    },
}
NO_PHONE = {"extension": "", "channelPrefixes": [], "outboundLine": "", "providerIds": []}


def test_a_user_is_made_read_changed_listed_and_deleted(door: Door) -> None:
    id_ = door.post("/v3/users", JOHN)["id"]
    assert id_.startswith("usr_")
    user = door.get(f"/v3/users/{id_}")
    assert {key: user[key] for key in JOHN} == JOHN
    assert set(user) == {"id", "createdAt", "modifiedAt", *JOHN}
    assert door.ask("PUT", f"/v3/users/{id_}", {"givenName": "Jon", "phone": {"extension": "1011"}}).status_code == 204
    changed = door.get(f"/v3/users/{id_}")
    assert (changed["givenName"], changed["familyName"]) == ("Jon", "Doe")
    assert changed["phone"] == {**JOHN["phone"], "extension": "1011"}
    assert door.get("/v3/users") == {"users": [changed], "next": None}
    assert door.ask("DELETE", f"/v3/users/{id_}").status_code == 204
    assert door.ask("GET", f"/v3/users/{id_}").status_code == 404
    assert door.ask("DELETE", f"/v3/users/{id_}").status_code == 404
    assert door.ask("PUT", f"/v3/users/{id_}", {}).status_code == 404


def test_users_are_listed_in_pages_by_creation(door: Door) -> None:
    ids = [door.post("/v3/users", {"email": f"{name}@company.example"})["id"] for name in "cab"]
    first = door.get("/v3/users?limit=2")
    assert [user["id"] for user in first["users"]] == ids[:2]
    rest = door.get(f"/v3/users?limit=2&cursor={first['next']}")
    assert ([user["id"] for user in rest["users"]], rest["next"]) == (ids[2:], None)


def test_whose_meeting_is_booked_is_a_user_and_is_completed_later(door: Door) -> None:
    door.post("/v3/meetings", {**MEETING, "account_email": "John.Doe@company.example"})
    door.post("/v3/meetings", {**MEETING, "account_email": "john.doe@COMPANY.example"})
    [known] = door.get("/v3/users")["users"]
    assert (known["email"], known["givenName"], known["phone"]) == ("John.Doe@company.example", "", NO_PHONE)
    assert door.post("/v3/users", JOHN)["id"] == known["id"]
    assert door.get(f"/v3/users/{known['id']}")["phone"] == JOHN["phone"]
    answer = door.ask("POST", "/v3/users", JOHN)
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "email")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": ""}, "email"),
        ({"email": None}, "email"),
        ({"givenName": "x" * 256}, "givenName"),
        ({"givenName": 5}, "givenName"),
        ({"familyName": "a\0b"}, "familyName"),
        ({"phone": {"extension": "1" * 41}}, "phone.extension"),
        ({"phone": {"outboundLine": "101"}}, "phone.outboundLine"),
        ({"phone": {"channelPrefixes": [""]}}, "phone.channelPrefixes[0]"),
        ({"phone": {"providerIds": "client:john"}}, "phone.providerIds"),
        ({"phone": {"colour": "red"}}, "phone.colour"),
        ({"nickname": "J"}, "nickname"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(shared_door: Door, changes: dict[str, Any], field: str) -> None:
    answer = shared_door.ask("POST", "/v3/users", {**JOHN, **changes})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, field)
    assert shared_door.get("/v3/users")["users"] == []


def test_what_tells_one_user_s_phone_may_not_tell_another_s(door: Door) -> None:
    door.post("/v3/users", JOHN)
    for phone in (
        {"extension": "101"}, {"channelPrefixes": ["PJSIP/101-"]}, {"providerIds": ["client:john"]},
        {"providerIds": ["101"]}, {"extension": "client:john"},
    ):  # fmt: skip
        answer = door.ask("POST", "/v3/users", {"email": "jane@company.example", "phone": phone})
        assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, f"phone.{next(iter(phone))}")
    assert len(door.get("/v3/users")["users"]) == 1

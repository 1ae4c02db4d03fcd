"""Phone lines through the door."""

from typing import Any

import pytest

from tests.api.door import Door

LINE: dict[str, Any] = {
    "number": "+441400800008",
    "name": "My number",
    "ownerEmail": "john.doe@company.example",
    "region": "GB",
}


def test_a_line_is_made_read_changed_listed_and_deleted(door: Door) -> None:
    id_ = door.post("/v3/phone-lines", LINE)["id"]
    assert id_.startswith("line_")
    line = door.get(f"/v3/phone-lines/{id_}")
    assert {key: line[key] for key in LINE} == LINE
    assert set(line) == {"id", "createdAt", "modifiedAt", *LINE}
    assert door.ask("PUT", f"/v3/phone-lines/{id_}", {"name": "Reception", "ownerEmail": ""}).status_code == 204
    changed = door.get(f"/v3/phone-lines/{id_}")
    assert (changed["name"], changed["ownerEmail"], changed["number"]) == ("Reception", "", LINE["number"])
    assert door.get("/v3/phone-lines") == {"phoneLines": [changed], "next": None, "unknownLines": []}
    assert door.ask("DELETE", f"/v3/phone-lines/{id_}").status_code == 204
    for verb in ("GET", "DELETE"):
        assert door.ask(verb, f"/v3/phone-lines/{id_}").status_code == 404
    assert door.ask("PUT", f"/v3/phone-lines/{id_}", {}).status_code == 404


def test_an_owner_whom_nobody_knows_becomes_a_user(door: Door) -> None:
    door.post("/v3/phone-lines", LINE)
    assert [user["email"] for user in door.get("/v3/users")["users"]] == [LINE["ownerEmail"]]


@pytest.mark.parametrize(
    ("number", "region"),
    [("+44 1400 800008", ""), ("0044 1400 800008", ""), ("01400 800008", "gb"), ("+441400800008", "FR")],
)
def test_a_number_in_any_spelling_becomes_e164(door: Door, number: str, region: str) -> None:
    id_ = door.post("/v3/phone-lines", {"number": number, "name": "x", "region": region})["id"]
    assert door.get(f"/v3/phone-lines/{id_}")["number"] == "+441400800008"
    answer = door.ask("POST", "/v3/phone-lines", LINE)
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "number")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"number": "101"}, "number"),
        ({"number": "01400 800008", "region": ""}, "number"),
        ({"number": ""}, "number"),
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"ownerEmail": "John"}, "ownerEmail"),
        ({"region": "England"}, "region"),
        ({"region": None}, "region"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(shared_door: Door, changes: dict[str, Any], field: str) -> None:
    answer = shared_door.ask("POST", "/v3/phone-lines", {**LINE, **changes})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, field)
    assert shared_door.get("/v3/phone-lines")["phoneLines"] == []
    assert shared_door.get("/v3/users")["users"] == []


def test_of_a_line_that_is_changed_its_own_region_counts(door: Door) -> None:
    id_ = door.post("/v3/phone-lines", LINE)["id"]
    assert door.ask("PUT", f"/v3/phone-lines/{id_}", {"number": "01632 960102"}).status_code == 204
    assert door.get(f"/v3/phone-lines/{id_}")["number"] == "+441632960102"
    answer = door.ask("PUT", f"/v3/phone-lines/{id_}", {"number": "102"})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "number")


def test_a_line_follows_its_owner_to_another_address(door: Door) -> None:
    line = door.post("/v3/phone-lines", LINE)["id"]
    [owner] = door.get("/v3/users")["users"]
    assert door.ask("PUT", f"/v3/users/{owner['id']}", {"email": "jd@company.example"}).status_code == 204
    assert door.get(f"/v3/phone-lines/{line}")["ownerEmail"] == "jd@company.example"

"""From what a FreeSWITCH posts to the event, through a whole server."""

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import httpx
import pytest

from hookline.connectors.freeswitch import FreeSwitch
from tests.api.door import Door, open_door
from tests.connectors.freeswitch.switch import live, live_payloads

LEGS = live("transfer_blind_answered")
[EXPECTED] = live_payloads("transfer_blind_answered")
CREDENTIALS = "Basic " + base64.b64encode(b"switch:p4ss").decode()


def set_up(door: Door) -> str:
    """A line, two users, and where FreeSWITCH posts to."""
    for given, family, extension in (("John", "Doe", "101"), ("Jane", "Roe", "102")):
        user = {"email": f"{given}@company.example", "givenName": given, "familyName": family}
        door.post("/v3/users", user | {"phone": {"extension": extension}})
    line = {"number": "+441400800008", "name": "My number", "ownerEmail": "john@company.example"}
    door.post("/v3/phone-lines", line)
    settings = {"username": "switch", "password": "p4ss", "region": "GB"}
    made = door.post("/v3/connectors", {"kind": "freeswitch", "name": "Office", "settings": settings})
    return str(httpx.URL(made["url"]).path)


def tell(door: Door, path: str, leg: Mapping[str, Any], credentials: str = CREDENTIALS) -> int:
    headers = {"authorization": credentials, "content-type": "application/x-www-form-urlencoded"}
    body = json.dumps(leg).encode()
    return door.ask("POST", f"{path}?uuid=1", body, scope="", headers=headers).status_code


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_legs_that_are_posted_in_any_order_and_twice_are_one_event(
    order: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FreeSwitch, "waits", timedelta(seconds=0.2))
    with open_door(tmp_path) as door:
        path = set_up(door)
        assert [tell(door, path, LEGS[place]) for place in order] == [204] * 3
        door.once("/v3/calls", lambda it: it["calls"])
        assert [tell(door, path, LEGS[place]) for place in order] == [204] * 3
        [call] = door.get("/v3/calls")["calls"]
        assert call["call"] == EXPECTED
        assert call["source"] == "freeswitch"


def test_who_is_not_the_switch_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    with open_door(tmp_path) as door:
        path = set_up(door)
        assert tell(door, path, LEGS[0], "Basic d3Jvbmc6d3Jvbmc=") == 401
        assert tell(door, path, {"variables": {}}) == 400
        assert tell(door, path[:-4] + "none", LEGS[0]) == 404
        assert door.run(door.site._database.read(lambda tx: tx.intake.unsettled())) == []


def test_secrets_are_not_given_back(tmp_path: Path) -> None:
    with open_door(tmp_path) as door:
        set_up(door)
        [connector] = door.get("/v3/connectors")["connectors"]
        assert "p4ss" not in json.dumps(door.get(f"/v3/connectors/{connector['id']}"))


def test_it_is_connected_once_it_has_posted_something(tmp_path: Path) -> None:
    with open_door(tmp_path) as door:
        path = set_up(door)
        assert standing(door)["state"] == "connecting"
        assert tell(door, path, LEGS[0]) == 204
        assert (standing(door)["state"], standing(door)["lastError"]) == ("connected", None)


def test_what_was_refused_stands_as_the_last_error(tmp_path: Path) -> None:
    with open_door(tmp_path) as door:
        path = set_up(door)
        assert tell(door, path, LEGS[0], "Basic d3Jvbmc6d3Jvbmc=") == 401
        assert "UTC: Refused with 401: The user name and password" in standing(door)["lastError"]
        assert tell(door, path, {"variables": {}}) == 400
        assert "UTC: Refused with 400: " in standing(door)["lastError"]
        assert "variables.uuid" in standing(door)["lastError"]
        assert standing(door)["state"] == "connecting"


def test_a_record_for_a_number_that_is_no_line_is_not_posted_again_for_ever(tmp_path: Path) -> None:
    with open_door(tmp_path) as door:
        path = set_up(door)
        for leg in live("inbound_wrong_number"):
            assert tell(door, path, leg) == 200
        counted = door.run(door.site._database.read(lambda tx: tx.phonebook.unknown_lines()))
        assert [(line.number, line.calls) for line in counted] == [("+441632960199", 1)]
        assert standing(door)["lastError"] is None


def standing(door: Door) -> dict[str, Any]:
    """How the connector stands."""
    [connector] = door.get("/v3/connectors")["connectors"]
    found: dict[str, Any] = door.get(f"/v3/connectors/{connector['id']}")
    return found

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

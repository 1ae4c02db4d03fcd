"""What became of the calls of a connector, through the door: in the call itself, and in the connector's list."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hookline.bootstrap import connectors
from hookline.domain.legs import Fact, Rang
from tests.api.conftest import door_on
from tests.api.door import Door
from tests.contract.stores import STORES
from tests.fakes import MONDAY
from tests.scripted import Scripted, saying
from tests.telling import CALLER, LINE, SECOND, comes_in, hangs_up, report, talk

PASSWORD = "p4ss"
OTHER_LINE = "+441400800009"
LEG = {
    "party", "number", "address", "user", "startedAt", "rangAt", "answeredAt", "talkedFrom", "endedAt", "outcome",
    "sipStatus", "q850Cause", "transferredTo", "queues",
}  # fmt: skip


@pytest.fixture(params=STORES)
def door(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    kind = Scripted()
    monkeypatch.setattr(connectors, "connector_kinds", lambda *_: {kind.kind: kind})
    with door_on(request.param, tmp_path) as opened:
        opened.post("/v3/phone-lines", {"number": LINE, "name": "Front desk"})
        opened.post("/v3/users", {"email": "john@company.example", "givenName": "John", "phone": {"extension": "101"}})
        yield opened


def connect(door: Door) -> tuple[str, str]:
    """A new connector's id, and where it is called."""
    settings = {"password": PASSWORD, "region": "GB"}
    made = door.post("/v3/connectors", {"kind": "scripted", "name": "PBX", "settings": settings})
    return made["id"], str(httpx.URL(made["url"]).path)


def tell(door: Door, path: str, key: str, *facts: Fact) -> None:
    body = saying(report(*facts, key=key, complete=True))
    door.ask("POST", path, body, scope="", headers={"x-password": PASSWORD})


def decided(door: Door, connector: str, query: str, count: int) -> list[Any]:
    """The decided calls, as soon as there are so many: the server's loops turn while it is asked."""
    for _ in range(1000):
        found: list[Any] = door.get(f"/v3/connectors/{connector}/calls{query}")["calls"]
        if len(found) >= count:
            return found
    raise AssertionError(f"{count} calls were not decided on; {len(found)} were: {found}")


def test_a_call_shows_its_times_its_connector_and_its_legs(door: Door) -> None:
    connector, path = connect(door)
    tell(door, path, "pbx-1", *comes_in(), Rang(leg="phone", at=MONDAY + 2 * SECOND), *talk(), *hangs_up())
    [told] = decided(door, connector, "?outcome=event", 1)
    call = door.get(f"/v3/calls/{told['callId']}", scope="read")
    assert {
        key: call[key] for key in ("startedAt", "answeredAt", "endedAt", "source", "connectorId", "externalId")
    } == {
        "startedAt": "2026-01-05T09:00:00.000Z",
        "answeredAt": "2026-01-05T09:00:05.000Z",
        "endedAt": "2026-01-05T09:01:06.000Z",
        "source": "scripted",
        "connectorId": connector,
        "externalId": "pbx-1",
    }
    contact, user = call["legs"]
    assert set(contact) == set(user) == LEG
    assert (contact["party"], contact["number"], contact["outcome"]) == ("contact", CALLER, "answered")
    assert (user["party"], user["address"], user["rangAt"]) == ("user", "101", "2026-01-05T09:00:02.000Z")
    assert (user["user"]["email"], user["user"]["givenName"]) == ("john@company.example", "John")
    assert "legsOmitted" not in call
    [event] = door.get(f"/v3/events?subject={call['id']}")["events"]
    assert event["occurredAt"] == call["endedAt"]
    assert told == {
        "externalId": "pbx-1", "endedAt": call["endedAt"], "outcome": "event", "reason": None, "callId": call["id"],
        "legs": call["legs"],
    }  # fmt: skip


def test_a_connector_lists_its_calls_with_why_each_is_no_event(door: Door) -> None:
    connector, path = connect(door)
    tell(door, path, "a", *comes_in(dialled=OTHER_LINE), *hangs_up())
    tell(door, path, "b", *comes_in(), *talk(), *hangs_up())
    tell(door, path, "c", *comes_in()[1:], *hangs_up("phone"))
    assert [each["externalId"] for each in decided(door, connector, "", 3)] == ["c", "b", "a"]
    internal, unknown = decided(door, connector, "?outcome=none", 2)
    assert (internal["externalId"], internal["callId"], internal["endedAt"]) == ("c", None, "2026-01-05T09:01:06.000Z")
    assert OTHER_LINE in unknown["reason"]
    assert [leg["number"] for leg in unknown["legs"]] == [CALLER, ""]
    page = door.get(f"/v3/connectors/{connector}/calls?limit=2")
    rest = door.get(f"/v3/connectors/{connector}/calls?limit=2&cursor={page['next']}")
    assert [each["externalId"] for each in page["calls"] + rest["calls"]] == ["c", "b", "a"]
    assert rest["next"] is None
    assert door.get(f"/v3/connectors/{connector}")["calls"] == {"events": 1, "none": 2}


def test_what_is_not_there_or_not_asked_rightly_is_told_so(door: Door) -> None:
    connector, _ = connect(door)
    assert door.get(f"/v3/connectors/{connector}/calls") == {"calls": [], "next": None}
    assert door.ask("GET", "/v3/connectors/con_nothing/calls").status_code == 404
    for query in ("outcome=maybe", "cursor=x", "limit=0", "since=1"):
        answer = door.ask("GET", f"/v3/connectors/{connector}/calls?{query}")
        assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, query.partition("=")[0])
    assert door.ask("GET", f"/v3/connectors/{connector}/calls", scope="ingest").status_code == 403


def test_of_an_erased_contact_nothing_is_left_in_the_legs(door: Door) -> None:
    connector, path = connect(door)
    tell(door, path, "a", *comes_in(), *talk(), *hangs_up())
    tell(door, path, "b", *comes_in(dialled=OTHER_LINE), *hangs_up())
    decided(door, connector, "", 2)
    assert door.ask("DELETE", f"/v3/contacts/{CALLER}").status_code == 200
    assert CALLER not in door.ask("GET", f"/v3/connectors/{connector}/calls").text
    assert CALLER not in door.ask("GET", "/v3/calls").text

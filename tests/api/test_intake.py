"""What phone systems tell us at their addresses: kept before it is answered, and nothing kept of what is refused."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from hookline.api.intake import all_tokens
from hookline.api.lookups import LOOKUPS, LOOKUPS_SECONDS, Lookups
from hookline.bootstrap import connectors
from hookline.domain.legs import Rang
from tests.api.conftest import door_on
from tests.api.door import CALL, Door
from tests.contract.stores import STORES
from tests.fakes import MONDAY, ManualClock
from tests.scripted import Scripted, Talkative, saying
from tests.telling import CALLER, LINE, a_whole_call, comes_in, hangs_up, recorded, report

PASSWORD = "p4ss"


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    kinds = Scripted(), Talkative()
    monkeypatch.setattr(connectors, "connector_kinds", lambda *_: {each.kind: each for each in kinds})
    return kinds[0]


@pytest.fixture(params=STORES)
def door(request: pytest.FixtureRequest, tmp_path: Path, kind: Scripted) -> Iterator[Door]:
    with door_on(request.param, tmp_path) as opened:
        opened.post("/v3/phone-lines", {"number": LINE, "name": "Front desk"})
        yield opened


def address(door: Door, kind: str = "scripted") -> str:
    """Where a new connector is called, without the host."""
    made = door.post("/v3/connectors", _connector(kind))
    return str(httpx.URL(made["url"]).path)


def _connector(kind: str) -> dict[str, Any]:
    return {"kind": kind, "name": "PBX", "settings": {"password": PASSWORD, "region": "GB"}}


def tell(door: Door, path: str, body: bytes, **more: Any) -> httpx.Response:
    headers = {"x-password": PASSWORD, **more.pop("headers", {})}
    return door.ask(more.pop("method", "POST"), path, body, scope="", headers=headers, **more)


def calls(door: Door) -> list[Any]:
    found: list[Any] = door.get("/v3/calls")["calls"]
    return found


def unsettled(door: Door) -> int:
    return len(door.run(door.site._database.read(lambda tx: tx.intake.unsettled())))


WHOLE = saying(report(*a_whole_call(), complete=True))
OPEN = saying(report(*comes_in()))


def test_a_call_that_is_told_of_becomes_an_event(door: Door) -> None:
    answer = tell(door, address(door), WHOLE)
    assert (answer.status_code, answer.content) == (204, b"")
    door.once("/v3/calls", lambda it: it["calls"])
    [call] = calls(door)
    assert call["source"] == "scripted"
    assert (call["call"]["phone_line_name"], call["call"]["phone_number"]) == ("Front desk", CALLER)
    assert [each["event"] for each in door.get("/v3/events")["events"]] == ["callFinished"]


def test_what_is_told_bit_by_bit_and_again_is_one_call(door: Door) -> None:
    path = address(door)
    for facts in (comes_in(), comes_in(), recorded(), hangs_up(), hangs_up(), comes_in()):
        assert tell(door, path, saying(report(*facts))).status_code == 204
    door.once("/v3/calls", lambda it: it["calls"])
    assert len(calls(door)) == 1


def test_several_calls_may_be_told_of_at_once(door: Door) -> None:
    body = saying(*(report(*a_whole_call(), key=key, complete=True) for key in "abc"))
    assert tell(door, address(door), body).status_code == 204
    door.once("/v3/calls", lambda it: len(it["calls"]) == 3)


def test_what_tells_nothing_of_use_is_fine(door: Door) -> None:
    path = address(door)
    assert tell(door, path, b"nothing").status_code == 204
    [connector] = door.get("/v3/connectors")["connectors"]
    assert connector["state"] == "connected"
    assert connector["lastEventAt"] is not None


def test_a_system_that_wants_to_read_something_gets_it(door: Door) -> None:
    answer = tell(door, address(door, "talkative"), WHOLE)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "text/xml", b"<Response/>")


def test_a_kind_reads_the_request_as_it_came_at_its_public_address(door: Door, kind: Scripted) -> None:
    path = address(door)
    query = "b=2&a=%20x&b=+&empty="
    assert tell(door, f"{path}?{query}", b"nothing", headers={"X-Signature": "s"}).status_code == 204
    assert tell(door, f"{path}?{query}", b"nothing", method="GET").status_code == 204
    posted, got = kind.posted
    assert (posted.method, got.method) == ("POST", "GET")
    assert posted.url == f"{door.settings.public_url}{path}?{query}"
    assert posted.query == query
    assert (posted.headers["x-signature"], posted.body) == ("s", b"nothing")
    assert posted.at.tzinfo is not None


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
def test_other_methods_are_refused(door: Door, method: str) -> None:
    answer = tell(door, address(door), WHOLE, method=method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert unsettled(door) == 0


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"x-password": "wrong"}, OPEN, 401, "unauthorized"),
        ({"x-account": "theirs"}, OPEN, 403, "permission_denied"),
        ({}, b"{", 400, "bad_request"),
        ({}, saying(report(*comes_in(), key="\0")), 400, "invalid_parameter"),
        ({}, saying(report(*comes_in()), report(*comes_in(), key="")), 400, "invalid_parameter"),
        ({}, b"[" + b" " * (1024 * 1024), 413, "payload_too_large"),
    ],
    ids=["password", "account", "no JSON", "a name that cannot be kept", "one of two", "too large"],
)
def test_of_what_is_refused_nothing_is_kept_and_one_line_of_the_log_tells_why(
    door: Door, caplog: pytest.LogCaptureFixture, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    path = address(door)
    answer = tell(door, path, body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert unsettled(door) == 0
    [connector] = door.get("/v3/connectors")["connectors"]
    assert connector["lastEventAt"] is None
    [line] = [each for each in caplog.messages if each.startswith("intake.refused")]
    assert f"connector={connector['id']} path=/in/scripted status={status} why=" in line
    assert path.rpartition("/")[2] not in caplog.text


def test_who_is_not_recognised_is_asked_for_no_key_of_ours(door: Door) -> None:
    answer = tell(door, address(door), OPEN, headers={"x-password": ""})
    assert answer.headers["www-authenticate"] == 'Basic realm="hookline"'


@pytest.mark.parametrize(
    "place", ["/in/scripted/{token}x", "/in/scripted/", "/in/", "/in/talkative/{token}", "/in/x/{token}"]
)
def test_an_address_that_no_system_has_is_not_found_whatever_is_wrong_with_it(
    door: Door, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    token = address(door).rpartition("/")[2]
    answer = tell(door, place.format(token=token), WHOLE)
    assert answer.status_code == 404
    assert answer.json() == {
        "code": "document_not_found",
        "message": "No phone system has this address. Was its connector deleted, or is it mistyped?",
    }
    assert token not in caplog.text


def test_a_connector_that_is_deleted_is_heard_no_more(door: Door) -> None:
    path = address(door)
    [connector] = door.get("/v3/connectors")["connectors"]
    door.ask("DELETE", f"/v3/connectors/{connector['id']}")
    assert tell(door, path, WHOLE).status_code == 404


def test_a_call_on_no_line_is_refused_and_counted(door: Door) -> None:
    path = address(door)
    body = saying(report(*comes_in(dialled="+441400800009")))
    for _ in range(2):
        answer = tell(door, path, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")
        assert "+441400800009" in answer.json()["message"]
    found = door.run(door.site._database.read(lambda tx: tx.phonebook.unknown_lines()))
    assert [(each.number, each.calls) for each in found] == [("+441400800009", 1)]
    assert calls(door) == []


def test_a_number_that_is_no_text_is_told_of_without_harm(door: Door) -> None:
    body = saying(report(*comes_in(dialled="\0\ud800\n12")))
    answer = tell(door, address(door), body)
    assert answer.status_code == 404
    assert "'12'" in answer.json()["message"]


def test_a_mistake_of_ours_is_told_as_one_and_logged_without_the_token(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    path = address(door)
    answer = tell(door, path, b"mistake")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert path.rpartition("/")[2] not in caplog.text


def test_a_call_of_more_facts_than_one_may_have_is_taken_in_and_what_was_dropped_is_logged(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hookline.intake")
    many = tuple(Rang(leg=str(number), at=MONDAY) for number in range(2_005))
    assert tell(door, address(door), saying(report(*comes_in(), *many))).status_code == 204
    assert any(line.startswith("intake.dropped") and line.endswith("facts=7") for line in caplog.messages)


def test_a_store_that_cannot_keep_it_has_it_told_again(tmp_path: Path, kind: Scripted) -> None:
    with door_on("sqlite", tmp_path) as door:
        door.post("/v3/phone-lines", {"number": LINE, "name": "Front desk"})
        path = address(door)
        with closing(sqlite3.connect(door.file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            answer = tell(door, path, WHOLE)
            other.execute("ROLLBACK")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert tell(door, path, WHOLE).status_code == 204
        door.once("/v3/calls", lambda it: it["calls"])


def test_the_api_beside_it_is_as_it_was(door: Door) -> None:
    address(door)
    assert door.post("/v3/calls", CALL)["id"].startswith("call_")
    assert door.ask("POST", "/in", b"").status_code == 404


def test_guessed_addresses_cost_few_reads_and_few_lines_and_a_phone_system_is_heard_meanwhile(
    kind: Scripted, sqlite_door: Door, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, clock = sqlite_door, ManualClock()
    known = address(door)
    monkeypatch.setattr(door.site._intake, "_lookups", Lookups(door.site._database, clock, all_tokens))
    caplog.set_level(logging.WARNING, "hookline.intake")
    for number in range(5 * LOOKUPS):
        assert tell(door, f"/in/scripted/guess-{number}", WHOLE).status_code == 404
        assert tell(door, f"/in/nowhere/guess-{number}", WHOLE).status_code == 404
    assert len(caplog.records) == LOOKUPS
    assert tell(door, known, b"{").status_code == 400
    assert caplog.records[-1].getMessage().endswith(f"unlogged_before={9 * LOOKUPS}")
    clock.advance(seconds=LOOKUPS_SECONDS)
    tell(door, "/in/scripted/later", WHOLE)
    assert caplog.records[-1].getMessage().endswith("unlogged_before=0")

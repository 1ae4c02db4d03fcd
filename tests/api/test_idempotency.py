"""`Idempotency-Key`: a POST that is sent twice is done once."""

from typing import Any, Final

import pytest

from hookline.api.app import BASE, ROUTES
from hookline.api.connectors import NewConnectorBody
from hookline.api.examples import BODIES
from hookline.api.phone_lines import NewPhoneLineBody
from hookline.api.users import NewUserBody
from tests.api.door import CALL, MEETING, NOWHERE, WEBHOOK, Door

KEY: Final = {"Idempotency-Key": "order-4711"}
#: Every POST with a body that it accepts. `{...}` is made before.
POSTS: Final[list[tuple[str, Any]]] = [
    ("/meetings", MEETING),
    ("/meetings/batch", {"meetings": [MEETING, MEETING]}),
    ("/meetings/{meeting}/cancel", {"reason": "Ill"}),
    ("/meetings/{meeting}/reschedule", {"meeting_start_timestamp": "2032-01-01T00:00:00Z"}),
    ("/calls", CALL),
    ("/calls/batch", {"calls": [CALL]}),
    ("/webhooks", WEBHOOK),
    ("/webhooks/{webhook}/test", {"event": "callFinished"}),
    ("/webhooks/{webhook}/secret/rotate", {"overlapHours": 1}),
    ("/webhooks/{webhook}/replay", {"since": "2020-01-01T00:00:00Z", "only": "all"}),
    ("/webhooks/export", {"event": "allEvents", "notifyURL": NOWHERE, "type": "transactional"}),
    ("/deliveries/{delivery}/retry", {}),
    ("/users", BODIES[NewUserBody]),
    ("/phone-lines", BODIES[NewPhoneLineBody]),
    ("/connectors", BODIES[NewConnectorBody]),
]


def path_of(door: Door, path: str) -> str:
    """The path with the id of something that is there."""
    if "{meeting}" in path:
        path = path.format(meeting=door.post("/v3/meetings", MEETING)["id"])
    elif "{webhook}" in path:
        path = path.format(webhook=door.post("/v3/webhooks", WEBHOOK)["id"])
    elif "{delivery}" in path:
        id_ = door.post("/v3/webhooks", {**WEBHOOK, "retryPolicy": {"scheduleSeconds": []}})["id"]
        sent = door.post(f"/v3/webhooks/{id_}/test", {"event": "callFinished"})["deliveryId"]
        path = path.format(delivery=door.settled(sent)["id"])
    return BASE + path


def test_every_post_is_tried_here() -> None:
    tried = {(path.split("/")[1], path.rpartition("/")[2]) for path, _ in POSTS}
    assert tried == {
        (route.path.split("/")[1], route.path.rpartition("/")[2]) for route in ROUTES if route.method == "POST"
    }


@pytest.mark.parametrize(("path", "body"), POSTS, ids=[path for path, _ in POSTS])
def test_the_same_request_is_done_once_and_answered_alike(door: Door, path: str, body: Any) -> None:
    path = path_of(door, path)
    first = door.ask("POST", path, body, headers=KEY)
    assert first.is_success, first.text
    before = door.kept()
    again = door.ask("POST", path, body, headers=KEY)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    after = door.kept()
    assert {name: len(after[name]) for name in after} == {name: len(before[name]) for name in before}


@pytest.mark.parametrize(("path", "body"), POSTS, ids=[path for path, _ in POSTS])
def test_the_key_of_another_request_is_refused(door: Door, path: str, body: Any) -> None:
    path = path_of(door, path)
    door.post("/v3/calls", {**CALL, "phone_line_name": "Another"}, headers=KEY)
    before = door.kept()
    answer = door.ask("POST", path, body, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert door.kept() == before


def test_that_a_key_was_used_is_said_before_what_is_wrong_with_the_body(door: Door) -> None:
    door.post("/v3/calls", CALL, headers=KEY)
    for body in ({}, {**CALL, "phone_line": "nobody"}, b"no JSON"):
        assert door.ask("POST", "/v3/calls", body, headers=KEY).status_code == 422


def test_other_white_space_is_another_body(door: Door) -> None:
    door.post(
        "/v3/meetings/mtg_1/cancel".replace("mtg_1", door.post("/v3/meetings", MEETING)["id"]), b"{}", headers=KEY
    )
    assert door.ask("POST", "/v3/calls", CALL, headers=KEY).status_code == 422


def test_keys_of_one_caller_are_nothing_to_another(door: Door) -> None:
    ids = {door.post("/v3/calls", CALL, scope=scope, headers=KEY)["id"] for scope in ("admin", "ingest")}
    assert len(ids) == 2


def test_without_a_key_the_same_request_is_done_twice(door: Door) -> None:
    assert door.post("/v3/calls", CALL) != door.post("/v3/calls", CALL)


def test_what_was_refused_may_be_put_right_under_the_same_key(door: Door) -> None:
    assert door.ask("POST", "/v3/calls", {**CALL, "phone_line": "nobody"}, headers=KEY).status_code == 400
    assert door.ask("POST", "/v3/calls", CALL, headers=KEY).status_code == 201


def test_a_conflict_is_not_remembered(door: Door) -> None:
    meeting = door.post("/v3/meetings", MEETING)["id"]
    door.post(f"/v3/meetings/{meeting}/cancel")
    for _ in range(2):
        answer = door.ask(
            "POST",
            f"/v3/meetings/{meeting}/reschedule",
            {"meeting_start_timestamp": "2032-01-01T00:00:00Z"},
            headers=KEY,
        )
        assert answer.status_code == 409
    assert door.ask("POST", "/v3/calls", CALL, headers=KEY).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(shared_door: Door, key: str) -> None:
    before = shared_door.kept()
    answer = shared_door.ask("POST", "/v3/calls", CALL, headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert answer.json()["fields"][0]["field"] == "Idempotency-Key"
    assert shared_door.kept() == before


@pytest.mark.parametrize("key", ["x" * 255, "a b", "ä".encode("latin-1"), "☎".encode(), "'; --"], ids=repr)
def test_a_key_is_any_text(door: Door, key: Any) -> None:
    ids = {door.post("/v3/calls", CALL, headers={"Idempotency-Key": key})["id"] for _ in range(2)}
    assert len(ids) == 1

"""Long work through the door: a range is sent again, what was sent is exported, and how far it is can be asked."""

import csv
import io
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from hookline.api.lookups import LOOKUPS
from tests.api.door import CALL, NOWHERE, WEBHOOK, Door, open_door

LONG_AGO = "2020-01-01T00:00:00Z"
WIRE_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
EXPORT: dict[str, Any] = {"event": "allEvents", "notifyURL": NOWHERE, "type": "transactional", "days": 7}


def ended(door: Door, process_id: int) -> Any:
    """The process, once it has ended."""
    return door.once(f"/v3/processes/{process_id}", lambda it: it["status"] in {"completed", "failed"})


def dead(door: Door, count: int = 1) -> None:
    """A webhook that missed so many calls."""
    door.post("/v3/webhooks", {**WEBHOOK, "retryPolicy": {"scheduleSeconds": []}})
    door.post("/v3/calls/batch", {"calls": [CALL] * count})
    door.once("/v3/deliveries", lambda found: all(each["status"] == "dead" for each in found["deliveries"]))


# Replay


def test_what_failed_is_sent_again(door: Door) -> None:
    dead(door, 3)
    with door.subscriber() as subscriber:
        assert door.ask("PUT", "/v3/webhooks/1", {"url": subscriber.url}).status_code == 204
        begun = door.ask("POST", "/v3/webhooks/1/replay", {"since": LONG_AGO, "only": "failed"})
        assert (begun.status_code, begun.json()) == (202, {"processId": 1, "count": 3})
        process = ended(door, 1)
        door.run(subscriber.until(lambda: len(subscriber.received) == 3))
        assert [each["status"] for each in door.get("/v3/deliveries?status=dead")["deliveries"]] == []
    for name in ("created_at", "completed_at"):
        assert WIRE_INSTANT.fullmatch(process.pop(name))
    assert process == {
        "id": 1,
        "name": "replay",
        "status": "completed",
        "info": "3 of 3 deliveries are due again.",
        "total": 3,
        "done": 3,
    }


def test_all_fills_up_a_webhook_that_was_made_later(door: Door) -> None:
    ids = [door.post("/v3/calls", CALL)["id"] for _ in range(3)]
    with door.subscriber() as subscriber:
        door.post("/v3/webhooks", {**WEBHOOK, "url": subscriber.url})
        door.post("/v3/webhooks/1/replay", {"since": LONG_AGO, "only": "all"})
        door.run(subscriber.until(lambda: len(subscriber.received) == 3))
    assert {each.header("hookline-subject") for each in subscriber.received} == set(ids)
    assert {each.header("hookline-test") for each in subscriber.received} == {None}


def test_a_range_can_be_counted_first(door: Door) -> None:
    dead(door, 2)
    answer = door.ask("POST", "/v3/webhooks/1/replay", {"since": LONG_AGO, "only": "failed", "dryRun": True})
    assert (answer.status_code, answer.json()) == (200, {"count": 2})
    assert door.get("/v3/processes") == {"processes": [], "count": 0}


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"since": None}, "invalid_parameter", "since"),
        ({"since": "yesterday"}, "invalid_parameter", "since"),
        ({"since": "2025-06-10T09:00:00"}, "invalid_parameter", "since"),
        ({"since": "2999-01-01T00:00:00Z"}, "invalid_parameter", "since"),
        ({"until": "2019-01-01T00:00:00Z"}, "invalid_parameter", "since"),
        ({"until": 1}, "invalid_parameter", "until"),
        ({"only": "dead"}, "invalid_parameter", "only"),
        ({"dryRun": "yes"}, "invalid_parameter", "dryRun"),
        ({"colour": "red"}, "invalid_parameter", "colour"),
    ],
)
def test_a_range_that_cannot_be_is_refused_by_name(
    shared_door: Door, changes: dict[str, Any], code: str, field: str
) -> None:
    shared_door.post("/v3/webhooks", WEBHOOK)
    [webhook] = shared_door.get("/v3/webhooks")["webhooks"]
    body = {"since": LONG_AGO, "only": "failed", **changes}
    answer = shared_door.ask("POST", f"/v3/webhooks/{webhook['id']}/replay", body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["fields"][0]["field"] == field
    assert shared_door.ask("DELETE", f"/v3/webhooks/{webhook['id']}").status_code == 204


@pytest.mark.parametrize("missing", ["since", "only"])
def test_since_and_only_are_needed(shared_door: Door, missing: str) -> None:
    body = {"since": LONG_AGO, "only": "failed"}
    body.pop(missing)
    answer = shared_door.ask("POST", "/v3/webhooks/1/replay", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_parameter")
    assert answer.json()["fields"][0]["field"] == missing


def test_a_webhook_must_be_there_and_active(door: Door) -> None:
    body = {"since": LONG_AGO, "only": "failed"}
    assert door.ask("POST", "/v3/webhooks/1/replay", body).status_code == 404
    door.post("/v3/webhooks", WEBHOOK)
    door.ask("PUT", "/v3/webhooks/1", {"isActive": False})
    answer = door.ask("POST", "/v3/webhooks/1/replay", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert "isActive" in answer.json()["hint"]


def test_a_webhook_that_goes_meanwhile_ends_the_process(door: Door) -> None:
    dead(door, 200)
    door.post("/v3/webhooks/1/replay", {"since": LONG_AGO, "only": "failed"})
    door.ask("DELETE", "/v3/webhooks/1")
    process = ended(door, 1)
    assert process["status"] == "failed"
    assert process["info"].startswith("Webhook 1 was deleted. ")


# Processes


def test_processes_are_listed_the_newest_first_unless_asked_otherwise(door: Door) -> None:
    door.post("/v3/webhooks", WEBHOOK)
    for _ in range(3):
        door.post("/v3/webhooks/1/replay", {"since": LONG_AGO, "only": "all"})

    def listed(query: str) -> tuple[list[int], int]:
        found = door.get(f"/v3/processes{query}", scope="read")
        return [each["id"] for each in found["processes"]], found["count"]

    assert listed("") == listed("?sort=desc") == ([3, 2, 1], 3)
    assert listed("?sort=asc&limit=2") == ([1, 2], 3)
    assert listed("?limit=2&offset=2") == ([1], 3)
    assert door.get("/v3/processes/2", scope="read")["id"] == 2


@pytest.mark.parametrize("path", ["1", "0", "-1", "abc", "9" * 30])
def test_a_process_that_is_not_there_is_not_found(shared_door: Door, path: str) -> None:
    answer = shared_door.ask("GET", f"/v3/processes/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")


# Export


def test_the_link_to_the_file_goes_to_who_asked_and_opens_it_without_a_key(tmp_path: Path) -> None:
    with open_door(tmp_path, HOOKLINE_PUBLIC_URL="https://hooks.example") as door, door.subscriber() as subscriber:
        dead(door, 2)
        begun = door.ask("POST", "/v3/webhooks/export", {**EXPORT, "notifyURL": subscriber.url + "/told"})
        assert (begun.status_code, begun.json()) == (202, {"processId": 1})
        door.run(subscriber.until(lambda: bool(subscriber.received)))
        told = msgspec.json.decode(subscriber.received[0].body)
        assert (told["processId"], told["status"], subscriber.received[0].target) == (1, "completed", "/told")
        process = door.once("/v3/processes/1", lambda it: "was told" in it["info"])
        assert process["export_url"] == told["exportUrl"]
        link = urlsplit(told["exportUrl"])
        assert re.fullmatch(r"/v3/exports/[0-9a-f]{48}\.csv", link.path)
        assert link.netloc == "hooks.example"
        for number in range(2 * LOOKUPS):  # guesses do not keep a good link from opening
            assert door.ask("GET", f"/v3/exports/{number:048x}.csv", scope="").status_code == 404
        file = door.ask("GET", link.path, scope="")
    assert file.status_code == 200
    assert file.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert file.headers["content-length"] == str(len(file.content))
    assert file.headers["content-disposition"] == 'attachment; filename="hookline-export-1.csv"'
    rows = list(csv.DictReader(io.StringIO(file.text, newline="")))
    assert [(row["status"], row["attempt"], row["url"]) for row in rows] == [
        ("dead", "1", "http://127.0.0.1:9/***")
    ] * 2


def test_a_link_that_nobody_was_given_opens_nothing(shared_door: Door) -> None:
    for path in ("/v3/exports/" + "0" * 48 + ".csv", "/v3/exports/.csv", "/v3/exports/", "/v3/exports/a/b.csv"):
        for scope in ("", "admin"):
            answer = shared_door.ask("GET", path, scope=scope)
            assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")
    answer = shared_door.ask("POST", "/v3/exports/" + "0" * 48 + ".csv", {}, scope="")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_marketing_webhooks_there_are_none_so_their_file_is_empty(door: Door) -> None:
    dead(door)
    door.post("/v3/webhooks/export", {**EXPORT, "type": "marketing"})
    assert (ended(door, 1)["total"], ended(door, 1)["done"]) == (0, 0)


def test_bodies_of_official_sdks_are_taken(door: Door) -> None:
    nulls = dict.fromkeys(("email", "messageId", "startDate", "endDate", "sort", "webhookId"))
    door.post("/v3/webhooks/export", {**EXPORT, **nulls, "colour": "red"})
    door.post("/v3/webhooks/export", {**EXPORT, "days": None, "startDate": "2026-01-01", "endDate": "2026-01-02"})
    assert door.get("/v3/processes")["count"] == 2


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"event": None}, "missing_parameter", "event"),
        ({"event": "delivered"}, "invalid_parameter", "event"),
        ({"event": 1}, "invalid_parameter", "event"),
        ({"notifyURL": None}, "missing_parameter", "notifyURL"),
        ({"notifyURL": "nowhere"}, "invalid_parameter", "notifyURL"),
        ({"notifyURL": "http://10.0.0.1/"}, "invalid_parameter", "notifyURL"),
        ({"type": None}, "missing_parameter", "type"),
        ({"type": "inbound"}, "invalid_parameter", "type"),
        ({"days": 0}, "out_of_range", "days"),
        ({"days": 31}, "out_of_range", "days"),
        ({"days": "7"}, "invalid_parameter", "days"),
        ({"startDate": "2026-01-01"}, "invalid_parameter", "endDate"),
        ({"startDate": "2026-01-01", "endDate": "2026-01-02"}, "bad_request", "days"),
        ({"days": None, "startDate": "2026-01-02", "endDate": "2026-01-01"}, "invalid_parameter", "endDate"),
        ({"days": None, "startDate": "2026-02-30", "endDate": "2026-03-01"}, "invalid_parameter", "startDate"),
        ({"days": None, "startDate": "2026-1-2", "endDate": "20260103"}, "invalid_parameter", "startDate"),
        ({"webhookId": 0}, "out_of_range", "webhookId"),
        ({"sort": "sideways"}, "invalid_parameter", "sort"),
        ({"email": "bo@example.com"}, "invalid_parameter", "email"),
        ({"messageId": 1}, "invalid_parameter", "messageId"),
    ],
)
def test_an_export_that_cannot_be_is_refused_by_name(
    shared_door: Door, changes: dict[str, Any], code: str, field: str
) -> None:
    answer = shared_door.ask("POST", "/v3/webhooks/export", {**EXPORT, **changes})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["fields"][0]["field"] == field
    assert shared_door.get("/v3/processes")["count"] == 0

"""Webhooks through the door, in Brevo's shapes: made, shown, changed, tested and removed."""

import base64
import re
from typing import Any

import pytest

from tests.api.door import CALL, MEETING, NOWHERE, WEBHOOK, Door, open_door

WIRE_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_webhook_is_made_with_an_integer_id_and_a_secret_of_its_own(door: Door) -> None:
    first, second = (door.post("/v3/webhooks", WEBHOOK) for _ in range(2))
    assert (first["id"], second["id"]) == (1, 2)
    for made in (first, second):
        assert set(made) == {"id", "secret"}
        assert len(base64.b64decode(made["secret"].removeprefix("whsec_"), validate=True)) == 24
    assert first["secret"] != second["secret"]


def test_a_webhook_is_shown_with_every_key(door: Door) -> None:
    door.post("/v3/webhooks", WEBHOOK)
    webhook = door.get("/v3/webhooks/1")
    created_at = webhook["createdAt"]
    assert WIRE_INSTANT.fullmatch(created_at)
    assert webhook == {
        "id": 1,
        "url": NOWHERE,
        "description": "",
        "events": ["meetingBooked", "callFinished"],
        "type": "transactional",
        "createdAt": created_at,
        "modifiedAt": created_at,
        "batched": False,
        "headers": [],
        "isActive": True,
        "disabledReason": None,
        "failingSince": None,
        "retryPolicy": "standard",
        "timeoutSeconds": 15,
        "rateLimitPerSecond": None,
        "ordered": False,
        "filter": None,
    }
    assert door.get("/v3/webhooks") == {"webhooks": [webhook]}


FULL: dict[str, Any] = {
    "url": "https://user:p%40ss@receiver.example:8443/a/../b//?q=1&&x=%2F",
    "events": ["callFinished", "meetingCancelled", "meetingBooked", "meetingStarted"],
    "description": "CRM ☎",
    "headers": [{"key": "cf-secret", "value": "a b"}, {"key": "X-Empty", "value": ""}],
    "retryPolicy": {"scheduleSeconds": [0, 5, 172800], "retry4xx": False},
    "timeoutSeconds": 30,
}


def test_everything_that_was_written_comes_back_as_it_was_written(door: Door) -> None:
    door.post("/v3/webhooks", FULL)
    assert {name: door.get("/v3/webhooks/1")[name] for name in FULL} == FULL


def test_a_bearer_token_comes_back_and_can_be_taken_away(door: Door) -> None:
    door.post("/v3/webhooks", {**WEBHOOK, "auth": {"type": "bearer", "token": "t0ken"}})
    assert door.get("/v3/webhooks/1")["auth"] == {"type": "bearer", "token": "t0ken"}
    assert door.ask("PUT", "/v3/webhooks/1", {"auth": {}}).status_code == 204
    assert "auth" not in door.get("/v3/webhooks/1")


@pytest.mark.parametrize("type_", ["transactional", "marketing", "inbound", "anything"])
def test_any_type_and_channel_is_taken_and_the_type_is_always_transactional(door: Door, type_: str) -> None:
    door.post("/v3/webhooks", {**WEBHOOK, "type": type_, "channel": "sms", "domain": "example.com"})
    assert door.get("/v3/webhooks/1")["type"] == "transactional"


def test_webhooks_are_listed_by_creation_the_newest_first_unless_asked_otherwise(door: Door) -> None:
    assert door.get("/v3/webhooks") == {"webhooks": []}
    for _ in range(3):
        door.post("/v3/webhooks", WEBHOOK)

    def ids(query: str) -> list[int]:
        return [each["id"] for each in door.get(f"/v3/webhooks{query}")["webhooks"]]

    assert ids("") == ids("?sort=desc") == ids("?type=") == ids("?type=transactional") == [3, 2, 1]
    assert ids("?sort=asc&type=transactional") == [1, 2, 3]


@pytest.mark.parametrize("type_", ["marketing", "inbound"])
def test_there_are_no_webhooks_of_other_types(door: Door, type_: str) -> None:
    door.post("/v3/webhooks", {**WEBHOOK, "type": type_})
    assert door.get(f"/v3/webhooks?type={type_}") == {"webhooks": []}


@pytest.mark.parametrize(
    ("query", "field"),
    [("sort=sideways", "sort"), ("type=zzz", "type"), ("type=Marketing", "type"), ("limit=5", "limit")],
)
def test_a_parameter_that_the_list_does_not_know_is_refused_by_name(shared_door: Door, query: str, field: str) -> None:
    answer = shared_door.ask("GET", f"/v3/webhooks?{query}")
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, field)


def test_an_update_changes_only_what_it_names(door: Door) -> None:
    door.post("/v3/webhooks", {**FULL, "auth": None})
    before = door.get("/v3/webhooks/1")
    answer = door.ask(
        "PUT", "/v3/webhooks/1", {"url": "http://127.0.0.1:9/other", "description": None, "colour": "red"}
    )
    assert (answer.status_code, answer.content) == (204, b"")
    after = door.get("/v3/webhooks/1")
    assert after["modifiedAt"] >= before["modifiedAt"]
    assert {**after, "modifiedAt": ""} == {**before, "url": "http://127.0.0.1:9/other", "modifiedAt": ""}


def test_an_update_without_a_change_is_none(door: Door) -> None:
    door.post("/v3/webhooks", WEBHOOK)
    before = door.get("/v3/webhooks/1")
    for body in ({}, {"url": None}, {"description": ""}, WEBHOOK):
        assert door.ask("PUT", "/v3/webhooks/1", body).status_code == 204
    assert door.get("/v3/webhooks/1") == before


def test_a_disabled_webhook_says_why_and_gets_nothing_until_it_is_enabled(door: Door) -> None:
    door.post("/v3/webhooks", WEBHOOK)
    assert door.ask("PUT", "/v3/webhooks/1", {"isActive": False}).status_code == 204
    webhook = door.get("/v3/webhooks/1")
    assert (webhook["isActive"], bool(webhook["disabledReason"])) == (False, True)
    door.post("/v3/calls", CALL)
    assert door.get("/v3/deliveries")["deliveries"] == []
    answer = door.ask("POST", "/v3/webhooks/1/test", {"event": "callFinished"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert "isActive" in answer.json()["hint"]
    assert door.ask("PUT", "/v3/webhooks/1", {"isActive": True}).status_code == 204
    assert door.get("/v3/webhooks/1")["disabledReason"] is None
    door.post("/v3/calls", CALL)
    assert len(door.get("/v3/deliveries")["deliveries"]) == 1


def test_a_deleted_webhook_is_gone_and_what_was_pending_for_it_is_withdrawn(door: Door) -> None:
    door.post("/v3/webhooks", WEBHOOK)
    door.post("/v3/calls", CALL)
    [delivery] = door.once("/v3/deliveries", lambda found: bool(found["deliveries"][0]["attempts"]))["deliveries"]
    answer = door.ask("DELETE", "/v3/webhooks/1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert door.settled(delivery["id"])["status"] == "withdrawn"
    for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
        answer = door.ask(method, "/v3/webhooks/1", body)
        assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")
    assert door.post("/v3/webhooks", WEBHOOK)["id"] == 2  # ids are never used again


def test_the_41st_webhook_is_refused_until_one_is_deleted(door: Door) -> None:
    for _ in range(40):
        door.post("/v3/webhooks", WEBHOOK)
    answer = door.ask("POST", "/v3/webhooks", WEBHOOK)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert "HOOKLINE_MAX_WEBHOOKS" in answer.json()["hint"]
    door.ask("DELETE", "/v3/webhooks/7")
    assert door.post("/v3/webhooks", WEBHOOK)["id"] == 41


def test_an_installation_may_have_another_limit(tmp_path: Any) -> None:
    with open_door(tmp_path, HOOKLINE_MAX_WEBHOOKS="1") as door:
        door.post("/v3/webhooks", WEBHOOK)
        assert door.ask("POST", "/v3/webhooks", WEBHOOK).status_code == 400


@pytest.mark.parametrize("kind", ["meetingBooked", "meetingStarted", "meetingCancelled", "callFinished"])
def test_a_test_send_carries_the_sample_of_the_page_whatever_the_webhook_wants(door: Door, kind: str) -> None:
    with door.subscriber() as subscriber:
        secret = door.post("/v3/webhooks", {"url": subscriber.url, "events": ["meetingBooked"]})["secret"]
        subscriber.trust(secret)
        sent = door.post("/v3/webhooks/1/test", {"event": kind})
        assert door.settled(sent["deliveryId"])["status"] == "delivered"
    [received] = subscriber.received
    assert received.complaint == ""
    assert (received.header("hookline-test"), received.header("hookline-event")) == ("true", kind)
    assert b'"phone_number":"+14002007868"' in received.body or b'"account_email":"john@example.com"' in received.body


def test_the_secret_can_be_read_and_is_the_one_that_signs(door: Door) -> None:
    with door.subscriber() as subscriber:
        secret = door.post("/v3/webhooks", {**WEBHOOK, "url": subscriber.url})["secret"]
        assert door.get("/v3/webhooks/1/secret") == {"secret": secret}
        subscriber.trust(secret)
        door.post("/v3/calls", CALL)
        door.run(subscriber.until(lambda: bool(subscriber.received)))
    assert subscriber.received[0].complaint == ""


def test_while_a_secret_is_rotated_both_sign_and_afterwards_only_the_new_one(door: Door) -> None:
    with door.subscriber() as subscriber:
        old = door.post("/v3/webhooks", {**WEBHOOK, "url": subscriber.url})["secret"]
        new = door.post("/v3/webhooks/1/secret/rotate", {"overlapHours": 1})["secret"]
        assert door.get("/v3/webhooks/1/secret") == {"secret": new}
        subscriber.trust(old)
        door.post("/v3/calls", CALL)
        door.run(subscriber.until(lambda: len(subscriber.received) == 1))
        newest = door.post("/v3/webhooks/1/secret/rotate", {"overlapHours": 0})["secret"]
        assert len({old, new, newest}) == 3
        subscriber.trust(new)
        door.post("/v3/calls", CALL)
        door.run(subscriber.until(lambda: len(subscriber.received) == 2))
    both, last = subscriber.received
    assert both.complaint == ""
    assert len(str(both.header("webhook-signature")).split(" ")) == 2
    # The first one's overlap goes on for an hour; the one that was replaced with none does not sign any more.
    assert last.complaint != ""


def test_a_rotation_has_24_hours_unless_told(door: Door) -> None:
    door.post("/v3/webhooks", WEBHOOK)
    assert door.post("/v3/webhooks/1/secret/rotate")["secret"].startswith("whsec_")


@pytest.mark.parametrize("hours", [-1, 168.5, 1e9])
def test_a_rotation_overlaps_0_to_168_hours(shared_door: Door, hours: float) -> None:
    id_ = shared_door.post("/v3/webhooks", WEBHOOK)["id"]
    answer = shared_door.ask("POST", f"/v3/webhooks/{id_}/secret/rotate", {"overlapHours": hours})
    assert (answer.status_code, answer.json()["code"]) == (400, "out_of_range")
    assert answer.json()["fields"][0]["field"] == "overlapHours"
    shared_door.ask("DELETE", f"/v3/webhooks/{id_}")


def test_a_filter_is_kept_changed_and_taken_away(door: Door) -> None:
    wanted = {"type": ["missed", "missed voicemail"], "recording": [False]}
    door.post("/v3/webhooks", {**WEBHOOK, "events": ["callFinished"], "filter": wanted})
    assert door.get("/v3/webhooks/1")["filter"] == wanted
    door.ask("PUT", "/v3/webhooks/1", {"filter": {"type": ["answered"]}})
    assert door.get("/v3/webhooks/1")["filter"] == {"type": ["answered"]}
    door.ask("PUT", "/v3/webhooks/1", {"filter": None})
    assert door.get("/v3/webhooks/1")["filter"] == {"type": ["answered"]}
    door.ask("PUT", "/v3/webhooks/1", {"filter": {}})
    assert door.get("/v3/webhooks/1")["filter"] is None


def test_a_filter_must_be_on_what_one_of_the_events_has(door: Door) -> None:
    calls = {**WEBHOOK, "events": ["callFinished"]}
    refused: list[dict[str, Any]] = [{"kind": ["missed"]}, {"price": [0]}, {"type": []}, {"type": [1]}]
    for wanted in refused:
        answer = door.ask("POST", "/v3/webhooks", {**calls, "filter": wanted})
        assert answer.status_code == 400
        assert answer.json()["fields"][0]["field"].startswith("filter.")
    door.post("/v3/webhooks", {**calls, "filter": {"type": ["missed"]}})
    answer = door.ask("PUT", "/v3/webhooks/1", {"events": ["meetingBooked"]})
    assert answer.json()["fields"][0]["field"] == "filter.type"


def test_a_webhook_may_get_batches_and_stop_to(door: Door) -> None:
    id_ = door.post("/v3/webhooks", {**WEBHOOK, "batched": True})["id"]
    assert door.get(f"/v3/webhooks/{id_}")["batched"] is True
    door.ask("PUT", f"/v3/webhooks/{id_}", {"description": "x", "batched": None})
    assert door.get(f"/v3/webhooks/{id_}")["batched"] is True
    door.ask("PUT", f"/v3/webhooks/{id_}", {"batched": False})
    assert door.get(f"/v3/webhooks/{id_}")["batched"] is False


@pytest.mark.parametrize("value", ["true", 1, []])
def test_batched_is_true_or_false(door: Door, value: Any) -> None:
    answer = door.ask("POST", "/v3/webhooks", {**WEBHOOK, "batched": value})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "batched")


@pytest.mark.parametrize(
    ("given", "shown"), [("5", "5"), ("5.0", "5"), ("0.5", "0.5"), ("0.01", "0.01"), ("10000", "10000")]
)
def test_a_limit_is_shown_as_it_was_given_and_ended_by_0_or_an_empty_object(door: Door, given: str, shown: str) -> None:
    def said() -> str:
        [told] = re.findall(r'"rateLimitPerSecond":([^,]*),', door.ask("GET", "/v3/webhooks/1").text)
        return str(told)

    door.post("/v3/webhooks", WEBHOOK)
    assert said() == "null"
    for end in ("0", "0.0", "{}"):
        for number, told in ((given, shown), ("null", shown), (end, "null")):
            assert door.ask("PUT", "/v3/webhooks/1", f'{{"rateLimitPerSecond": {number}}}'.encode()).status_code == 204
            assert said() == told


@pytest.mark.parametrize("limit", [-1, 0.001, 0.0099, 10_001, 1e300, -0.5])
def test_a_limit_that_nobody_can_keep_is_refused(door: Door, limit: float) -> None:
    door.post("/v3/webhooks", WEBHOOK)
    for method, path in (("POST", "/v3/webhooks"), ("PUT", "/v3/webhooks/1")):
        answer = door.ask(method, path, {**WEBHOOK, "rateLimitPerSecond": limit})
        assert (answer.status_code, answer.json()["code"]) == (400, "out_of_range")
        [field] = answer.json()["fields"]
        assert field["field"] == "rateLimitPerSecond"
        assert "0.01 to 10000" in field["message"]
    assert [each["rateLimitPerSecond"] for each in door.get("/v3/webhooks")["webhooks"]] == [None]


def test_what_could_be_meant_as_a_limit_is_not_taken_for_none(door: Door) -> None:
    answer = door.ask("POST", "/v3/webhooks", {**WEBHOOK, "rateLimitPerSecond": {"perSecond": 5}})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "rateLimitPerSecond")


def test_a_webhook_is_ordered_when_it_says_so(door: Door) -> None:
    door.post("/v3/webhooks", {**WEBHOOK, "ordered": True})
    door.post("/v3/webhooks", WEBHOOK)
    assert [each["ordered"] for each in door.get("/v3/webhooks?sort=asc")["webhooks"]] == [True, False]
    door.ask("PUT", "/v3/webhooks/1", {"ordered": False})
    door.ask("PUT", "/v3/webhooks/2", {"ordered": True})
    assert [each["ordered"] for each in door.get("/v3/webhooks?sort=asc")["webhooks"]] == [False, True]


def test_what_waits_for_an_earlier_event_has_no_next_attempt(door: Door) -> None:
    events = ["meetingBooked", "meetingCancelled"]
    with door.subscriber(500) as subscriber:
        door.post("/v3/webhooks", {"url": subscriber.url, "events": events, "ordered": True})
        id_ = door.post("/v3/meetings", MEETING)["id"]
        door.run(subscriber.until(lambda: bool(subscriber.received)))
        door.post(f"/v3/meetings/{id_}/cancel")
        cancelled, booked = door.get(f"/v3/deliveries?subject={id_}")["deliveries"]
        assert (cancelled["status"], cancelled["nextAttemptAt"], cancelled["attempts"]) == ("pending", None, [])
        door.post(f"/v3/deliveries/{cancelled['id']}/retry")
        assert door.get(f"/v3/deliveries/{cancelled['id']}")["nextAttemptAt"] is None
        assert booked["status"] in ("pending", "sending")
    assert {each.header("hookline-sequence") for each in subscriber.received} == {"1"}


def test_an_order_and_batches_exclude_one_another(door: Door) -> None:
    door.post("/v3/webhooks", {**WEBHOOK, "batched": True})
    for method, path, body in (
        ("POST", "/v3/webhooks", {**WEBHOOK, "batched": True, "ordered": True}),
        ("PUT", "/v3/webhooks/1", {"ordered": True}),
    ):
        answer = door.ask(method, path, body)
        assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "ordered")
        assert "batch" in answer.json()["message"]
    assert [each["ordered"] for each in door.get("/v3/webhooks")["webhooks"]] == [False]
    assert door.ask("PUT", "/v3/webhooks/1", {"batched": False, "ordered": True}).status_code == 204


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/metrics"),
        ("GET", "/book/anna"),
        ("POST", "/in/twilio/token"),
    ],
)
def test_what_this_version_does_not_have_is_not_there(shared_door: Door, method: str, path: str) -> None:
    answer = shared_door.ask(method, path, {} if method == "POST" else None)
    assert answer.status_code in {404, 405}
    assert answer.json()["code"] in {"document_not_found", "method_not_allowed"}


def test_a_webhook_gets_the_events_it_wants_and_no_others(door: Door) -> None:
    with door.subscriber() as subscriber:
        door.post("/v3/webhooks", {"url": subscriber.url, "events": ["meetingCancelled"]})
        door.post("/v3/calls", CALL)
        id_ = door.post("/v3/meetings", MEETING)["id"]
        door.post(f"/v3/meetings/{id_}/cancel")
        door.run(subscriber.until(lambda: bool(subscriber.received)))
        assert len(door.get("/v3/deliveries")["deliveries"]) == 1
    assert [each.header("hookline-event") for each in subscriber.received] == ["meetingCancelled"]


def test_a_url_to_a_network_that_is_not_public_is_refused_unless_it_is_allowed(tmp_path: Any) -> None:
    with open_door(tmp_path, HOOKLINE_ALLOW_NETWORKS="10.2.0.0/16") as door:
        door.post("/v3/webhooks", {**WEBHOOK, "url": "http://10.2.3.4/hook"})
        for url in (
            "http://127.0.0.1/",
            "http://localhost/",
            "http://10.3.0.1/",
            "http://[::1]/",
            "http://2130706433/",
        ):
            for method, path in (("POST", "/v3/webhooks"), ("PUT", "/v3/webhooks/1")):
                answer = door.ask(method, path, {**WEBHOOK, "url": url})
                assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
                assert answer.json()["fields"][0]["field"] == "url"

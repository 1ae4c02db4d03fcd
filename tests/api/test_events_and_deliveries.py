"""The feed of events and the record of deliveries through the door."""

import base64
from datetime import timedelta
from typing import Any, Final

import pytest

from hookline import __version__
from hookline.domain.instants import parse_instant
from tests.api.door import CALL, MEETING, NOWHERE, WEBHOOK, Door

AT_ONCE: Final[dict[str, list[int]]] = {"scheduleSeconds": []}


def test_the_feed_is_oldest_first_and_ends_with_null(door: Door) -> None:
    ids = door.post("/v3/calls/batch", {"calls": [CALL] * 5})["ids"]
    feed = door.get("/v3/events")
    assert [event["subject"] for event in feed["events"]] == ids
    assert feed["next"] is None


def test_the_feed_comes_in_pages_that_leave_nothing_out_and_repeat_nothing(door: Door) -> None:
    ids = door.post("/v3/calls/batch", {"calls": [CALL] * 7})["ids"]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = door.get(f"/v3/events?limit=3&cursor={cursor}")
        seen += [event["subject"] for event in page["events"]]
        cursor = page["next"]
    assert seen == ids


def test_a_reader_goes_on_behind_the_last_event_it_has(door: Door) -> None:
    door.post("/v3/calls", CALL)
    last = door.get("/v3/events")["events"][-1]["id"]
    assert door.get(f"/v3/events?after={last}") == {"events": [], "next": None}
    later = door.post("/v3/calls", CALL)["id"]
    assert [event["subject"] for event in door.get(f"/v3/events?after={last}")["events"]] == [later]


def test_events_are_found_by_name_and_subject(door: Door) -> None:
    call, meeting = door.post("/v3/calls", CALL)["id"], door.post("/v3/meetings", MEETING)["id"]

    def found(query: str) -> list[str]:
        return [event["subject"] for event in door.get(f"/v3/events?{query}")["events"]]

    assert found("event=callFinished") == [call]
    assert found("event=meetingBooked") == [meeting]
    assert found("event=meetingStarted") == []
    assert found(f"subject={meeting}") == [meeting]
    assert found("subject=nobody") == []


def test_an_event_is_read_by_its_id(door: Door) -> None:
    door.post("/v3/calls", CALL)
    [event] = door.get("/v3/events")["events"]
    assert set(event) == {"id", "event", "subject", "sequence", "occurredAt", "createdAt", "payload"}
    assert door.get(f"/v3/events/{event['id']}") == {**event, "webhooks": []}
    assert door.ask("GET", "/v3/events/evt_01k2j3q4r5s6t7v8w9x0y1z2a3").status_code == 404


def test_a_delivery_is_the_event_signed_with_what_is_not_payload_in_headers(door: Door) -> None:
    with door.subscriber() as subscriber:
        url = subscriber.url.replace("http://", "http://us%65r:p%3Ass@") + "/a/../b//?q=%2F&&r"
        headers = [{"key": "X-Extra", "value": "1"}]
        subscriber.trust(door.post("/v3/webhooks", {**WEBHOOK, "url": url, "headers": headers})["secret"])
        id_ = door.post("/v3/meetings", MEETING)["id"]
        door.run(subscriber.until(lambda: bool(subscriber.received)))
    [received] = subscriber.received
    [event] = door.get("/v3/events")["events"]
    assert received.complaint == ""
    assert received.target == "/a/../b//?q=%2F&&r"
    assert {name: received.header(name) for name in ("content-type", "user-agent", "x-extra", "authorization")} == {
        "content-type": "application/json",
        "user-agent": f"Hookline/{__version__}",
        "x-extra": "1",
        "authorization": "Basic " + base64.b64encode(b"user:p:ss").decode(),
    }
    ours = ("webhook-id", "hookline-event", "hookline-subject", "hookline-sequence", "hookline-occurred-at")
    assert [received.header(name) for name in ours] == [event["id"], "meetingBooked", id_, "1", event["occurredAt"]]
    assert (received.header("hookline-attempt"), received.header("hookline-test")) == ("1", None)
    assert received.body.decode() in door.ask("GET", f"/v3/events/{event['id']}").text


def test_a_bearer_token_travels_as_authorization(door: Door) -> None:
    with door.subscriber() as subscriber:
        auth = {"type": "bearer", "token": "t0ken"}
        door.post("/v3/webhooks", {**WEBHOOK, "url": subscriber.url, "auth": auth})
        door.post("/v3/calls", CALL)
        door.run(subscriber.until(lambda: bool(subscriber.received)))
    assert subscriber.received[0].header("authorization") == "Bearer t0ken"


def only_delivery(door: Door) -> Any:
    [delivery] = door.get("/v3/deliveries")["deliveries"]
    return delivery


def test_a_delivery_that_arrived_is_on_record_with_its_attempt(door: Door) -> None:
    with door.subscriber(202, "X-Thing: a", "X-Thing: b") as subscriber:
        door.post("/v3/webhooks", {**WEBHOOK, "url": subscriber.url})
        call = door.post("/v3/calls", CALL)["id"]
        [event] = door.get("/v3/events")["events"]
        delivery = door.settled(only_delivery(door)["id"])
    assert {
        name: delivery[name] for name in ("eventId", "webhookId", "event", "subject", "status", "nextAttemptAt")
    } == {
        "eventId": event["id"],
        "webhookId": 1,
        "event": "callFinished",
        "subject": call,
        "status": "delivered",
        "nextAttemptAt": None,
    }
    [attempt] = delivery["attempts"]
    assert set(attempt) == {
        "number", "startedAt", "durationMs", "status", "error", "responseHeaders", "responseBody",
    }  # fmt: skip
    assert (attempt["number"], attempt["status"], attempt["error"], attempt["responseBody"]) == (1, 202, None, "reply")
    headers = {name.lower(): value for name, value in attempt["responseHeaders"].items()}
    assert headers["x-thing"] == "a, b"
    assert attempt["durationMs"] >= 0


def test_what_gathers_says_in_which_batch_it_goes_and_when_and_a_retry_hurries_all_of_it(door: Door) -> None:
    with door.subscriber() as subscriber:
        door.post("/v3/webhooks", {**WEBHOOK, "url": subscriber.url, "batched": True})
        door.post("/v3/calls/batch", {"calls": [CALL] * 2})
        one, other = door.get("/v3/deliveries?status=pending")["deliveries"]
        assert one["batchId"] == other["batchId"]
        assert one["batchId"].startswith("batch_")
        waits = parse_instant(one["nextAttemptAt"], "") - parse_instant(other["createdAt"], "")
        assert waits == timedelta(minutes=5)
        assert door.ask("GET", f"/v3/deliveries/{one['batchId']}").status_code == 404
        door.post(f"/v3/deliveries/{other['id']}/retry")
        settled = [door.settled(each["id"]) for each in (one, other)]
    [received] = subscriber.received
    assert (received.header("webhook-id"), received.header("hookline-batch-size")) == (one["batchId"], "2")
    assert [each["status"] for each in settled] == ["delivered"] * 2
    assert settled[0]["attempts"] == settled[1]["attempts"] != []


def test_what_goes_by_itself_is_in_no_batch(door: Door) -> None:
    door.post("/v3/webhooks", WEBHOOK)
    door.post("/v3/calls", CALL)
    assert only_delivery(door)["batchId"] is None


def test_a_failure_waits_for_its_next_attempt(door: Door) -> None:
    with door.subscriber(500) as subscriber:
        door.post("/v3/webhooks", {**WEBHOOK, "url": subscriber.url})
        door.post("/v3/calls", CALL)
        id_ = only_delivery(door)["id"]
        delivery = door.once(f"/v3/deliveries/{id_}", lambda it: bool(it["attempts"]))
    assert delivery["status"] == "pending"
    assert (delivery["attempts"][0]["status"], delivery["attempts"][0]["error"]) == (500, None)
    next_at, started_at = delivery["nextAttemptAt"], delivery["attempts"][0]["startedAt"]
    assert (parse_instant(next_at, "") - parse_instant(started_at, "")).total_seconds() >= 5


def test_a_delivery_out_of_attempts_is_dead_and_can_be_retried_by_hand(door: Door) -> None:
    door.post("/v3/webhooks", {**WEBHOOK, "url": NOWHERE, "retryPolicy": AT_ONCE})
    door.post("/v3/calls", CALL)
    dead = door.settled(only_delivery(door)["id"])
    assert (dead["status"], dead["nextAttemptAt"], dead["attempts"][0]["status"]) == ("dead", None, None)
    assert dead["attempts"][0]["error"]
    with door.subscriber() as subscriber:
        door.ask("PUT", "/v3/webhooks/1", {"url": subscriber.url})
        assert door.post(f"/v3/deliveries/{dead['id']}/retry") == {"deliveryId": dead["id"]}
        delivery = door.settled(dead["id"])
    assert delivery["status"] == "delivered"
    assert [attempt["number"] for attempt in delivery["attempts"]] == [1, 2]
    [received] = subscriber.received
    assert (received.header("webhook-id"), received.header("hookline-attempt")) == (delivery["eventId"], "2")


def test_a_delivery_that_waits_can_be_attempted_now(door: Door) -> None:
    door.post("/v3/webhooks", WEBHOOK)
    door.post("/v3/calls", CALL)
    id_ = only_delivery(door)["id"]
    door.once(f"/v3/deliveries/{id_}", lambda it: bool(it["attempts"]))
    door.post(f"/v3/deliveries/{id_}/retry", {})
    delivery = door.once(f"/v3/deliveries/{id_}", lambda it: len(it["attempts"]) == 2)
    assert delivery["status"] == "pending"


def test_nothing_is_retried_for_a_webhook_that_is_gone_or_disabled(door: Door) -> None:
    door.post("/v3/webhooks", {**WEBHOOK, "retryPolicy": AT_ONCE})
    door.post("/v3/calls", CALL)
    id_ = door.settled(only_delivery(door)["id"])["id"]
    door.ask("PUT", "/v3/webhooks/1", {"isActive": False})
    for change in ("disabled", "deleted"):
        answer = door.ask("POST", f"/v3/deliveries/{id_}/retry")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), change
        door.ask("DELETE", "/v3/webhooks/1")
    assert door.get(f"/v3/deliveries/{id_}")["status"] == "dead"


def test_410_disables_the_webhook(door: Door) -> None:
    with door.subscriber(410) as subscriber:
        door.post("/v3/webhooks", {**WEBHOOK, "url": subscriber.url})
        door.post("/v3/calls", CALL)
        assert door.settled(only_delivery(door)["id"])["status"] == "dead"
    webhook = door.get("/v3/webhooks/1")
    assert webhook["isActive"] is False
    assert "410" in webhook["disabledReason"]
    [notice] = door.get("/v3/notices", scope="read")["notices"]
    assert (notice["webhookId"], notice["kind"]) == (1, "webhook_disabled")
    assert notice["message"] == webhook["disabledReason"]


def test_an_event_tells_for_every_webhook_why(door: Door) -> None:
    with door.subscriber(204) as subscriber:
        door.post("/v3/webhooks", {"url": subscriber.url, "events": ["callFinished"]})
        door.post("/v3/webhooks", {"url": NOWHERE, "events": ["meetingBooked"]})
        door.post("/v3/webhooks", {"url": NOWHERE, "events": ["callFinished"], "filter": {"type": ["missed"]}})
        door.post("/v3/calls", CALL)
        id_ = door.settled(only_delivery(door)["id"])["id"]
    door.post("/v3/webhooks", {"url": NOWHERE, "events": ["callFinished"]})
    door.ask("DELETE", "/v3/webhooks/2")
    [event] = door.get("/v3/events")["events"]
    told = door.get(f"/v3/events/{event['id']}", scope="read")["webhooks"]
    assert [(each["webhookId"], each["deliveryId"], each["outcome"]) for each in told] == [
        (1, id_, "delivered"),
        (2, None, "not_owed"),
        (3, None, "not_owed"),
        (4, None, "not_owed"),
    ]
    delivered, not_subscribed, filtered, made_later = (each["why"] for each in told)
    assert delivered.endswith("status 204.")
    assert not_subscribed == "Not subscribed to callFinished at that time, but to meetingBooked."
    assert filtered == 'Filtered: `type` was "answered", wanted "missed".'
    assert "after this event" in made_later


def test_a_webhook_shows_since_when_it_fails_and_notices_come_in_pages(door: Door) -> None:
    assert door.get("/v3/notices") == {"notices": [], "next": None}
    with door.subscriber(410) as gone, door.subscriber(500) as failing:
        for url in (gone.url, gone.url, gone.url, failing.url):
            door.post("/v3/webhooks", {"url": url, "events": ["callFinished"], "retryPolicy": AT_ONCE})
        door.post("/v3/calls", CALL)
        for each in door.get("/v3/deliveries")["deliveries"]:
            attempt = door.settled(each["id"])["attempts"][0]
    failing_since = door.get("/v3/webhooks/4")["failingSince"]
    assert failing_since in {each["attempts"][0]["startedAt"] for each in door.get("/v3/deliveries")["deliveries"]}
    assert attempt["number"] == 1
    page = door.get("/v3/notices?limit=2")
    rest = door.get(f"/v3/notices?limit=2&cursor={page['next']}")
    listed = [*page["notices"], *rest["notices"]]
    assert [each["id"] for each in listed] == sorted((each["id"] for each in listed), reverse=True)
    assert sorted(each["webhookId"] for each in listed) == [1, 2, 3]
    assert rest["next"] is None


def test_deliveries_are_found_by_what_is_asked_for(door: Door) -> None:
    for events in (["callFinished"], ["callFinished", "meetingBooked"]):
        door.post("/v3/webhooks", {"url": NOWHERE, "events": events, "retryPolicy": AT_ONCE})
    call, meeting = door.post("/v3/calls", CALL)["id"], door.post("/v3/meetings", MEETING)["id"]
    everything = door.once(
        "/v3/deliveries", lambda found: all(each["status"] == "dead" for each in found["deliveries"])
    )["deliveries"]
    assert [(each["subject"], each["webhookId"]) for each in everything] == [(meeting, 2), (call, 2), (call, 1)]

    def found(query: str) -> list[Any]:
        return [each["id"] for each in door.get(f"/v3/deliveries?{query}")["deliveries"]]

    in_order = [each["id"] for each in everything]
    assert found("webhookId=2") == in_order[:2]
    assert found("webhookId=99") == []
    assert found("status=dead") == in_order
    assert found("status=delivered") == []
    assert found("event=meetingBooked") == in_order[:1]
    assert found(f"subject={call}&webhookId=1") == in_order[2:]
    assert found("until=2020-01-01T00:00:00Z") == found("since=2100-01-01T00:00:00Z") == []
    assert found("since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z") == in_order
    page = door.get("/v3/deliveries?limit=2")
    rest = door.get(f"/v3/deliveries?limit=2&cursor={page['next']}")
    assert [each["id"] for each in page["deliveries"] + rest["deliveries"]] == in_order
    assert rest["next"] is None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_no_delivery_is_not_found(shared_door: Door, method: str) -> None:
    path = "/v3/deliveries/dlv_01k2j3q4r5s6t7v8w9x0y1z2a3_1" + ("/retry" if method == "POST" else "")
    answer = shared_door.ask(method, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")


@pytest.mark.parametrize("body", [{"force": True}, b"[]", b"x"])
def test_a_retry_takes_no_body_but_an_empty_one(shared_door: Door, body: Any) -> None:
    assert shared_door.ask("POST", "/v3/deliveries/x/retry", body).status_code == 400

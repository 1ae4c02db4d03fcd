"""What is malformed is refused with the contract's status and code and a sentence naming the field, and not kept."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.api.door import CALL, MEETING, WEBHOOK, Door

NEEDED: Final = {
    "/v3/meetings": {
        "account_email", "event_participants", "meeting_name", "meeting_start_timestamp", "meeting_end_timestamp",
    },
    "/v3/calls": {"type", "phone_line", "phone_number"},
    "/v3/webhooks": {"url", "events"},
}  # fmt: skip
WHOLE: Final[dict[str, dict[str, Any]]] = {
    "/v3/meetings": MEETING,
    "/v3/calls": CALL,
    "/v3/webhooks": {
        **WEBHOOK,
        "description": "x",
        "type": "transactional",
        "channel": "email",
        "batched": False,
        "auth": {"type": "bearer", "token": "t"},
        "headers": [{"key": "k", "value": "v"}],
        "retryPolicy": {"scheduleSeconds": [5], "retry4xx": True},
        "timeoutSeconds": 5,
        "rateLimitPerSecond": 2.5,
        "ordered": True,
        "filter": {},
    },
}
#: One value of every type of JSON.
TYPES: Final[dict[str, Any]] = {
    "text": "text", "whole": 5, "fraction": 1.5, "boolean": True, "null": None, "list": [], "object": {},
    "nested": [[1]],
}  # fmt: skip


def refused(door: Door, path: str, body: Any, code: str, *fields: str, method: str = "POST") -> dict[str, Any]:
    """Fail unless this is refused so, and nothing is kept of it. Returns the refusal."""
    before = door.kept()
    answer = door.ask(method, path, body)
    assert answer.status_code == 400, answer.text
    refusal: dict[str, Any] = answer.json()
    assert refusal["code"] == code, refusal
    assert [each["field"] for each in refusal.get("fields", [])] == list(fields)
    for field in fields[:1]:
        assert refusal["message"].startswith(f"{field}: "), refusal
    assert refusal["message"].endswith(".")
    assert door.kept() == before
    return refusal


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where something stands in a body, at every level."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def at(value: Any, place: tuple[str | int, ...]) -> Any:
    """What stands there."""
    for key in place:
        value = value[key]
    return value


def changed(body: Any, place: tuple[str | int, ...], value: Any) -> Any:
    """The body with something else there."""
    copy = json.loads(json.dumps(body))
    at(copy, place[:-1])[place[-1]] = value
    return copy


def spelt(place: tuple[str | int, ...]) -> str:
    """A place as refusals spell it."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).removeprefix(".")


def accepted(path: str, place: tuple[str | int, ...]) -> set[str]:
    """Which of `TYPES` may stand there."""
    spelling, value = spelt(place), at(WHOLE[path], place)
    if spelling in {"price", "rateLimitPerSecond"}:
        right = {"whole", "fraction"} | ({"object"} if spelling != "price" else set())
    elif spelling == "retryPolicy":
        right = {"text", "object"}
    else:
        kinds = {bool: "boolean", str: "text", int: "whole", list: "list", dict: "object"}
        right = {kinds[type(value)]}
    may_be_absent = len(place) == 1 or spelling == "retryPolicy.retry4xx"
    if path == "/v3/webhooks" and may_be_absent and spelling not in NEEDED[path]:
        right.add("null")
    return right


WRONG_TYPES: Final = [
    (path, place, name)
    for path, body in WHOLE.items()
    for place in places(body)
    for name in TYPES
    if name not in accepted(path, place)
]


@pytest.mark.parametrize(
    ("path", "place", "name"),
    WRONG_TYPES,
    ids=[f"{path[4:]}-{spelt(place)}-{name}" for path, place, name in WRONG_TYPES],
)
def test_a_value_of_a_wrong_type_is_refused_by_name(
    shared_door: Door, path: str, place: tuple[str | int, ...], name: str
) -> None:
    answer = shared_door.ask("POST", path, changed(WHOLE[path], place, TYPES[name]))
    assert answer.status_code == 400, answer.text
    refusal = answer.json()
    assert refusal["code"] in {"invalid_parameter", "missing_parameter"}
    field = refusal["fields"][0]["field"]
    assert field.startswith(spelt(place)), refusal
    assert refusal["message"] == f"{field}: {refusal['fields'][0]['message']}"


def test_nothing_of_all_that_was_kept(shared_door: Door) -> None:
    assert not any(shared_door.kept().values())


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path in WHOLE for name in WHOLE[path]],
    ids=lambda each: str(each).rpartition("/")[2],
)
def test_only_what_is_needed_has_to_be_there(door: Door, path: str, name: str) -> None:
    body = {key: value for key, value in WHOLE[path].items() if key != name}
    if name in NEEDED[path] or name == "currency":  # a price needs one
        refused(door, path, body, "missing_parameter", name)
    else:
        assert door.ask("POST", path, body).status_code == 201


@pytest.mark.parametrize("path", ["/v3/meetings", "/v3/calls", "/v3/webhooks"])
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_an_empty_body_lacks_what_is_needed(shared_door: Door, path: str, body: bytes) -> None:
    answer = shared_door.ask("POST", path, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_parameter")
    assert answer.json()["fields"][0]["field"] in NEEDED[path]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v3/meetings", {**MEETING, "meeting_id": "x"}, "meeting_id"),
        ("/v3/meetings", {**MEETING, "Price": 1}, "Price"),
        ("/v3/meetings", {**MEETING, "": 1}, ""),
        ("/v3/meetings", changed(MEETING, ("event_participants", 0, "PHONE"), "x"), "event_participants[0].PHONE"),
        ("/v3/meetings", changed(MEETING, ("questions_and_answers", 0, "x"), 1), "questions_and_answers[0].x"),
        ("/v3/meetings/batch", {"meetings": [MEETING, {**MEETING, "x": None}]}, "meetings[1].x"),
        ("/v3/meetings/batch", {"meetings": [MEETING], "calls": []}, "calls"),
        ("/v3/calls", {**CALL, "direction": "inbound"}, "direction"),
        ("/v3/calls", changed(CALL, ("account_name", "name"), "x"), "account_name.name"),
        ("/v3/calls/batch", {"calls": [changed(CALL, ("account_name", "name"), "x")]}, "calls[0].account_name.name"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_an_unknown_key_is_refused_by_name(shared_door: Door, path: str, body: Any, field: str) -> None:
    refused(shared_door, path, body, "invalid_parameter", field)


@pytest.mark.parametrize(
    ("encoding", "named"), [("utf-8-sig", "BOM, EF BB BF"), ("utf-16", "UTF-16"), ("utf-32", "UTF-32")]
)
@pytest.mark.parametrize("path", ["/v3/meetings", "/v3/calls/batch", "/v3/webhooks"])
def test_a_byte_order_mark_is_named(shared_door: Door, path: str, encoding: str, named: str) -> None:
    answer = shared_door.ask("POST", path, json.dumps(MEETING).encode(encoding))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer.json()["message"].startswith("The body begins with ")
    assert named in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v3/meetings", {}, "questions_and_answers[0].answer"),
        ("/v3/meetings/batch", {"meetings": []}, "meetings[0].questions_and_answers[0].answer"),
    ],
)
def test_an_answer_that_is_a_list_is_told_how_to_join_it(
    shared_door: Door, path: str, body: dict[str, Any], field: str
) -> None:
    meeting = changed(MEETING, ("questions_and_answers", 0, "answer"), ["Coffee", "tea"])
    said = refused(shared_door, path, {"meetings": [meeting]} if body else meeting, "invalid_parameter", field)
    assert said["hint"] == 'Join several choices into one text with ", ".'


def test_many_unknown_keys_are_named_together_but_not_without_end(shared_door: Door) -> None:
    two = refused(shared_door, "/v3/calls", {**CALL, "x": 1, "y": 2}, "invalid_parameter", "x", "y")
    assert two["message"] == "x: there is no such key here."
    answer = shared_door.ask("POST", "/v3/calls", {**CALL, **{f"key{each}": 1 for each in range(5000)}, "z" * 9000: 1})
    assert answer.status_code == 400
    assert len(answer.content) < 4000


def test_unknown_keys_of_webhooks_are_passed_over_at_every_level(door: Door) -> None:
    body = {
        **WEBHOOK,
        "domain": "x",
        "x": {"y": [1]},
        "auth": {"type": "bearer", "token": "t", "x": 1},
        "headers": [{"key": "k", "value": "v", "x": 1}],
    }
    id_ = door.post("/v3/webhooks", body)["id"]
    assert door.ask("PUT", f"/v3/webhooks/{id_}", {"x": None, "description": "new"}).status_code == 204
    assert door.get(f"/v3/webhooks/{id_}")["description"] == "new"


def test_null_in_a_webhook_counts_as_absent(door: Door) -> None:
    nulls = {name: None for name in WHOLE["/v3/webhooks"] if name not in NEEDED["/v3/webhooks"]}
    door.post("/v3/webhooks", {**WEBHOOK, **nulls, "domain": None})
    refused(door, "/v3/webhooks", {**WEBHOOK, "url": None}, "missing_parameter", "url")
    refused(door, "/v3/webhooks", {**WEBHOOK, "events": None}, "missing_parameter", "events")
    before = door.get("/v3/webhooks/1")
    assert door.ask("PUT", "/v3/webhooks/1", {"url": None, "events": None, **nulls}).status_code == 204
    assert door.get("/v3/webhooks/1") == before


@pytest.mark.parametrize("field", ["meeting_start_timestamp", "meeting_end_timestamp"])
@pytest.mark.parametrize(
    "time",
    [
        "", "now", "2031-05-06", "2031-05-06T10:00:00", "2031-05-06T10:00:00.000", "2031-05-06T10:00Z", "1746525600",
        "2031-02-29T10:00:00Z", "2031-13-01T10:00:00Z", "2031-05-06T24:00:00Z", "2031-05-06T10:60:00Z",
        "2031-05-06T10:00:60Z", "2031-05-06T10:00:00+24:00", "2031-05-06T10:00:00+02", "2031-05-06T10:00:00 +02:00",
        "20310506T100000Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "+12031-05-06T10:00:00Z",
        "９031-05-06T10:00:00Z",
        " 2031-05-06T10:00:00Z", "2031-05-06T10:00:00Z\n", "2031-W19-2T10:00:00Z",
        "2031-05-06T10:00:00Z[Europe/Berlin]",
    ],
)  # fmt: skip
def test_what_is_no_time_with_an_offset_is_refused(shared_door: Door, field: str, time: str) -> None:
    refused(shared_door, "/v3/meetings", {**MEETING, field: time}, "invalid_parameter", field)


def test_a_time_after_the_last_year_is_refused(shared_door: Door) -> None:
    for time in ("9999-01-01T00:00:00Z", "9998-12-31T23:59:59-00:01"):
        body = {**MEETING, "meeting_end_timestamp": time}
        refused(shared_door, "/v3/meetings", body, "out_of_range", "meeting_end_timestamp")


def test_a_meeting_does_not_end_before_it_starts(shared_door: Door) -> None:
    body = {**MEETING, "meeting_end_timestamp": "2031-05-06T11:59:59.999+02:00"}
    refused(shared_door, "/v3/meetings", body, "invalid_parameter", "meeting_end_timestamp")


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"price": -1}, "out_of_range", "price"),
        ({"price": -0.01}, "out_of_range", "price"),
        ({"price": 10**11}, "out_of_range", "price"),
        ({"price": 10**4000}, "out_of_range", "price"),
        ({"price": 1e300}, "out_of_range", "price"),
        ({"price": 49.999}, "invalid_parameter", "price"),
        ({"price": 0.5, "currency": "JPY"}, "invalid_parameter", "price"),
        ({"price": 1.2345, "currency": "BHD"}, "invalid_parameter", "price"),
        ({"currency": "EURO"}, "invalid_parameter", "currency"),
        ({"currency": "ABC"}, "invalid_parameter", "currency"),
        ({"currency": "€"}, "invalid_parameter", "currency"),
        ({"currency": " EUR"}, "invalid_parameter", "currency"),
        ({"currency": "ſek"}, "invalid_parameter", "currency"),  # its capitals would be SEK
        ({"currency": ""}, "missing_parameter", "currency"),
        ({"meeting_name": ""}, "out_of_range", "meeting_name"),
        ({"meeting_name": "x" * 256}, "out_of_range", "meeting_name"),
        ({"account_email": ""}, "invalid_parameter", "account_email"),
        ({"account_email": "anna"}, "invalid_parameter", "account_email"),
        ({"account_email": "anna@"}, "invalid_parameter", "account_email"),
        ({"account_email": "a@b@example.com"}, "invalid_parameter", "account_email"),
        ({"account_email": "Anna <anna@example.com>"}, "invalid_parameter", "account_email"),
        ({"account_email": "x" * 300 + "@example.com"}, "invalid_parameter", "account_email"),
        ({"event_participants": []}, "invalid_parameter", "event_participants"),
        ({"event_participants": [{"EMAIL": ""}]}, "invalid_parameter", "event_participants[0].EMAIL"),
        ({"event_participants": [{"FIRSTNAME": "Bo"}]}, "missing_parameter", "event_participants[0].EMAIL"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_makes_no_meeting_is_refused(shared_door: Door, changes: dict[str, Any], code: str, field: str) -> None:
    refused(shared_door, "/v3/meetings", {**MEETING, **changes}, code, field)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"type": "Answered"}, "invalid_parameter", "type"),
        ({"type": ""}, "invalid_parameter", "type"),
        ({"type": "x" * 5000}, "invalid_parameter", "type"),
        ({"duration_seconds": -1}, "out_of_range", "duration_seconds"),
        ({"duration_seconds": 2**31}, "out_of_range", "duration_seconds"),
        ({"duration_seconds": 10**4000}, "out_of_range", "duration_seconds"),
        ({"duration_seconds": 1e300}, "invalid_parameter", "duration_seconds"),
    ],
    ids=lambda each: repr(each)[:40],
)
def test_what_makes_no_call_is_refused(shared_door: Door, changes: dict[str, Any], code: str, field: str) -> None:
    refusal = refused(shared_door, "/v3/calls", {**CALL, **changes}, code, field)
    assert len(refusal["message"]) < 300


TEXTS: Final = [
    (path, place)
    for path, body in (("/v3/meetings", MEETING), ("/v3/calls", CALL))
    for place in places(body)
    if isinstance(at(body, place), str)
]


@pytest.mark.parametrize(("path", "place"), TEXTS, ids=[spelt(place) for _, place in TEXTS])
@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x\udfffy"], ids=["NUL", "high half", "low half"])
def test_a_text_that_nothing_can_carry_is_refused_by_name(
    shared_door: Door, path: str, place: tuple[str | int, ...], text: str
) -> None:
    body = json.dumps(changed(WHOLE[path], place, text)).encode()
    answer = shared_door.ask("POST", path, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert answer.json()["fields"][0]["field"] == spelt(place)
    batch = path[4:].encode()
    answer = shared_door.ask("POST", f"{path}/batch", b'{"%s":[%s]}' % (batch, body))
    assert answer.json()["fields"][0]["field"] == f"{path[4:]}[0].{spelt(place)}"


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
@pytest.mark.parametrize("field", ["url", "description", "auth.token", "headers[0].key", "headers[0].value"])
def test_a_webhook_with_a_text_that_nothing_can_carry_is_refused_by_name(
    shared_door: Door, field: str, text: str
) -> None:
    place: dict[str, tuple[str | int, ...]] = {
        "auth.token": ("auth", "token"),
        "headers[0].key": ("headers", 0, "key"),
        "headers[0].value": ("headers", 0, "value"),
    }  # fmt: skip
    body = changed(WHOLE["/v3/webhooks"], place.get(field, (field,)), text)
    answer = shared_door.ask("POST", "/v3/webhooks", json.dumps(body).encode())
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert answer.json()["fields"][0]["field"] == field


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"url": ""}, "invalid_parameter", "url"),
        ({"url": "receiver.example/hook"}, "invalid_parameter", "url"),
        ({"url": "ftp://receiver.example/"}, "invalid_parameter", "url"),
        ({"url": "https:///hook"}, "invalid_parameter", "url"),
        ({"url": "https://receiver.example:0/"}, "invalid_parameter", "url"),
        ({"url": "https://receiver.example:99999/"}, "invalid_parameter", "url"),
        ({"url": "https://receiver.example/#x"}, "invalid_parameter", "url"),
        ({"url": "https://receiver.example/a b"}, "invalid_parameter", "url"),
        ({"url": "https://receiver.example/ä"}, "invalid_parameter", "url"),
        ({"url": "https://receiver.example/\r\nX: y"}, "invalid_parameter", "url"),
        ({"url": "https://receiver.example/" + "x" * 2048}, "out_of_range", "url"),
        ({"url": "http://10.1.2.3/"}, "invalid_parameter", "url"),
        ({"url": "http://169.254.169.254/latest"}, "invalid_parameter", "url"),
        ({"events": []}, "invalid_parameter", "events"),
        ({"events": ["delivered"]}, "invalid_parameter", "events[0]"),
        ({"events": ["meetingBooked", "meetingbooked"]}, "invalid_parameter", "events[1]"),
        ({"events": ["callFinished", "callFinished"]}, "invalid_parameter", "events[1]"),
        ({"description": "x" * 1001}, "out_of_range", "description"),
        ({"auth": {"type": "basic", "token": "t"}}, "invalid_parameter", "auth.type"),
        ({"auth": {"type": "bearer"}}, "missing_parameter", "auth.token"),
        ({"auth": {"type": "bearer", "token": "a\nb"}}, "invalid_parameter", "auth.token"),
        ({"auth": {"type": "bearer", "token": "Bearer abc"}}, "invalid_parameter", "auth.token"),
        ({"auth": {"type": "bearer", "token": "x" * 5000}}, "invalid_parameter", "auth.token"),
        ({"headers": [{"key": "a b", "value": "x"}]}, "invalid_parameter", "headers[0].key"),
        ({"headers": [{"key": "", "value": "x"}]}, "invalid_parameter", "headers[0].key"),
        ({"headers": [{"key": "x" * 300, "value": "x"}]}, "invalid_parameter", "headers[0].key"),
        ({"headers": [{"key": "Webhook-Id", "value": "x"}]}, "invalid_parameter", "headers[0].key"),
        ({"headers": [{"key": "hookline-event", "value": "x"}]}, "invalid_parameter", "headers[0].key"),
        ({"headers": [{"key": "Host", "value": "x"}]}, "invalid_parameter", "headers[0].key"),
        ({"headers": [{"key": "content-length", "value": "1"}]}, "invalid_parameter", "headers[0].key"),
        ({"headers": [{"key": "k", "value": "a\r\nb"}]}, "invalid_parameter", "headers[0].value"),
        ({"headers": [{"key": "k", "value": "ä"}]}, "invalid_parameter", "headers[0].value"),
        ({"headers": [{"key": "k", "value": "v"}] * 21}, "out_of_range", "headers"),
        (
            {"headers": [{"key": "authorization", "value": "x"}], "auth": {"type": "bearer", "token": "t"}},
            "invalid_parameter",
            "headers",
        ),
        ({"url": "http://a:b@127.0.0.1/", "auth": {"type": "bearer", "token": "t"}}, "invalid_parameter", "auth"),
        ({"retryPolicy": "never"}, "invalid_parameter", "retryPolicy"),
        ({"retryPolicy": {}}, "missing_parameter", "retryPolicy.scheduleSeconds"),
        ({"retryPolicy": {"scheduleSeconds": [-1]}}, "out_of_range", "retryPolicy.scheduleSeconds[0]"),
        ({"retryPolicy": {"scheduleSeconds": [5, 172801]}}, "out_of_range", "retryPolicy.scheduleSeconds[1]"),
        ({"retryPolicy": {"scheduleSeconds": [5] * 31}}, "out_of_range", "retryPolicy.scheduleSeconds"),
        ({"retryPolicy": {"scheduleSeconds": [0.5]}}, "invalid_parameter", "retryPolicy.scheduleSeconds[0]"),
        ({"url": "http://256.1.1.1/"}, "invalid_parameter", "url"),
        ({"filter": {"type": "missed"}}, "invalid_parameter", "filter.type"),
        ({"filter": {"phone_line": [], "type": 1}}, "invalid_parameter", "filter.type"),
        ({"timeoutSeconds": 0}, "out_of_range", "timeoutSeconds"),
        ({"timeoutSeconds": 31}, "out_of_range", "timeoutSeconds"),
        ({"timeoutSeconds": 10**4000}, "out_of_range", "timeoutSeconds"),
    ],
    ids=lambda each: repr(each)[:60],
)
def test_what_makes_no_webhook_is_refused(door: Door, changes: dict[str, Any], code: str, field: str) -> None:
    refusal = refused(door, "/v3/webhooks", {**WEBHOOK, **changes}, code, field)
    assert len(refusal["message"]) < 300
    door.post("/v3/webhooks", WEBHOOK)
    refused(door, "/v3/webhooks/1", changes, code, field, method="PUT")


@pytest.mark.parametrize("event", ["", "meetingbooked", "delivered", None, 1])
def test_a_test_send_is_of_one_of_the_four_events(shared_door: Door, event: Any) -> None:
    answer = shared_door.ask("POST", "/v3/webhooks/1/test", {"event": event})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert answer.json()["fields"][0]["field"] == "event"


@pytest.mark.parametrize("reason", ["x" * 1001, "a\0b", None, 5])
def test_a_reason_is_a_text_of_at_most_1000_characters(shared_door: Door, reason: Any) -> None:
    answer = shared_door.ask("POST", "/v3/meetings/mtg_1/cancel", {"reason": reason})
    assert answer.status_code == 400
    assert answer.json()["fields"][0]["field"] == "reason"


@pytest.mark.parametrize("id_", ["0", "-1", "1.0", "1e0", "x", "٣", "9" * 30, "%31x", "%00", "null"])
def test_what_is_no_webhook_is_not_found(shared_door: Door, id_: str) -> None:
    for method, path in (
        ("GET", id_), ("PUT", id_), ("DELETE", id_), ("POST", f"{id_}/test"), ("GET", f"{id_}/secret"),
        ("POST", f"{id_}/secret/rotate"),
    ):  # fmt: skip
        body = {"event": "callFinished"} if path.endswith("test") else {} if method != "GET" else None
        answer = shared_door.ask(method, f"/v3/webhooks/{path}", body)
        assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found"), (method, path)

"""Requests that are wrong before anybody looks at fields: bodies, sizes, queries, paths and methods."""

import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest

from hookline.api.app import BASE, ROUTES
from hookline.api.http_messages import MAX_BODY
from tests.api.conftest import door_on
from tests.api.door import ADMIN, CALL, MEETING, WEBHOOK, Door, serving
from tests.patience import PATIENCE_SECONDS

BODIES: Final = [(route.method, route.path) for route in ROUTES if route.takes is not None]
GOOD: Final = json.dumps(CALL).encode()


@pytest.fixture(scope="module")
def shared_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A server on SQLite: what is wrong before the store is asked is as wrong on PostgreSQL."""
    with door_on("sqlite", tmp_path_factory.mktemp("shared")) as opened:
        yield opened


def path_of(path: str) -> str:
    return BASE + path.replace("{id}", "1" if "webhooks" in path else "mtg_1")


@pytest.mark.parametrize(("method", "path"), BODIES)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"x", "not JSON"),
        (b"{", "not JSON"),
        (b"{}}", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": 01}', "not JSON"),
        (b'{"a": "\n"}', "not JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "byte order mark"),
        (b"url=https%3A%2F%2Fexample.com", "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
        (b"[]", "a list"),
        (b"null", "null"),
        (b"5", "a number"),
        (b'"{}"', "text"),
        (b"true", "true or false"),
        (b"[" * 4_000, "nested too deeply"),
        (b'{"a":' * 4_000, "nested too deeply"),
    ],
    ids=lambda each: repr(each)[:24],
)
def test_a_body_that_is_no_object_is_refused(shared_door: Door, method: str, path: str, body: bytes, said: str) -> None:
    answer = shared_door.ask(method, path_of(path), body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert said in answer.json()["message"]


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000], ids=["lists", "objects"])
@pytest.mark.parametrize(("method", "path"), BODIES)
def test_a_long_body_that_is_nested_deeply_is_refused(shared_door: Door, method: str, path: str, body: bytes) -> None:
    answer = shared_door.ask(method, path_of(path), body)
    assert answer.status_code == 400
    assert answer.json()["message"]


@pytest.mark.parametrize("depth", [100, 400, 600, 1500])
@pytest.mark.parametrize(("method", "path"), BODIES)
@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_depth_is_refused_or_passed_over_but_never_breaks_anything(
    shared_door: Door, method: str, path: str, opening: str, depth: int
) -> None:
    closing = opening.translate(str.maketrans("[{", "]}", '":a'))[::-1]
    body = f'{{"filter":{opening * depth}1{closing * depth},"price":{opening * depth}1{closing * depth}}}'
    answer = shared_door.ask(method, path_of(path), body.encode())
    assert answer.status_code in {400, 404}, answer.text


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 5000, "-1" + "0" * 5000])
def test_a_number_that_no_machine_holds_is_refused_by_name(shared_door: Door, number: str) -> None:
    for path, body, field in (
        ("/v3/calls", {**CALL, "duration_seconds": "N"}, "duration_seconds"),
        ("/v3/meetings/batch", {"meetings": [MEETING, {**MEETING, "price": "N"}]}, "meetings[1].price"),
        ("/v3/webhooks/1/secret/rotate", {"overlapHours": "N"}, "overlapHours"),
        ("/v3/webhooks", {**WEBHOOK, "timeoutSeconds": "N"}, "timeoutSeconds"),
        ("/v3/webhooks", {**WEBHOOK, "rateLimitPerSecond": "N"}, "rateLimitPerSecond"),
    ):
        answer = shared_door.ask("POST", path, json.dumps(body).replace('"N"', number).encode())
        assert (answer.status_code, answer.json()["code"]) == (400, "out_of_range"), answer.text
        assert answer.json()["fields"][0]["field"] == field


def test_of_a_key_that_is_there_twice_the_last_one_counts(door: Door) -> None:
    id_ = door.post("/v3/calls", b'{"phone_line_name": "First",' + GOOD[1:])["id"]
    assert door.get(f"/v3/calls/{id_}")["call"] == CALL


def test_a_body_needs_no_content_type(door: Door) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"):
        assert door.ask("POST", "/v3/calls", GOOD, headers={"content-type": content_type}).status_code == 201


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 50_000):
        yield body[start : start + 50_000]


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize(("method", "path"), BODIES)
def test_a_body_over_1_mib_is_refused(shared_door: Door, method: str, path: str, in_pieces: bool) -> None:
    body = b" " * MAX_BODY + b"{}"
    answer = shared_door.ask(method, path_of(path), _in_pieces(body) if in_pieces else body)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_body_of_1_mib_is_taken(door: Door, in_pieces: bool) -> None:
    body = GOOD + b" " * (MAX_BODY - len(GOOD))
    assert door.ask("POST", "/v3/calls", _in_pieces(body) if in_pieces else body).status_code == 201


@pytest.mark.parametrize("length", ["x", "-1", "+5", "1.5", "0x10", "", "٣".encode(), "1,2"], ids=repr)
def test_a_length_that_is_none_is_refused(shared_door: Door, length: Any) -> None:
    before = shared_door.kept()
    answer = shared_door.ask("POST", "/v3/calls", GOOD, headers={"Content-Length": length})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer.json()["fields"][0]["field"] == "Content-Length"
    assert shared_door.kept() == before


def test_half_a_request_is_none(door: Door) -> None:
    """Whoever is cut off in the middle of a body, or before it, has asked for nothing."""
    meeting = door.post("/v3/meetings", MEETING)["id"]
    sent: list[Any] = []

    async def ask(*messages: dict[str, Any]) -> None:
        coming = iter(messages)

        async def receive() -> dict[str, Any]:
            return next(coming)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": f"/v3/meetings/{meeting}/cancel", "query_string": b"",
            "headers": [(b"api-key", ADMIN.encode())],
        }  # fmt: skip
        await door.site(scope, receive, send)

    gone = {"type": "http.disconnect"}
    door.run(ask(gone))
    door.run(ask({"type": "http.request", "body": b"{}", "more_body": True}, gone))
    assert [message["status"] for message in sent if "status" in message] == [400, 400]
    assert door.get(f"/v3/meetings/{meeting}")["status"] == "booked"


LISTS: Final = ("meetings", "calls", "events", "deliveries")


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("limit=0", "limit", "out_of_range"),
        ("limit=201", "limit", "out_of_range"),
        ("limit=-1", "limit", "out_of_range"),
        ("limit=x", "limit", "invalid_parameter"),
        ("limit=1.5", "limit", "invalid_parameter"),
        ("limit=%D9%A3", "limit", "invalid_parameter"),
        ("limit=1e2", "limit", "invalid_parameter"),
        ("limit=" + "9" * 5000, "limit", "invalid_parameter"),
        ("cursor=x", "cursor", "invalid_parameter"),
        ("cursor=%00", "cursor", "invalid_parameter"),
        ("cursor=-1", "cursor", "invalid_parameter"),
        ("cursor=" + "9" * 30, "cursor", "invalid_parameter"),
        ("cursor=mtg_01k2j3q4r5s6t7v8w9x0y1z2a", "cursor", "invalid_parameter"),
        ("cursor=%F0%9F%98%80", "cursor", "invalid_parameter"),
        ("cursor=%FF", "cursor", "invalid_parameter"),
        ("colour=red", "colour", "invalid_parameter"),
        ("Limit=5", "Limit", "invalid_parameter"),
        ("limit=5&limit=6", "limit", "invalid_parameter"),
        ("%00=1", "\0", "invalid_parameter"),
    ],
    ids=lambda each: repr(each)[:30],
)
def test_a_list_refuses_what_it_cannot_go_by(shared_door: Door, name: str, query: str, field: str, code: str) -> None:
    answer = shared_door.ask("GET", f"/v3/{name}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["fields"][0]["field"] == field
    assert len(answer.json()["message"]) < 200


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("meetings?status=open", "status"),
        ("meetings?from=2031-05-06", "from"),
        ("meetings?to=2031-05-06T10:00:00", "to"),
        ("meetings?accountEmail=%00", "accountEmail"),
        ("meetings?participant=%00", "participant"),
        ("calls?type=lost", "type"),
        ("calls?phoneLine=x", "phoneLine"),
        ("calls?phoneNumber=12a", "phoneNumber"),
        ("calls?from=yesterday", "from"),
        ("events?event=meetingMoved", "event"),
        ("events?after=x", "after"),
        ("events?after=evt_%00", "after"),
        ("events?after=dlv_01k2j3q4r5s6t7v8w9x0y1z2a3_1", "after"),
        ("events?subject=%00", "subject"),
        ("deliveries?webhookId=x", "webhookId"),
        ("deliveries?webhookId=0", "webhookId"),
        ("deliveries?webhookId=99999999999999999999", "webhookId"),
        ("deliveries?status=lost", "status"),
        ("deliveries?event=x", "event"),
        ("deliveries?since=x", "since"),
        ("deliveries?until=2031-05-06T10:00:00%2B25:00", "until"),
        ("meetings/mtg_1?x=1", "x"),
        ("webhooks/1?x=1", "x"),
        ("webhooks?sort=up", "sort"),
    ],
)
def test_a_parameter_that_is_none_of_its_kind_is_refused_by_name(shared_door: Door, path: str, field: str) -> None:
    answer = shared_door.ask("GET", f"/v3/{path}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["fields"][0]["field"] == field
    assert answer.json()["message"].startswith(f"{field}: ")


def test_a_parameter_without_a_value_counts_as_absent(shared_door: Door) -> None:
    for name in LISTS:
        assert shared_door.ask("GET", f"/v3/{name}?limit=&cursor=").status_code == 200


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_a_method_that_a_path_does_not_take_is_refused_and_those_it_takes_are_named(
    shared_door: Door, method: str, path: str
) -> None:
    taken = sorted(route.method for route in ROUTES if route.path == path)
    if method in taken:
        return
    answer = shared_door.ask(method, path_of(path))
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"].split(", ") == taken


@pytest.mark.parametrize(
    "path", ["/v3/", "/v3//", "/v3/meeting", "/v3/meetings/", "/v3/meetings/x/", "/v3/meetings/x/y", "/v3/MEETINGS",
             "/v3/%00", "/v3/meetings/x/cancel/y", "/v3/webhooks//test", "/v4/meetings", "/v3", "/x",
             "/v3/" + "x" * 5000],
)  # fmt: skip
def test_what_is_nowhere_is_not_found(shared_door: Door, path: str) -> None:
    answer = shared_door.ask("GET", path)
    assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")
    assert len(answer.text) < 300


def test_over_a_real_socket_sizes_and_lengths_are_judged_too(tmp_path: Path) -> None:
    with serving(tmp_path) as url, httpx.Client(base_url=url, headers={"api-key": ADMIN}) as client:
        too_large = b" " * (MAX_BODY + 1)
        for content in (too_large, iter([too_large[:500_000], too_large[500_000:]])):
            answer = client.post("/v3/calls", content=content)
            assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
        assert client.post("/v3/calls", json=CALL).status_code == 201
        for length in ("x", "-5", "5, 6"):
            assert _raw(url, f"Content-Length: {length}\r\n\r\nabcde").startswith(b"HTTP/1.1 400")
        assert _raw(url, "Transfer-Encoding: chunked\r\n\r\nxyz\r\n").startswith(b"HTTP/1.1 400")
        assert len(client.get("/v3/calls").json()["calls"]) == 1


def _raw(url: str, rest: str) -> bytes:
    """The beginning of the answer to a request that no client library would send."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(f"POST /v3/calls HTTP/1.1\r\nHost: x\r\napi-key: {ADMIN}\r\n{rest}".encode())
        return connection.recv(100)


@pytest.mark.parametrize("query", ["p{}=1", "p{}", "p{}=", "limit=1&q{}=%00", "&"])
def test_a_query_of_more_than_100_parameters_is_refused_at_once(shared_door: Door, query: str) -> None:
    answer = shared_door.ask("GET", "/v3/calls?" + "&".join(query.format(number) for number in range(3000)))
    assert (answer.status_code, answer.json()["code"]) == (400, "out_of_range")
    assert answer.json()["message"].startswith("The query: expected at most 100 parameters, got ")


@pytest.mark.parametrize(
    "path", ["/v3/calls", "/v3/nothing", "/healthz", "/readyz", "/openapi.json", "/in/twilio/x", "/x"]
)
@pytest.mark.parametrize("scope", ["admin", ""])
def test_no_answer_in_json_may_be_cached_or_taken_for_something_else(shared_door: Door, path: str, scope: str) -> None:
    answer = shared_door.ask("GET", path, scope=scope)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_address_with_a_slash_too_many_leads_nowhere(shared_door: Door) -> None:
    answer = shared_door.ask("GET", "/healthz/", headers={"host": "elsewhere.example"})
    assert answer.status_code == 404
    assert "location" not in answer.headers

"""What only admin keys may see is in no answer to any other key, whichever route is asked."""

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest

from hookline.api.app import BASE, ROUTES
from hookline.domain.webhooks import RESERVED_HEADERS
from tests.api.door import CALL, MEETING, WEBHOOK, Door
from tests.fakes import Manner, Received, Subscriber, replying

#: Parts of what is secret, each of which may stand in no answer.
PLANTED: Final = (
    *("T0PATHSECRET", "B0PATHSECRETOFACHANNEL", "querysecret", "user-secret", "pass-secret", "bearer-secret"),
    *(
        "header-secret",
        "notify-path-secret",
        "notify-query-secret",
        "connector-secret",
        "dXNlci1zZWNyZXQ6cGFzcy1zZWNyZXQ=",
    ),
)
PATH: Final = "/services/T0PATHSECRET/B0PATHSECRETOFACHANNEL?token=querysecret"


def echoing(received: Received) -> Manner:
    """Answer with everything that came, as services do that show requests; one webhook is refused for good."""
    echo = json.dumps({"url": received.target, "headers": received.headers, "parts": received.target.split("/")})
    status = 410 if received.header("x-refused") else 200
    lines = (f"Location: {received.target}", f"X-Echo: {json.dumps(received.headers)}", f"X-Body: {echo}")
    return replying(status, *lines)


@pytest.fixture
def secrets(door: Door) -> Iterator[list[str]]:
    """Secrets in every place that has one, and a record in which receivers have echoed them."""
    stack = AsyncExitStack()
    subscriber = door.run(stack.enter_async_context(Subscriber.running(echoing)))
    host = subscriber.url.removeprefix("http://")
    header = {"key": "x-hook-key", "value": "header-secret"}
    webhooks: list[dict[str, Any]] = [
        {"url": f"http://user-secret:pass-secret@{host}{PATH}", "headers": [header]},
        {"url": f"http://{host}{PATH}", "auth": {"type": "bearer", "token": "bearer-secret"}},
        {"url": f"http://{host}{PATH}", "headers": [header, {"key": "x-refused", "value": "header-secret"}]},
    ]
    made = [door.post("/v3/webhooks", {**WEBHOOK, **webhook})["secret"] for webhook in webhooks]
    freeswitch = {"password": "connector-secret", "username": "us"}
    door.post("/v3/connectors", {"kind": "freeswitch", "name": "a switch", "settings": freeswitch})
    url = door.post("/v3/connectors", {"kind": "3cx", "name": "3CX", "settings": {}})["url"]
    door.post("/v3/users", {"email": "anna@example.com"})
    door.post("/v3/phone-lines", {"number": "+441400800008", "name": "Front desk"})
    door.post("/v3/meetings", MEETING)
    door.post("/v3/calls", CALL)
    for delivery in door.get("/v3/deliveries")["deliveries"]:
        door.settled(delivery["id"])
    export = {"event": "allEvents", "notifyURL": f"http://{host}/notify-path-secret?q=notify-query-secret"}
    process = door.post("/v3/webhooks/export", {**export, "type": "transactional", "days": 1})["processId"]
    door.once(f"/v3/processes/{process}", lambda it: "told" in it["info"])
    yield [*PLANTED, *made, url.rpartition("/")[2]]
    door.run(stack.aclose())


def places(door: Door) -> Iterator[tuple[str, str]]:
    """Every method on every path, with the ids of all that there is."""
    ids: dict[str, list[str]] = {"participants": ["bo@example.com"], "contacts": ["+14002007868"]}
    for route in ROUTES:
        if route.method == "GET" and "{" not in route.path:
            items = door.get(BASE + route.path).get(route.path.strip("/").replace("phone-lines", "lines"), None)
            found = items if items is not None else next(iter(door.get(BASE + route.path).values()))
            ids[route.path.strip("/")] = [str(each["id"]) for each in found]
    for route in ROUTES:
        if "{" not in route.path:
            yield route.method, BASE + route.path
            continue
        before, _, rest = route.path.partition("{")
        known = ids[before.strip("/")]
        assert known, f"There is nothing at {before}, so nothing is tried."
        for each in known:
            yield route.method, f"{BASE}{before}{each}{rest.partition('}')[2]}"


def test_no_secret_is_in_any_answer_to_a_key_that_is_not_an_admins(door: Door, secrets: list[str]) -> None:
    tried = list(places(door))
    assert len(tried) > len(ROUTES)
    for scope in ("read", "ingest"):
        for method, path in tried:
            answer = door.ask(method, path, None if method == "GET" else b"{}", scope=scope)
            told = answer.text + str(answer.headers.multi_items())
            assert [each for each in secrets if each in told] == [], (scope, method, path)


def test_what_is_planted_is_there_for_admins_and_was_echoed(door: Door, secrets: list[str]) -> None:
    told = "".join(door.ask(method, path).text for method, path in places(door) if method == "GET")
    missing = [each for each in secrets if each not in told and not each.startswith(("notify", "connector"))]
    assert missing == []
    echoed = json.dumps(door.get("/v3/deliveries")["deliveries"])
    assert {each for each in PLANTED if each in echoed} >= {"T0PATHSECRET", "bearer-secret", "header-secret"}


def test_an_exported_file_holds_no_path_of_a_webhook(door: Door, secrets: list[str]) -> None:
    link = door.get("/v3/processes")["processes"][0]["export_url"]
    file = door.ask("GET", f"/v3/exports/{link.rpartition('/')[2]}", scope="").text
    assert "/***," in file
    assert [each for each in secrets if each in file] == []


def test_a_url_is_masked_behind_its_host(door: Door, secrets: list[str]) -> None:
    del secrets
    for webhook in door.get("/v3/webhooks", scope="read")["webhooks"]:
        assert webhook["url"].startswith("http://127.0.0.1:")
        assert webhook["url"].endswith("/***")
        assert webhook["url"].count("/") == 3
    assert door.get("/v3/webhooks/1")["url"].endswith(PATH)


@pytest.mark.parametrize("name", sorted({*RESERVED_HEADERS, "webhook-id", "hookline-event", "proxy-authorization"}))
def test_a_header_of_ours_is_refused_by_its_name(shared_door: Door, name: str) -> None:
    answer = shared_door.ask("POST", "/v3/webhooks", {**WEBHOOK, "headers": [{"key": name.title(), "value": "gzip"}]})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "headers[0].key")

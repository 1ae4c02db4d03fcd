"""The description of the API says what the API does: no route, field, status or header is missing or made up."""

import json
from collections.abc import Iterator
from typing import Any, Final

import jsonschema
import pytest
from openapi_spec_validator import validate

from hookline.api.app import BASE, ROUTES
from hookline.api.examples import BODIES
from hookline.api.openapi import DELIVERY_HEADERS, REFUSALS
from hookline.api.routes import Route
from hookline.api.schemas import event_schema
from hookline.domain.events import PAYLOADS, SAMPLES, EventKind, plain
from tests.api.description import document, event_validator, validator
from tests.api.door import CALL, MEETING, NOWHERE, WEBHOOK, Door
from tests.fakes import Received

KINDS: Final = list(EventKind)
#: Below the base path, and served without a key.
FILE: Final = "/v3/exports/{token}.csv"


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)


def test_the_description_is_openapi_3_1(door: Door) -> None:
    served = door.get("/openapi.json", scope="")
    validate(served)
    assert served["openapi"].startswith("3.1")
    assert served["servers"] == [{"url": door.settings.public_url}]


@pytest.mark.parametrize("status", [400, 408, 417, 431, 501])
def test_what_befalls_a_request_on_any_path_is_described_once(status: int) -> None:
    assert f" {status}" in " ".join(document()["info"]["description"].split())


def test_every_route_is_described_and_nothing_else() -> None:
    described = {
        (method.upper(), path)
        for path, methods in document()["paths"].items()
        for method in methods
        if path.startswith(BASE)
    }
    assert described == {(route.method, BASE + route.path) for route in ROUTES} | {("GET", FILE)}


def test_what_is_served_beside_the_routes_is_described(shared_door: Door) -> None:
    beside = [path for path in document()["paths"] if not path.startswith(BASE)]
    assert set(beside) == {"/healthz", "/readyz", "/openapi.json", "/docs"}
    for path in (*beside, FILE):
        described = document()["paths"][path]["get"]
        answer = shared_door.ask("GET", path, scope="")
        content = described["responses"][str(answer.status_code)]["content"]
        assert answer.headers["content-type"].split(";")[0] in content
        assert described["security"] == []


@pytest.mark.parametrize("route", ROUTES, ids=[f"{route.method} {route.path}" for route in ROUTES])
def test_an_operation_tells_all_that_its_route_knows(route: Route) -> None:
    operation = document()["paths"][BASE + route.path][route.method.lower()]
    assert operation["summary"] == route.summary
    assert set(operation["x-scopes"]) == {scope.value for scope in route.scopes}
    parameters = [each for each in operation["parameters"] if "$ref" not in each]
    assert {each["name"] for each in parameters if each["in"] == "query"} == set(route.query)
    assert all(each["description"] for each in parameters)
    assert ({"$ref": "#/components/parameters/IdempotencyKey"} in operation["parameters"]) == (route.method == "POST")
    assert ("requestBody" in operation) == (route.takes is not None)
    assert ("content" in operation["responses"][str(route.status)]) == (route.gives is not None)
    assert {"401", "403", "503"} <= set(operation["responses"])


def test_operations_have_names_of_their_own() -> None:
    names = [each["operationId"] for each in walk(document()) if "operationId" in each]
    assert len(names) == len(set(names))


def test_every_field_is_explained() -> None:
    silent = [
        f"{name}.{key}"
        for name, schema in document()["components"]["schemas"].items()
        for key, attribute in schema.get("properties", {}).items()
        if not attribute.get("description")
    ]
    assert silent == []
    assert all(schema.get("description") for schema in document()["components"]["schemas"].values())


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    references = {each["$ref"] for each in walk(document()) if "$ref" in each}
    components = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "parameters", "responses")
        for name in document()["components"][kind]
    }
    assert references <= components
    # Only a path that no route has, or a method that it does not take, is answered 405.
    assert components - references <= {"#/components/responses/MethodNotAllowed"}


def test_every_example_fits_its_schema() -> None:
    seen = 0
    for each in walk(document()):
        if "example" in each and "$ref" in each.get("schema", {}):
            validator(each["schema"]["$ref"]).validate(each["example"])
            seen += 1
    assert seen > len(ROUTES)


def test_an_example_that_is_sent_is_accepted(door: Door) -> None:
    """Whoever copies a request from the reference is not refused."""
    made = {"meetings": door.post("/v3/meetings", MEETING)["id"], "webhooks": "1"}
    door.post("/v3/webhooks", WEBHOOK)
    for route in sorted(ROUTES, key=lambda route: route.path.endswith("cancel")):
        if route.takes is not None:
            topic = route.path.split("/")[1]
            body = BODIES[route.takes]
            # what is booked here is delivered there
            body = {name: NOWHERE if name in ("url", "notifyURL") else value for name, value in body.items()}
            answer = door.ask(route.method, BASE + route.path.replace("{id}", made.get(topic, "")), body)
            assert answer.status_code == route.status, answer.text
            if route.method == "POST" and route.path == f"/{topic}" and topic not in made:
                made[topic] = answer.json()["id"]
    assert set(BODIES) == {route.takes for route in ROUTES} - {None}


def test_codes_of_refusals_are_those_of_the_description() -> None:
    codes = document()["components"]["schemas"]["Refusal"]["properties"]["code"]["enum"]
    assert codes == [code for answer in REFUSALS.values() for code in answer.codes]


def test_what_may_be_sent_is_described_as_it_is_read() -> None:
    """The looser schemas take what the contract lets callers write, and refuse unknown keys."""
    meeting, call = (validator(f"#/components/schemas/{name}Input") for name in ("MeetingPayload", "CallReport"))
    assert meeting.is_valid({**MEETING, "currency": "eur", "meeting_start_timestamp": "2031-05-06T12:00:00+02:00"})
    assert meeting.is_valid({name: MEETING[name] for name in ("account_email", "event_participants", "meeting_name",
                             "meeting_start_timestamp", "meeting_end_timestamp")})  # fmt: skip
    assert call.is_valid({"type": "missed", "phone_line": "+44 1400 800008", "phone_number": ""})
    assert call.is_valid({**CALL, "startedAt": None, "endedAt": "2031-05-06T12:00:00+02:00"})
    for body in ({**MEETING, "x": 1}, {**MEETING, "meeting_name": ""}, {**MEETING, "price": -1}, {}):
        assert not meeting.is_valid(body)
    for body in ({**CALL, "x": 1}, {**CALL, "type": "lost"}, {**CALL, "duration_seconds": -1}, {}):
        assert not call.is_valid(body)
    webhook = validator("#/components/schemas/NewWebhookBody")
    assert webhook.is_valid({**WEBHOOK, "x": 1})
    assert not webhook.is_valid({"url": NOWHERE})


@pytest.mark.parametrize("kind", KINDS)
def test_an_events_schema_stands_by_itself_and_fits_the_sample(kind: EventKind) -> None:
    schema = json.loads(json.dumps(event_schema(kind)))
    jsonschema.Draft202012Validator.check_schema(schema)
    event_validator(kind).validate(plain(SAMPLES[kind]))
    assert schema["title"] == kind.value
    assert schema["examples"] == [plain(SAMPLES[kind])]


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where objects stand in a body."""
    if isinstance(value, dict):
        yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from objects(item, (*path, key))


@pytest.mark.parametrize("kind", KINDS)
def test_an_events_schema_refuses_a_missing_and_an_additional_key_at_every_level(kind: EventKind) -> None:
    text = json.dumps(plain(SAMPLES[kind]))
    for path in objects(json.loads(text)):

        def at(body: Any, path: tuple[Any, ...] = path) -> Any:
            for key in path:
                body = body[key]
            return body

        for key in at(json.loads(text)):
            body = json.loads(text)
            del at(body)[key]
            assert not event_validator(kind).is_valid(body), (path, key)
        body = json.loads(text)
        at(body)["event"] = "x"
        assert not event_validator(kind).is_valid(body), path


@pytest.mark.parametrize(
    ("kind", "attribute", "value"),
    [
        ("meetingBooked", "currency", "eur"),
        ("meetingBooked", "event_participants", []),
        ("meetingBooked", "meeting_start_timestamp", "2025-06-10T07:09:01Z"),
        ("meetingBooked", "meeting_start_timestamp", "2025-06-10T09:09:01.696+02:00"),
        ("meetingBooked", "meeting_name", ""),
        ("meetingBooked", "price", "123"),
        ("meetingBooked", "price", -1),
        ("meetingBooked", "price", None),
        ("callFinished", "phone_line", "01400 800008"),
        ("callFinished", "phone_line", ""),
        ("callFinished", "type", "lost"),
        ("callFinished", "duration_seconds", 1.5),
        ("callFinished", "recording", "yes"),
    ],
)
def test_an_events_schema_refuses_what_is_never_sent(kind: str, attribute: str, value: Any) -> None:
    body = {**plain(SAMPLES[EventKind(kind)]), attribute: value}
    assert not event_validator(kind).is_valid(body)
    assert not validator(f"#/components/schemas/{PAYLOADS[EventKind(kind)].__name__}").is_valid(body)


def test_a_withheld_number_fits_the_schema() -> None:
    event_validator("callFinished").validate({**plain(SAMPLES[EventKind.CALL_FINISHED]), "phone_number": ""})


def ours(received: Received) -> set[str]:
    """The names of the headers that are Hookline's own."""
    names = {name.lower() for name, _ in received.headers}
    return {name for name in names if name.startswith(("webhook-", "hookline-"))}


def test_the_four_events_are_described_as_webhooks() -> None:
    webhooks = document()["webhooks"]
    assert set(webhooks) == {kind.value for kind in EventKind}
    for kind in EventKind:
        content = webhooks[kind.value]["post"]["requestBody"]["content"]["application/json"]
        one, many = content["schema"]["oneOf"]
        assert one["$ref"].endswith(f"/{PAYLOADS[kind].__name__}")
        assert (many["type"], many["items"], many["maxItems"]) == ("array", one, 500)
        assert content["example"] == plain(SAMPLES[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_delivery_carries_the_headers_of_the_description_and_a_body_of_its_schema(
    door: Door, kind: EventKind
) -> None:
    with door.subscriber() as subscriber:
        door.post("/v3/webhooks", {"url": subscriber.url, "events": ["callFinished"]})
        sent = door.post("/v3/webhooks/1/test", {"event": kind.value})
        door.settled(sent["deliveryId"])
    [received] = subscriber.received
    event_validator(kind).validate(json.loads(received.body))
    described = document()["webhooks"][kind.value]["post"]["parameters"]
    assert {each["name"] for each in described} == set(DELIVERY_HEADERS)
    assert ours(received) == set(DELIVERY_HEADERS) - {"hookline-batch-size"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_carries_what_the_description_says_of_batches(door: Door, kind: EventKind) -> None:
    with door.subscriber() as subscriber:
        door.post("/v3/webhooks", {"url": subscriber.url, "events": ["callFinished"], "batched": True})
        sent = door.post("/v3/webhooks/1/test", {"event": kind.value})
        door.settled(sent["deliveryId"])
    [received] = subscriber.received
    [body] = json.loads(received.body)
    event_validator(kind).validate(body)
    described = document()["webhooks"][kind.value]["post"]["parameters"]
    required = {each["name"] for each in described if each["required"]}
    absent = {each["name"] for each in described if "Absent from batches" in each["description"]}
    assert ours(received) == set(DELIVERY_HEADERS) - absent == required | {"hookline-batch-size", "hookline-test"}

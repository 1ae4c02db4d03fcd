"""The description of the API (OpenAPI 3.1), put together from the route table and the shapes it names.

Nothing is described twice: paths, bodies, answers and parameters come from `api/app.ROUTES`, payloads from
`domain/events.py`. What is written down here is what no route says: errors, keys, and the headers of deliveries.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from hookline import __version__
from hookline.api.app import BASE, MAX_IDEMPOTENCY_KEY, ROUTES
from hookline.api.examples import BODIES, example_of
from hookline.api.routes import Route, doc
from hookline.api.schemas import (
    DIALECT,
    Schema,
    answer_reference,
    answer_schemas,
    body_reference,
    body_schemas,
    parameter_schemas,
    payload_schemas,
)
from hookline.domain.batches import MAX_EVENTS
from hookline.domain.events import FIRED_WHEN, PAYLOADS, SAMPLES, EventKind, canonical_bytes, plain
from hookline.domain.ids import EventId
from hookline.domain.signatures import sign

_JSON: Final = "application/json"
_TEXT: Final = {"type": "string"}
_SAMPLE_SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  of nobody
_SAMPLE_EVENT: Final = EventId("evt_01k2j3q4r5s6t7v8w9x0y1z2a3")
_SAMPLE_TIMESTAMP: Final = 1749539341

_INTRODUCTION: Final = """\
Meetings and phone calls become signed webhooks. Report them here; every event is kept with its final bytes and
delivered at least once to every webhook that wants it.

Names follow Brevo's v3 API, so its official SDKs work with `/v3` of this server as their base URL. Errors are
`{"code", "message"}`, with a `hint` and the `fields` where they help. Unknown keys are refused by name. Lists take
`limit` and `cursor`, and answer with `next`. `Idempotency-Key` makes every POST safe to repeat for 24 hours.

Any request that cannot be read as HTTP/1.1 is answered with 400, 408 (not whole in time), 417 (unknown `Expect`), 431
(head too large) or 501 (unknown `Transfer-Encoding`), and the connection is closed; operations do not repeat these.\
"""

TOPICS: Final = {
    "webhooks": "Who is told: receivers with their secrets, the events they want, and their retry policy.",
    "meetings": "What was booked: its start is announced by itself when it is reached.",
    "calls": "What was talked: a finished call is announced when it is reported.",
    "events": "What happened, with the very body that was sent: a feed for receivers that were down.",
    "deliveries": "What came of it: every attempt with its answer, and one more when you ask for it.",
    "processes": "Long work: how far a replay or an export is.",
    "notices": "What the owners of webhooks have to be told: one fails for days, or was disabled.",
    "users": "Who is ours: names, and what tells whose phone a leg of a call leads to.",
    "phone-lines": "Which numbers are ours: a call on any other is no event.",
    "connectors": "Which phone systems tell of calls, and how they stand.",
    "participants": "Who comes to meetings, to be erased.",
    "contacts": "Who is talked to, to be erased.",
    "server": "Whether it is well, and this description.",
}


_SINGULAR: Final = {
    "webhooks": "webhook", "meetings": "meeting", "calls": "call", "events": "event", "deliveries": "delivery",
    "processes": "process", "users": "user", "phone-lines": "phone line", "connectors": "connector",
}  # fmt: skip

_PARAMETER_MEANS: Final = {
    "email": "Mail address of the participant, in any case.",
    "phoneNumber": "The contact's number with its country code.",
}


class RefusedField(msgspec.Struct):
    """One field that is not as it must be."""

    field: Annotated[str, doc("Where it stands.", examples=["event_participants[0].EMAIL"])]
    message: Annotated[str, doc("What is wrong with it.")]


class Refusal(msgspec.Struct):
    """Why something was not done. Nothing was changed."""

    code: Annotated[str, doc("For programs.")]
    message: Annotated[str, doc("What happened, as a sentence.")]
    hint: Annotated[str | msgspec.UnsetType, doc("What to do about it.")] = msgspec.UNSET
    fields: Annotated[list[RefusedField] | msgspec.UnsetType, doc("What is wrong with which field.")] = msgspec.UNSET


class Answer(NamedTuple):
    """What one status means when something is refused."""

    name: str
    codes: tuple[str, ...]
    meaning: str


#: Every status with which something is refused.
REFUSALS: Final = {
    400: Answer(
        "Invalid",
        ("missing_parameter", "invalid_parameter", "out_of_range", "bad_request"),
        "The request is malformed; `fields` names what is wrong.",
    ),
    401: Answer("Unauthorized", ("unauthorized",), "There is no key, or one that nobody knows."),
    403: Answer("PermissionDenied", ("permission_denied",), "The key is known, but its scope does not reach here."),
    404: Answer("NotFound", ("document_not_found",), "There is no such thing."),
    405: Answer("MethodNotAllowed", ("method_not_allowed",), "The path exists, the method does not."),
    409: Answer(
        "Conflict",
        ("meeting_already_started", "meeting_cancelled"),
        "Fine by itself, impossible in the present state of the meeting.",
    ),
    413: Answer("TooLarge", ("payload_too_large",), "The body has more than 1 MiB."),
    422: Answer(
        "IdempotencyMismatch", ("idempotency_mismatch",), "The `Idempotency-Key` was used for another request."
    ),
    503: Answer("Unavailable", ("unavailable",), "The store cannot answer now. Nothing was kept: ask again."),
}
_REFUSAL_HEADERS: Final = {
    401: ("WWW-Authenticate", "How to send a key.", "Bearer"),
    405: ("Allow", "The methods there are.", "GET, POST"),
    503: ("Retry-After", "Seconds to wait.", "1"),
}

#: What every delivery carries beside its body: name -> what it is, and an example.
DELIVERY_HEADERS: Final = {
    "webhook-id": (
        "Id of the event: the same for every webhook, attempt and replay; of a batch, its own in every attempt.",
        _SAMPLE_EVENT,
    ),
    "webhook-timestamp": ("Seconds since 1970 of this attempt.", str(_SAMPLE_TIMESTAMP)),
    "webhook-signature": (
        "Standard Webhooks: `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`; several while it is rotated.",
        None,
    ),
    "hookline-event": ("Name of the event.", None),
    "hookline-subject": (
        "Id of the meeting or call: ties what happened to one of them together. Absent from batches.",
        "mtg_01k2j3q4r5s6t7v8w9x0y1z2a3",
    ),
    "hookline-sequence": ("1, 2, 3 ... of the events of this subject: shows order and gaps. Absent from batches.", "1"),
    "hookline-occurred-at": (
        "When it happened; of `meetingStarted`, the scheduled start. Absent from batches.",
        "2025-06-10T07:09:01.696Z",
    ),
    "hookline-attempt": ("1 is the first.", "1"),
    "hookline-test": ("`true`, and only there on test sends.", "true"),
    "hookline-batch-size": ("How many events are in the list; only there on batches.", None),
}
_NOT_ALWAYS: Final = (
    "hookline-subject", "hookline-sequence", "hookline-occurred-at", "hookline-test", "hookline-batch-size",
)  # fmt: skip

_IN_BATCHES: Final = (
    "What a webhook gets that is `batched`: bodies of this event, in the order in which they were kept."
)

_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Same key and same body within 24 hours: done once, answered twice alike.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY},
}
_SERVER: Final = (
    ("/healthz", "is_up", "Whether the process is up.", _JSON, {200: "It is."}),
    (
        "/readyz",
        "is_ready",
        "Whether the store takes writes and every loop runs.",
        _JSON,
        {200: "All is well.", 503: "`problems` says what is not."},
    ),
    ("/openapi.json", "describe", "This description, for programs.", _JSON, {200: "OpenAPI 3.1."}),
    ("/docs", "reference", "This description, for people.", "text/html", {200: "A page without scripts."}),
    (
        BASE + "/exports/{token}.csv",
        "read_file",
        "The file of an export. The link is the key to it, and is good for 7 days at most.",
        "text/csv",
        {200: "RFC 4180, with a head.", 404: "There is no such file, not yet or no more."},
    ),
)


def openapi_document(public_url: str) -> Schema:
    """The document, for a server that others reach at `public_url`."""
    schemas = _schemas(ROUTES)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {
            "title": "Hookline",
            "version": __version__,
            "summary": "Meetings and phone calls become signed webhooks.",
            "description": _INTRODUCTION,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "security": [{"apiKey": []}, {"bearer": []}],
        "tags": [{"name": name, "description": text} for name, text in TOPICS.items()],
        "paths": _paths(ROUTES, schemas) | _server_paths(),
        "webhooks": {kind.value: {"post": _delivery(kind)} for kind in EventKind},
        "components": {
            "schemas": schemas,
            "parameters": {"IdempotencyKey": _IDEMPOTENCY_KEY},
            "responses": {answer.name: _refusal(status) for status, answer in REFUSALS.items()},
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "api-key", "description": "An API key."},
                "bearer": {"type": "http", "scheme": "bearer", "description": "The same key as a bearer token."},
            },
        },
    }


def _topic(route: Route) -> str:
    return route.path.split("/")[1]


def _schemas(routes: Iterable[Route]) -> dict[str, Schema]:
    """Every component, by name."""
    routes = list(routes)
    queries = [parameter_schemas(route.query)[1] for route in routes]
    gives = [each for route in routes for each in (route.gives, route.also and route.also[1]) if each is not None]
    together = answer_schemas([*gives, Refusal])
    for more in (
        *queries,
        body_schemas([route.takes for route in routes if route.takes is not None]),
        payload_schemas(),
    ):
        together |= more
    together["Refusal"]["properties"]["code"]["enum"] = [code for answer in REFUSALS.values() for code in answer.codes]
    return dict(sorted(together.items()))


def _paths(routes: Iterable[Route], schemas: Schema) -> Schema:
    paths: Schema = {}
    for route in routes:
        paths.setdefault(BASE + route.path, {})[route.method.lower()] = _operation(route, schemas)
    return paths


def _operation(route: Route, schemas: Schema) -> Schema:
    topic = _topic(route)
    scopes = sorted(scope.value for scope in route.scopes)
    operation: Schema = {
        "operationId": f"{topic}_{route.handler.__name__.strip('_')}",
        "tags": [topic],
        "summary": route.summary,
        "description": f"Takes a key of scope {' or '.join(f'`{scope}`' for scope in scopes)}.",
        "x-scopes": scopes,
        "parameters": _parameters(route),
    }
    if route.takes is not None:
        content = {"schema": body_reference(route.takes), "example": BODIES[route.takes]}
        operation["requestBody"] = {"required": _needs_body(route), "content": {_JSON: content}}
    operation["responses"] = _successes(route, schemas) | {
        str(status): {"$ref": f"#/components/responses/{REFUSALS[status].name}"} for status in _refusals(route)
    }
    return operation


def _parameters(route: Route) -> list[Schema]:
    in_path = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PARAMETER_MEANS.get(name) or f"Id of the {_SINGULAR[_topic(route)]}.",
            "schema": {"type": "string"},
        }
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    schemas = parameter_schemas(route.query)[0]
    in_query = [
        {"name": name, "in": "query", "description": schema.pop("description"), "schema": schema}
        for name, schema in schemas.items()
    ]
    in_headers = [{"$ref": "#/components/parameters/IdempotencyKey"}] if route.method == "POST" else []
    return [*in_path, *in_query, *in_headers]


def _needs_body(route: Route) -> bool:
    """Whether an empty body would lack something: it reads as `{}`."""
    return any(field.required for field in msgspec.structs.fields(route.takes)) if _is_struct(route.takes) else True


def _is_struct(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, msgspec.Struct)


def _successes(route: Route, schemas: Schema) -> Schema:
    answers = [(route.status, route.gives), *([route.also] if route.also else [])]
    return {str(status): _success(route, gives, schemas) for status, gives in answers}


def _success(route: Route, gives: Any, schemas: Schema) -> Schema:
    if gives is None:
        return {"description": "Done."}
    reference = answer_reference(gives)
    return {
        "description": "Here it is." if route.method == "GET" else "Done.",
        "content": {_JSON: {"schema": reference, "example": example_of(reference, schemas)}},
    }


def _refusals(route: Route) -> list[int]:
    """The statuses with which a route may refuse."""
    has_id, changes = "{id}" in route.path, route.method != "GET"
    is_known = {
        404: has_id,
        409: has_id and changes and route.path.startswith("/meetings/"),
        413: route.takes is not None,
        422: route.method == "POST",
        405: False,
    }
    return [status for status in REFUSALS if is_known.get(status, True)]


def _delivery(kind: EventKind) -> Schema:
    one = {"$ref": f"#/components/schemas/{PAYLOADS[kind].__name__}"}
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_EVENTS, "description": _IN_BATCHES}
    payload = {"schema": {"oneOf": [one, many]}, "example": plain(SAMPLES[kind])}
    return {
        "operationId": f"receive_{kind.value}",
        "summary": FIRED_WHEN[kind],
        "security": [],
        "parameters": [_delivery_header(name, kind) for name in DELIVERY_HEADERS],
        "requestBody": {"required": True, "content": {_JSON: payload}},
        "responses": {
            "2XX": {"description": "Received. The first 16 KiB of the answer are kept."},
            "410": {"description": "Never again: the webhook is disabled."},
            "default": {"description": "Not received: tried again as the webhook's retry policy says."},
        },
    }


def _delivery_header(name: str, kind: EventKind) -> Schema:
    description, example = DELIVERY_HEADERS[name]
    if name == "hookline-event":
        example = kind.value
    elif name == "webhook-signature":
        example = sign([_SAMPLE_SECRET], _SAMPLE_EVENT, _SAMPLE_TIMESTAMP, canonical_bytes(SAMPLES[kind]))
    elif name == "hookline-subject" and kind is EventKind.CALL_FINISHED:
        example = "call_01k2j3q4r5s6t7v8w9x0y1z2a3"
    return {
        "name": name,
        "in": "header",
        "required": name not in _NOT_ALWAYS,
        "description": description,
        "schema": {"type": "string"},
        **({} if example is None else {"example": example}),
    }


def _refusal(status: int) -> Schema:
    answer = REFUSALS[status]
    example: Schema = {"code": answer.codes[0], "message": answer.meaning}
    if status == 400:
        message = "expected 1 to 255 characters, got 0."
        example = {
            "code": "out_of_range",
            "message": f"meeting_name: {message}",
            "fields": [{"field": "meeting_name", "message": message}],
        }
    response: Schema = {
        "x-status": status,
        "description": f"{answer.meaning} Codes: {', '.join(f'`{code}`' for code in answer.codes)}.",
        "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Refusal"}, "example": example}},
    }
    if status in _REFUSAL_HEADERS:
        header, meaning, value = _REFUSAL_HEADERS[status]
        response["headers"] = {header: {"description": meaning, "schema": {"type": "string"}, "example": value}}
    return response


def _server_paths() -> Schema:
    """What is served beside the routes: without a key, and outside of the base path."""
    return {
        path: {
            "get": {
                "operationId": name,
                "tags": ["server"],
                "summary": summary,
                "security": [],
                "parameters": [
                    {"name": name, "in": "path", "required": True, "description": "From the link.", "schema": _TEXT}
                    for name in re.findall(r"{(\w+)}", path)
                ],
                "responses": {
                    str(status): {"description": meaning, "content": {content if status < 400 else _JSON: {}}}
                    for status, meaning in answers.items()
                },
            }
        }
        for path, name, summary, content, answers in _SERVER
    }

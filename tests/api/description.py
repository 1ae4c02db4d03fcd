"""The API's description as a referee: every answer that a test gets has to be one that `/openapi.json` promises."""

import json
from functools import cache
from typing import Any, Final

import httpx
import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from hookline.api.app import BASE, ROUTES
from hookline.api.openapi import REFUSALS, openapi_document
from hookline.api.schemas import event_schema
from hookline.api.table import Table
from hookline.domain.events import EventKind
from hookline.errors import HooklineError

_URI: Final = "urn:description"
_TABLE: Final = Table(ROUTES)


@cache
def document() -> dict[str, Any]:
    """The description, as a client reads it."""
    made: dict[str, Any] = json.loads(json.dumps(openapi_document("http://hookline.example")))
    return made


@cache
def validator(reference: str) -> jsonschema.Draft202012Validator:
    """A validator of what stands at `reference` in the description."""
    registry: Registry[Any] = Registry().with_resource(
        _URI, Resource.from_contents(document(), default_specification=DRAFT202012)
    )
    return jsonschema.Draft202012Validator(
        {"$ref": _URI + reference},
        registry=registry,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


@cache
def event_validator(kind: str) -> jsonschema.Draft202012Validator:
    """A validator of the body of one event."""
    return jsonschema.Draft202012Validator(
        event_schema(EventKind(kind)), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def check_answer(answer: httpx.Response) -> None:
    """Fail unless the description promises this answer."""
    path = answer.request.url.path
    if not path.startswith(BASE + "/") or path.startswith(BASE + "/exports/"):
        return
    if answer.status_code in REFUSALS:
        validator("#/components/schemas/Refusal").validate(answer.json())
        refusal = REFUSALS[answer.status_code]
        assert answer.json()["code"] in refusal.codes, answer.text
    operation = _operation(answer.request)
    if operation is None:  # no such route: then no description either
        assert answer.status_code in {401, 404, 405}, answer.text
        return
    assert str(answer.status_code) in operation["responses"], f"{answer.status_code}: {answer.text[:300]}"
    promised = operation["responses"][str(answer.status_code)]
    if answer.status_code == 204:
        assert answer.content == b""
    elif "content" in promised:
        reference = promised["content"]["application/json"]["schema"]["$ref"]
        validator(reference).validate(answer.json())
        for event in _events_in(answer.json()):
            event_validator(event["event"]).validate(event["payload"])


def _operation(request: httpx.Request) -> dict[str, Any] | None:
    try:
        route, _ = _TABLE.find(request.method, request.url.path.removeprefix(BASE))
    except HooklineError:
        return None
    found: dict[str, Any] = document()["paths"][BASE + route.path][route.method.lower()]
    return found


def _events_in(value: Any) -> list[Any]:
    if "payload" in value:
        return [value]
    return value["events"] if "next" in value and "events" in value else []

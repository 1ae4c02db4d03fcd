"""JSON Schemas, made from the classes that read and write: of the four events, and of every shape of the API.

What an event promises is strict: every key is there, and no other. What may be sent to us is looser: a key with a
default may be absent, and values have more than one spelling. So what events carry has two schemas each, and the
looser one is called `...Input`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, Final, get_args, get_type_hints

import msgspec

from hookline.api.calls import CallReport
from hookline.api.reading import is_lenient
from hookline.domain.events import (
    FIRED_WHEN,
    PAYLOADS,
    SAMPLES,
    AccountName,
    CallPayload,
    EventKind,
    MeetingPayload,
    Participant,
    QuestionAndAnswer,
    Rule,
    plain,
)

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_COMPONENT: Final = "#/components/schemas/{name}"
_DEFINITION: Final = "#/$defs/{name}"
_CARRIED: Final = {
    each.__name__: each
    for each in (AccountName, CallPayload, CallReport, MeetingPayload, Participant, QuestionAndAnswer)
}
_INPUT: Final = {name: f"{name}Input" for name in _CARRIED}
_LOOSER: Final = (
    "As somebody sends it to us: what has a default may be absent; times take any RFC 3339 offset, numbers any "
    "international spelling, currencies any case."
)


def event_schema(kind: EventKind) -> Schema:
    """The JSON Schema (2020-12) of the body of one event, complete in itself."""
    payload = PAYLOADS[kind]
    definitions = _strict(_generated([payload], _DEFINITION)[1])
    return {
        "$schema": DIALECT,
        **definitions.pop(payload.__name__),
        "title": kind.value,
        "description": FIRED_WHEN[kind],
        "examples": [plain(SAMPLES[kind])],
        "$defs": definitions,
    }


def payload_schemas() -> dict[str, Schema]:
    """The strict schemas of all that events carry, by name, as components of an OpenAPI document."""
    schemas = _strict(_generated([MeetingPayload, CallPayload], _COMPONENT)[1])
    for kind, payload in PAYLOADS.items():
        schemas[payload.__name__]["examples"] = [plain(SAMPLES[kind])]
    return schemas


def body_schemas(shapes: Iterable[Any]) -> dict[str, Schema]:
    """The schemas of what may be sent to the API, by name."""
    schemas: dict[str, Schema] = {}
    for shape in shapes:
        for name, schema in _generated([shape], _COMPONENT)[1].items():
            closed = {"additionalProperties": False} if "properties" in schema and not is_lenient(shape) else {}
            if name in _CARRIED:
                schemas[_INPUT[name]] = _renamed(_as_sent_to_us(schema)) | closed
            else:
                schemas[name] = _renamed(schema) | closed
    return schemas


def answer_schemas(shapes: Iterable[Any]) -> dict[str, Schema]:
    """The schemas of what the API answers with, by name; they refer to `payload_schemas`."""
    shapes = list(shapes)
    schemas = _generated(shapes, _COMPONENT)[1]
    for struct in {each for shape in shapes for each in _structs(shape)}:
        for name, hint in get_type_hints(struct, include_extras=True).items():
            references = [_reference(each.__name__) for each in _payloads(hint)]
            if references:
                attribute = schemas[struct.__name__]["properties"][name]
                attribute |= references[0] if len(references) == 1 else {"anyOf": references}
    return schemas


def body_reference(shape: Any) -> Schema:
    """A reference to one of `body_schemas`."""
    return _reference(_INPUT.get(shape.__name__, shape.__name__))


def answer_reference(shape: Any) -> Schema:
    """A reference to one of `answer_schemas`."""
    return _reference(shape.__name__)


def parameter_schemas(types: Mapping[str, Any]) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """The schema of each parameter by its name, and the components to which they refer."""
    made, components = _generated(list(types.values()), _COMPONENT)
    return dict(zip(types, made, strict=True)), components


def _reference(name: str) -> Schema:
    return {"$ref": _COMPONENT.format(name=name)}


def _generated(shapes: list[Any], template: str) -> tuple[list[Schema], dict[str, Schema]]:
    made, components = msgspec.json.schema_components(shapes, ref_template=template)
    return [_plain(each) for each in made], _plain(components)


def _plain(schema: Any) -> Any:
    """Python's `int | float` is one type of JSON, and its tuple a list."""
    if isinstance(schema, list | tuple):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {word: _plain(value) for word, value in schema.items()}
    if changed.get("anyOf") == [{"type": "integer"}, {"type": "number"}]:
        del changed["anyOf"]
        changed["type"] = "number"
    return changed


def _strict(schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Every key is there, and no other; values keep the rules."""
    return {
        name: _with_rules(schema, _CARRIED[name], strict=True) if name in _CARRIED else schema
        for name, schema in schemas.items()
    }


def _with_rules(schema: Schema, shape: Any, *, strict: bool) -> Schema:
    hints = get_type_hints(shape, include_extras=True)
    attributes = {
        name: _with_rule(schema["properties"][name], rule, strict=strict)
        for name in sorted(schema["properties"])
        for rule in get_args(hints[name])
        if isinstance(rule, Rule)
    }
    needed = {"required": sorted(attributes), "additionalProperties": False} if strict else {}
    return {**schema, "properties": attributes, **needed}


def _with_rule(attribute: Schema, rule: Rule, *, strict: bool) -> Schema:
    """A pattern is for the one spelling of events; whoever sends something to us may have another."""
    is_list = attribute.get("type") == "array"
    words = {
        "description": rule.doc,
        "minItems" if is_list else "minLength": rule.min_length,
        "maxItems" if is_list else "maxLength": rule.max_length,
        "minimum": rule.minimum,
        "format": rule.format,
        "pattern": rule.pattern if strict else None,
    }
    kept = {word: value for word, value in attribute.items() if word != "default" or not strict}
    return kept | {word: value for word, value in words.items() if value is not None}


def _as_sent_to_us(schema: Schema) -> Schema:
    """What is absent takes its default."""
    name = schema["title"]
    ruled = _with_rules(schema, _CARRIED[name], strict=False)
    return ruled | {"title": _INPUT[name], "description": f"{schema['description']} {_LOOSER}"}


def _renamed(schema: Any) -> Any:
    """The same schema, referring to the looser ones."""
    if isinstance(schema, list):
        return [_renamed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {word: _renamed(value) for word, value in schema.items()}
    if "$ref" in changed:
        name = changed["$ref"].rpartition("/")[2]
        changed["$ref"] = _COMPONENT.format(name=_INPUT.get(name, name))
    return changed


def _structs(shape: Any) -> Iterator[type[msgspec.Struct]]:
    """The Structs in a shape, at every level."""
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        yield shape
        for hint in get_type_hints(shape).values():
            yield from _structs(hint)
    for part in get_args(shape):
        yield from _structs(part)


def _payloads(hint: Any) -> list[Any]:
    """The payloads that stand in the notes of an annotated type."""
    notes = getattr(hint, "__metadata__", ())
    return [each for note in notes for each in (note, *get_args(note)) if isinstance(each, type) and is_dataclass(each)]

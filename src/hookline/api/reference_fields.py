"""Fields for the reference page: what a JSON Schema says of an object, in words that fit beside its keys."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hookline.api.markup import Html, join, prose, tag

Schema = Mapping[str, Any]
Schemas = Mapping[str, Schema]

_FORMATS: Final = {"date-time": "RFC 3339 time", "uri": "URL"}
#: Lower bound, upper bound, and what they count.
_BOUNDS: Final = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
)


def fields_of(schema: Schema, schemas: Schemas, *, sent_by_us: bool = False) -> Html:
    """The keys of an object, each with its type, its rules and its meaning, and the keys below it.

    Of what is sent to us, readers want to know what they must give; of what we send, what they may not find.
    """
    shape = resolved(schema, schemas)
    needed = shape.get("required", ())
    return tag(
        "dl",
        *(
            _field(name, each, schemas, needed=name in needed, sent_by_us=sent_by_us)
            for name, each in shape["properties"].items()
        ),
        class_="fields",
    )


def has_fields(schema: Schema, schemas: Schemas) -> bool:
    """Whether a schema is one of an object with keys of its own."""
    return bool(resolved(schema, schemas).get("properties"))


def parameter(described: Schema, schemas: Schemas, *, sent_by_us: bool = False) -> Html:
    """One parameter of a request, as a field."""
    schema = {**described["schema"], "description": described["description"]}
    needed = described.get("required", False)
    return _field(described["name"], schema, schemas, needed=needed, sent_by_us=sent_by_us)


def _field(name: str, schema: Schema, schemas: Schemas, *, needed: bool, sent_by_us: bool) -> Html:
    notes = [tag("span", _type(schema, schemas), class_="type"), *(tag("span", rule) for rule in _rules(schema))]
    if needed and not sent_by_us:
        notes.append(tag("span", "required", class_="required"))
    elif sent_by_us and not needed:
        notes.append(tag("span", "may be absent"))
    inner = _inside(schema, schemas)
    below = []
    if inner is not None:
        below = [tag("details", tag("summary", f"Keys of {name}"), fields_of(inner, schemas, sent_by_us=sent_by_us))]
    return tag(
        "div",
        tag("dt", tag("code", name), *notes),
        tag("dd", prose(schema.get("description", "")), _choices(schema, schemas), *below),
    )


def resolved(schema: Schema, schemas: Schemas) -> Schema:
    """The schema itself, or the one to which it refers."""
    if "$ref" in schema:
        return schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def _inside(schema: Schema, schemas: Schemas) -> Schema | None:
    """The object with keys that stands in a field: itself, an item of it, or one of its kinds."""
    for option in (schema, schema.get("items", {}), *schema.get("anyOf", ())):
        if has_fields(option, schemas):
            return resolved(option, schemas)
    return None


def _type(schema: Schema, schemas: Schemas) -> str:
    shape = resolved(schema, schemas)
    if "anyOf" in shape:
        return " or ".join(dict.fromkeys(_type(option, schemas) for option in shape["anyOf"]))
    if shape.get("type") == "array":
        return f"list of {_type(shape['items'], schemas)}s" if "items" in shape else "list"
    if "enum" in shape:
        return "string"
    return _FORMATS.get(shape.get("format", "")) or str(shape.get("type", "any value"))


def _rules(schema: Schema) -> Iterator[str]:
    for low, high, unit in _BOUNDS:
        if low in schema and high in schema:
            yield f"{schema[low]} to {schema[high]}{unit}"
        elif high in schema:
            yield f"at most {schema[high]}{unit}"
        elif schema.get(low) == 1 and unit:
            yield "not empty"
        elif low in schema:
            yield f"at least {schema[low]}{unit}"
    if schema.get("default") not in (None, "", [], {}) and not isinstance(schema["default"], dict):
        yield f"default {json.dumps(schema['default'], ensure_ascii=False)}"


def _choices(schema: Schema, schemas: Schemas) -> Html:
    """The values of an enumeration."""
    for option in (schema, schema.get("items", {})):
        choices = resolved(option, schemas).get("enum")
        if choices:
            return tag("div", *(tag("code", str(choice)) for choice in choices), class_="choices")
    return join()

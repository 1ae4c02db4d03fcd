"""Reading what came in: bodies and queries become typed values, mistakes become sentences that name the field."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, is_dataclass
from dataclasses import fields as fields_of
from datetime import datetime
from enum import StrEnum
from functools import cache, reduce
from itertools import islice
from operator import or_
from types import UnionType
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from hookline.api.long_work import SHORT_BODY
from hookline.domain.instants import parse_instant
from hookline.domain.text import require_storable, require_storable_text
from hookline.errors import FieldError, Invalid, MissingField

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

MAX_LIMIT: Final = 200
DEFAULT_LIMIT: Final = 50
#: How many unknown keys are named at once, and how much of what somebody sent is shown to them.
_MOST_NAMED: Final = 20
#: Objects and lists of a body of another shape that are searched for unknown keys.
_MOST_SEARCHED: Final = 1_000
_MOST_SHOWN: Final = 60

_WRONG: Final = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>\$[^`]*)`)?", re.DOTALL)
_EXPECTED: Final = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<key>.*?)`(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `([^`]*)`")
#: The start of a body that is not plain UTF-8 -> what it is. UTF-32 (little-endian) begins as UTF-16 does.
_BYTE_ORDER_MARKS: Final = {
    b"\xef\xbb\xbf": "a byte order mark (BOM, EF BB BF), which JSON does not allow",
    b"\xff\xfe": "the byte order mark of UTF-16 or UTF-32 (FF FE)",
    b"\xfe\xff": "the byte order mark of UTF-16 (FE FF)",
}
#: The last part of a field's path, and what came -> what to do instead.
_HINTS: Final = {("answer", "a list"): 'Join several choices into one text with ", ".'}
_WORDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def read_json(body: bytes, shape: type[T]) -> T:
    """A JSON object as `shape`: a dataclass or a msgspec Struct. An empty body reads as `{}`.

    A shape that is `LENIENT` is for bodies of official SDKs: unknown keys are passed over, and null counts as absent.

    Raises:
        Invalid: not JSON, not UTF-8, not an object; a wrong type, an absent or an unknown key, by name.
    """
    if len(body) > SHORT_BODY and not is_lenient(shape):
        return _read_long(body, shape)
    value: Any = {}
    try:
        value = _decoded(body, shape)
        if not isinstance(value, dict):
            raise Invalid(f"The body: expected a JSON object, got {_kind(value)}.", code="bad_request")
        if is_lenient(shape):
            value = _without_nulls(value)
            return msgspec.convert(value, shape)
        try:
            converted = msgspec.convert(value, shape)
        except msgspec.ValidationError:
            _refuse_unknown(value, shape, _MOST_SEARCHED)
            raise
        _refuse_unknown(value, shape, None)
    except msgspec.ValidationError as problem:
        raise _refusal(problem, shape, value) from None
    except RecursionError:
        raise _too_deep() from None
    return converted


def _read_long(body: bytes, shape: type[T]) -> T:
    """The same of a long body, of which the first fault alone is told.

    Nothing is built that is not of the shape: a mebibyte of small values would be half a million objects, and while the
    decoder makes them no other thread runs.
    """
    _refuse_byte_order_mark(body)
    its_strict_form: Any = _strict(cast("Any", shape))
    try:
        msgspec.json.decode(body, type=its_strict_form)
        return msgspec.json.decode(body, type=shape)
    except UnicodeDecodeError:
        raise Invalid("The body is not UTF-8.", code="bad_request") from None
    except msgspec.ValidationError as problem:
        raise _first_fault(problem, shape) from None
    except msgspec.DecodeError as problem:
        raise _no_json(problem) from None
    except RecursionError:
        raise _too_deep() from None


def _first_fault(problem: msgspec.ValidationError, shape: Any) -> Invalid:
    match = _UNKNOWN.fullmatch(str(problem))
    if match is not None:
        path = _below((match["path"] or "").removeprefix("."), match["key"][:_MOST_SHOWN])
        return _there_is_no(path)
    top = _EXPECTED.fullmatch(str(problem))
    if top is not None and top[1] == "object":
        return Invalid(f"The body: expected a JSON object, got {_in_words(top[2])}.", code="bad_request")
    return _refusal(problem, shape, None)


@cache
def _strict(shape: Any) -> Any:
    """A type of the same JSON as `shape` that refuses unknown keys at every level while it is decoded."""
    keys = _keys(shape) if isinstance(shape, type) else None
    if keys is not None:
        required = _required(shape)
        fields = [(key, _strict(kind)) if key in required else (key, _strict(kind), None) for key, kind in keys.items()]
        return msgspec.defstruct(shape.__name__, fields, kw_only=True, forbid_unknown_fields=True)
    origin, kinds = get_origin(shape), tuple(each if each is ... else _strict(each) for each in get_args(shape))
    if origin is None:
        return shape
    return reduce(or_, kinds) if origin in (Union, UnionType) else origin[kinds]


def is_lenient(shape: Any) -> bool:
    """Whether bodies of this shape may hold unknown keys and nulls."""
    return getattr(shape, "LENIENT", False)


def _refuse_byte_order_mark(body: bytes) -> None:
    for mark, meaning in _BYTE_ORDER_MARKS.items():
        if body.startswith(mark):  # RFC 8259, 8.1
            raise Invalid(f"The body begins with {meaning}: send UTF-8 without it.", code="bad_request")


def _decoded(body: bytes, shape: Any) -> Any:
    _refuse_byte_order_mark(body)
    try:
        return msgspec.json.decode(body or b"{}")
    except UnicodeDecodeError:
        raise Invalid("The body is not UTF-8.", code="bad_request") from None
    except msgspec.DecodeError as problem:
        if "out of range" in str(problem):
            msgspec.json.decode(body, type=shape)  # fails at the same number, and can say of which field it is
        else:
            _name_half_characters(body)
        raise _no_json(problem) from None


def _no_json(problem: msgspec.DecodeError) -> Invalid:
    return Invalid(f"The body is not JSON: {str(problem).partition(' - at ')[0]}.", code="bad_request")


def _too_deep() -> Invalid:
    return Invalid("The body is nested too deeply.", code="bad_request")


def _there_is_no(*paths: str) -> Invalid:
    return Invalid(
        f"{paths[0]}: there is no such key here.",
        fields=[FieldError(path, "there is no such key here.") for path in paths],
    )


def _name_half_characters(body: bytes) -> None:
    """The decoder cannot say where a lone surrogate stands; the standard library's reads it, and we look."""
    try:
        require_storable(json.loads(body), "")
    except (ValueError, RecursionError) as problem:
        if isinstance(problem, UnicodeDecodeError):
            raise Invalid("The body is not UTF-8.", code="bad_request") from None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _refuse_unknown(value: Any, shape: Any, most_searched: int | None) -> None:
    """Name unknown keys. Of a value that is not of the shape, so many objects and lists are searched: it may be of
    anything. The others have the shape, and so an end.
    """
    searched = islice(_unknown(value, shape, ""), most_searched)
    unknown = list(islice((path for path in searched if path is not None), _MOST_NAMED))
    if unknown:
        raise _there_is_no(*unknown)


def _unknown(value: dict[str, Any] | list[Any], shape: Any, path: str) -> Iterator[str | None]:
    """The paths of keys that `shape` does not know, at every level, and None for each object or list on the way."""
    yield None
    if isinstance(value, list):
        item_shape = _item_shape(shape)
        if item_shape is not None:
            for index, item in enumerate(value):
                if isinstance(item, dict | list):
                    yield from _unknown(item, item_shape, f"{path}[{index}]")
        return
    known = _keys(shape)
    if known is not None:
        for key, item in value.items():
            if key not in known:
                yield _below(path, key[:_MOST_SHOWN])
            elif isinstance(item, dict | list):
                yield from _unknown(item, known[key], _below(path, key))


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


@cache
def _keys(shape: Any) -> dict[str, Any] | None:
    """Key -> type of a dataclass or Struct (of the first of them in a union); None for anything else."""
    if isinstance(shape, type) and (is_dataclass(shape) or issubclass(shape, msgspec.Struct)):
        hints = get_type_hints(shape)
        names = [each.name for each in fields_of(shape)] if is_dataclass(shape) else list(shape.__struct_fields__)
        return {name: hints[name] for name in names}
    return next((keys for option in get_args(shape) if (keys := _keys(option)) is not None), None)


@cache
def _item_shape(shape: Any) -> Any:
    if get_origin(shape) in (tuple, list):
        return get_args(shape)[0]
    return next((item for option in get_args(shape) if (item := _item_shape(option)) is not None), None)


def _refusal(problem: msgspec.ValidationError, shape: Any, value: Any) -> Invalid:
    match = _WRONG.fullmatch(str(problem))
    what, path = (match["what"], match["path"] or "$") if match else (str(problem), "$")
    field = path.removeprefix("$").removeprefix(".")
    if "[...]" in field and value is not None:
        field = _with_its_key(field, shape, value)
    if missing := _MISSING.search(what):
        absent = [_below(field, missing[1])]
        if not field and value is not None:
            absent = [name for name in _required(shape) if name not in value]
        return MissingField(*absent)
    if expected := _EXPECTED.search(what):
        wanted, got = (_in_words(words) for words in expected.groups())
        hint = _HINTS.get((field.rpartition(".")[2], got), "")
        return Invalid.field(field, f"expected {wanted}, got {got}.", hint=hint)
    if what.startswith("Invalid enum value"):
        choices = ", ".join(_choices(shape, field))
        got = what.removeprefix("Invalid enum value ").strip("'")
        return Invalid.field(field, f"expected one of {choices}, got {got[:_MOST_SHOWN]!r}.")
    code = "out_of_range" if "out of range" in what else "invalid_parameter"
    return Invalid.field(field or "body", f"{what[:1].lower()}{what[1:]}.", code=code)


def _with_its_key(field: str, shape: Any, value: Any) -> str:
    """The field of a wrong value in a mapping of a body: the decoder writes `[...]` for the key."""
    mapping, _, below = field.partition("[...]")
    for key, item in value[mapping].items():
        try:
            msgspec.convert({key: item}, (_keys(shape) or {})[mapping])
        except msgspec.ValidationError:
            return f"{mapping}.{key[:_MOST_SHOWN]}{below}"
    return field


@cache
def _required(shape: Any) -> tuple[str, ...]:
    """The keys that a body of this shape must have."""
    if is_dataclass(shape):
        absent = (each.default is MISSING and each.default_factory is MISSING for each in fields_of(shape))
        return tuple(each.name for each, needed in zip(fields_of(shape), absent, strict=True) if needed)
    return tuple(each.name for each in msgspec.structs.fields(shape) if each.required)


def _choices(shape: Any, field: str) -> list[str]:
    for key in re.split(r"[.\[]", field):
        keys = _keys(shape)
        shape = keys[key] if keys and key in keys else _item_shape(shape)
    options = [each for each in (shape, *get_args(shape)) if isinstance(each, type) and issubclass(each, StrEnum)]
    return [choice.value for option in options for choice in option]


def _in_words(types: str) -> str:
    words = [_WORDS.get(each, each) for each in types.split(" | ")]
    return "a number" if words == ["a whole number", "a number"] else " or ".join(words)


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


class Query:
    """The parameters behind the `?`. An empty one counts as absent; one that nobody asked for is refused by name."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._left = {name: value for name, value in parameters.items() if value != ""}

    def text(self, name: str) -> str | None:
        """As it is."""
        value = self._left.pop(name, None)
        if value is not None:
            require_storable_text(value, name)
        return value

    def instant(self, name: str) -> datetime | None:
        """An RFC 3339 time. A `+` that was not escaped arrives as a space, and is meant."""
        value = self._left.pop(name, None)
        return None if value is None else parse_instant(re.sub(r" (?=\d\d:\d\d$)", "+", value), name)

    def whole(self, name: str, lowest: int, highest: int) -> int | None:
        """A whole number."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        if not re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
            raise Invalid.field(name, f"expected a whole number, got {value[:40]!r}.")
        if not lowest <= int(value) <= highest:
            raise Invalid.field(name, f"expected {lowest} to {highest}, got {value}.", code="out_of_range")
        return int(value)

    def choice(self, name: str, choices: type[E]) -> E | None:
        """One of the values of an enumeration."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        known = {choice.value: choice for choice in choices}
        if value not in known:
            raise Invalid.field(name, f"expected one of {', '.join(known)}, got {value[:40]!r}.")
        return known[value]

    def flag(self, name: str) -> bool:
        """True or false; false when absent."""
        value = self._left.pop(name, "false")
        if value not in ("true", "false"):
            raise Invalid.field(name, f"expected true or false, got {value[:40]!r}.")
        return value == "true"

    def matching(self, name: str, pattern: str, kind: str) -> str | None:
        """A text of one form; `kind` says of which."""
        value = self._left.pop(name, None)
        if value is not None and not re.fullmatch(pattern, value, re.ASCII):
            raise Invalid.field(name, f"expected {kind}, got {value[:40]!r}.")
        return value

    def page(self, cursor_pattern: str) -> tuple[int, str | None]:
        """`limit` and `cursor` of a list whose cursors have one form."""
        limit = self.whole("limit", 1, MAX_LIMIT) or DEFAULT_LIMIT
        return limit, self.matching("cursor", cursor_pattern, "`next` of a page of this list")

    def refuse_rest(self) -> None:
        """Refuse what nobody asked for: a filter that is misspelt must not show everything."""
        if self._left:
            name = next(iter(self._left))
            raise Invalid.field(name, "there is no such parameter here.")

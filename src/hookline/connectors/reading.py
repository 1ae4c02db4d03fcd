"""What all connectors read alike: their settings, bodies in JSON, instants. Nothing here knows a phone system.

Mistakes become refusals that name the field: of settings as `settings.name`, of a body by its own names.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from re import compile as pattern
from typing import Any, Final, TypeVar

import msgspec
import phonenumbers

from hookline.errors import Invalid, MissingField

T = TypeVar("T")

_MISSING: Final = pattern(r"missing required field `([^`]*)`")
_UNKNOWN: Final = pattern(r"unknown field `([^`]*)`")
_PATH: Final = pattern(r" - at `\$\.?([^`]*)`")
_EXPECTED: Final = pattern(r"Expected `([^`]*)`, got `([^`]*)`")
_WORDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: The year 9998, in seconds since 1970: later instants cannot be counted on.
_LAST_SECOND: Final = 253_370_764_800
_MOST_KEY: Final = 200


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What all kinds of connectors can be told. Each kind adds its own."""

    region: str = ""  # ISO 3166-1, where numbers without a country code are at home


S = TypeVar("S", bound=Settings)


def read_settings(raw: Mapping[str, Any], shape: type[S]) -> S:
    """The settings of a connector.

    Raises:
        Invalid: one is missing, wrong, empty or unknown; names it as `settings.name`.
    """
    try:
        settings = msgspec.convert(dict(raw), shape)
    except msgspec.ValidationError as problem:
        raise _refusal(str(problem), "settings.") from None
    for field in msgspec.structs.fields(shape):
        value = getattr(settings, field.name)
        if field.required and isinstance(value, str) and not value.strip():
            raise Invalid.field(f"settings.{field.encode_name}", "expected some text, got none.")
    if settings.region and settings.region not in phonenumbers.SUPPORTED_REGIONS:
        raise Invalid.field(
            "settings.region", f"expected a country such as GB (ISO 3166-1), got {settings.region[:40]!r}."
        )
    return settings


def complete(raw: Mapping[str, Any], shape: type[S]) -> Mapping[str, Any]:
    """The settings of a connector, complete and as the API spells them; see `read_settings`."""
    settings: Mapping[str, Any] = msgspec.to_builtins(read_settings(raw, shape))
    return settings


def read_object(body: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        Invalid: it is none.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("The body is not JSON.", code="bad_request") from None
    if not isinstance(value, dict):
        raise Invalid("The body: expected a JSON object.", code="bad_request")
    return value


def read_shape(value: Any, shape: type[T], path: str = "") -> T:
    """What a phone system sent, as far as `shape` asks for it; `path` is where in the body it stands.

    Raises:
        Invalid: something that is needed is missing, or is of another type.
    """
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as problem:
        raise _refusal(str(problem), f"{path}." if path else "") from None


def _refusal(problem: str, prefix: str) -> Invalid:
    at = _PATH.search(problem)
    field = prefix + (at[1] if at else "")
    if missing := _MISSING.search(problem):
        return MissingField(f"{field.rstrip('.')}.{missing[1]}" if field else missing[1])
    if unknown := _UNKNOWN.search(problem):
        return Invalid.field(f"{field}{unknown[1]}", "there is no such key here.")
    field = field.rstrip(".") or "body"
    if expected := _EXPECTED.search(problem):
        wanted, got = (_in_words(types) for types in expected.groups())
        return Invalid.field(field, f"expected {wanted}, got {got}.")
    what = problem.partition(" - at ")[0]
    return Invalid.field(field, f"{what[:1].lower()}{what[1:]}.")


def _in_words(types: str) -> str:
    return " or ".join(_WORDS.get(each, each) for each in types.split(" | "))


def call_key(*names: str | int | None, field: str) -> str:
    """The first name that there is, as the key of a call.

    Raises:
        Invalid: there is none, or one that is no name.
    """
    name = next((str(each) for each in names if each not in (None, "", 0)), "")
    if not name:
        raise MissingField(field)
    if len(name) > _MOST_KEY or not name.isprintable():
        raise Invalid.field(field, f"expected up to {_MOST_KEY} printable characters.")
    return name


def since_1970(seconds: float, field: str) -> datetime:
    """An instant that is told as seconds since 1970.

    Raises:
        Invalid: there is no such instant.
    """
    if not 0 < seconds < _LAST_SECOND:
        raise Invalid.field(field, f"expected seconds since 1970, got {seconds:.0f}.", code="out_of_range")
    return _EPOCH + timedelta(microseconds=round(seconds * 1_000_000))

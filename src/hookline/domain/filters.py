"""Filters: a webhook may want only those events whose payload has one of some values.

A filter names attributes at the top of a payload, each with the values that pass. All attributes must pass; an event
whose payload does not have an attribute is not measured by it, so one webhook can take meetings and some calls.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, get_args, get_origin, get_type_hints

from hookline.domain.calls import parse_contact, parse_number
from hookline.domain.events import PAYLOADS, CallType, EventKind
from hookline.domain.money import parse_currency
from hookline.domain.text import require_storable_text
from hookline.errors import Invalid

Value = str | int | float | bool
#: Each attribute with the values that pass.
Filter = tuple[tuple[str, tuple[Value, ...]], ...]

NO_FILTER: Final[Filter] = ()
MAX_VALUES: Final = 100
_WORDS: Final[Mapping[type, str]] = {str: "text", bool: "true or false", int: "a number", float: "a number"}


def parse_filter(given: Mapping[str, Sequence[Any]]) -> Filter:
    """The filter that somebody wrote down. Whether a webhook's events have its attributes: `require_measurable`.

    Raises:
        Invalid: an attribute that cannot be compared, a value that it never has, no value or too many.
    """
    return tuple((attribute, _values(attribute, values)) for attribute, values in given.items())


def require_measurable(wanted: Filter, kinds: Iterable[EventKind]) -> None:
    """Refuse a filter on what none of a webhook's events has.

    Raises:
        Invalid: it names the attribute.
    """
    measurable = {attribute: None for kind in kinds for attribute in comparable_attributes(kind)}
    for attribute, _ in wanted:
        if attribute not in measurable:
            raise Invalid.field(
                f"filter.{attribute[:60]}",
                f"none of its events has such an attribute; there are {', '.join(measurable)}.",
            )


def comparable_attributes(kind: EventKind) -> Mapping[str, type]:
    """The attributes of an event's payload that are no lists and no objects, with the type of their values."""
    hints = get_type_hints(PAYLOADS[kind])
    return {name: base for name, hint in hints.items() if (base := _scalar(hint)) is not None}


def stopped_by(wanted: Filter, payload: Mapping[str, Any]) -> str | None:
    """The first attribute by which the event is not wanted, or None when it is."""
    return next((name for name, values in wanted if name in payload and payload[name] not in values), None)


def _scalar(hint: Any) -> type | None:
    """The JSON type of an attribute; None of a list or an object. A number may be whole or not: float stands for it."""
    alternatives = get_args(hint) if get_origin(hint) is not None else (hint,)
    kinds = [kind for kind in alternatives if isinstance(kind, type) and issubclass(kind, str | int | float)]
    if not kinds or get_origin(hint) is tuple:
        return None
    base = next(each for each in (str, bool, float, int) if any(issubclass(kind, each) for kind in kinds))
    return float if base is int else base


def _values(attribute: str, values: Sequence[Any]) -> tuple[Value, ...]:
    field = f"filter.{attribute[:60]}"
    every = {name: kind for event in EventKind for name, kind in comparable_attributes(event).items()}
    if attribute not in every:
        raise Invalid.field(field, f"there is no such attribute to compare; there are {', '.join(every)}.")
    if not 1 <= len(values) <= MAX_VALUES:
        raise Invalid.field(field, f"expected 1 to {MAX_VALUES} values, got {len(values)}.", code="out_of_range")
    expected = every[attribute]
    for index, value in enumerate(values):
        if not _fits(value, expected):
            raise Invalid.field(f"{field}[{index}]", f"expected {_WORDS[expected]}, got {str(value)[:40]!r}.")
        if isinstance(value, str):
            require_storable_text(value, f"{field}[{index}]")
    as_sent = _AS_SENT.get(attribute, _as_it_is)
    return tuple(as_sent(value, f"{field}[{index}]") for index, value in enumerate(values))


def _as_it_is(value: Value, _: str) -> Value:
    return value


def _contact_as_sent(value: str, field: str) -> str:
    return parse_contact(value, field) if value else ""


def _line_as_sent(value: str, field: str) -> str:
    return parse_number(value, field) if value else ""


def _type_as_sent(value: str, field: str) -> str:
    if value not in set(CallType):
        raise Invalid.field(field, f"expected one of {', '.join(CallType)}, got {value[:40]!r}.")
    return value


#: Attributes that are sent in one spelling only: a value in another one would never match, without anybody being told.
_AS_SENT: Final[Mapping[str, Callable[[Any, str], Value]]] = {
    "type": _type_as_sent,
    "phone_line": _line_as_sent,
    "phone_number": _contact_as_sent,
    "currency": parse_currency,
}


def _fits(value: Any, expected: type) -> bool:
    if isinstance(value, bool) or expected is bool:
        return isinstance(value, bool) and expected is bool
    return isinstance(value, int | float) if expected is float else isinstance(value, expected)

"""Legs as they are kept with a call: JSON text, instants as microseconds, and of each leg only what it has.

A node that reads may be of another version than the one that wrote. A leg that says too little for this version is
passed over, and what it says beyond this version is ignored.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hookline.domain.call_legs import NO_LEGS, CallLeg, CallLegs, LegOutcome, LegUser, Party, QueueStay

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_EMPTY: Final[tuple[Any, ...]] = (None, "", ())
_LEG: Final = frozenset(each.name for each in fields(CallLeg))
_DEFAULTS: Final[dict[str, Any]] = {
    **dict.fromkeys(("number", "address"), ""),
    **dict.fromkeys(("user", "rang_at", "answered_at", "talked_from", "ended_at", "sip", "q850")),
}


def legs_to_text(legs: CallLegs) -> str:
    """How legs are kept; ASCII, whatever a phone system puts into its texts."""
    kept = {"legs": [_kept(asdict(leg)) for leg in legs.legs], "omitted": legs.omitted}
    return json.dumps(kept, separators=(",", ":"))


def legs_from_text(text: str | None) -> CallLegs:
    """The legs that were kept; none for None."""
    if text is None:
        return NO_LEGS
    kept = json.loads(text)
    found = (_leg(said) for said in kept["legs"])
    return CallLegs(legs=tuple(leg for leg in found if leg is not None), omitted=kept["omitted"])


def _kept(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in said.items() if value not in _EMPTY}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    if isinstance(value, dict):
        return _kept(value)
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _leg(said: Mapping[str, Any]) -> CallLeg | None:
    try:
        values: dict[str, Any] = _DEFAULTS | {name: value for name, value in said.items() if name in _LEG}
        return CallLeg(
            **{
                **_instants(values),
                "party": Party(values["party"]),
                "outcome": LegOutcome(values["outcome"]),
                "user": None if values["user"] is None else LegUser(**(_NOBODY | values["user"])),
                "queues": tuple(_stay(each) for each in values.get("queues", ())),
            }
        )
    except (KeyError, TypeError, ValueError):
        return None  # of another version, which says something else


_NOBODY: Final = {each.name: "" for each in fields(LegUser)}


def _stay(said: Mapping[str, Any]) -> QueueStay:
    return QueueStay(**_instants({"queue": "", "left_at": None, **said}))


def _instants(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with aware instants where there are microseconds."""
    return {
        name: _EPOCH + value * _MICROSECOND if name.endswith(("_at", "_from")) and value is not None else value
        for name, value in values.items()
    }

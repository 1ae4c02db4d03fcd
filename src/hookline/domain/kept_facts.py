"""Facts as they are kept: JSON text, of each fact the name of its kind and what it says, instants as microseconds.

Who reads may be of another version than who wrote. A kind that is not known here, or one that says too little, is
passed over: the rest of the call is worth more than a loop that fails.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from hookline.domain.calls_in_the_air import MOST_FACTS
from hookline.domain.legs import KINDS, Fact, HungUp, Side, StillThere

#: Characters of any text in a fact: names of legs have a few dozen, mail addresses up to 254.
MOST_TEXT: Final = 255

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_INSTANTS: Final = frozenset({"at", "rang_at", "ended_at"})
_NAMES: Final = {kind: tuple(each.name for each in fields(kind)) for kind in KINDS.values()}


@dataclass(frozen=True, slots=True, kw_only=True)
class United:
    """The facts of a call after a report."""

    facts: tuple[Fact, ...]
    new: tuple[Fact, ...]  # those of the report that were not known
    dropped: int  # how many were more than one call may have


def united(known: Sequence[Fact], told: Iterable[Fact]) -> United:
    """All facts, each once, in the order in which they came.

    Of a call that has `MOST_FACTS` only ends are still heard, up to twice as many; facts with longer texts than
    `MOST_TEXT` are none.
    """
    seen, new = set(known), list[Fact]()
    dropped = 0
    for fact in told:
        if fact in seen:
            continue
        most = 2 * MOST_FACTS if isinstance(fact, HungUp) else MOST_FACTS
        if len(seen) >= most or not _is_short(fact):
            dropped += 1
            continue
        seen.add(fact)
        new.append(fact)
    return United(facts=_without_old_signs((*known, *new)), new=tuple(new), dropped=dropped)


def _without_old_signs(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Of the signs of life of a leg only the last one is kept: there is one every few seconds."""
    last = {fact.leg: fact for fact in sorted(filter(_is_sign, facts), key=attrgetter("at"))}
    return tuple(fact for fact in facts if not _is_sign(fact) or last[fact.leg] is fact) if last else facts


def _is_sign(fact: Fact) -> bool:
    return isinstance(fact, StillThere)


def _is_short(fact: Fact) -> bool:
    values = (getattr(fact, name) for name in _NAMES[type(fact)])
    return all(len(value) <= MOST_TEXT for value in values if isinstance(value, str))


def facts_to_text(facts: Iterable[Fact]) -> str:
    """How facts are kept. ASCII, whatever a phone system puts into its texts."""
    return json.dumps([_kept(fact) for fact in facts], separators=(",", ":"))


def facts_from_text(text: str) -> tuple[Fact, ...]:
    """The facts that were kept."""
    found = (_fact(kind, said) for kind, said in json.loads(text))
    return tuple(fact for fact in found if fact is not None)


def _kept(fact: Fact) -> tuple[str, dict[str, Any]]:
    kind = type(fact)
    said = {name: _plain(getattr(fact, name)) for name in _NAMES[kind]}
    return kind.__name__, said


def _plain(value: Any) -> Any:
    return (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value


def _fact(name: str, said: dict[str, Any]) -> Fact | None:
    kind = KINDS.get(name)
    if kind is None:
        return None
    values = {name: value for name, value in said.items() if name in _NAMES[kind]}
    try:
        for each in _INSTANTS & values.keys():
            values[each] = None if values[each] is None else _EPOCH + values[each] * _MICROSECOND
        if "side" in values:
            values["side"] = Side(values["side"])
        return kind(**values)
    except (KeyError, TypeError, ValueError):
        return None  # of another version, which says something else

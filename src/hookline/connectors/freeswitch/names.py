"""Which legs a record or an event names: they are one call.

FreeSWITCH has no id for a call. Each channel has a UUID, and names others in its variables: for whom it was called,
whom it had called, with whom it was bridged, to whom it was transferred, in which conference it was. `call_uuid` is no
root: it changes with transfers. Sources: switch_ivr_originate.c, switch_ivr_bridge.c, switch_channel.c, sofia.c,
mod_loopback.c, mod_callcenter.c, mod_fifo.c, mod_conference.c.
"""

from collections.abc import Iterator, Mapping, Sequence
from re import compile as pattern
from typing import Final

from hookline.connectors.freeswitch.body import Record, values_of

#: Names that one record may have; a ring group has some dozens of legs.
MOST_NAMES: Final = 500
_MOST_CHARACTERS: Final = 200
#: Variables that name the leg for which another one was called, the surest first.
_CALLERS: Final = (
    "cc_member_session_uuid",  # an agent of a queue is called for nobody, and bridged with the caller then
    "other_loopback_from_uuid",
    "loopback_from_uuid",
    "originating_leg_uuid",
    "originator",
)
#: Variables that name one other leg, or a conference.
_ONE: Final = (
    *(*_CALLERS, "call_uuid", "signal_bond", "originate_signal_bond", "bridge_uuid", "last_bridge_to"),
    *("cc_agent_uuid", "other_loopback_leg_uuid", "fifo_bridge_uuid", "fifo_caller_uuid", "conference_uuid"),
)
#: Variables whose values begin with the UUID of a leg, up to a semicolon.
_MANY: Final = ("originated_legs", "originate_causes")
#: Variables that have UUIDs among other things.
_AMONG: Final = ("transfer_to", "transfer_history")
_UUID: Final = pattern(r"(?:blind:|s?att:|uuid_br:)([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\b")


def caller_of(variables: Mapping[str, str], uuid: str) -> str:
    """The leg for which this one was called; "" when it was called for none that its variables tell."""
    named = (variables.get(name, "") for name in _CALLERS)
    return next((leg for leg in named if leg not in ("", uuid)), "")


def names_in(variables: Mapping[str, str], uuid: str) -> Sequence[str]:
    """The leg itself, and all that its variables name; each once."""
    return _each_once((uuid, *_named(variables)))


def names_of(record: Record) -> Sequence[str]:
    """All legs and conferences that a record names, its own leg first."""
    others = [other.uuid for each in record.profiles for other in (*each.originators, *each.originatees)]
    return _each_once((record.uuid, *_named(record.variables), *others))


def _named(variables: Mapping[str, str]) -> Iterator[str]:
    yield from (variables.get(name, "") for name in _ONE)
    for name in _MANY:
        yield from (entry.partition(";")[0] for entry in values_of(variables.get(name, "")))
    for name in _AMONG:
        yield from _UUID.findall(variables.get(name, ""))


def _each_once(names: Sequence[str]) -> Sequence[str]:
    usable = dict.fromkeys(name for name in names if 0 < len(name) <= _MOST_CHARACTERS and name.isprintable())
    return tuple(usable)[:MOST_NAMES]

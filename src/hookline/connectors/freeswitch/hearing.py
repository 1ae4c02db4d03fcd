"""Hearing one event socket: what a leg's own record cannot tell, such as a message in a mailbox, and recordings.

All else about a call is in the records that mod_json_cdr posts. A fact bears the same key as those, so both meet.
"""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from hookline.connectors.freeswitch.body import instant
from hookline.connectors.freeswitch.framing import Message
from hookline.connectors.freeswitch.words import root_of
from hookline.domain.legs import Fact, MessageLeft, RecordingStarted, RecordingStopped
from hookline.ports.connectors import Report

#: Legs whose call is remembered.
_REMEMBERED: Final = 20_000
_MOST_NAME: Final = 200


class Hearing:
    """What one FreeSWITCH has told us, on one connection after another."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        """How many legs are remembered."""
        return len(self._keys)

    def hear(self, message: Message, now: datetime) -> Report | None:
        """What a message tells; None: nothing of use."""
        if message.kind != "text/event-json":
            return None
        try:
            event = msgspec.json.decode(message.body.decode("utf-8", "replace"))
        except (msgspec.DecodeError, RecursionError):
            return None
        return self._event(event, now) if isinstance(event, dict) else None

    def _event(self, event: Mapping[str, Any], now: datetime) -> Report | None:
        leg = _text(event, "Unique-ID") or _text(event, "Channel-Call-UUID") or _text(event, "VM-UUID")
        if not leg or len(leg) > _MOST_NAME or not leg.isprintable():
            return None
        key = self._key(event, leg)
        fact = _fact(event, leg, instant(_text(event, "Event-Date-Timestamp")) or now)
        return None if fact is None else Report(call_key=key, facts=(fact,))

    def _key(self, event: Mapping[str, Any], leg: str) -> str:
        """The call of a leg: as the event tells, or as an earlier one did."""
        variables = {name.removeprefix("variable_"): _text(event, name) for name in event}
        variables.setdefault("call_uuid", _text(event, "Channel-Call-UUID"))
        root = root_of(variables, leg)
        if root == leg:
            root = self._keys.get(leg, leg)
        root = self._keys.get(root, root)[:_MOST_NAME]
        self._keys[leg] = root
        if len(self._keys) > _REMEMBERED:
            self._keys.popitem(last=False)
        return root


def _fact(event: Mapping[str, Any], leg: str, at: datetime) -> Fact | None:
    match _text(event, "Event-Name"):
        case "CUSTOM" if _left_message(event):
            return MessageLeft(leg=leg, at=at)
        case "RECORD_START":
            return RecordingStarted(leg=leg, at=at)
        case "RECORD_STOP":
            return RecordingStopped(leg=leg, at=at)
    return None


def _left_message(event: Mapping[str, Any]) -> bool:
    """A message of no length is none."""
    return (
        _text(event, "Event-Subclass") == "vm::maintenance"
        and _text(event, "VM-Action") == "leave-message"
        and _text(event, "VM-Message-Len").strip("0 ") != ""
    )


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    return value.replace("\0", "") if isinstance(value, str) else ""

"""Hearing one event socket: what a leg's own record cannot tell, such as a message in a mailbox, and recordings.

All else about a call is in the records that mod_json_cdr posts. An event names legs as a record does, so both meet.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from hookline.connectors.freeswitch.body import instant
from hookline.connectors.freeswitch.framing import Message
from hookline.connectors.freeswitch.names import names_in
from hookline.domain.legs import Fact, MessageLeft, RecordingStarted, RecordingStopped
from hookline.ports.connectors import Report

_MOST_NAME: Final = 200
#: Applications that record what a caller says to a machine: that is no recording of a talk.
_MACHINES: Final = frozenset({"voicemail", "record"})


def hear(message: Message, now: datetime) -> Report | None:
    """What a message of an event socket tells; None: nothing of use."""
    if message.kind != "text/event-json":
        return None
    try:
        event = msgspec.json.decode(message.body.decode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError):
        return None
    return _told(event, now) if isinstance(event, dict) else None


def _told(event: Mapping[str, Any], now: datetime) -> Report | None:
    leg = _text(event, "Unique-ID") or _text(event, "Channel-Call-UUID") or _text(event, "VM-UUID")
    if not leg or len(leg) > _MOST_NAME or not leg.isprintable():
        return None
    fact = _fact(event, leg, instant(_text(event, "Event-Date-Timestamp")) or now)
    if fact is None:
        return None
    variables = {name.removeprefix("variable_"): _text(event, name) for name in event}
    variables.setdefault("call_uuid", _text(event, "Channel-Call-UUID"))
    return Report(call_key=leg, facts=(fact,), names=names_in(variables, leg))


def _fact(event: Mapping[str, Any], leg: str, at: datetime) -> Fact | None:
    is_talk = _text(event, "variable_current_application") not in _MACHINES
    match _text(event, "Event-Name"):
        case "CUSTOM" if _left_message(event):
            return MessageLeft(leg=leg, at=at)
        case "RECORD_START" if is_talk:
            return RecordingStarted(leg=leg, at=at)
        case "RECORD_STOP" if is_talk:
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

"""Calls of connectors that were decided on: the last ones of each, with what they became and why some are no event."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from hookline.domain.call_legs import NO_LEGS, CallLegs
from hookline.domain.finished_calls import Reason
from hookline.domain.ids import CallId, ConnectorId

#: Calls that are kept of each connector.
MOST_DECIDED: Final = 1000

_SENTENCES: Final[Mapping[str, str]] = {
    Reason.INTERNAL: "Nobody outside was on the call: it stayed between phones and machines of yours.",
    Reason.NEVER_DIALLED: "A phone of yours was called first and was not picked up, so the contact was never dialled.",
    Reason.UNKNOWN_LINE: "No phone line has the number {line!r}. Add it as a phone line if it is yours.",
    Reason.UNFINISHED: "The end of the contact's leg was never heard, and the call was given up.",
    Reason.PART_OF_ANOTHER: "It turned out to be part of a call that had begun before, and is listed with that one.",
}


class CallOutcome(StrEnum):
    """What a call became."""

    EVENT = "event"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedCall:
    """A call of a connector that was decided on."""

    connector_id: ConnectorId
    external_id: str  # what its phone system calls it
    decided_at: datetime
    ended_at: datetime | None
    end_is_estimated: bool = False  # nobody heard the end: `ended_at` is the last sign of life
    call_id: CallId | None = None  # of the event's call; None: it became no event
    reason: str = ""  # why it became none: a `Reason`, or a sentence
    line: str = ""  # the number that is no line, if that is why
    legs: CallLegs = NO_LEGS

    @property
    def outcome(self) -> CallOutcome:
        """Whether it became an event."""
        return CallOutcome.NONE if self.call_id is None else CallOutcome.EVENT

    @property
    def why(self) -> str:
        """Why it became no event, as a sentence; "" when it did."""
        sentence = _SENTENCES.get(self.reason)
        return self.reason if sentence is None else sentence.format(line=self.line)

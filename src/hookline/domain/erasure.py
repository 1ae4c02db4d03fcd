"""Erasure: what is left of a meeting when a participant is erased, and of a call when its contact is.

The record stays: ids, kinds, times, statuses. What says who it was goes, and so does the free text of the meeting,
since nobody can know what stands in it. What is left is a payload like any other. Where it is kept, and what is
withdrawn: `services/erasure.py`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

from hookline.domain.events import canonical_bytes
from hookline.domain.legs import Fact
from hookline.domain.numbers import read_caller
from hookline.domain.phonebook import Phonebook

ERASED_EMAIL: Final = "erased@erased.invalid"
ERASED_NAME: Final = "Erased"
#: Why a delivery of something erased is withdrawn.
BECAUSE_ERASED: Final = "the person in it was erased"
#: What somebody may have put in by hand; a meeting has to have a name.
_FREE_TEXT: Final[Mapping[str, str]] = {
    "meeting_address": "",
    "meeting_location": "",
    "meeting_name": ERASED_NAME,
    "meeting_notes": "",
}
#: What may be a number in a fact about a leg.
_NUMBERS: Final = ("dialled", "identity", "shows")
_NOBODY: Final[Mapping[str, str]] = {"EMAIL": ERASED_EMAIL, "FIRSTNAME": "", "LASTNAME": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was erased: how many of each."""

    meetings: int = 0
    calls: int = 0
    events: int = 0
    withdrawn: int = 0  # deliveries that were still owed
    answers: int = 0  # of receivers, emptied

    @property
    def rows(self) -> int:
        """How much was changed, to keep steps small."""
        return sum(astuple(self))

    def __add__(self, more: "Erased") -> "Erased":
        return Erased(
            meetings=self.meetings + more.meetings,
            calls=self.calls + more.calls,
            events=self.events + more.events,
            withdrawn=self.withdrawn + more.withdrawn,
            answers=self.answers + more.answers,
        )


def without_participant(body: bytes, email: str) -> bytes:
    """The body of a meeting or its event, canonical again, without a participant, whose address may be in any case."""
    said: dict[str, Any] = json.loads(body)
    participants = [
        dict(_NOBODY) if each["EMAIL"].lower() == email.lower() else each for each in said["event_participants"]
    ]
    questions = [{**each, "answer": ""} for each in said["questions_and_answers"]]
    return canonical_bytes(
        {**said, **_FREE_TEXT, "event_participants": participants, "questions_and_answers": questions}
    )


def facts_without_contact(facts: Iterable[Fact], phone_number: str, phonebook: Phonebook) -> tuple[Fact, ...]:
    """What was told of a call that is not over, as if its contact had withheld the number, however that is spelt."""
    homes = phonebook.homes()

    def is_it(text: str) -> bool:
        return any(read_caller(text, home, is_from_trunk=True).text == phone_number for home in homes)

    def without(fact: Fact) -> Fact:
        said = {name: getattr(fact, name, "") for name in _NUMBERS}
        gone: dict[str, Any] = {name: "" for name, text in said.items() if text and is_it(text)}
        return replace(fact, **gone) if gone else fact

    return tuple(without(fact) for fact in facts)


def without_contact(body: bytes) -> bytes:
    """The body of a call or its event, canonical again, as if its contact had withheld the number."""
    return canonical_bytes(json.loads(body) | {"phone_number": ""})

"""What the core asks of a store so that somebody is taken out of what was kept.

A part of `ports/storage.py`, and tested like it: `tests/contract/test_storage_erasure.py`.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from hookline.domain.call_legs import CallLegs
from hookline.domain.calls import Call
from hookline.domain.deliveries import Claim
from hookline.domain.ids import CallId, EventId, MeetingId, SubjectId
from hookline.domain.meetings import Meeting
from hookline.ports.intake import HeardCall


class Erasure(Protocol):
    """Taking somebody out of what was kept. Ids, kinds, times and statuses stay as they are."""

    def meetings_with(self, participant: str, limit: int) -> Sequence[Meeting]:
        """Up to `limit` of the meetings to which somebody with this address comes, in whatever case it is written."""

    def calls_with(self, phone_number: str, limit: int) -> Sequence[Call]:
        """Up to `limit` of the calls with this contact, or in whose legs this number stands."""

    def rewrite_meeting(
        self, meeting_id: MeetingId, *, body: bytes, booked_body: bytes, participant: str, becomes: str
    ) -> None:
        """Keep other bodies of a meeting, forget why it was cancelled, and find it by the address `becomes` from now on
        where it was found by that of `participant`.
        """

    def rewrite_call(self, call_id: CallId, body: bytes) -> None:
        """Keep another body of a call, whose number is withheld from now on."""

    def rewrite_legs(self, call_id: CallId, legs: CallLegs, phone_number: str) -> None:
        """Keep other legs of a call, in which this number does not stand any more."""

    def rewrite_facts(self, call: HeardCall) -> None:
        """Keep a call that a connector tells of with other facts."""

    def bodies_of(self, subject: SubjectId) -> Iterator[tuple[EventId, bytes]]:
        """The bodies of all events of a meeting or a call, by sequence. One at a time is read."""

    def rewrite_event(self, event_id: EventId, body: bytes) -> None:
        """Keep another body of an event, which no attempt that begins from now on sends as it was."""

    def withdraw(self, event_id: EventId, *, because: str) -> int:
        """Settle as withdrawn all that is owed of an event, also what is being sent: its claims are lost, and given
        back unless their attempt has begun. Returns how many.
        """

    def empty_answers(self, event_id: EventId) -> int:
        """Empty what receivers answered to an event: headers and body of all its attempts. Returns of how many."""

    def empty_late_answers(self, claims: Sequence[Claim]) -> None:
        """Do the same to those attempts of these claims that were under way while what they carried, or a part of it,
        was erased.
        """

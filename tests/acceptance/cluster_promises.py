"""The promises of several nodes, checked against what clients were told, what the nodes say and what subscribers saw.

As in `promises.py` silence is success. What differs: nobody sees which node sent a request, and a node that was paused
may send late. So time is cut into eras, by the deeds that may cost an attempt, and one deed explains one attempt.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Final

from hookline.adapters.sql.records import CUT_SHORT
from tests.acceptance.arrivals import Sent
from tests.acceptance.by_hand import Haste
from tests.acceptance.hooks import ACCEPTED, CUT, Arrival, Hook
from tests.acceptance.load import Ledger
from tests.acceptance.node import LEASE_SECONDS
from tests.acceptance.operating import Journal
from tests.acceptance.promises import Figures, broken_numbers, broken_record
from tests.acceptance.record import AttemptRow, DeliveryRow, Record

#: A node may be paused between signing and sending, be without the database when it settles, and not hear of a rotation
#: until its leases are over.
_HASTE: Final = Haste(settled_in=timedelta(seconds=LEASE_SECONDS + 14), rotated_in=timedelta(seconds=LEASE_SECONDS + 2))


@dataclass(slots=True)
class Glance:
    """What can be seen at once while requests arrive at one webhook's subscriber."""

    hook: Hook
    _looked_at: int = 0
    _ids: dict[tuple[str, str], str] = field(default_factory=dict)  # by subject and sequence
    _begun: dict[str, int] = field(default_factory=dict)  # by subject: the latest sequence that came
    _ended: dict[str, int] = field(default_factory=dict)  # by subject: the latest sequence that may have come for good

    def broken(self) -> Iterator[str]:
        """What is wrong with what arrived since the last look."""
        new = self.hook.arrivals[self._looked_at :]
        self._looked_at += len(new)
        for arrival in new:
            if not arrival.id.startswith("batch_"):
                yield from self._of_id(arrival)
            if self.hook.ordered:
                yield from self._of_turn(arrival)

    def _of_id(self, arrival: Arrival) -> Iterator[str]:
        received = arrival.received
        place = received.header("hookline-subject") or "", received.header("hookline-sequence") or ""
        first = self._ids.setdefault(place, arrival.id)
        if first != arrival.id:
            yield f"{self.hook.name}: {place} came under {first} and under {arrival.id}"

    def _of_turn(self, arrival: Arrival) -> Iterator[str]:
        """What comes for the first time, comes when the one before it has been accepted, or may be given up."""
        subject, sequence = (
            arrival.received.header("hookline-subject") or "",
            int(arrival.received.header("hookline-sequence") or 0),
        )
        begun, ended = self._begun.get(subject, 0), self._ended.get(subject, 0)
        if sequence > begun and (sequence != begun + 1 or ended < begun):
            yield (
                f"{self.hook.name}: {arrival.id} ({subject}, {sequence}), attempt {arrival.attempt}, came behind"
                f" {begun}, of which {ended} had been accepted"
            )
        self._begun[subject] = max(begun, sequence)
        if arrival.manner == ACCEPTED or self.hook.settles_as == "dead":
            self._ended[subject] = max(ended, sequence)


def broken_among_nodes(
    ledger: Ledger, journal: Journal, record: Record, hooks: Sequence[Hook], *, eras: int, figures: Figures
) -> Iterator[str]:
    """Everything that is not as promised, after so many `eras`."""
    of_delivery = partial(_of_delivery, eras=eras, figures=figures)
    yield from broken_record(ledger, journal, record, hooks, of_delivery, figures=figures, haste=_HASTE)


def _of_delivery(hook: Hook, row: DeliveryRow, sent: Sent, hands: int, *, eras: int, figures: Figures) -> Iterator[str]:
    """One event owed to one webhook, which was made due again by hand at most so often."""
    arrivals = sent.of(row.eventId)
    cut_short = {each.number for each in row.attempts if each.error == CUT_SHORT}
    told = [each for each in row.attempts if each.number not in cut_short]
    figures.attempts += len(row.attempts)
    figures.cut_short += len(cut_short)
    figures.cut_in |= {each.life for each in arrivals if each.attempt in cut_short}
    yield from _of_settling(hook, row, told, hands, eras)
    homes = sent.homes(row.eventId) | {row.sent_as}
    if len(homes) > 1 + hands or (hook.settles_as == "delivered" and not arrivals):
        yield f"it came under {sorted(homes)}, {len(arrivals)} times"
    yield from _of_attempts(row, arrivals, may_skip=hook.batched and hands > 0)
    yield from _of_deeds(row, arrivals, cut_short, hands, eras, figures)


def _of_settling(hook: Hook, row: DeliveryRow, told: Sequence[AttemptRow], hands: int, eras: int) -> Iterator[str]:
    """It ended as it had to. What a paused node tells late is kept, and counts for nothing."""
    delivered = [each for each in told if each.status is not None and 200 <= each.status < 300 and not each.error]
    if row.status != hook.settles_as:
        yield f"should have been {hook.settles_as} and is {row.status}"
    if hook.settles_as == "delivered":
        if not delivered:
            yield f"none of {len(row.attempts)} attempts succeeded"
    elif delivered or not len(hook.schedule) + 1 <= len(told) <= (len(hook.schedule) + 1) * (1 + hands) + eras:
        yield f"{len(told)} attempts failed, {len(delivered)} succeeded, on a schedule of {len(hook.schedule) + 1}"


def _of_attempts(row: DeliveryRow, arrivals: Sequence[Arrival], *, may_skip: bool) -> Iterator[str]:
    """Each attempt has a number of its own, and is in the record."""
    yield from broken_numbers(row, arrivals, may_skip=may_skip)
    for before, after in pairwise(sorted(arrivals, key=lambda arrival: arrival.attempt)):
        # A reused connection that dies without an answer is replaced once, within one attempt.
        if before.attempt == after.attempt and before.manner != CUT:
            yield f"attempt {after.attempt} arrived twice"


def _of_deeds(
    row: DeliveryRow, arrivals: Sequence[Arrival], cut_short: set[int], hands: int, eras: int, figures: Figures
) -> Iterator[str]:
    """One deed costs one attempt of what was under way, and no more."""
    heard = {each.number for each in row.attempts if each.status is not None or each.error == CUT_SHORT}
    accepted = [each for each in arrivals if each.manner == ACCEPTED]
    # What was not answered in time may be read late, and behind the attempt after it.
    in_one_era = Counter(each.life for each in accepted if each.attempt in heard)
    for_nothing = sum(count - 1 for count in in_one_era.values())
    if for_nothing > hands:
        yield f"it was accepted {for_nothing} times more with no deed between, and made due again {hands} times"
    if arrivals:
        first, last = arrivals[0], arrivals[-1]
        since_first = sum(number >= first.attempt for number in cut_short)
        if since_first > last.life - first.life and row.status == "delivered":
            yield f"{since_first} attempts were cut short by {last.life - first.life} deeds"
    if len(cut_short) > eras:
        yield f"{len(cut_short)} attempts were cut short by {eras} deeds"
    more = max(len(accepted) - 1, 0)
    figures.again += min(more, hands)
    figures.duplicates += max(more - hands, 0)
    figures.duplicates_of_one = max(figures.duplicates_of_one, more - hands)

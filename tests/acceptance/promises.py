"""The promises of delivery, checked against what clients were told, what the server says and what subscribers saw.

Each check yields a sentence for everything that is broken; silence is success.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hookline.adapters.sql.records import CUT_SHORT
from tests.acceptance.load import Ledger
from tests.acceptance.record import AttemptRow, DeliveryRow, EventRow, Record
from tests.fakes import Received

#: How a subscriber treated a request: what it answered, or `cut` when the connection ended without an answer.
ACCEPTED, CUT = "accepted", "cut"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request at one webhook's subscriber."""

    received: Received
    life: int  # of the server that sent it
    manner: str  # the name of what the subscriber did

    @property
    def attempt(self) -> int:
        """The number of the attempt that it is."""
        return int(self.received.header("hookline-attempt") or 0)


@dataclass(slots=True)
class Hook:
    """A webhook, what it wants, what its subscriber saw, and what must become of its deliveries."""

    name: str
    events: Sequence[str]
    retries: int
    settles_as: str  # "delivered" for those that ever answer 2xx, else "dead"
    ordered: bool = False
    webhook_id: int = 0
    arrivals: dict[str, list[Arrival]] = field(default_factory=lambda: defaultdict(list))  # by webhook-id
    all_arrivals: list[Arrival] = field(default_factory=list)  # as they came

    def saw(self, arrival: Arrival) -> None:
        """Note a request."""
        self.arrivals[arrival.received.header("webhook-id") or ""].append(arrival)
        self.all_arrivals.append(arrival)


@dataclass(slots=True)
class Figures:
    """What was counted on the way."""

    events: Counter[str] = field(default_factory=Counter)
    deliveries: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    arrivals: int = 0
    cut_short: int = 0
    duplicates: int = 0
    duplicates_of_one: int = 0


def broken_promises(
    ledger: Ledger, record: Record, hooks: Sequence[Hook], *, lives: int, figures: Figures
) -> Iterator[str]:
    """Everything that is not as promised, after a server had so many `lives`."""
    figures.events.update(each.event for each in record.events)
    yield from _of_the_feed(ledger, record.events)
    events = {each.id: each for each in record.events}
    kept: dict[tuple[str, int], DeliveryRow] = {}
    for delivery in record.deliveries:
        figures.deliveries[delivery.status] += 1
        if (delivery.eventId, delivery.webhookId) in kept:
            yield f"{delivery.eventId} is owed twice to webhook {delivery.webhookId}"
        kept[delivery.eventId, delivery.webhookId] = delivery
    for hook in hooks:
        yield from _of_arrivals(hook, events)
        yield from _of_order(hook)
        for event in record.events:
            if event.event not in hook.events:
                continue
            row = kept.pop((event.id, hook.webhook_id), None)
            if row is None:
                yield f"{event.event} {event.id} was never owed to {hook.name}"
                continue
            for sentence in _of_delivery(hook, row, lives, figures):
                yield f"{hook.name}, {event.event} {row.id}: {sentence}; {_story(hook, row)}"
    yield from (f"{row.id} is owed to a webhook that does not want it" for row in kept.values())


def _of_the_feed(ledger: Ledger, events: Sequence[EventRow]) -> Iterator[str]:
    """Exactly the events that were accepted, each once, in sequence, to the byte."""
    if len({each.id for each in events}) != len(events):
        yield "Two events have the same id"
    by_subject: dict[str, list[EventRow]] = defaultdict(list)
    for event in events:
        by_subject[event.subject].append(event)
    for id_, found in by_subject.items():
        if id_ not in ledger.subjects:
            yield f"{id_} was never accepted, or twice under two ids: {bytes(found[0].payload)!r}"
    for id_, subject in ledger.subjects.items():
        found = by_subject.get(id_, [])
        if [each.sequence for each in found] != list(range(1, len(found) + 1)):
            yield f"{id_} has the sequences {[each.sequence for each in found]}"
        kinds, owed_kinds = [each.event for each in found], [each.kind for each in subject.events]
        if kinds != owed_kinds:
            yield f"{id_} ({subject.marker}) should have had {owed_kinds}, and had {kinds}"
        for event, owed in zip(found, subject.events, strict=False):
            if bytes(event.payload) != owed.body:
                yield f"{event.event} {event.id} should read {owed.body!r}, and reads {bytes(event.payload)!r}"


def _of_arrivals(hook: Hook, events: Mapping[str, EventRow]) -> Iterator[str]:
    """Nothing but wanted events arrives, signed, with the bytes and headers of the feed."""
    for id_, arrivals in hook.arrivals.items():
        event = events.get(id_)
        if event is None or event.event not in hook.events:
            yield f"{hook.name} received {id_!r}, which is no event that it wants"
            continue
        expected = {
            "hookline-event": event.event,
            "hookline-subject": event.subject,
            "hookline-sequence": str(event.sequence),
            "hookline-occurred-at": event.occurredAt,
            "hookline-test": None,
        }
        for arrival in arrivals:
            if arrival.received.complaint:
                yield f"{hook.name} could not verify {id_}: {arrival.received.complaint}"
            if arrival.received.body != bytes(event.payload):
                yield f"{hook.name} received {id_} with other bytes: {arrival.received.body!r}"
            for name, value in expected.items():
                if arrival.received.header(name) != value:
                    yield f"{hook.name} received {id_} with {name}: {arrival.received.header(name)!r}"


def _of_order(hook: Hook) -> Iterator[str]:
    """To an ordered webhook that wants everything, nothing comes before all that precedes it has been accepted."""
    accepted: Counter[str] = Counter()  # by subject: the latest
    for arrival in hook.all_arrivals if hook.ordered else ():
        subject = arrival.received.header("hookline-subject") or ""
        sequence = int(arrival.received.header("hookline-sequence") or 0)
        if sequence > accepted[subject] + 1:
            yield f"{hook.name} received {subject} {sequence} when {accepted[subject]} was accepted"
        if arrival.manner == ACCEPTED:
            accepted[subject] = max(accepted[subject], sequence)


def _of_delivery(hook: Hook, row: DeliveryRow, lives: int, figures: Figures) -> Iterator[str]:
    arrivals = hook.arrivals.get(row.eventId, [])
    cut_short = {each.number for each in row.attempts if each.error == CUT_SHORT}
    told = [each for each in row.attempts if each.number not in cut_short]
    accepted = [each for each in arrivals if each.manner == ACCEPTED]
    figures.attempts += len(row.attempts)
    figures.arrivals += len(arrivals)
    figures.cut_short += len(cut_short)
    figures.duplicates += max(len(accepted) - 1, 0)
    figures.duplicates_of_one = max(figures.duplicates_of_one, len(accepted) - 1)
    yield from _of_settling(hook, row, told, accepted)
    yield from _of_attempt_numbers(row, arrivals)
    yield from _of_kills(row, arrivals, cut_short, lives)
    unheard = [each for each in told if each.status is None]
    if len(accepted) - 1 > len(cut_short) + len(unheard):
        yield f"it was accepted {len(accepted)} times, more often than kills and silence explain"


def _of_settling(
    hook: Hook, row: DeliveryRow, told: Sequence[AttemptRow], accepted: Sequence[Arrival]
) -> Iterator[str]:
    """It ended as it had to, for a reason."""
    if row.status != hook.settles_as:
        yield f"should have been {hook.settles_as} and is {row.status}"
    good = [each.number for each in told if each.status is not None and 200 <= each.status < 300 and not each.error]
    if hook.settles_as == "delivered":
        if good != [len(row.attempts)]:
            yield f"attempts {good} succeeded, of {len(row.attempts)}"
        if not accepted:
            yield "nobody ever accepted it"
    elif good or len(told) != hook.retries + 1:
        yield f"{len(told)} attempts failed, which should have been {hook.retries + 1}"


def _of_attempt_numbers(row: DeliveryRow, arrivals: Sequence[Arrival]) -> Iterator[str]:
    """Each attempt has a number of its own, and is in the record."""
    numbers = [each.number for each in row.attempts]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"the record has the attempts {numbers}"
    arrived = {each.attempt for each in arrivals}
    if not arrived <= set(numbers):
        yield f"attempts {sorted(arrived - set(numbers))} arrived and are not in the record"
    answered = {each.number for each in row.attempts if each.status is not None}
    if not answered <= arrived:
        yield f"attempts {sorted(answered - arrived)} were answered by nobody"
    for before, after in pairwise(sorted(arrivals, key=lambda arrival: arrival.attempt)):
        if before.life > after.life:
            yield f"attempt {after.attempt} arrived in an earlier life than attempt {before.attempt}"
        # A reused connection that dies without an answer is replaced once, within one attempt.
        if before.attempt == after.attempt and (before.life != after.life or before.manner != CUT):
            yield f"attempt {after.attempt} arrived twice"


def _of_kills(row: DeliveryRow, arrivals: Sequence[Arrival], cut_short: set[int], lives: int) -> Iterator[str]:
    """A kill costs each delivery that was under way one attempt, and no more."""
    kills = lives - 1
    if row.status == "delivered" and arrivals:
        first, last = min(arrivals, key=_attempt), max(arrivals, key=_attempt)
        kills = last.life - 1
        since_first = {number for number in cut_short if number >= first.attempt}
        if len(since_first) > last.life - first.life:
            yield f"attempts {sorted(since_first)} were cut short by {last.life - first.life} kills"
    if len(cut_short) > kills:
        yield f"attempts {sorted(cut_short)} were cut short by {kills} kills"
    cut_lives = Counter(
        life for number, life in {(each.attempt, each.life) for each in arrivals} if number in cut_short
    )
    if any(count > 1 for count in cut_lives.values()):
        yield "one kill cut two attempts short"


def _attempt(arrival: Arrival) -> int:
    return arrival.attempt


def _story(hook: Hook, row: DeliveryRow) -> str:
    """What happened to a delivery, in short."""
    record = [f"{each.number}:{each.status or each.error}" for each in row.attempts]
    arrived = [f"{each.attempt} in life {each.life} {each.manner}" for each in hook.arrivals.get(row.eventId, [])]
    return f"record {record}, arrived {arrived}"

"""The promises of delivery, checked against what clients were told, what the server says and what subscribers saw.

Each check yields a sentence for everything that is broken; silence is success. Single requests, batches and order:
`arrivals.py`. Signatures and replays: `by_hand.py`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

from hookline.adapters.sql.records import CUT_SHORT
from tests.acceptance.arrivals import MOST_IN_BATCH, Feed, Sent, broken_arrivals, broken_order
from tests.acceptance.by_hand import AT_ONCE, Haste, broken_replays, broken_signatures
from tests.acceptance.hooks import ACCEPTED, CUT, Arrival, Hook
from tests.acceptance.load import Ledger
from tests.acceptance.operating import Journal
from tests.acceptance.record import AttemptRow, DeliveryRow, EventRow, Record


@dataclass(slots=True)
class Figures:
    """What was counted on the way."""

    events: Counter[str] = field(default_factory=Counter)
    deliveries: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    posts: int = 0
    batches: list[int] = field(default_factory=list)  # their sizes
    cut_short: int = 0
    cut_in: set[int] = field(default_factory=set)  # lives whose end cut an attempt short
    answered_in: set[int] = field(default_factory=set)  # lives that ended between an answer and its settling
    again: int = 0  # delivered once more by hand
    duplicates: int = 0
    duplicates_of_one: int = 0

    def kills(self) -> str:
        """What kills fell into, as the record and the subscribers show."""
        return f"that cut attempts short: {len(self.cut_in)}, between answer and settling: {len(self.answered_in)}"

    def lines(self) -> Iterator[str]:
        """What was sent, for people."""
        full = sum(size == MOST_IN_BATCH for size in self.batches)
        yield f"POSTs {self.posts}, of which {len(self.batches)} batches of {sum(self.batches)} events, {full} full"
        yield (
            f"attempts {self.attempts}, of which cut short {self.cut_short}; delivered again by hand {self.again};"
            f" accepted more than once {self.duplicates}, at most {self.duplicates_of_one} of one delivery"
        )


#: What is wrong with one event owed to one webhook, which was made due again by hand at most so often.
OfDelivery = Callable[[Hook, DeliveryRow, Sent, int], Iterator[str]]


def broken_promises(
    ledger: Ledger, journal: Journal, record: Record, hooks: Sequence[Hook], *, lives: int, figures: Figures
) -> Iterator[str]:
    """Everything that is not as promised, after a server had so many `lives`."""
    of_delivery = partial(_of_delivery, lives=lives, figures=figures)
    yield from broken_record(ledger, journal, record, hooks, of_delivery, figures=figures)
    feed = Feed(record.events)
    for hook in hooks:
        if hook.ordered:
            yield from broken_order(hook, feed)


def broken_record(
    ledger: Ledger,
    journal: Journal,
    record: Record,
    hooks: Sequence[Hook],
    of_delivery: OfDelivery,
    *,
    figures: Figures,
    haste: Haste = AT_ONCE,
) -> Iterator[str]:
    """Everything in which the record differs from what clients, operator and subscribers know, whoever delivered."""
    figures.events.update(each.event for each in record.events)
    yield from broken_feed(ledger, record.events)
    feed = Feed(record.events)
    kept: dict[tuple[str, int], DeliveryRow] = {}
    for delivery in record.deliveries:
        figures.deliveries[delivery.status] += 1
        if (delivery.eventId, delivery.webhookId) in kept:
            yield f"{delivery.eventId} is owed twice to webhook {delivery.webhookId}"
        kept[delivery.eventId, delivery.webhookId] = delivery
    for hook in hooks:
        yield from broken_signatures(hook, journal.epochs[hook.webhook_id], haste)
        yield from _of_hook(hook, feed, kept, journal, of_delivery, figures)
    yield from broken_replays(journal, hooks, feed, kept, record.processes, haste)
    owed = {(event.id, hook.webhook_id) for hook in hooks for event in feed.events if hook.wants(event)}
    yield from (f"{kept[each].id} is owed to a webhook that does not want it" for each in kept.keys() - owed)


def _of_hook(
    hook: Hook,
    feed: Feed,
    kept: dict[tuple[str, int], DeliveryRow],
    journal: Journal,
    of_delivery: OfDelivery,
    figures: Figures,
) -> Iterator[str]:
    """All that was owed to one webhook."""
    sent = Sent()
    yield from broken_arrivals(hook, feed, sent)
    figures.posts += len(hook.arrivals)
    figures.batches += sent.batch_sizes
    for event in feed.events:
        if not hook.wants(event):
            continue
        row = kept.get((event.id, hook.webhook_id))
        if row is None:
            yield f"{event.event} {event.id} was never owed to {hook.name}"
            continue
        hands = journal.hands_on(hook, row.id, event.createdAt)
        for sentence in of_delivery(hook, row, sent, hands):
            yield f"{hook.name}, {event.event} {row.id}: {sentence}; {story_of(row, sent)}"


def broken_feed(ledger: Ledger, events: Sequence[EventRow]) -> Iterator[str]:
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


def _of_delivery(
    hook: Hook, row: DeliveryRow, sent: Sent, hands: int, *, lives: int, figures: Figures
) -> Iterator[str]:
    """One event owed to one webhook, which was made due again by hand at most so often."""
    arrivals = sent.of(row.eventId)
    cut_short = {each.number for each in row.attempts if each.error == CUT_SHORT}
    told = [each for each in row.attempts if each.number not in cut_short]
    accepted = [each for each in arrivals if each.manner == ACCEPTED]
    delivered = [each for each in told if each.status is not None and 200 <= each.status < 300 and not each.error]
    cut = [each for each in arrivals if each.attempt in cut_short]
    figures.attempts += len(row.attempts)
    figures.cut_short += len(cut_short)
    figures.cut_in |= {each.life for each in cut}
    figures.answered_in |= {each.life for each in cut if each.was_answered}
    figures.again += max(len(delivered) - 1, 0)
    figures.duplicates += max(len(accepted) - max(len(delivered), 1), 0)
    figures.duplicates_of_one = max(figures.duplicates_of_one, len(accepted) - max(len(delivered), 1))
    yield from _of_settling(hook, row, told, delivered, hands)
    yield from _of_homes(hook, row, sent, hands)
    yield from broken_numbers(row, arrivals, may_skip=hook.batched and hands > 0)
    yield from _of_lives(arrivals)
    yield from _of_kills(row, arrivals, cut_short, lives)
    unheard = [each for each in told if each.status is None]
    if len(accepted) - len(delivered) > len(cut_short) + len(unheard):
        yield f"it was accepted {len(accepted)} times, more often than kills and silence explain"


def _of_settling(
    hook: Hook, row: DeliveryRow, told: Sequence[AttemptRow], delivered: Sequence[AttemptRow], hands: int
) -> Iterator[str]:
    """It ended as it had to, for a reason, once and as often again as somebody asked for it."""
    if row.status != hook.settles_as:
        yield f"should have been {hook.settles_as} and is {row.status}"
    if hook.settles_as == "delivered":
        if not delivered or delivered[-1] is not row.attempts[-1]:
            yield f"attempts {numbers_of(delivered)} succeeded, of {len(row.attempts)}"
        if len(delivered) > 1 + hands:
            yield f"attempts {numbers_of(delivered)} succeeded, and it was made due again at most {hands} times"
    else:
        rounds, rest = divmod(len(told), len(hook.schedule) + 1)
        if delivered or rest or not 1 <= rounds <= 1 + hands:
            yield f"{len(told)} attempts failed, of {len(hook.schedule) + 1} in a round, {hands} times made due again"


def _of_homes(hook: Hook, row: DeliveryRow, sent: Sent, hands: int) -> Iterator[str]:
    """It came by itself or in one batch, as the record says, and under another id only after it was made due again."""
    homes = sent.homes(row.eventId)
    if hook.settles_as == "delivered" and row.sent_as not in homes:
        yield f"it should have come as {row.sent_as}"
    if len(homes | {row.sent_as}) > 1 + hands:
        yield f"it came under {len(homes)} ids, and was made due again at most {hands} times"


def broken_numbers(row: DeliveryRow, arrivals: Sequence[Arrival], *, may_skip: bool) -> Iterator[str]:
    """Each attempt has a number of its own, and is in the record, and nothing else is. The attempts of a batch that is
    made of replayed ones are numbered on from those of all that are in it, so that of some a number is skipped.
    """
    numbers = numbers_of(row.attempts)
    are_counted = numbers == list(range(1, len(numbers) + 1))
    if not are_counted and not (may_skip and numbers == sorted(set(numbers)) and numbers[0] == 1):
        yield f"the record has the attempts {numbers}"
    arrived = {each.attempt for each in arrivals}
    if not arrived <= set(numbers):
        yield f"attempts {sorted(arrived - set(numbers))} arrived and are not in the record"
    answered = {each.number for each in row.attempts if each.status is not None}
    if not answered <= arrived:
        yield f"attempts {sorted(answered - arrived)} were answered by nobody"


def _of_lives(arrivals: Sequence[Arrival]) -> Iterator[str]:
    """Attempts arrive in their order, and each once."""
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


def numbers_of(attempts: Sequence[AttemptRow]) -> list[int]:
    return [each.number for each in attempts]


def story_of(row: DeliveryRow, sent: Sent) -> str:
    """What happened to a delivery, in short."""
    record = [f"{each.number}:{each.status or each.error}" for each in row.attempts]
    arrived = [f"{each.attempt} in life {each.life} {each.manner} as {each.id}" for each in sent.of(row.eventId)]
    return f"record {record}, arrived {arrived}"

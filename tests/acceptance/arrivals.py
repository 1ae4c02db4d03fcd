"""What arrived: each POST by itself, batches taken apart, and the order in which they came.

Each check yields a sentence for everything that is broken; silence is success.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.acceptance.hooks import Arrival, Hook
from tests.acceptance.load import canonical
from tests.acceptance.record import EventRow
from tests.acceptance.serving import Broken

MOST_IN_BATCH: Final = 500


class Feed:
    """The events that the server says there are."""

    def __init__(self, events: Sequence[EventRow]) -> None:
        self.events = events
        self.by_id = {each.id: each for each in events}
        self.places = {each.id: place for place, each in enumerate(events)}
        self._by_body = {(each.event, bytes(each.payload)): each for each in events}
        if len(self._by_body) != len(self.by_id):
            raise Broken("Two events of one kind have the same body, so nobody can tell what is in a batch.")

    def reading(self, kind: str, body: bytes) -> EventRow | None:
        """The event of this kind with this body."""
        return self._by_body.get((kind, body))


@dataclass(slots=True)
class Sent:
    """What arrived of each event at one webhook's subscriber, by itself or in batches, by event id."""

    arrivals: dict[str, list[Arrival]] = field(default_factory=lambda: defaultdict(list))
    batch_sizes: list[int] = field(default_factory=list)

    def of(self, event_id: str) -> Sequence[Arrival]:
        """Every POST that carried this event."""
        return self.arrivals.get(event_id, [])

    def homes(self, event_id: str) -> set[str]:
        """Every `webhook-id` under which it came."""
        return {arrival.id for arrival in self.of(event_id)}


def broken_arrivals(hook: Hook, feed: Feed, sent: Sent) -> Iterator[str]:
    """Nothing but wanted events arrives, with the bytes and headers of the feed. Fills in what was `sent`."""
    for id_, arrivals in hook.by_id.items():
        kind, events = _carried(hook, id_, arrivals[0], feed)
        if not events:
            yield f"{hook.name} received {id_!r}, which is no event that it wants, and no batch of such"
            continue
        for event in events:
            sent.arrivals[event.id] += arrivals
        if hook.batched and id_.startswith("batch_"):
            sent.batch_sizes.append(len(events))
            yield from _of_batch(hook, id_, events, feed)
            expected, body = _headers_of_batch(kind, len(events)), b"[" + b",".join(_bodies(events)) + b"]"
        else:
            expected, body = _headers_of(events[0]), bytes(events[0].payload)
        yield from _of_requests(hook, id_, arrivals, expected, body)


def broken_order(hook: Hook, feed: Feed) -> Iterator[str]:
    """Of one subject, nothing arrives before all that comes earlier in sequence has arrived for the last time."""
    furthest: dict[str, tuple[int, str]] = {}
    for place, arrival in enumerate(hook.arrivals):
        event = feed.by_id.get(arrival.id)
        if event is None:
            continue  # told of elsewhere
        sequence, later = furthest.get(event.subject, (0, ""))
        if event.sequence < sequence:
            yield (
                f"{hook.name}: {event.event} {event.id} ({event.subject}, {event.sequence}) arrived as request {place}"
                f" in life {arrival.life} as attempt {arrival.attempt}, behind {later} ({sequence})"
            )
        elif event.sequence > sequence:
            furthest[event.subject] = event.sequence, event.id


def _carried(hook: Hook, id_: str, arrival: Arrival, feed: Feed) -> tuple[str, list[EventRow]]:
    """The kind that a POST says it is of, and the events in it; none unless all of them are wanted."""
    kind, body = arrival.received.header("hookline-event") or "", arrival.received.body
    if hook.batched and id_.startswith("batch_"):
        found = [feed.reading(kind, canonical(part)) for part in json.loads(body)]
    else:
        found = [feed.by_id.get(id_)]
    events = [each for each in found if each is not None and hook.wants(each)]
    return kind, events if len(events) == len(found) else []


def _of_batch(hook: Hook, id_: str, events: Sequence[EventRow], feed: Feed) -> Iterator[str]:
    places = [feed.places[each.id] for each in events]
    if places != sorted(set(places)):
        yield f"{hook.name} received {id_} with its events out of order, or twice: {places}"
    if len(events) > MOST_IN_BATCH:
        yield f"{hook.name} received {id_} with {len(events)} events"


def _of_requests(
    hook: Hook, id_: str, arrivals: Sequence[Arrival], expected: Mapping[str, str | None], body: bytes
) -> Iterator[str]:
    for arrival in arrivals:
        if arrival.received.body != body:
            yield f"{hook.name} received {id_} with other bytes: {arrival.received.body[:1000]!r}"
        for name, value in expected.items():
            if arrival.received.header(name) != value:
                yield f"{hook.name} received {id_} with {name}: {arrival.received.header(name)!r}"


def _headers_of(event: EventRow) -> dict[str, str | None]:
    return {
        "hookline-event": event.event,
        "hookline-subject": event.subject,
        "hookline-sequence": str(event.sequence),
        "hookline-occurred-at": event.occurredAt,
        "hookline-batch-size": None,
        "hookline-test": None,
    }


def _headers_of_batch(kind: str, size: int) -> dict[str, str | None]:
    return {
        "hookline-event": kind,
        "hookline-subject": None,
        "hookline-sequence": None,
        "hookline-occurred-at": None,
        "hookline-batch-size": str(size),
        "hookline-test": None,
    }


def _bodies(events: Sequence[EventRow]) -> list[bytes]:
    return [bytes(each.payload) for each in events]

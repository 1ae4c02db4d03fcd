"""Short words for what most tests of the outbox begin with."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from hookline.domain.deliveries import Claim, Delivery, Outcome, Signal, State, Verdict
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import DeliveryId, MeetingId, WebhookId
from hookline.domain.webhooks import Webhook
from hookline.ports.storage import DeliveryFilter, Page, Transaction
from hookline.services.publishing import make_event
from tests.contract.stores import Room, Store
from tests.values import webhook

T = TypeVar("T")

LEASE: Final = timedelta(seconds=60)


def plenty(_: WebhookId) -> int:
    """Room without end."""
    return 1000


def added(store: Store, url: str = "https://receiver.example/hook", **changes: Any) -> Webhook:
    """A webhook that the store keeps."""
    kept: Webhook = store.write(lambda tx: tx.webhooks.add(webhook(url, **changes)))
    return kept


def new_event(tx: Transaction, kind: EventKind = EventKind.MEETING_BOOKED, subject: str = "") -> Event:
    """An event that the store keeps, the first of its subject."""
    event = make_event(tx, kind, MeetingId(subject or f"mtg_{tx.ulid()}"), sequence=1, body=b'{"of":"an event"}')
    tx.outbox.add_event(event)
    return event


def owed(store: Store, to: Webhook, *, due_in: float = 0, give_up_at: datetime | None = None) -> DeliveryId:
    """A delivery of a new event, due in so many seconds."""

    def owe(tx: Transaction) -> DeliveryId:
        due_at = tx.now + timedelta(seconds=due_in)
        return tx.outbox.owe(new_event(tx), to, due_at=due_at, give_up_at=give_up_at)

    return store.write(owe)


def claimed(store: Store, limit: int = 100, room: Room = plenty, *, lease: timedelta = LEASE) -> list[Claim]:
    """What can be claimed now."""
    return list(store.write(lambda tx: tx.outbox.claim_due(limit, lease, room)))


def settled(store: Store, *outcomes: tuple[Outcome, Verdict]) -> list[Claim]:
    """Settle, and return the claims that had lost their lease."""
    return list(store.write(lambda tx: tx.outbox.settle(outcomes)))


def delivery(store: Store, delivery_id: str) -> Delivery:
    """A delivery that must be there."""
    kept: Delivery | None = store.read(lambda tx: tx.outbox.delivery(delivery_id))
    assert kept is not None
    return kept


def states(store: Store, *delivery_ids: str) -> list[State]:
    """The states of deliveries."""
    return [delivery(store, each).status for each in delivery_ids]


def all_deliveries(store: Store) -> Sequence[Delivery]:
    """The whole record."""
    page: Page[Delivery] = store.read(lambda tx: tx.outbox.deliveries(DeliveryFilter(), limit=1000, cursor=None))
    return page.items


def next_due_at(store: Store, room: Room = plenty) -> datetime | None:
    """When the next delivery is due."""
    due_at: datetime | None = store.read(lambda tx: tx.outbox.next_due_at(room))
    return due_at


DELIVERED: Final = Verdict(signal=Signal.ACCEPTED)
DEAD: Final = Verdict(signal=Signal.EXHAUSTED)
WITHDRAWN: Final = Verdict(signal=Signal.WITHDRAWN)


def again_at(due_at: datetime) -> Verdict:
    """It failed, and is tried again then."""
    return Verdict(signal=Signal.FAILED, due_at=due_at)


def pages(fetch: Callable[[int, str | None], Page[T]], limit: int) -> list[T]:
    """A list to its end, page by page; each page is full but the last, which is not empty unless it is the only one."""
    page = fetch(limit, None)
    items = list(page.items)
    while page.next_cursor is not None:
        assert len(page.items) == limit
        page = fetch(limit, page.next_cursor)
        assert 1 <= len(page.items) <= limit
        items += page.items
    return items

"""Short words for what most tests of batches begin with."""

import json
from datetime import datetime
from typing import Final

from hookline.domain.batches import GATHERING
from hookline.domain.deliveries import Claim
from hookline.domain.events import EventKind
from hookline.domain.ids import DeliveryId, MeetingId
from hookline.domain.webhooks import Webhook
from hookline.ports.storage import Transaction
from hookline.services.publishing import make_event
from tests.contract.owing import claimed, delivery
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock

CLOSES: Final = MONDAY + GATHERING
BOOKED, CALLED = EventKind.MEETING_BOOKED, EventKind.CALL_FINISHED


def gathered(
    store: Store,
    to: Webhook,
    *bodies: bytes,
    kind: EventKind = BOOKED,
    give_up_at: datetime | None = None,
    is_test: bool = False,
) -> list[DeliveryId]:
    """Events with these bodies, owed in one commit."""

    def owe(tx: Transaction, body: bytes) -> DeliveryId:
        event = make_event(tx, kind, MeetingId(f"mtg_{tx.ulid()}"), sequence=1, body=body, is_test=is_test)
        tx.outbox.add_event(event)
        return tx.outbox.owe(event, to, due_at=tx.now, give_up_at=give_up_at)

    return store.write(lambda tx: [owe(tx, body) for body in bodies])


def numbered(count: int, first: int = 0) -> list[bytes]:
    """Bodies that tell their place."""
    return [b"%d" % number for number in range(first, first + count)]


def numbers(claim: Claim) -> list[int]:
    """What is in a batch of `numbered` ones."""
    parts: list[int] = json.loads(claim.event.body)
    assert len(parts) == claim.batch_size
    return parts


def batch_of(store: Store, delivery_id: DeliveryId) -> str:
    """The batch that a delivery goes in."""
    batch_id = delivery(store, delivery_id).batch_id
    assert batch_id is not None
    return batch_id


def one_batch(store: Store, to: Webhook, clock: ManualClock) -> tuple[list[DeliveryId], Claim]:
    """Two deliveries in a batch that is being sent."""
    owed_ids = gathered(store, to, b"1", b"2")
    clock.advance(seconds=GATHERING.total_seconds())
    [claim] = claimed(store)
    return owed_ids, claim

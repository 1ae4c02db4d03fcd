"""An event becomes what is owed to every webhook that wants it, in the transaction that made it happen."""

import pytest

from hookline.domain.deliveries import State
from hookline.domain.events import CallType, Event, EventKind
from hookline.domain.filters import parse_filter
from hookline.domain.ids import MeetingId
from hookline.ports.storage import Transaction
from hookline.services.calls import report_call
from hookline.services.publishing import publish
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.services.reading import claim_all, events, new_webhook, owed
from tests.values import HOUR, MICROSECOND, call_payload


def happen(tx: Transaction, kind: EventKind = EventKind.MEETING_BOOKED) -> Event:
    return publish(tx, kind, MeetingId(f"mtg_{tx.ulid()}"), sequence=1, body=b"{}")


@pytest.mark.parametrize("kind", EventKind)
def test_each_webhook_gets_the_events_that_it_lists(store: Store, kind: EventKind) -> None:
    every = new_webhook(store)
    ones = {each: new_webhook(store, events=(each,)) for each in EventKind}
    store.write(happen, kind)
    assert [delivery.webhook_id for delivery in owed(store)] == [every.id, ones[kind].id]
    assert {delivery.status for delivery in owed(store)} == {State.PENDING}


def test_without_webhooks_an_event_is_kept_for_the_feed(store: Store) -> None:
    event = store.write(happen)
    assert events(store) == [event]
    assert not owed(store)


def test_an_event_has_happened_now_unless_it_is_told_otherwise(store: Store) -> None:
    assert store.write(happen).occurred_at == MONDAY
    earlier = store.write(
        lambda tx: publish(
            tx, EventKind.MEETING_STARTED, MeetingId("mtg_a"), sequence=2, body=b"{}", occurred_at=MONDAY - HOUR
        )
    )
    assert (earlier.occurred_at, earlier.created_at) == (MONDAY - HOUR, MONDAY)


def test_what_is_owed_is_due_at_once_or_when_its_host_has_rested(store: Store, clock: ManualClock) -> None:
    tired, fresh = new_webhook(store), new_webhook(store)
    store.write(lambda tx: tx.outbox.rest([tired.id], MONDAY + HOUR))
    store.write(happen)
    assert [delivery.next_attempt_at for delivery in owed(store)] == [MONDAY + HOUR, MONDAY]
    assert [claim.webhook.id for claim in claim_all(store)] == [fresh.id]
    clock.set_wall(MONDAY + HOUR + MICROSECOND)
    event = store.write(happen)
    assert [delivery.next_attempt_at for delivery in owed(store, subject=event.subject)] == [clock.now()] * 2


def test_a_webhook_with_a_filter_gets_what_passes_it(store: Store) -> None:
    every = new_webhook(store)
    missed = new_webhook(store, filter=parse_filter({"type": ["missed", "missed voicemail"]}))
    for type_ in (CallType.ANSWERED, CallType.MISSED):
        store.write(report_call, call_payload(type=type_, duration_seconds=0))
    store.write(happen)  # a meeting, which has no type to be measured by
    got = [(delivery.event, delivery.webhook_id) for delivery in owed(store)]
    assert got.count((EventKind.CALL_FINISHED, every.id)) == 2
    assert got.count((EventKind.CALL_FINISHED, missed.id)) == 1
    assert got.count((EventKind.MEETING_BOOKED, missed.id)) == 1

"""Keys are made and removed, calls are kept and announced, and what is too old goes."""

import re
from datetime import timedelta

import pytest

from hookline.domain.deliveries import State
from hookline.domain.events import CallType, EventKind, canonical_bytes
from hookline.domain.keys import Scope, digest_of
from hookline.errors import Invalid, NotFound
from hookline.ports.storage import CallFilter
from hookline.services.calls import list_calls, read_call, report_call, report_calls
from hookline.services.deliveries import read_delivery
from hookline.services.keys import MAX_NAME, create_key, ensure_first_key, find_key, list_keys, remove_key
from hookline.services.retention import forget_old_events
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.services.reading import claim_all, events, new_webhook, owed, payload, settle, told
from tests.values import DAY, MICROSECOND, accepted, call_payload, refused

# Keys


def test_a_key_is_found_by_its_digest_and_only_that_is_kept(store: Store) -> None:
    key = store.write(create_key, "  the calendar  ", Scope.INGEST)
    kept = store.read(find_key, digest_of(key))
    assert kept is not None
    assert (kept.name, kept.scope, kept.created_at) == ("the calendar", Scope.INGEST, MONDAY)
    assert kept.id.startswith("key_")
    assert key not in repr(kept)
    assert store.read(find_key, digest_of(key + "0")) is None


def test_keys_cannot_be_guessed_and_are_all_different(store: Store) -> None:
    keys = {store.write(create_key, "a key", Scope.READ) for _ in range(20)}
    assert len(keys) == 20
    assert all(re.fullmatch("hl_[0-9a-f]{48}", key) for key in keys)


@pytest.mark.parametrize("name", ["", "   ", "x" * (MAX_NAME + 1)])
def test_a_key_needs_a_name_of_some_length(store: Store, name: str) -> None:
    with pytest.raises(Invalid) as refusal:
        store.write(create_key, name, Scope.READ)
    assert refusal.value.fields[0].field == "name"
    assert not store.read(list_keys)


def test_the_first_key_is_made_when_there_is_none_and_can_do_everything(store: Store) -> None:
    key = store.write(ensure_first_key)
    assert key is not None
    [kept] = store.read(list_keys)
    assert (kept.scope, kept.digest) == (Scope.ADMIN, digest_of(key))
    assert store.write(ensure_first_key) is None
    assert len(store.read(list_keys)) == 1


def test_no_first_key_is_made_beside_one_that_was_made_by_hand(store: Store) -> None:
    store.write(create_key, "mine", Scope.READ)
    assert store.write(ensure_first_key) is None


def test_a_removed_key_opens_nothing_any_more(store: Store) -> None:
    key = store.write(create_key, "a key", Scope.READ)
    [kept] = store.read(list_keys)
    store.write(remove_key, kept.id)
    assert store.read(find_key, digest_of(key)) is None
    with pytest.raises(NotFound):
        store.write(remove_key, kept.id)


# Calls


@pytest.mark.parametrize("kind", CallType)
def test_a_finished_call_is_kept_and_announced_with_exactly_its_payload(store: Store, kind: CallType) -> None:
    said = call_payload(type=kind, duration_seconds=0, phone_number="")
    call_id = store.write(report_call, said)
    assert call_id.startswith("call_")
    [event] = events(store)
    assert told(store, call_id) == [(EventKind.CALL_FINISHED, 1)]
    assert (event.occurred_at, event.body) == (MONDAY, canonical_bytes(said))
    assert payload(event)["type"] == kind.value
    call = store.read(read_call, call_id)
    assert (call.payload, call.source, call.created_at) == (said, "api", MONDAY)


def test_a_call_is_owed_to_the_webhooks_that_want_calls(store: Store) -> None:
    new_webhook(store, events=(EventKind.MEETING_BOOKED,))
    listens = new_webhook(store, events=(EventKind.CALL_FINISHED,))
    store.write(report_call, call_payload())
    assert [delivery.webhook_id for delivery in owed(store)] == [listens.id]


def test_many_calls_are_reported_in_the_order_given(store: Store) -> None:
    many = [call_payload(duration_seconds=seconds) for seconds in range(5)]
    call_ids = store.write(report_calls, many)
    assert [event.subject for event in events(store)] == call_ids
    assert [store.read(read_call, each).payload for each in call_ids] == many
    page = store.read(list_calls, CallFilter(), limit=2, cursor=None)
    assert [call.id for call in page.items] == [call_ids[4], call_ids[3]]


def test_a_connector_says_who_it_is(store: Store) -> None:
    call_id = store.write(report_call, call_payload(), source="asterisk")
    assert store.read(read_call, call_id).source == "asterisk"


def test_a_call_that_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.read(read_call, "call_nothing")


# Retention


def test_what_is_older_than_it_is_to_be_kept_is_forgotten(store: Store, clock: ManualClock) -> None:
    new_webhook(store)
    store.write(report_call, call_payload())
    settle(store, *(accepted(claim) for claim in claim_all(store)))
    clock.set_wall(MONDAY + 30 * DAY)
    assert store.write(forget_old_events, timedelta(days=30), 100) == 0
    clock.advance(seconds=0.001)  # ages are told to the millisecond
    assert store.write(forget_old_events, timedelta(days=30), 100) == 3
    assert not events(store)
    assert not owed(store)


def test_what_is_still_owed_stays_however_old(store: Store, clock: ManualClock) -> None:
    new_webhook(store)
    store.write(report_call, call_payload())
    [claim] = claim_all(store)
    settle(store, refused(claim))
    clock.set_wall(MONDAY + 365 * DAY)
    assert store.write(forget_old_events, timedelta(days=30), 100) == 0
    assert store.read(read_delivery, claim.delivery_id).status is State.PENDING
    assert len(events(store)) == 1


def test_calls_and_their_numbers_outlive_their_events(store: Store, clock: ManualClock) -> None:
    call_id = store.write(report_call, call_payload())
    clock.set_wall(MONDAY + 31 * DAY + MICROSECOND)
    store.write(forget_old_events, timedelta(days=30), 100)
    assert store.read(read_call, call_id).payload == call_payload()

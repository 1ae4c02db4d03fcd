"""What a transaction promises, whatever is done in it."""

from datetime import datetime, timedelta
from typing import NoReturn

import pytest

from hookline.domain.ids import KeyId
from hookline.domain.keys import ApiKey, Scope
from hookline.domain.meetings import Meeting
from hookline.ports.storage import Transaction
from hookline.services.booking import book_meeting
from hookline.services.keys import create_key
from tests.contract.owing import added, claimed, owed
from tests.contract.stores import Place, Store
from tests.fakes import MONDAY, ManualClock
from tests.values import HOUR, MICROSECOND, details, webhook


class Refused(Exception):
    """What a function may raise."""


def keys(store: Store) -> list[ApiKey]:
    return list(store.read(lambda tx: tx.keys.all()))


def test_what_a_function_wrote_is_there_for_everybody_when_write_returns(place: Place) -> None:
    here, there = place.open(), place.open()
    meeting_id = here.write(book_meeting, details())
    for store in (here, there, place.open()):
        assert store.read(lambda tx: tx.calendar.meeting(meeting_id)) is not None


def test_a_store_opened_anew_sees_everything(place: Place) -> None:
    before = place.open()
    to = added(before)
    owed(before, to)
    [claim] = claimed(before)
    later = owed(before, to, due_in=60)
    meeting_id = before.write(book_meeting, details())
    before.write(create_key, "a key", Scope.ADMIN)
    before.close()

    after = place.open()
    assert after.read(lambda tx: tx.webhooks.all()) == [to]
    assert after.read(lambda tx: tx.outbox.event(claim.event.id)) == claim.event
    assert after.read(lambda tx: tx.outbox.delivery(claim.delivery_id).status) == "sending"
    assert after.read(lambda tx: tx.outbox.delivery(later).status) == "pending"
    assert after.read(lambda tx: tx.calendar.has_timer(meeting_id))
    assert [key.name for key in keys(after)] == ["a key"]


def test_nothing_is_kept_of_a_function_that_raises(store: Store) -> None:
    def everything(tx: Transaction) -> NoReturn:
        tx.webhooks.add(webhook())
        book_meeting(tx, details())
        create_key(tx, "a key", Scope.ADMIN)
        raise Refused

    with pytest.raises(Refused):
        store.write(everything)
    assert not store.read(lambda tx: tx.webhooks.all())
    assert not keys(store)
    assert store.read(lambda tx: tx.calendar.next_timer_at()) is None
    assert not store.read(lambda tx: tx.outbox.events(kind=None, subject=None, after=None, limit=9, cursor=None).items)


def test_after_a_function_that_raised_the_store_works_on(store: Store) -> None:
    with pytest.raises(Refused):
        store.write(_raise_after_writing)
    assert added(store).id == store.read(lambda tx: tx.webhooks.all())[0].id


def test_a_rule_of_the_schema_that_is_broken_reaches_the_caller_and_keeps_nothing(store: Store) -> None:
    def twice(tx: Transaction) -> None:
        for number in range(2):
            key_id = KeyId(f"key_{number}")
            tx.keys.add(ApiKey(id=key_id, name="a key", scope=Scope.ADMIN, digest="the same", created_at=tx.now))

    with pytest.raises(Exception, match="digest"):
        store.write(twice)
    assert not keys(store)
    store.write(create_key, "another", Scope.ADMIN)
    assert len(keys(store)) == 1


def test_a_transaction_has_one_instant(store: Store, clock: ManualClock) -> None:
    def instants(tx: Transaction) -> tuple[datetime, datetime]:
        before = tx.now
        clock.advance(seconds=5)
        tx.webhooks.add(webhook())
        return before, tx.now

    assert store.write(instants) == (MONDAY, MONDAY)
    assert store.read(lambda tx: tx.now) == MONDAY + timedelta(seconds=5)


def test_instants_keep_microseconds(store: Store) -> None:
    start_at = MONDAY + HOUR + 7 * MICROSECOND
    meeting_id = store.write(book_meeting, details(start_at, HOUR - MICROSECOND))
    meeting: Meeting = store.read(lambda tx: tx.calendar.meeting(meeting_id))
    assert meeting.details.start_at == start_at
    assert meeting.details.end_at == start_at + HOUR - MICROSECOND
    assert store.read(lambda tx: tx.calendar.next_timer_at()) == start_at


def test_reading_sees_one_unchanging_state(place: Place) -> None:
    reader, writer = place.open(), place.open()

    def looks_twice(tx: Transaction) -> tuple[int, int]:
        before = len(tx.keys.all())
        writer.write(create_key, "meanwhile", Scope.ADMIN)
        return before, len(tx.keys.all())

    assert reader.read(looks_twice) == (0, 0)
    assert len(keys(reader)) == 1


def test_reading_may_change_nothing(store: Store) -> None:
    def writes_all_the_same(tx: Transaction) -> int:
        tx.webhooks.add(webhook())
        return len(tx.webhooks.all())

    store.read(writes_all_the_same)
    assert not store.read(lambda tx: tx.webhooks.all())
    assert not store.write(lambda tx: tx.webhooks.all())


def test_what_another_store_changed_is_seen_at_once(place: Place) -> None:
    here, there = place.open(), place.open()
    first = added(here)
    assert there.read(lambda tx: tx.webhooks.all()) == [first]
    second = added(there)
    assert here.read(lambda tx: tx.webhooks.all()) == [first, second]
    here.write(lambda tx: tx.webhooks.remove(first.id))
    assert there.write(lambda tx: tx.webhooks.all()) == [second]


def test_ids_sort_after_all_before_them_within_a_millisecond_and_with_a_clock_set_back(
    store: Store, clock: ManualClock
) -> None:
    names = store.write(lambda tx: [tx.ulid() for _ in range(500)])
    clock.set_wall(MONDAY - HOUR)
    names += store.write(lambda tx: [tx.ulid() for _ in range(500)])
    clock.set_wall(MONDAY + HOUR)
    names += store.write(lambda tx: [tx.ulid() for _ in range(500)])
    assert {len(name) for name in names} == {26}
    assert names == sorted(set(names))


def test_draws_are_at_least_0_and_below_1(store: Store) -> None:
    draws = store.write(lambda tx: [tx.draw() for _ in range(500)])
    assert all(0 <= draw < 1 for draw in draws)
    assert len(set(draws)) > 450


def test_secret_bytes_are_as_many_as_asked_for_and_new_each_time(store: Store) -> None:
    secrets = store.write(lambda tx: [tx.secret_bytes(24) for _ in range(50)])
    assert {len(secret) for secret in secrets} == {24}
    assert len(set(secrets)) == 50


def _raise_after_writing(tx: Transaction) -> NoReturn:
    tx.webhooks.add(webhook())
    raise Refused

"""What the store promises of webhooks that get their events in batches."""

from datetime import timedelta

import pytest

from hookline.domain.batches import GATHERING, MAX_BYTES, MAX_EVENTS
from hookline.domain.deliveries import State
from hookline.domain.ids import MeetingId
from hookline.domain.webhooks import Webhook
from hookline.ports.storage import Transaction
from hookline.services.publishing import make_event
from tests.contract.gathering import BOOKED, CALLED, CLOSES, batch_of, gathered, numbered, numbers
from tests.contract.owing import (
    DELIVERED,
    added,
    again_at,
    claimed,
    next_due_at,
    plenty,
    settled,
    states,
)
from tests.contract.stores import Place, Store
from tests.fakes import MONDAY, ManualClock
from tests.values import HOUR, MICROSECOND, accepted, refused

# Gathering


def test_events_gather_for_five_minutes_and_go_as_one_in_the_order_in_which_they_were_kept(
    store: Store, batched: Webhook, clock: ManualClock
) -> None:
    gathered(store, batched, b'{"a":1}')
    clock.advance(seconds=299)
    gathered(store, batched, b'{"b":"\xc3\xa9"}', b'{"c":[]}')
    assert next_due_at(store) == CLOSES
    clock.set_wall(CLOSES - MICROSECOND)
    assert not claimed(store)
    clock.set_wall(CLOSES)
    [claim] = claimed(store)
    assert claim.event.body == b'[{"a":1},{"b":"\xc3\xa9"},{"c":[]}]'
    assert str(claim.delivery_id) == claim.event.id
    assert claim.event.id.startswith("batch_")
    assert (claim.batch_size, claim.attempt, claim.event.kind) == (3, 1, BOOKED)
    assert not claimed(store)


def test_an_event_in_the_last_microsecond_goes_with_the_others_and_one_later_does_not(
    store: Store, batched: Webhook, clock: ManualClock
) -> None:
    [first] = gathered(store, batched, b"0")
    clock.set_wall(CLOSES - MICROSECOND)
    [last] = gathered(store, batched, b"1")
    clock.set_wall(CLOSES)
    [late] = gathered(store, batched, b"2")
    assert batch_of(store, first) == batch_of(store, last) != batch_of(store, late)
    [claim] = claimed(store)
    assert numbers(claim) == [0, 1]
    assert next_due_at(store) == min(claim.lease_until, CLOSES + GATHERING)
    clock.set_wall(CLOSES + GATHERING)
    settled(store, (accepted(claim), DELIVERED))
    [claim] = claimed(store)
    assert numbers(claim) == [2]


@pytest.mark.parametrize("parts", [[MAX_EVENTS], [MAX_EVENTS - 1, 1], [1] * MAX_EVENTS, [200, 300]])
def test_the_five_hundredth_makes_it_due_at_once(store: Store, batched: Webhook, parts: list[int]) -> None:
    first = 0
    for count in parts:
        assert not claimed(store)
        gathered(store, batched, *numbered(count, first))
        first += count
    [claim] = claimed(store)
    assert numbers(claim) == list(range(MAX_EVENTS))


def test_what_is_too_many_goes_in_the_next(store: Store, batched: Webhook, clock: ManualClock) -> None:
    gathered(store, batched, *numbered(2 * MAX_EVENTS + 1))
    full = claimed(store)
    assert [numbers(claim) for claim in full] == [list(range(500)), list(range(500, 1000))]
    settled(store, *((accepted(claim), DELIVERED) for claim in full))
    clock.set_wall(CLOSES)
    [claim] = claimed(store)
    assert numbers(claim) == [1000]


def test_each_kind_and_each_webhook_gathers_apart(store: Store, clock: ManualClock) -> None:
    one, other, single = added(store, batched=True), added(store, batched=True), added(store)
    for kind in (BOOKED, CALLED, BOOKED):
        for to in (one, other, single):
            gathered(store, to, b"1", kind=kind)
    by_itself = claimed(store)
    assert [(claim.webhook.id, claim.batch_size) for claim in by_itself] == [(single.id, None)] * 3
    clock.set_wall(CLOSES)
    settled(store, *((accepted(claim), DELIVERED) for claim in by_itself))
    found = {(claim.webhook.id, claim.event.kind, claim.batch_size) for claim in claimed(store)}
    assert found == {(to.id, kind, size) for to in (one, other) for kind, size in ((BOOKED, 2), (CALLED, 1))}


def test_bodies_beyond_a_mebibyte_go_in_the_next_batch_and_this_one_at_once(store: Store, batched: Webhook) -> None:
    large = b'"' + b"x" * (MAX_BYTES // 2 - 4) + b'"'
    gathered(store, batched, large, large)  # with brackets and comma one byte less than the limit
    assert not claimed(store)
    gathered(store, batched, b'"y"')
    [claim] = claimed(store)
    assert claim.event.body == b"[" + large + b"," + large + b"]"
    assert len(claim.event.body) == MAX_BYTES - 1


def test_a_body_that_is_too_large_for_any_batch_goes_all_the_same(
    store: Store, batched: Webhook, clock: ManualClock
) -> None:
    huge = b'"' + b"x" * MAX_BYTES + b'"'
    gathered(store, batched, b"1", huge, b"2")
    taken = claimed(store)
    assert [claim.event.body for claim in taken] == [b"[1]", b"[" + huge + b"]"]
    settled(store, *((accepted(claim), DELIVERED) for claim in taken))
    clock.set_wall(CLOSES)
    assert [claim.event.body for claim in claimed(store)] == [b"[2]"]


def test_a_test_goes_at_once_and_with_nothing_else(store: Store, batched: Webhook, clock: ManualClock) -> None:
    gathered(store, batched, b"1")
    [tested] = gathered(store, batched, b"2", is_test=True)
    gathered(store, batched, b"3")
    [claim] = claimed(store)
    assert (numbers(claim), claim.event.is_test, claim.event.id) == ([2], True, batch_of(store, tested))
    settled(store, (accepted(claim), DELIVERED))
    clock.set_wall(CLOSES)
    [claim] = claimed(store)
    assert (numbers(claim), claim.event.is_test) == ([1, 3], False)


def test_nothing_joins_a_batch_that_was_claimed_and_its_bytes_stay(
    store: Store, batched: Webhook, clock: ManualClock
) -> None:
    gathered(store, batched, b"1", b"2")
    clock.set_wall(CLOSES)
    [first] = claimed(store)
    gathered(store, batched, b"3")
    store.write(lambda tx: tx.outbox.release([first]))
    gathered(store, batched, b"4")
    [second] = claimed(store)
    settled(store, (refused(second), again_at(CLOSES + HOUR)))
    gathered(store, batched, b"5")
    clock.set_wall(CLOSES + HOUR)
    other, again = claimed(store)
    assert again.event == second.event == first.event
    assert (again.attempt, again.failures, numbers(other)) == (2, 1, [3, 4, 5])


def test_while_its_host_rests_a_batch_is_not_due_and_gathers_no_longer_for_it(
    store: Store, batched: Webhook, clock: ManualClock
) -> None:
    gathered(store, batched, b"1")
    store.write(lambda tx: tx.outbox.rest([batched.id], MONDAY + HOUR))
    clock.set_wall(CLOSES)
    gathered(store, batched, b"2")
    assert next_due_at(store) == CLOSES + GATHERING
    store.write(lambda tx: tx.outbox.rest([batched.id], MONDAY + HOUR))
    clock.set_wall(MONDAY + HOUR - MICROSECOND)
    assert not claimed(store)
    clock.set_wall(MONDAY + HOUR)
    assert [numbers(claim) for claim in claimed(store)] == [[1], [2]]


def test_a_full_batch_waits_for_a_host_that_rests(store: Store, batched: Webhook, clock: ManualClock) -> None:
    def owe(tx: Transaction) -> None:
        for _ in range(MAX_EVENTS):
            event = make_event(tx, BOOKED, MeetingId(f"mtg_{tx.ulid()}"), sequence=1, body=b"1")
            tx.outbox.add_event(event)
            tx.outbox.owe(event, batched, due_at=MONDAY + timedelta(minutes=1), give_up_at=None)

    store.write(owe)
    assert next_due_at(store) == MONDAY + timedelta(minutes=1)


def test_batches_that_are_closed_by_hand_are_due_then(store: Store, batched: Webhook, clock: ManualClock) -> None:
    other = added(store, batched=True)
    for to in (batched, other):
        gathered(store, to, b"1")
        gathered(store, to, b"2", kind=CALLED)
    store.write(lambda tx: tx.outbox.close_batches(batched.id, MONDAY + MICROSECOND))
    gathered(store, batched, b"3")
    clock.set_wall(MONDAY + MICROSECOND)
    assert [(claim.webhook.id, numbers(claim)) for claim in claimed(store)] == [(batched.id, [1]), (batched.id, [2])]


def test_batches_that_are_closed_by_hand_are_due_no_later_than_they_were(store: Store, batched: Webhook) -> None:
    gathered(store, batched, b"1")
    store.write(lambda tx: tx.outbox.close_batches(batched.id, CLOSES + HOUR))
    assert next_due_at(store) == CLOSES


# Whoever writes


class Refused(Exception):
    """What a function may raise."""


def test_what_was_undone_is_in_no_batch(store: Store, batched: Webhook, clock: ManualClock) -> None:
    def owe_and_fail(tx: Transaction) -> None:
        event = make_event(tx, BOOKED, MeetingId("mtg_1"), sequence=1, body=b"7")
        tx.outbox.add_event(event)
        tx.outbox.owe(event, batched, due_at=tx.now, give_up_at=None)
        raise Refused

    for number in range(MAX_EVENTS):
        with pytest.raises(Refused):
            store.write(owe_and_fail)
        gathered(store, batched, b"%d" % number)
    [claim] = claimed(store)
    assert numbers(claim) == list(range(MAX_EVENTS))


def test_two_stores_on_one_database_fill_the_same_batch(place: Place) -> None:
    stores = place.open(), place.open()
    to = added(stores[0], batched=True)
    for number in range(MAX_EVENTS):
        assert not claimed(stores[0])
        gathered(stores[number % 3 // 2], to, b"%d" % number)
    [claim] = claimed(stores[1])
    assert numbers(claim) == list(range(MAX_EVENTS))


@pytest.mark.parametrize("who", [0, 1])
def test_a_batch_that_was_claimed_takes_nothing_more_whoever_claimed_it(
    place: Place, clock: ManualClock, who: int
) -> None:
    stores = one, _ = place.open(), place.open()
    to = added(one, batched=True)
    gathered(one, to, b"1")
    clock.set_wall(CLOSES)
    [claim] = claimed(stores[who])
    clock.set_wall(CLOSES - MICROSECOND)  # somebody sets the clock back
    gathered(one, to, b"2")
    clock.set_wall(claim.lease_until)
    assert [numbers(each) for each in claimed(one)] == [[1]]


def test_what_gathers_outlives_the_process(place: Place, clock: ManualClock) -> None:
    died = place.open()
    to = added(died, batched=True)
    gathered(died, to, b"1", b"2")
    next_one = place.open()
    assert next_one.write(lambda tx: tx.outbox.recover()) == 0
    gathered(next_one, to, b"3")
    clock.set_wall(CLOSES)
    [claim] = claimed(next_one)
    assert numbers(claim) == [1, 2, 3]


def test_nothing_of_a_batch_is_born_claimed(place: Place) -> None:
    listened_to = place.open(plenty)
    to = added(listened_to, batched=True)
    delivered = gathered(listened_to, to, b"1", is_test=True)
    assert states(listened_to, *delivered) == [State.PENDING]
    assert len(claimed(listened_to)) == 1

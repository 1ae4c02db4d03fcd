"""What the store promises of webhooks that get their events in batches."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from hookline.domain.batches import GATHERING, MAX_BYTES, MAX_EVENTS, MAX_HELD
from hookline.domain.deliveries import Claim, State, Verdict
from hookline.domain.events import EventKind
from hookline.domain.ids import DeliveryId, MeetingId
from hookline.domain.webhooks import Webhook
from hookline.ports.storage import DeliveryFilter, Transaction
from hookline.services.publishing import make_event
from tests.contract.owing import (
    DEAD,
    DELIVERED,
    LEASE,
    WITHDRAWN,
    added,
    again_at,
    all_deliveries,
    claimed,
    delivery,
    next_due_at,
    owed,
    plenty,
    settled,
    states,
)
from tests.contract.stores import Place, Store
from tests.fakes import MONDAY, ManualClock
from tests.values import DAY, HOUR, MICROSECOND, accepted, refused

CLOSES = MONDAY + GATHERING
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


@pytest.fixture
def batched(store: Store) -> Webhook:
    """A webhook that gets batches."""
    return added(store, batched=True)


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


# Attempts and what they lead to


def one_batch(store: Store, to: Webhook, clock: ManualClock) -> tuple[list[DeliveryId], Claim]:
    owed_ids = gathered(store, to, b"1", b"2")
    clock.advance(seconds=GATHERING.total_seconds())
    [claim] = claimed(store)
    return owed_ids, claim


@pytest.mark.parametrize("verdict", [DELIVERED, DEAD, WITHDRAWN])
def test_what_becomes_of_a_batch_becomes_of_all_that_is_in_it(
    store: Store, batched: Webhook, clock: ManualClock, verdict: Verdict
) -> None:
    owed_ids, claim = one_batch(store, batched, clock)
    assert states(store, *owed_ids) == [State.SENDING] * 2
    outcome = accepted(claim)
    assert not settled(store, (outcome, verdict))
    for kept in all_deliveries(store):
        assert (kept.status, kept.attempts, kept.next_attempt_at) == (verdict.state, (outcome.attempt,), None)
        assert kept.batch_id == claim.delivery_id
    assert [kept.id for kept in all_deliveries(store)] == owed_ids[::-1]
    assert next_due_at(store) is None


def test_while_it_gathers_and_while_it_waits_for_a_retry_the_record_says_when(
    store: Store, batched: Webhook, clock: ManualClock
) -> None:
    gathering = gathered(store, batched, b"1")
    assert [delivery(store, each).next_attempt_at for each in gathering] == [CLOSES]
    clock.set_wall(CLOSES)
    [claim] = claimed(store)
    settled(store, (refused(claim), again_at(CLOSES + HOUR)))
    [kept] = all_deliveries(store)
    assert (kept.status, kept.next_attempt_at, len(kept.attempts)) == (State.PENDING, CLOSES + HOUR, 1)


def test_lists_find_what_is_in_batches_and_never_a_batch(store: Store, batched: Webhook, clock: ManualClock) -> None:
    sending, _ = one_batch(store, batched, clock)
    pending = gathered(store, batched, b"3", kind=CALLED)

    def listed(**asked: object) -> Sequence[str]:
        wanted = replace(DeliveryFilter(), **asked)  # type: ignore[arg-type]  # names and values are the tests'
        page = store.read(lambda tx: tx.outbox.deliveries(wanted, limit=10, cursor=None))
        return [each.id for each in page.items[::-1]]

    assert listed() == [*sending, *pending]
    assert listed(status=State.SENDING) == listed(event=BOOKED) == sending
    assert listed(status=State.PENDING) == listed(event=CALLED) == pending
    assert listed(webhook_id=batched.id) == [*sending, *pending]


def test_a_lease_that_expires_is_told_of_and_the_same_bytes_go_again(
    store: Store, batched: Webhook, clock: ManualClock
) -> None:
    owed_ids, slow = one_batch(store, batched, clock)
    clock.set_wall(slow.lease_until)
    [fast] = claimed(store)
    assert (fast.event, fast.batch_size, fast.attempt) == (slow.event, slow.batch_size, 2)
    assert settled(store, (refused(slow), DEAD)) == [slow]
    assert states(store, *owed_ids) == [State.SENDING] * 2
    assert not settled(store, (accepted(fast), DELIVERED))
    assert [attempt.status for attempt in delivery(store, owed_ids[0]).attempts] == [500, 200]


def test_a_slow_worker_that_comes_after_the_end_changes_nothing_but_the_record(
    store: Store, batched: Webhook, clock: ManualClock
) -> None:
    owed_ids, slow = one_batch(store, batched, clock)
    clock.set_wall(slow.lease_until)
    [fast] = claimed(store)
    settled(store, (accepted(fast), DELIVERED))
    for verdict in (DEAD, again_at(MONDAY + DAY)):
        assert settled(store, (refused(slow), verdict)) == [slow]
    assert states(store, *owed_ids) == [State.DELIVERED] * 2
    assert next_due_at(store) is None


def test_what_a_dead_process_held_is_due_again_and_its_attempt_stands_in_the_record(
    place: Place, clock: ManualClock
) -> None:
    died = place.open()
    owed_ids, claim = one_batch(died, added(died, batched=True), clock)
    next_one = place.open()
    assert next_one.write(lambda tx: tx.outbox.recover()) == 1
    assert states(next_one, *owed_ids) == [State.PENDING] * 2
    assert len(delivery(next_one, owed_ids[1]).attempts) == 1
    [again] = claimed(next_one)
    assert (again.event, again.attempt) == (claim.event, 2)


def test_a_batch_is_of_use_as_long_as_one_of_its_events_is(store: Store, batched: Webhook, clock: ManualClock) -> None:
    soon, later = CLOSES + HOUR, CLOSES + 2 * HOUR
    useless = gathered(store, batched, b"1", give_up_at=soon) + gathered(store, batched, b"2", give_up_at=later)
    of_use = gathered(store, batched, b"3", kind=CALLED, give_up_at=soon) + gathered(store, batched, b"4", kind=CALLED)
    clock.set_wall(CLOSES)
    taken = claimed(store)
    assert {claim.event.kind: claim.give_up_at for claim in taken} == {BOOKED: later, CALLED: None}
    settled(store, *((refused(claim), again_at(later)) for claim in taken))
    clock.set_wall(later)
    [claim] = claimed(store)
    assert numbers(claim) == [3, 4]
    assert states(store, *useless, *of_use) == [State.DEAD] * 2 + [State.SENDING] * 2
    assert len(delivery(store, useless[0]).attempts) == 1
    assert delivery(store, useless[0]).batch_id is not None


def test_a_batch_counts_as_one_and_only_so_many_are_held(store: Store, batched: Webhook) -> None:
    single = added(store)
    owed(store, single)
    gathered(store, batched, *([b"1"] * (MAX_HELD + 3)), is_test=True)
    few = claimed(store, room=lambda _: 2)
    assert sorted(claim.webhook.id for claim in few) == [batched.id, batched.id, single.id]
    assert len(claimed(store, limit=256)) == MAX_HELD
    assert len(claimed(store, limit=256)) == 1


# Withdrawn, tried again, forgotten


def test_what_is_pending_in_batches_is_withdrawn_and_what_is_being_sent_goes_on(
    store: Store, batched: Webhook, clock: ManualClock
) -> None:
    sending, claim = one_batch(store, batched, clock)
    pending = gathered(store, batched, b"3", b"4") + gathered(store, batched, b"5", kind=CALLED)
    assert store.write(lambda tx: tx.outbox.withdraw(batched.id)) == 3
    later = gathered(store, batched, b"6")
    assert states(store, *sending, *pending) == [State.SENDING] * 2 + [State.WITHDRAWN] * 3
    assert batch_of(store, later[0]) not in {batch_of(store, each) for each in pending}
    assert not settled(store, (accepted(claim), DELIVERED))
    assert states(store, *sending) == [State.DELIVERED] * 2


def test_what_is_owed_to_a_webhook_that_is_gone_is_withdrawn_at_the_start(place: Place, clock: ManualClock) -> None:
    died = place.open()
    to = added(died, batched=True)
    owed_ids, _ = one_batch(died, to, clock)
    died.write(lambda tx: tx.webhooks.remove(to.id))
    store = place.open()
    store.write(lambda tx: tx.outbox.recover())
    assert states(store, *owed_ids) == [State.WITHDRAWN] * 2
    assert next_due_at(store) is None


def test_a_retry_by_hand_of_what_waits_hurries_its_batch_which_takes_nothing_more(
    store: Store, batched: Webhook
) -> None:
    first, _ = gathered(store, batched, b"1", b"2")
    store.write(lambda tx: tx.outbox.replay(first))
    gathered(store, batched, b"3")
    [claim] = claimed(store)
    assert numbers(claim) == [1, 2]


@pytest.mark.parametrize("verdict", [DELIVERED, DEAD, WITHDRAWN])
def test_a_retry_by_hand_of_what_was_settled_goes_alone_and_its_attempts_go_on_counting(
    store: Store, batched: Webhook, clock: ManualClock, verdict: Verdict
) -> None:
    (one, other), claim = one_batch(store, batched, clock)
    settled(store, (refused(claim), verdict))
    store.write(lambda tx: tx.outbox.replay(other))
    gathered(store, batched, b"3")
    [again] = claimed(store)
    assert (numbers(again), again.attempt, again.failures) == ([2], 2, 0)
    assert again.delivery_id == batch_of(store, other) != claim.delivery_id
    settled(store, (accepted(again), DELIVERED))
    assert [attempt.status for attempt in delivery(store, other).attempts] == [500, 200]
    assert [attempt.status for attempt in delivery(store, one).attempts] == [500]
    assert states(store, one, other) == [verdict.state, State.DELIVERED]
    store.write(lambda tx: tx.outbox.replay(other))
    [third] = claimed(store)
    assert third.attempt == 3


def test_what_was_withdrawn_after_an_attempt_counts_on_from_it(
    store: Store, batched: Webhook, clock: ManualClock
) -> None:
    (one, _), claim = one_batch(store, batched, clock)
    settled(store, (refused(claim), again_at(MONDAY + HOUR)))
    store.write(lambda tx: tx.outbox.withdraw(batched.id))
    store.write(lambda tx: tx.outbox.replay(one))
    [again] = claimed(store)
    settled(store, (accepted(again), DELIVERED))
    assert [attempt.number for attempt in delivery(store, one).attempts] == [1, 2]


def test_a_retry_by_hand_goes_as_its_webhook_gets_events_now(
    store: Store, batched: Webhook, clock: ManualClock
) -> None:
    (one, _), claim = one_batch(store, batched, clock)
    settled(store, (refused(claim), DEAD))
    store.write(lambda tx: tx.webhooks.save(replace(batched, batched=False)))
    store.write(lambda tx: tx.outbox.replay(one))
    [single] = claimed(store)
    assert (single.delivery_id, single.batch_size, single.event.body, single.attempt) == (one, None, b"1", 2)
    settled(store, (refused(single), DEAD))
    store.write(lambda tx: tx.webhooks.save(batched))
    store.write(lambda tx: tx.outbox.replay(one))
    [again] = claimed(store)
    assert (numbers(again), again.attempt) == ([1], 3)
    assert [attempt.number for attempt in delivery(store, one).attempts] == [1, 2]


def test_batches_that_are_settled_are_forgotten_in_time_and_those_that_are_owed_are_not(
    store: Store, batched: Webhook, clock: ManualClock
) -> None:
    old, claim = one_batch(store, batched, clock)
    settled(store, (refused(claim), DEAD))
    waiting, claim = one_batch(store, batched, clock)
    settled(store, (refused(claim), again_at(MONDAY + DAY)))
    clock.advance(seconds=HOUR.total_seconds())
    young, claim = one_batch(store, batched, clock)
    settled(store, (accepted(claim), DELIVERED))
    rows = {"settled": 2, "attempts": 1, "events": 2}
    assert store.write(lambda tx: tx.outbox.forget_before(MONDAY + HOUR, limit=100)) == sum(rows.values())
    assert store.read(lambda tx: [tx.outbox.delivery(each) for each in old]) == [None, None]
    assert states(store, *waiting, *young) == [State.PENDING] * 2 + [State.DELIVERED] * 2
    assert [len(delivery(store, each).attempts) for each in (*waiting, *young)] == [1] * 4
    clock.set_wall(MONDAY + DAY)
    [again] = claimed(store, lease=LEASE)
    assert numbers(again) == [1, 2]
    settled(store, (accepted(again), DELIVERED))
    assert store.write(lambda tx: tx.outbox.forget_before(MONDAY + DAY, limit=100)) == 4 + 4 + 3
    assert not all_deliveries(store)

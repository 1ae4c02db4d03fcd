"""What the store promises of batches that were claimed: outcomes, retries by hand, and what is forgotten."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from hookline.domain.batches import MAX_HELD
from hookline.domain.deliveries import State, Verdict
from hookline.domain.webhooks import Webhook
from hookline.ports.storage import DeliveryFilter
from tests.contract.gathering import BOOKED, CALLED, CLOSES, batch_of, gathered, numbers, one_batch
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
    settled,
    states,
)
from tests.contract.stores import Place, Store
from tests.fakes import MONDAY, ManualClock
from tests.values import DAY, HOUR, accepted, refused

# Attempts and what they lead to


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
    assert store.write(lambda tx: tx.outbox.withdraw(batched.id, because="it is over")) == 3
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
    store.write(lambda tx: tx.outbox.withdraw(batched.id, because="it is over"))
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

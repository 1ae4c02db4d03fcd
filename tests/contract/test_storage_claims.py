"""What the store promises of what is owed: how it is claimed, given back, put off and withdrawn."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from hookline.domain.deliveries import LEASE as DEFAULT_LEASE
from hookline.domain.deliveries import Claim, State
from hookline.domain.ids import WebhookId, delivery_id
from hookline.ports.storage import Transaction
from tests.contract.owing import (
    DEAD,
    DELIVERED,
    LEASE,
    added,
    again_at,
    claimed,
    delivery,
    new_event,
    next_due_at,
    owed,
    plenty,
    settled,
    states,
)
from tests.contract.stores import Place, Store
from tests.fakes import MONDAY, ManualClock
from tests.values import HOUR, MICROSECOND, accepted, refused

MINUTE = timedelta(minutes=1)


def ids(claims: list[Claim]) -> list[str]:
    return [claim.delivery_id for claim in claims]


# Owing


def test_what_is_owed_is_pending_until_it_is_claimed(store: Store) -> None:
    to = added(store)
    owed_id = owed(store, to, due_in=60)
    kept = delivery(store, owed_id)
    assert (kept.status, kept.next_attempt_at, kept.created_at) == (State.PENDING, MONDAY + MINUTE, MONDAY)
    assert (kept.webhook_id, kept.attempts) == (to.id, ())


def test_an_event_is_owed_to_a_webhook_once(store: Store) -> None:
    to = added(store)

    def twice(tx: Transaction) -> None:
        event = new_event(tx)
        for _ in range(2):
            tx.outbox.owe(event, to, due_at=tx.now, give_up_at=None)

    with pytest.raises(Exception, match="delivery"):
        store.write(twice)
    assert not claimed(store)


def test_a_delivery_is_named_after_its_event_and_its_webhook(store: Store) -> None:
    to = added(store)
    owed_id = owed(store, to)
    assert owed_id == delivery_id(delivery(store, owed_id).event_id, to.id)


# Claiming


def test_a_claim_carries_all_that_an_attempt_needs(store: Store) -> None:
    to = added(store)
    owed_id = owed(store, to, give_up_at=MONDAY + HOUR)
    [claim] = claimed(store)
    assert (claim.delivery_id, claim.attempt, claim.failures) == (owed_id, 1, 0)
    assert (claim.lease_until, claim.give_up_at) == (MONDAY + LEASE, MONDAY + HOUR)
    assert claim.webhook == to
    assert claim.event == store.read(lambda tx: tx.outbox.event(claim.event.id))
    assert delivery(store, owed_id).status is State.SENDING
    assert delivery(store, owed_id).next_attempt_at is None


def test_what_is_not_due_yet_is_not_claimed(store: Store, clock: ManualClock) -> None:
    owed_id = owed(store, added(store), due_in=60)
    clock.set_wall(MONDAY + MINUTE - MICROSECOND)
    assert not claimed(store)
    clock.set_wall(MONDAY + MINUTE)
    assert ids(claimed(store)) == [owed_id]


def test_nothing_is_claimed_for_a_webhook_that_is_disabled_or_gone(store: Store) -> None:
    off, gone = added(store, is_active=False), added(store)
    owed(store, off)
    owed(store, gone)
    store.write(lambda tx: tx.webhooks.remove(gone.id))
    assert not claimed(store)
    assert next_due_at(store) is None


def test_no_delivery_is_in_two_live_claims(place: Place) -> None:
    here, there = place.open(), place.open()
    to = added(here)
    everything = {owed(here, to) for _ in range(9)}
    taken = [ids(claimed(store, limit=2)) for _ in range(3) for store in (here, there)]
    assert Counter(name for batch in taken for name in batch) == Counter(everything)


def test_a_lease_lasts_until_its_end_and_then_anyone_may_claim(place: Place, clock: ManualClock) -> None:
    here, there = place.open(), place.open()
    owed_id = owed(here, added(here))
    [first] = claimed(here)
    clock.set_wall(first.lease_until - MICROSECOND)
    assert not claimed(there)
    assert next_due_at(there) == first.lease_until
    clock.set_wall(first.lease_until)
    [second] = claimed(there)
    assert (second.delivery_id, second.attempt, second.failures) == (owed_id, 2, 0)
    assert second.token != first.token


def test_an_attempt_that_nobody_told_the_outcome_of_stands_in_the_record(store: Store, clock: ManualClock) -> None:
    owed_id = owed(store, added(store))
    clock.advance(seconds=600)  # it waited before it was claimed
    [first] = claimed(store)
    clock.set_wall(first.lease_until)
    claimed(store)
    [attempt] = delivery(store, owed_id).attempts
    assert (attempt.number, attempt.status, attempt.is_success) == (1, None, False)
    assert attempt.error
    assert MONDAY + timedelta(seconds=600) <= attempt.started_at <= first.lease_until


def test_each_claim_of_a_delivery_has_a_fresh_token(store: Store, clock: ManualClock) -> None:
    owed(store, added(store))
    tokens = []
    for _ in range(5):
        [claim] = claimed(store)
        tokens.append(claim.token)
        clock.set_wall(claim.lease_until)
    assert len(set(tokens)) == 5


def test_of_a_webhook_the_oldest_is_claimed_first(store: Store, clock: ManualClock) -> None:
    to = added(store)
    by_age = [owed(store, to, due_in=-seconds) for seconds in (3, 9, 1, 5)]
    in_order = [by_age[1], by_age[3], by_age[0], by_age[2]]
    assert [ids(claimed(store, limit=1)) for _ in range(4)] == [[name] for name in in_order]


def test_no_more_is_claimed_than_the_limit_says(store: Store) -> None:
    ones = [added(store) for _ in range(3)]
    for to in ones:
        for _ in range(4):
            owed(store, to)
    assert [len(claimed(store, limit=5)) for _ in range(4)] == [5, 5, 2, 0]


def test_no_more_is_claimed_of_a_webhook_than_there_is_room(store: Store) -> None:
    ones = [added(store) for _ in range(3)]
    for to in ones:
        for _ in range(4):
            owed(store, to)
    rooms = {ones[0].id: 1, ones[1].id: 0, ones[2].id: 9}
    got = Counter(claim.webhook.id for claim in claimed(store, room=rooms.__getitem__))
    assert got == {ones[0].id: 1, ones[2].id: 4}


def test_a_webhook_with_a_backlog_shuts_nobody_out_for_long(store: Store) -> None:
    """However small the batches, everybody gets something long before the backlog of one is through."""
    busy, quiet = added(store), added(store)
    for _ in range(60):
        owed(store, busy)
    waiting = {owed(store, quiet), owed(store, quiet)}
    turns = 0
    while waiting:
        waiting -= set(ids(claimed(store, limit=2)))
        turns += 1
    assert turns < 25


def test_what_is_of_no_use_any_more_is_given_up_when_it_is_due(store: Store, clock: ManualClock) -> None:
    to = added(store)
    useless = owed(store, to, due_in=60, give_up_at=MONDAY + HOUR)
    useful = owed(store, to, due_in=60, give_up_at=MONDAY + HOUR + MICROSECOND)
    clock.set_wall(MONDAY + HOUR)
    assert ids(claimed(store)) == [useful]
    assert states(store, useless) == [State.DEAD]
    assert not delivery(store, useless).attempts


def test_one_of_no_use_that_nobody_told_the_outcome_of_is_given_up_with_its_attempt_in_the_record(
    store: Store, clock: ManualClock
) -> None:
    owed_id = owed(store, added(store), give_up_at=MONDAY + MINUTE)
    claimed(store)
    clock.set_wall(MONDAY + MINUTE + LEASE)
    assert not claimed(store)
    assert states(store, owed_id) == [State.DEAD]
    assert [attempt.status for attempt in delivery(store, owed_id).attempts] == [None]


# When is there something to do


def test_the_next_due_is_the_earliest_of_active_webhooks_with_room(store: Store) -> None:
    full, off, ready = added(store), added(store, is_active=False), added(store)
    assert next_due_at(store) is None
    owed(store, off, due_in=1)
    owed(store, full, due_in=2)
    owed(store, ready, due_in=9)
    owed(store, ready, due_in=8)
    assert next_due_at(store) == MONDAY + timedelta(seconds=2)
    assert next_due_at(store, lambda each: int(each != full.id)) == MONDAY + timedelta(seconds=8)
    assert next_due_at(store, lambda _: 0) is None


def test_leases_count_as_due_at_their_end(store: Store) -> None:
    to = added(store)
    owed(store, to)
    owed(store, to, due_in=7200)
    claimed(store)
    assert next_due_at(store) == MONDAY + LEASE


# Giving back


def test_a_released_claim_leaves_no_trace(store: Store, clock: ManualClock) -> None:
    owed_id = owed(store, added(store))
    [claim] = claimed(store)
    settled(store, (refused(claim), again_at(MONDAY + MINUTE)))
    clock.set_wall(MONDAY + MINUTE)
    [given_back] = claimed(store)
    clock.set_wall(MONDAY + MINUTE + MICROSECOND)
    store.write(lambda tx: tx.outbox.release([given_back]))
    assert states(store, owed_id) == [State.PENDING]
    assert [attempt.number for attempt in delivery(store, owed_id).attempts] == [1]
    assert next_due_at(store) == MONDAY + MINUTE + MICROSECOND
    [again] = claimed(store)
    assert (again.attempt, again.failures) == (given_back.attempt, given_back.failures) == (2, 1)


def test_a_claim_that_somebody_else_has_by_now_is_not_released(store: Store, clock: ManualClock) -> None:
    owed_id = owed(store, added(store))
    [slow] = claimed(store)
    clock.set_wall(slow.lease_until)
    [fast] = claimed(store)
    store.write(lambda tx: tx.outbox.release([slow]))
    assert not claimed(store)
    assert not settled(store, (accepted(fast), DELIVERED))
    store.write(lambda tx: tx.outbox.release([slow, fast]))
    assert states(store, owed_id) == [State.DELIVERED]


def test_recovering_gives_back_what_a_dead_process_held_and_records_its_attempts(
    place: Place, clock: ManualClock
) -> None:
    before = place.open()
    to = added(before)
    held = [owed(before, to), owed(before, to)]
    claimed(before)
    waits = owed(before, to, due_in=3600)
    clock.advance(seconds=10)
    before.close()

    after = place.open()
    assert after.write(lambda tx: tx.outbox.recover()) == 2
    assert states(after, *held, waits) == [State.PENDING] * 3
    for name in held:
        [attempt] = delivery(after, name).attempts
        assert (attempt.number, attempt.status) == (1, None)
        assert attempt.error
        assert attempt.started_at <= MONDAY + timedelta(seconds=10)
    assert {(claim.delivery_id, claim.attempt) for claim in claimed(after)} == {(name, 2) for name in held}
    assert delivery(after, waits).next_attempt_at == MONDAY + HOUR


def test_recovering_when_nothing_was_held_changes_nothing(store: Store) -> None:
    owed_id = owed(store, added(store), due_in=60)
    before = delivery(store, owed_id)
    assert store.write(lambda tx: tx.outbox.recover()) == 0
    assert delivery(store, owed_id) == before


def test_recovering_withdraws_what_was_being_sent_to_a_webhook_that_has_gone(place: Place) -> None:
    before = place.open()
    to = added(before)
    owed_id = owed(before, to)
    claimed(before)
    before.write(lambda tx: tx.webhooks.remove(to.id))
    after = place.open()
    after.write(lambda tx: tx.outbox.recover())
    assert states(after, owed_id) == [State.WITHDRAWN]


@pytest.mark.parametrize("how", ["removed", "disabled"])
def test_what_a_dead_process_was_sending_to_a_webhook_that_has_gone_is_withdrawn_when_its_lease_is_over(
    store: Store, clock: ManualClock, how: str
) -> None:
    going, staying = added(store), added(store)
    owed_ids = [owed(store, going), owed(store, staying), owed(store, staying, due_in=3600)]
    assert len(claimed(store, lease=DEFAULT_LEASE)) == 2
    if how == "removed":
        store.write(lambda tx: tx.webhooks.remove(going.id))
    else:
        store.write(lambda tx: tx.webhooks.save(replace(going, is_active=False)))
    assert store.write(lambda tx: tx.outbox.withdraw_abandoned()) == 0
    assert states(store, *owed_ids) == [State.SENDING, State.SENDING, State.PENDING]
    clock.advance(seconds=DEFAULT_LEASE.total_seconds())
    assert store.write(lambda tx: tx.outbox.withdraw_abandoned()) == 1
    assert states(store, *owed_ids) == [State.WITHDRAWN, State.SENDING, State.PENDING]
    [cut_short] = delivery(store, owed_ids[0]).attempts
    assert (cut_short.status, cut_short.started_at) == (None, MONDAY)


# Resting


def test_a_webhook_that_rests_has_nothing_due_before_the_end_of_its_rest(store: Store, clock: ManualClock) -> None:
    tired, fresh = added(store), added(store)
    now, soon, late = owed(store, tired), owed(store, tired, due_in=60), owed(store, tired, due_in=7200)
    other = owed(store, fresh)
    store.write(lambda tx: tx.outbox.rest([tired.id], MONDAY + HOUR))
    assert ids(claimed(store)) == [other]
    assert [delivery(store, each).next_attempt_at for each in (now, soon)] == [MONDAY + HOUR] * 2
    assert delivery(store, late).next_attempt_at == MONDAY + 2 * HOUR
    assert store.read(lambda tx: tx.webhooks.webhook(tired.id)).rests_until == MONDAY + HOUR
    clock.set_wall(MONDAY + HOUR)
    assert {now, soon} <= set(ids(claimed(store)))


def test_a_rest_is_no_change_of_the_webhook(store: Store, clock: ManualClock) -> None:
    tired = added(store)
    clock.advance(seconds=60)
    store.write(lambda tx: tx.outbox.rest([tired.id], MONDAY + HOUR))
    assert store.read(lambda tx: tx.webhooks.webhook(tired.id)).modified_at == tired.modified_at


def test_what_is_being_sent_to_a_webhook_that_rests_goes_on(store: Store) -> None:
    tired = added(store)
    owed_id = owed(store, tired)
    [claim] = claimed(store)
    store.write(lambda tx: tx.outbox.rest([tired.id], MONDAY + HOUR))
    assert not settled(store, (accepted(claim), DELIVERED))
    assert states(store, owed_id) == [State.DELIVERED]


# Withdrawing


def test_withdrawing_settles_what_is_pending_and_lets_go_on_what_is_being_sent(store: Store) -> None:
    to, other = added(store), added(store)
    sending = owed(store, to)
    [claim] = claimed(store)
    done, pending, later = owed(store, to), owed(store, to), owed(store, to, due_in=60)
    [to_settle] = claimed(store, limit=1, room=plenty)
    settled(store, (refused(to_settle), DEAD))
    elsewhere = owed(store, other)
    left = [name for name in (done, pending, later) if name != to_settle.delivery_id]

    assert store.write(lambda tx: tx.outbox.withdraw(to.id, because="it is over")) == 2
    assert states(store, *left) == [State.WITHDRAWN] * 2
    assert states(store, sending, to_settle.delivery_id, elsewhere) == [State.SENDING, State.DEAD, State.PENDING]
    assert ids(claimed(store)) == [elsewhere]
    assert not settled(store, (accepted(claim), DELIVERED))
    assert states(store, sending) == [State.DELIVERED]
    assert store.write(lambda tx: tx.outbox.withdraw(to.id, because="it is over")) == 0


def test_a_withdrawn_delivery_keeps_its_attempts(store: Store) -> None:
    to = added(store)
    owed_id = owed(store, to)
    [claim] = claimed(store)
    settled(store, (refused(claim), again_at(MONDAY + HOUR)))
    store.write(lambda tx: tx.outbox.withdraw(to.id, because="it is over"))
    kept = delivery(store, owed_id)
    assert (kept.status, kept.next_attempt_at) == (State.WITHDRAWN, None)
    assert [attempt.status for attempt in kept.attempts] == [500]


# Born claimed


def test_what_is_due_at_once_may_be_born_claimed_and_is_then_in_no_other_claim(place: Place) -> None:
    store = place.open(room=lambda _: 2)
    to = added(store)

    def three(tx: Transaction) -> None:
        for _ in range(3):
            tx.outbox.owe(new_event(tx), to, due_at=tx.now, give_up_at=None)

    store.write(three)
    assert len(claimed(store)) == 1
    assert next_due_at(store) is not None


def test_what_is_due_later_is_never_born_claimed(place: Place, clock: ManualClock) -> None:
    store = place.open(room=plenty)
    owed_id = owed(store, added(store), due_in=1)
    assert states(store, owed_id) == [State.PENDING]
    clock.advance(seconds=1)
    assert ids(claimed(store)) == [owed_id]


def test_the_room_is_asked_for_by_webhook(place: Place) -> None:
    asked: list[WebhookId] = []

    def room(webhook_id: WebhookId) -> int:
        asked.append(webhook_id)
        return 0

    store = place.open(room=room)
    one, other = added(store), added(store)
    owed(store, other)
    assert asked == [other.id]
    assert len(claimed(store)) == 1
    assert one.id not in asked

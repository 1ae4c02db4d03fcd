"""What the store promises of outcomes, replays, and of what is forgotten."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import permutations

import pytest

from hookline.domain.deliveries import Attempt, Claim, Delivery, Outcome, State, Verdict
from hookline.domain.events import EventKind
from hookline.domain.ids import DeliveryId, WebhookId
from hookline.ports.storage import DeliveryFilter, Page, Transaction
from tests.contract.owing import (
    DEAD,
    DELIVERED,
    WITHDRAWN,
    added,
    again_at,
    all_deliveries,
    claimed,
    delivery,
    new_event,
    next_due_at,
    owed,
    pages,
    settled,
    states,
)
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.values import DAY, HOUR, MICROSECOND, accepted, refused, unanswered

MINUTE = timedelta(minutes=1)


def one_claim(store: Store) -> Claim:
    owed(store, added(store))
    [claim] = claimed(store)
    return claim


# Settling


@pytest.mark.parametrize(
    ("verdict", "state"),
    [(DELIVERED, State.DELIVERED), (DEAD, State.DEAD), (WITHDRAWN, State.WITHDRAWN)],
)
def test_what_is_settled_is_no_longer_owed_and_stands_in_the_record(
    store: Store, clock: ManualClock, verdict: Verdict, state: State
) -> None:
    claim = one_claim(store)
    outcome = refused(claim, 500)
    assert not settled(store, (outcome, verdict))
    kept = delivery(store, claim.delivery_id)
    assert (kept.status, kept.next_attempt_at, kept.attempts) == (state, None, (outcome.attempt,))
    clock.advance(seconds=DAY.total_seconds())
    assert not claimed(store)
    assert next_due_at(store) is None


def test_what_failed_is_due_again_when_the_verdict_says(store: Store, clock: ManualClock) -> None:
    claim = one_claim(store)
    due_at = MONDAY + MINUTE + MICROSECOND
    assert not settled(store, (refused(claim), again_at(due_at)))
    assert delivery(store, claim.delivery_id).next_attempt_at == due_at == next_due_at(store)
    clock.set_wall(due_at - MICROSECOND)
    assert not claimed(store)
    clock.set_wall(due_at)
    [second] = claimed(store)
    assert (second.attempt, second.failures) == (2, 1)


def test_an_attempt_is_kept_as_it_was(store: Store) -> None:
    claim = one_claim(store)
    attempt = Attempt(
        number=1,
        started_at=MONDAY + MICROSECOND,
        duration_ms=12.345,
        status=503,
        error="The answer’s body never ended.",
        response_headers=(("Retry-After", "5"), ("set-cookie", "a=é"), ("Set-Cookie", "b")),
        response_body=bytes(range(256)),
    )
    settled(store, (Outcome(claim=claim, attempt=attempt), DEAD))
    assert delivery(store, claim.delivery_id).attempts == (attempt,)


def test_a_slow_worker_cannot_overwrite_the_one_that_took_over(store: Store, clock: ManualClock) -> None:
    slow = one_claim(store)
    clock.set_wall(slow.lease_until)
    [fast] = claimed(store)
    assert settled(store, (refused(slow, 500), again_at(MONDAY + DAY))) == [slow]
    assert states(store, slow.delivery_id) == [State.SENDING]
    assert not settled(store, (accepted(fast), DELIVERED))
    assert states(store, slow.delivery_id) == [State.DELIVERED]
    assert [attempt.status for attempt in delivery(store, slow.delivery_id).attempts] == [500, 200]


@pytest.mark.parametrize("verdict", [DELIVERED, DEAD, WITHDRAWN, again_at(MONDAY + DAY)])
def test_a_slow_worker_that_comes_after_the_end_changes_nothing_but_the_record(
    store: Store, clock: ManualClock, verdict: Verdict
) -> None:
    slow = one_claim(store)
    clock.set_wall(slow.lease_until)
    [fast] = claimed(store)
    settled(store, (accepted(fast), DELIVERED))
    assert settled(store, (unanswered(slow), verdict)) == [slow]
    kept = delivery(store, slow.delivery_id)
    assert (kept.status, kept.next_attempt_at) == (State.DELIVERED, None)
    assert [attempt.status for attempt in kept.attempts] == [None, 200]
    assert kept.attempts[0].error == unanswered(slow).attempt.error


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_workers_that_settle_together_the_one_with_the_lease_decides(
    store: Store, clock: ManualClock, order: tuple[int, ...]
) -> None:
    first = one_claim(store)
    clock.set_wall(first.lease_until)
    [second] = claimed(store)
    clock.set_wall(second.lease_until)
    [third] = claimed(store)
    outcomes = [(refused(first), DEAD), (refused(second), WITHDRAWN), (accepted(third), DELIVERED)]
    lost = settled(store, *(outcomes[index] for index in order))
    assert {claim.attempt for claim in lost} == {1, 2}
    kept = delivery(store, first.delivery_id)
    assert kept.status is State.DELIVERED
    assert [attempt.status for attempt in kept.attempts] == [500, 500, 200]


def test_the_token_of_one_delivery_opens_no_other(store: Store) -> None:
    to = added(store)
    one, other = owed(store, to), owed(store, to)
    claims = {claim.delivery_id: claim for claim in claimed(store)}
    settled(store, (accepted(claims[one]), DELIVERED))
    assert states(store, one, other) == [State.DELIVERED, State.SENDING]


def test_many_outcomes_are_settled_at_once_each_in_its_own_way(store: Store, clock: ManualClock) -> None:
    to = added(store)
    for _ in range(300):
        owed(store, to)
    claims = claimed(store, limit=300)
    verdicts = [DELIVERED, DEAD, again_at(MONDAY + HOUR)]
    settled(store, *((refused(claim), verdicts[index % 3]) for index, claim in enumerate(claims)))
    expected = [State.DELIVERED, State.DEAD, State.PENDING]
    assert states(store, *(claim.delivery_id for claim in claims)) == expected * 100
    clock.set_wall(MONDAY + HOUR)
    assert len(claimed(store, limit=300)) == 100


def test_a_settled_delivery_keeps_the_instant_at_which_it_was_owed(store: Store, clock: ManualClock) -> None:
    to = added(store)
    event = store.write(new_event)
    clock.advance(seconds=3600)
    owed_id: DeliveryId = store.write(lambda tx: tx.outbox.owe(event, to, due_at=tx.now, give_up_at=None))
    assert delivery(store, owed_id).created_at == MONDAY + HOUR
    [claim] = claimed(store)
    settled(store, (accepted(claim), DELIVERED))
    assert delivery(store, owed_id).created_at == MONDAY + HOUR


def test_settling_nothing_is_harmless(store: Store) -> None:
    assert not settled(store)


# Replaying


def replay(store: Store, delivery_id: str) -> None:
    store.write(lambda tx: tx.outbox.replay(delivery_id))


@pytest.mark.parametrize("verdict", [DELIVERED, DEAD, WITHDRAWN])
def test_a_settled_delivery_that_is_replayed_is_due_now_and_begins_its_schedule_anew(
    store: Store, clock: ManualClock, verdict: Verdict
) -> None:
    claim = one_claim(store)
    settled(store, (refused(claim), again_at(MONDAY + MINUTE)))
    clock.set_wall(MONDAY + MINUTE)
    [second] = claimed(store)
    settled(store, (refused(second), verdict))
    clock.advance(seconds=5)
    replay(store, claim.delivery_id)
    kept = delivery(store, claim.delivery_id)
    assert (kept.status, kept.next_attempt_at) == (State.PENDING, MONDAY + MINUTE + timedelta(seconds=5))
    assert kept.created_at == MONDAY
    [third] = claimed(store)
    assert (third.attempt, third.failures) == (3, 0)
    assert third.event == claim.event
    settled(store, (accepted(third), DELIVERED))
    kept = delivery(store, claim.delivery_id)
    assert (kept.status, [attempt.number for attempt in kept.attempts]) == (State.DELIVERED, [1, 2, 3])


def test_a_pending_delivery_that_is_replayed_is_due_now_at_its_place_in_the_schedule(
    store: Store, clock: ManualClock
) -> None:
    claim = one_claim(store)
    settled(store, (refused(claim), again_at(MONDAY + DAY)))
    clock.advance(seconds=1)
    replay(store, claim.delivery_id)
    [second] = claimed(store)
    assert (second.attempt, second.failures) == (2, 1)


def test_a_delivery_that_is_being_sent_is_not_replayed(store: Store) -> None:
    claim = one_claim(store)
    replay(store, claim.delivery_id)
    assert states(store, claim.delivery_id) == [State.SENDING]
    assert not claimed(store)
    assert not settled(store, (accepted(claim), DELIVERED))


def test_one_that_was_given_up_is_sent_when_it_is_replayed(store: Store, clock: ManualClock) -> None:
    owed_id = owed(store, added(store), give_up_at=MONDAY + HOUR)
    clock.set_wall(MONDAY + HOUR)
    assert not claimed(store)
    replay(store, owed_id)
    [claim] = claimed(store)
    assert (claim.attempt, claim.give_up_at) == (1, None)


def test_replaying_what_is_not_there_is_harmless(store: Store) -> None:
    replay(store, "dlv_nothing_1")
    assert not all_deliveries(store)


# The record


def listed(store: Store, **wanted: object) -> list[DeliveryId]:
    asked = DeliveryFilter(**wanted)  # type: ignore[arg-type]  # names are those of the filter
    page: Page[Delivery] = store.read(lambda tx: tx.outbox.deliveries(asked, limit=100, cursor=None))
    return [each.id for each in page.items]


def test_a_delivery_that_is_not_there_is_none(store: Store) -> None:
    assert store.read(lambda tx: tx.outbox.delivery("dlv_nothing_1")) is None


def test_deliveries_are_listed_the_latest_made_first_with_all_their_attempts(store: Store) -> None:
    to = added(store)
    made = [owed(store, to) for _ in range(4)]
    first, second, *_ = claimed(store, limit=2)
    settled(store, (refused(first), again_at(MONDAY + HOUR)), (accepted(second), DELIVERED))
    assert [each.id for each in all_deliveries(store)] == made[::-1]
    assert [len(each.attempts) for each in all_deliveries(store)] == [0, 0, 1, 1]
    assert list(all_deliveries(store)) == [delivery(store, each) for each in made[::-1]]


def _one_of_each_state(store: Store) -> dict[State, DeliveryId]:
    to, other = added(store), added(store)
    names = [owed(store, to) for _ in range(4)]
    claims = {claim.delivery_id: claim for claim in claimed(store)}
    verdicts = (DELIVERED, DEAD, WITHDRAWN)
    settled(store, *((refused(claims[name]), verdict) for name, verdict in zip(names, verdicts, strict=False)))
    found = dict(zip((State.DELIVERED, State.DEAD, State.WITHDRAWN, State.SENDING), names, strict=True))
    return {**found, State.PENDING: owed(store, other, due_in=60)}


@pytest.mark.parametrize("state", State)
def test_deliveries_are_found_by_state(store: Store, state: State) -> None:
    made = _one_of_each_state(store)
    assert listed(store, status=state) == [made[state]]
    assert listed(store, status=state, webhook_id=WebhookId(9)) == []


def test_deliveries_are_found_by_webhook_event_and_subject(store: Store) -> None:
    one, other = added(store), added(store)

    def owe_both(tx: Transaction, kind: EventKind, subject: str) -> Sequence[DeliveryId]:
        event = new_event(tx, kind, subject)
        return [tx.outbox.owe(event, to, due_at=tx.now, give_up_at=None) for to in (one, other)]

    booked = store.write(owe_both, EventKind.MEETING_BOOKED, "mtg_a")
    call = store.write(owe_both, EventKind.CALL_FINISHED, "call_b")
    for settle in (False, True):  # the same for what is owed and for what is settled
        if settle:
            settled(store, *((accepted(claim), DELIVERED) for claim in claimed(store)))
        assert listed(store, webhook_id=one.id) == [call[0], booked[0]]
        assert listed(store, event=EventKind.MEETING_BOOKED) == [booked[1], booked[0]]
        assert listed(store, subject="call_b") == [call[1], call[0]]
        assert listed(store, subject="call_b", webhook_id=other.id, event=EventKind.CALL_FINISHED) == [call[1]]
        assert listed(store, subject="call_b", event=EventKind.MEETING_BOOKED) == []


def test_deliveries_are_found_by_their_creation_the_end_of_the_span_excluded(store: Store, clock: ManualClock) -> None:
    to = added(store)
    early = owed(store, to)
    clock.set_wall(MONDAY + HOUR)
    late = owed(store, to)
    assert listed(store, since=MONDAY) == [late, early]
    assert listed(store, since=MONDAY + MICROSECOND) == [late]
    assert listed(store, until=MONDAY + HOUR) == [early]
    assert listed(store, since=MONDAY, until=MONDAY + HOUR + MICROSECOND) == [late, early]


@pytest.mark.parametrize("limit", range(1, 9))
def test_pages_of_deliveries_show_each_once_whatever_becomes_of_them_meanwhile(store: Store, limit: int) -> None:
    to = added(store)
    made = [owed(store, to) for _ in range(7)]

    def fetch(limit: int, cursor: str | None) -> Page[Delivery]:
        page: Page[Delivery] = store.read(lambda tx: tx.outbox.deliveries(DeliveryFilter(), limit=limit, cursor=cursor))
        owed(store, to, due_in=60)
        settled(store, *((accepted(claim), DELIVERED) for claim in claimed(store, limit=1)))
        return page

    assert [each.id for each in pages(fetch, limit)] == made[::-1]


# Forgetting


def forget(store: Store, before: datetime, limit: int = 1000) -> int:
    forgotten: int = store.write(lambda tx: tx.outbox.forget_before(before, limit=limit))
    return forgotten


def test_what_was_made_before_an_instant_is_forgotten_and_what_was_made_since_stays(
    store: Store, clock: ManualClock
) -> None:
    old = one_claim(store)
    settled(store, (accepted(old), DELIVERED))
    clock.set_wall(MONDAY + HOUR)
    young = one_claim(store)
    settled(store, (accepted(young), DELIVERED))
    assert forget(store, MONDAY) == 0
    assert forget(store, MONDAY + HOUR) == 3  # an event, a delivery, an attempt
    assert [each.id for each in all_deliveries(store)] == [young.delivery_id]
    assert store.read(lambda tx: tx.outbox.event(old.event.id)) is None
    assert store.read(lambda tx: tx.outbox.delivery(old.delivery_id)) is None
    assert len(delivery(store, young.delivery_id).attempts) == 1
    assert forget(store, MONDAY + HOUR) == 0


def test_nothing_that_is_owed_is_forgotten_however_old(store: Store, clock: ManualClock) -> None:
    to = added(store)
    failed, sending, replayed, waits = (owed(store, to) for _ in range(4))
    claims = {claim.delivery_id: claim for claim in claimed(store, limit=3)}
    settled(store, (refused(claims[failed]), again_at(MONDAY + DAY)), (refused(claims[replayed]), DEAD))
    replay(store, replayed)
    names = (failed, sending, replayed, waits)
    before = [delivery(store, name) for name in names]
    clock.set_wall(MONDAY + 12 * HOUR)
    assert forget(store, MONDAY + DAY) == 0
    assert [delivery(store, name) for name in names] == before
    assert (
        len(store.read(lambda tx: tx.outbox.events(kind=None, subject=None, after=None, limit=9, cursor=None)).items)
        == 4
    )


def test_an_event_stays_as_long_as_it_is_owed_to_one_of_its_webhooks(store: Store) -> None:
    one, other = added(store), added(store)

    def owe_both(tx: Transaction) -> None:
        event = new_event(tx)
        for to in (one, other):
            tx.outbox.owe(event, to, due_at=tx.now, give_up_at=None)

    store.write(owe_both)
    first, second = claimed(store)
    settled(store, (accepted(first), DELIVERED))
    forget(store, MONDAY + DAY)
    assert states(store, second.delivery_id) == [State.SENDING]
    assert store.read(lambda tx: tx.outbox.event(first.event.id)) == first.event
    assert not settled(store, (accepted(second), DELIVERED))
    forget(store, MONDAY + DAY)
    assert store.read(lambda tx: tx.outbox.event(first.event.id)) is None


def test_forgetting_goes_in_steps_and_says_how_many_rows_until_there_are_none(store: Store) -> None:
    to = added(store)
    for _ in range(5):
        owed(store, to)
    settled(store, *((accepted(claim), DELIVERED) for claim in claimed(store)))
    assert [forget(store, MONDAY + DAY, limit=2) for _ in range(4)] == [6, 6, 3, 0]
    assert not all_deliveries(store)


def test_what_is_settled_in_the_middle_of_forgetting_is_not_resurrected(store: Store, clock: ManualClock) -> None:
    claim = one_claim(store)
    settled(store, (accepted(claim), DELIVERED))
    forget(store, MONDAY + DAY)
    replay(store, claim.delivery_id)
    assert not claimed(store)
    assert store.read(lambda tx: tx.outbox.delivery(claim.delivery_id)) is None

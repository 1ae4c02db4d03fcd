"""What came of attempts is settled by the webhook as it is by then, and people try again by hand."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hookline.domain.backoff import BREVO, own_policy
from hookline.domain.deliveries import LEASE, Claim, Signal, State
from hookline.domain.events import EventKind
from hookline.errors import Invalid, NotFound
from hookline.services import deliveries
from hookline.services.calls import report_call
from hookline.services.deliveries import read_event, recover, release, retry_delivery
from hookline.services.webhooks import delete_webhook, disable_webhook, update_webhook
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.services.reading import (
    claim_all,
    delivery,
    events,
    new_webhook,
    owed,
    plenty,
    settle,
    webhook_now,
)
from tests.values import DAY, HOUR, LIMITS, accepted, call_payload, outcome, refused, unanswered

TEN_MINUTES = timedelta(minutes=10)


def one_claim(store: Store, **of_the_webhook: Any) -> Claim:
    new_webhook(store, **of_the_webhook)
    store.write(report_call, call_payload())
    [claim] = claim_all(store)
    return claim


# Settling, whatever has become of the webhook meanwhile


def test_a_failure_is_tried_again_as_the_policy_of_the_webhook_says_by_then(store: Store) -> None:
    claim = one_claim(store)
    store.write(update_webhook, claim.webhook.id, {"retry_policy": own_policy((7,), retry_4xx=True)}, LIMITS)
    [verdict] = settle(store, refused(claim))
    assert verdict.due_at == MONDAY + timedelta(seconds=7)


@pytest.mark.parametrize("gone", ["disabled", "deleted"])
def test_a_failure_of_a_webhook_that_has_gone_is_withdrawn(store: Store, gone: str) -> None:
    claim = one_claim(store)
    if gone == "disabled":
        store.write(disable_webhook, claim.webhook, "Gone.")
    else:
        store.write(delete_webhook, claim.webhook.id)
    assert [verdict.signal for verdict in settle(store, refused(claim))] == [Signal.WITHDRAWN]
    assert delivery(store, claim).status is State.WITHDRAWN
    assert len(delivery(store, claim).attempts) == 1


@pytest.mark.parametrize("gone", ["disabled", "deleted"])
def test_a_success_of_a_webhook_that_has_gone_is_a_success(store: Store, gone: str) -> None:
    claim = one_claim(store)
    if gone == "disabled":
        store.write(disable_webhook, claim.webhook, "Gone.")
    else:
        store.write(delete_webhook, claim.webhook.id)
    settle(store, accepted(claim))
    assert delivery(store, claim).status is State.DELIVERED


def test_a_last_failure_of_a_webhook_that_has_gone_is_dead(store: Store) -> None:
    claim = one_claim(store, retry_policy=own_policy((), retry_4xx=True))
    store.write(delete_webhook, claim.webhook.id)
    settle(store, refused(claim))
    assert delivery(store, claim).status is State.DEAD


# 410


def test_410_disables_the_webhook_and_withdraws_what_is_pending(store: Store) -> None:
    claim = one_claim(store)
    store.write(report_call, call_payload())
    settle(store, refused(claim, 410))
    assert [each.status for each in owed(store)] == [State.DEAD, State.WITHDRAWN]
    webhook = webhook_now(store, claim.webhook)
    assert not webhook.is_active
    assert "410" in webhook.disabled_reason


def test_410_withdraws_what_failed_in_the_same_breath(store: Store) -> None:
    new_webhook(store)
    for _ in range(3):
        store.write(report_call, call_payload())
    first, second, third = claim_all(store)
    settle(store, refused(first, 500), refused(second, 410), refused(third, 500))
    assert [delivery(store, each).status for each in (first, second, third)] == [
        State.WITHDRAWN,
        State.DEAD,
        State.WITHDRAWN,
    ]


def test_410_disables_one_webhook_and_no_other_of_the_same_host(store: Store) -> None:
    other = new_webhook(store)
    new_webhook(store)
    store.write(report_call, call_payload())
    claims = {claim.webhook.id: claim for claim in claim_all(store)}
    gone = next(each for webhook_id, each in claims.items() if webhook_id != other.id)
    settle(store, refused(gone, 410))
    assert webhook_now(store, other).is_active


def test_410_to_one_that_was_disabled_by_hand_keeps_the_first_reason(store: Store) -> None:
    claim = one_claim(store)
    store.write(disable_webhook, claim.webhook, "By hand.")
    settle(store, refused(claim, 410))
    assert webhook_now(store, claim.webhook).disabled_reason == "By hand."


# A host that does not answer


def test_a_host_that_does_not_answer_is_left_alone_for_ten_minutes_by_every_webhook_with_that_policy(
    store: Store, clock: ManualClock
) -> None:
    same_host = new_webhook(store, "https://receiver.example:443/b", retry_policy=BREVO)
    elsewhere = new_webhook(store, "https://receiver.example:8443/", retry_policy=BREVO)
    standard = new_webhook(store, "https://receiver.example/c")
    silent = one_claim_of(store, new_webhook(store, "https://receiver.example/a", retry_policy=BREVO).id)
    settle(store, unanswered(silent))
    store.write(report_call, call_payload())
    for name in (silent.webhook, same_host):
        assert webhook_now(store, name).rests_until == MONDAY + TEN_MINUTES
    assert {claim.webhook.id for claim in claim_all(store)} == {elsewhere.id, standard.id}
    clock.set_wall(MONDAY + TEN_MINUTES)
    assert {claim.webhook.id for claim in claim_all(store)} >= {silent.webhook.id, same_host.id}


def one_claim_of(store: Store, webhook_id: int) -> Claim:
    """The claim of one webhook on a new call; those of others are delivered."""
    store.write(report_call, call_payload())
    claims = claim_all(store)
    settle(store, *(accepted(claim) for claim in claims if claim.webhook.id != webhook_id))
    return next(claim for claim in claims if claim.webhook.id == webhook_id)


def test_attempts_that_were_under_way_when_a_rest_began_do_not_lengthen_it(store: Store, clock: ManualClock) -> None:
    new_webhook(store, retry_policy=BREVO)
    for _ in range(3):
        store.write(report_call, call_payload())
    first, second, third = claim_all(store)
    settle(store, unanswered(first))
    clock.advance(seconds=5)
    settle(store, unanswered(second))
    assert webhook_now(store, first.webhook).rests_until == MONDAY + TEN_MINUTES
    clock.set_wall(MONDAY + TEN_MINUTES)
    settle(store, unanswered(third))  # and one that ends after it begins another
    assert webhook_now(store, first.webhook).rests_until == MONDAY + 2 * TEN_MINUTES


@pytest.mark.parametrize("status", [429, 500, 404])
def test_a_host_that_answers_does_not_rest(store: Store, status: int) -> None:
    claim = one_claim(store, retry_policy=BREVO)
    settle(store, refused(claim, status))
    assert webhook_now(store, claim.webhook).rests_until is None


def test_by_the_standard_policy_no_host_rests(store: Store) -> None:
    claim = one_claim(store)
    settle(store, unanswered(claim))
    assert webhook_now(store, claim.webhook).rests_until is None


def test_a_claim_that_is_given_back_while_its_host_rests_waits_until_it_has_rested(store: Store) -> None:
    new_webhook(store, retry_policy=BREVO)
    for _ in range(2):
        store.write(report_call, call_payload())
    silent, waiting = claim_all(store)
    settle(store, unanswered(silent))
    store.write(release, [waiting])
    assert delivery(store, waiting).next_attempt_at == MONDAY + TEN_MINUTES
    assert not claim_all(store)


# Giving back


@pytest.mark.parametrize("gone", ["disabled", "deleted"])
def test_a_claim_that_is_given_back_to_a_webhook_that_has_gone_is_withdrawn(store: Store, gone: str) -> None:
    claim = one_claim(store)
    if gone == "disabled":
        store.write(disable_webhook, claim.webhook, "Gone.")
    else:
        store.write(delete_webhook, claim.webhook.id)
    store.write(release, [claim])
    assert delivery(store, claim).status is State.WITHDRAWN
    assert not delivery(store, claim).attempts


def test_recovering_gives_back_what_was_being_sent(store: Store) -> None:
    claim = one_claim(store)
    assert store.write(recover) == 1
    [again] = claim_all(store)
    assert (again.delivery_id, again.attempt) == (claim.delivery_id, 2)


# By hand


def test_a_dead_delivery_is_tried_again_by_hand_and_begins_its_schedule_anew(store: Store) -> None:
    claim = one_claim(store, retry_policy=own_policy((60,), retry_4xx=False))
    settle(store, refused(claim, 404))
    assert delivery(store, claim).status is State.DEAD
    store.write(retry_delivery, claim.delivery_id)
    [again] = claim_all(store)
    assert (again.attempt, again.event) == (2, claim.event)
    settle(store, refused(again, 500))
    assert delivery(store, claim).next_attempt_at == MONDAY + timedelta(seconds=60)


def test_a_delivered_one_can_be_sent_again(store: Store) -> None:
    claim = one_claim(store)
    settle(store, accepted(claim))
    store.write(retry_delivery, claim.delivery_id)
    [again] = claim_all(store)
    settle(store, accepted(again))
    assert delivery(store, claim).status is State.DELIVERED
    assert [attempt.number for attempt in delivery(store, claim).attempts] == [1, 2]


def test_one_that_waits_is_tried_at_once(store: Store) -> None:
    claim = one_claim(store)
    settle(store, refused(claim))
    assert not claim_all(store)
    store.write(retry_delivery, claim.delivery_id)
    assert len(claim_all(store)) == 1


def test_one_that_is_being_sent_is_left_alone(store: Store) -> None:
    claim = one_claim(store)
    store.write(retry_delivery, claim.delivery_id)
    assert delivery(store, claim).status is State.SENDING
    assert not claim_all(store)


def test_one_whose_webhook_has_gone_is_refused(store: Store) -> None:
    claim = one_claim(store)
    settle(store, refused(claim))
    store.write(disable_webhook, claim.webhook, "Gone.")
    with pytest.raises(Invalid, match="Gone") as refusal:
        store.write(retry_delivery, claim.delivery_id)
    assert refusal.value.code == "bad_request"
    store.write(delete_webhook, claim.webhook.id)
    with pytest.raises(Invalid, match="deleted") as refusal:
        store.write(retry_delivery, claim.delivery_id)
    assert refusal.value.code == "bad_request"


def test_one_that_was_withdrawn_is_sent_when_its_webhook_is_active_again(store: Store) -> None:
    claim = one_claim(store)
    settle(store, refused(claim))
    store.write(disable_webhook, claim.webhook, "Gone.")
    store.write(update_webhook, claim.webhook.id, {"is_active": True}, LIMITS)
    assert not claim_all(store)
    store.write(retry_delivery, claim.delivery_id)
    assert len(claim_all(store)) == 1


def test_what_is_not_there_is_not_found(store: Store) -> None:
    for act in (
        lambda: store.write(retry_delivery, "dlv_nothing_1"),
        lambda: store.read(deliveries.read_delivery, "dlv_nothing_1"),
        lambda: store.read(read_event, "evt_nothing"),
    ):
        with pytest.raises(NotFound):
            act()


# A meetingStarted that is of no use any more


def test_a_retry_that_would_come_too_late_is_not_waited_for(store: Store) -> None:
    claim = one_claim(store, retry_policy=own_policy((60,), retry_4xx=True))
    in_time = replace(claim, give_up_at=MONDAY + timedelta(seconds=61))
    too_late = replace(claim, give_up_at=MONDAY + timedelta(seconds=60))
    assert [verdict.signal for verdict in settle(store, refused(in_time))] == [Signal.FAILED]
    assert [verdict.signal for verdict in settle(store, refused(too_late))] == [Signal.EXHAUSTED]


# Two workers


def test_a_worker_that_lost_its_lease_does_not_undo_a_success(store: Store, clock: ManualClock) -> None:
    slow = one_claim(store)
    clock.set_wall(slow.lease_until)
    [fast] = store.write(deliveries.claim_due, 10, LEASE, plenty)
    settle(store, accepted(fast))
    settle(store, outcome(slow, 500))
    assert delivery(store, slow).status is State.DELIVERED
    assert [attempt.status for attempt in delivery(store, slow).attempts] == [500, 200]


def test_events_can_be_read_one_by_one(store: Store, clock: ManualClock) -> None:
    store.write(report_call, call_payload())
    clock.advance(seconds=(DAY + HOUR).total_seconds())
    [event] = events(store)
    assert store.read(read_event, event.id) == event
    assert event.kind is EventKind.CALL_FINISHED

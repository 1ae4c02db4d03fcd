"""What the store promises of webhooks."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from hookline.domain.backoff import BREVO, STANDARD, RetryPolicy, own_policy
from hookline.domain.events import EventKind
from hookline.domain.failing import FINE, Streak
from hookline.domain.ids import WebhookId
from hookline.domain.webhooks import Header, Secret, Webhook
from hookline.ports.storage import Transaction
from tests.contract.owing import added, delivery, owed, plenty
from tests.contract.stores import Place, Store
from tests.fakes import MONDAY
from tests.values import HOUR, MICROSECOND, SECRET, webhook

RICH = webhook(
    "https://user:p%40ss@receiver.example:8443/hook?a=%20b",
    events=(EventKind.CALL_FINISHED, EventKind.MEETING_BOOKED),
    description="Zoë's \U0001f600",
    headers=(Header(key="X-One", value="1"), Header(key="x-one", value=""), Header(key="X-Two", value='"a", b')),
    retry_policy=own_policy((0, 5, 172800), retry_4xx=False),
    timeout_seconds=30,
    secrets=(Secret(value=SECRET), Secret(value="whsec_b2xk", expires_at=MONDAY + HOUR + MICROSECOND)),
    is_active=False,
    disabled_reason="Gone.",
    created_at=MONDAY + MICROSECOND,
    modified_at=MONDAY + HOUR,
    rests_until=MONDAY + 2 * HOUR,
    batched=True,
    ordered=True,
    rate_limit_per_second=2.5,
    filter=(("type", ("missed", "answered")), ("recording", (True,)), ("price", (0, 49.9))),
    failing_since=MONDAY + 3 * HOUR,
    warned_at=MONDAY + 4 * HOUR,
)


def every(store: Store) -> Sequence[Webhook]:
    webhooks: Sequence[Webhook] = store.read(lambda tx: tx.webhooks.all())
    return webhooks


def wanting(store: Store, kind: EventKind) -> Sequence[Webhook]:
    webhooks: Sequence[Webhook] = store.read(lambda tx: tx.webhooks.wanting(kind))
    return webhooks


def test_a_webhook_reads_as_it_was_added_with_the_id_that_add_told(store: Store) -> None:
    kept = store.write(lambda tx: tx.webhooks.add(RICH))
    assert kept == replace(RICH, id=kept.id)
    assert store.read(lambda tx: tx.webhooks.webhook(kept.id)) == kept


@pytest.mark.parametrize("policy", [STANDARD, BREVO, own_policy((), retry_4xx=True), own_policy((1,), retry_4xx=False)])
def test_a_retry_policy_is_kept_whole(store: Store, policy: RetryPolicy) -> None:
    assert added(store, retry_policy=policy).retry_policy == policy
    assert every(store)[0].retry_policy == policy


def test_a_webhook_that_is_not_there_is_none(store: Store) -> None:
    assert store.read(lambda tx: tx.webhooks.webhook(1)) is None
    assert store.read(lambda tx: tx.webhooks.webhook(-(2**70))) is None


def test_ids_count_up_and_are_never_used_again(place: Place) -> None:
    store = place.open()
    first, second = added(store), added(store)
    assert (first.id, second.id) == (1, 2)
    store.write(lambda tx: tx.webhooks.remove(second.id))
    store.write(lambda tx: tx.webhooks.remove(first.id))
    assert added(store).id == 3
    store.write(lambda tx: tx.webhooks.remove(3))
    store.close()
    assert added(place.open()).id == 4


def test_every_webhook_is_listed_by_creation(store: Store) -> None:
    made = [added(store, url=f"https://{name}.example/") for name in "cab"]
    store.write(lambda tx: tx.webhooks.save(replace(made[0], modified_at=MONDAY + HOUR)))
    assert [each.id for each in every(store)] == [each.id for each in made]


def test_a_webhook_reads_as_it_was_saved_last(store: Store) -> None:
    one, other = added(store), added(store)
    changed = replace(RICH, id=one.id, created_at=one.created_at)
    store.write(lambda tx: tx.webhooks.save(changed))
    assert every(store) == [changed, other]


def test_an_event_is_wanted_by_the_active_webhooks_that_list_it_by_creation(store: Store) -> None:
    calls = (EventKind.CALL_FINISHED,)
    both = added(store)
    added(store, events=calls, is_active=False)
    only_calls = added(store, events=calls)
    assert wanting(store, EventKind.CALL_FINISHED) == [both, only_calls]
    assert wanting(store, EventKind.MEETING_STARTED) == [both]
    store.write(lambda tx: tx.webhooks.save(replace(both, is_active=False)))
    assert wanting(store, EventKind.CALL_FINISHED) == [only_calls]
    assert not wanting(store, EventKind.MEETING_STARTED)


def test_within_a_transaction_its_own_changes_are_seen(store: Store) -> None:
    def work(tx: Transaction) -> list[int]:
        seen = [len(tx.webhooks.wanting(EventKind.CALL_FINISHED))]
        kept = tx.webhooks.add(webhook())
        seen.append(len(tx.webhooks.wanting(EventKind.CALL_FINISHED)))
        tx.webhooks.save(replace(kept, events=(EventKind.MEETING_BOOKED,)))
        seen.append(len(tx.webhooks.wanting(EventKind.CALL_FINISHED)))
        tx.webhooks.remove(kept.id)
        return [*seen, len(tx.webhooks.all())]

    assert store.write(work) == [0, 1, 0, 0]


def test_a_streak_is_noted_and_nothing_else_changes(store: Store) -> None:
    one, other = added(store), added(store)
    streak = Streak(failing_since=MONDAY + MICROSECOND, warned_at=MONDAY + HOUR)
    store.write(lambda tx: tx.webhooks.note_streak(one.id, streak))
    noted = replace(one, failing_since=streak.failing_since, warned_at=streak.warned_at)
    assert every(store) == [noted, other]
    assert wanting(store, EventKind.CALL_FINISHED) == [noted, other]
    store.write(lambda tx: tx.webhooks.note_streak(one.id, FINE))
    assert every(store) == [one, other]


def test_a_streak_of_a_transaction_that_failed_was_never_noted(store: Store) -> None:
    one = added(store)

    def fail(tx: Transaction) -> None:
        tx.webhooks.note_streak(one.id, Streak(failing_since=MONDAY))
        assert tx.webhooks.wanting(EventKind.CALL_FINISHED)[0].failing_since == MONDAY
        raise LookupError

    with pytest.raises(LookupError):
        store.write(fail)
    assert every(store) == [one]


def test_a_streak_of_a_webhook_that_is_not_there_is_passed_over(store: Store) -> None:
    store.write(lambda tx: tx.webhooks.note_streak(WebhookId(7), Streak(failing_since=MONDAY)))
    assert not every(store)


def test_a_removed_webhook_is_forgotten_and_its_deliveries_remain(store: Store) -> None:
    gone, stays = added(store), added(store)
    owed_id = owed(store, gone)
    store.write(lambda tx: tx.webhooks.remove(gone.id))
    assert every(store) == [stays]
    assert delivery(store, owed_id).webhook_id == gone.id
    assert not store.write(lambda tx: tx.outbox.claim_due(10, HOUR, plenty))

"""Webhooks that fail for days: the owner is warned after one, and the webhook disabled after five."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from hookline.adapters.sql.sqlite import SqliteStore
from hookline.domain.backoff import own_policy
from hookline.domain.deliveries import Claim, Outcome, State
from hookline.domain.notices import Notice, NoticeKind
from hookline.domain.webhooks import Webhook
from hookline.services.calls import report_call
from hookline.services.notices import list_notices
from hookline.services.webhooks import update_webhook
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.services.reading import claim_all, delivery, new_webhook, owed, settle, webhook_now
from tests.values import DAY, HOUR, LIMITS, MICROSECOND, accepted, call_payload, outcome, refused

#: Attempts in `tests.values` begin this long after their claim.
BEGUN = timedelta(seconds=60)
ONCE = own_policy((), retry_4xx=True)


def claim(store: Store) -> Claim:
    store.write(report_call, call_payload())
    [one] = claim_all(store)
    return one


def fail(store: Store) -> None:
    settle(store, refused(claim(store), 503))


def succeed(store: Store) -> None:
    settle(store, accepted(claim(store)))


def notices(store: Store) -> list[Notice]:
    return list(store.read(list_notices, limit=100, cursor=None).items[::-1])


def kinds(store: Store) -> list[NoticeKind]:
    return [notice.kind for notice in notices(store)]


@pytest.fixture
def webhook(store: Store) -> Webhook:
    return new_webhook(store, retry_policy=ONCE)


def test_five_days_of_failing(store: Store, clock: ManualClock, webhook: Webhook) -> None:
    for hour in range(5 * 24):
        clock.set_wall(MONDAY + hour * HOUR)
        fail(store)
        now = webhook_now(store, webhook)
        assert now.is_active
        assert now.failing_since == MONDAY + BEGUN
        assert now.warned_at == (MONDAY + DAY if hour >= 24 else None)
    assert kinds(store) == [NoticeKind.WEBHOOK_FAILING]
    clock.set_wall(MONDAY + 5 * DAY)
    store.write(report_call, call_payload())
    [last] = claim_all(store)
    store.write(report_call, call_payload())
    settle(store, refused(last, 503))
    disabled = webhook_now(store, webhook)
    assert not disabled.is_active
    assert disabled.disabled_reason == (
        "Every attempt has failed since 2026-01-05 09:01 UTC: for 5 days, the last one with status 503."
    )
    assert owed(store)[-1].status is State.WITHDRAWN
    warned, told = notices(store)
    assert (warned.webhook_id, warned.created_at) == (webhook.id, MONDAY + DAY)
    assert "by 2026-01-10 09:01 UTC" in warned.message
    assert (told.kind, told.message) == (NoticeKind.WEBHOOK_DISABLED, disabled.disabled_reason)


def test_one_success_begins_the_count_anew(store: Store, clock: ManualClock, webhook: Webhook) -> None:
    for day in range(4):
        clock.set_wall(MONDAY + day * DAY)
        fail(store)
    succeed(store)
    now = webhook_now(store, webhook)
    assert (now.failing_since, now.warned_at) == (None, None)
    for day in range(4, 9):
        clock.set_wall(MONDAY + day * DAY)
        fail(store)
    assert webhook_now(store, webhook).is_active
    assert kinds(store) == [NoticeKind.WEBHOOK_FAILING] * 2
    clock.set_wall(MONDAY + 9 * DAY)
    fail(store)
    assert not webhook_now(store, webhook).is_active


def test_what_failed_in_the_same_breath_is_withdrawn_with_the_webhook(store: Store, clock: ManualClock) -> None:
    webhook = new_webhook(store)
    fail(store)
    clock.set_wall(MONDAY + DAY)
    settle(store, *(refused(each) for each in claim_all(store)))
    clock.set_wall(MONDAY + 5 * DAY)
    for _ in range(2):
        store.write(report_call, call_payload())
    claims = claim_all(store)
    settle(store, *(refused(each) for each in claims))
    assert [delivery(store, each).status for each in claims] == [State.WITHDRAWN] * len(claims)
    assert kinds(store) == [NoticeKind.WEBHOOK_FAILING, NoticeKind.WEBHOOK_DISABLED]
    assert not webhook_now(store, webhook).is_active


def test_410_makes_a_notice(store: Store, webhook: Webhook) -> None:
    settle(store, refused(claim(store), 410))
    [notice] = notices(store)
    assert (notice.webhook_id, notice.kind) == (webhook.id, NoticeKind.WEBHOOK_DISABLED)
    assert "410" in notice.message


def test_disabling_by_hand_makes_none(store: Store, webhook: Webhook) -> None:
    store.write(update_webhook, webhook.id, {"is_active": False}, LIMITS)
    assert not notices(store)


@pytest.mark.parametrize("changes", [{"url": "https://other.example/"}, {"is_active": True}])
def test_another_url_and_enabling_by_hand_begin_anew(
    store: Store, clock: ManualClock, webhook: Webhook, changes: dict[str, Any]
) -> None:
    for day in (0, 1, 5):
        clock.set_wall(MONDAY + day * DAY)
        fail(store)
    assert not webhook_now(store, webhook).is_active
    store.write(update_webhook, webhook.id, changes, LIMITS)
    now = webhook_now(store, webhook)
    assert (now.failing_since, now.warned_at) == (None, None)


def test_other_changes_leave_it_as_it_is(store: Store, webhook: Webhook) -> None:
    fail(store)
    store.write(update_webhook, webhook.id, {"timeout_seconds": 3}, LIMITS)
    assert webhook_now(store, webhook).failing_since == MONDAY + BEGUN


def test_what_an_earlier_url_answered_says_nothing_about_the_new_one(store: Store, webhook: Webhook) -> None:
    late = claim(store)
    store.write(update_webhook, webhook.id, {"url": "https://other.example/"}, LIMITS)
    settle(store, refused(late))
    assert webhook_now(store, webhook).failing_since is None


def test_only_the_webhook_that_fails_is_concerned(store: Store, clock: ManualClock, webhook: Webhook) -> None:
    other = new_webhook(store, retry_policy=ONCE)

    def split(claims: Sequence[Claim]) -> list[Outcome]:
        return [accepted(each) if each.webhook.id == other.id else outcome(each, 503) for each in claims]

    for day in (0, 1, 5):
        clock.set_wall(MONDAY + day * DAY)
        store.write(report_call, call_payload())
        settle(store, *split(claim_all(store)))
    assert not webhook_now(store, webhook).is_active
    assert webhook_now(store, other).is_active
    assert webhook_now(store, other).failing_since is None


def test_the_row_is_written_at_transitions_only(sqlite_store: SqliteStore) -> None:
    store = sqlite_store
    new_webhook(store)
    written: list[str] = []
    store.connection.set_trace_callback(
        lambda sql: written.append(sql) if sql.lstrip().startswith("UPDATE webhook") else None
    )
    counts = []
    for act in (succeed, succeed, fail, fail, fail, succeed, succeed):
        act(store)
        counts.append(len(written))
    assert counts == [0, 0, 1, 1, 1, 2, 2]


def test_a_failing_webhook_is_not_called_modified_and_stays_as_it_was(store: Store, webhook: Webhook) -> None:
    fail(store)
    assert webhook_now(store, webhook).modified_at == webhook.modified_at
    assert webhook_now(store, webhook).url == webhook.url


def test_the_instant_is_kept_to_the_microsecond(store: Store, clock: ManualClock, webhook: Webhook) -> None:
    clock.set_wall(MONDAY + MICROSECOND)
    fail(store)
    assert webhook_now(store, webhook).failing_since == MONDAY + BEGUN + MICROSECOND

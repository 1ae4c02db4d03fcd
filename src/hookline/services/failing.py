"""Failing webhooks: their owners are warned, and one whose every attempt has failed for days is disabled.

The rules are in `domain/failing.py`. A webhook is written only when something about it changes: when it begins to fail,
when its owner is warned, when it is disabled, and when something gets through again.
"""

from collections import defaultdict
from collections.abc import Sequence

from hookline.domain.deliveries import Attempt, Outcome
from hookline.domain.failing import Streak, enough, follow, warning
from hookline.domain.ids import WebhookId
from hookline.domain.notices import NoticeKind
from hookline.domain.webhooks import Webhook
from hookline.ports.storage import Transaction
from hookline.services.notices import give_notice
from hookline.services.webhooks import disable_webhook


def follow_failures(tx: Transaction, outcomes: Sequence[Outcome]) -> None:
    """Draw the conclusions from attempts that were settled, in the order in which they ended.

    What an attempt at an earlier URL came to says nothing about the webhook as it is now.
    """
    attempts: defaultdict[WebhookId, list[Attempt]] = defaultdict(list)
    for outcome in outcomes:
        tried = outcome.claim.webhook
        webhook = tx.webhooks.webhook(tried.id)
        if webhook is None or not webhook.is_active or webhook.url != tried.url:
            continue
        goes_on_well = outcome.attempt.is_success and webhook.failing_since is None and webhook.id not in attempts
        if not goes_on_well:
            attempts[webhook.id].append(outcome.attempt)
    for webhook_id, ended in attempts.items():
        webhook = tx.webhooks.webhook(webhook_id)
        if webhook is not None:
            _follow(tx, webhook, ended)


def _follow(tx: Transaction, webhook: Webhook, ended: Sequence[Attempt]) -> None:
    before = Streak(failing_since=webhook.failing_since, warned_at=webhook.warned_at)
    streak, called_for = follow(before, ended, now=tx.now)
    if streak != before:
        tx.webhooks.note_streak(webhook.id, streak)
    if streak.failing_since is None:
        return
    if called_for is NoticeKind.WEBHOOK_DISABLED:
        failing = tx.webhooks.webhook(webhook.id) or webhook
        disable_webhook(tx, failing, enough(streak.failing_since, ended[-1]))
    elif called_for is NoticeKind.WEBHOOK_FAILING:
        give_notice(tx, webhook.id, called_for, warning(streak.failing_since, ended[-1], now=tx.now))

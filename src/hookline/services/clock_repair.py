"""Clock repair: what was planned under a wrong clock is planned anew once the clock is right again.

A clock that was a year ahead leaves retries and leases a year away. Nobody knows when they should have been, but no
retry is ever planned more than 48 h ahead, so what is further away was planned by a wrong clock. It is found by its
instants alone, after a restart too, and on another node. Starts of meetings are absolute instants, which no clock can
plan wrongly. A clock that was ahead by less leaves nothing later than that.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from hookline.domain.backoff import MAX_WAIT_SECONDS, RetryPolicy
from hookline.domain.deliveries import LEASE
from hookline.domain.failing import Streak
from hookline.domain.webhooks import Webhook
from hookline.ports.storage import Transaction

#: Longer than any retry is put off.
LONGEST_RETRY: Final = timedelta(seconds=MAX_WAIT_SECONDS) + timedelta(hours=1)
#: Longer than any lease, and than any call, process or notification is put off, but for the silent ones of 24 hours.
LONGEST_WORK: Final = timedelta(hours=25)


def is_repair_needed(tx: Transaction) -> bool:
    """Whether anything is planned further away than it can be."""
    return (
        any(_dated_wrongly(webhook, tx.now) for webhook in tx.webhooks.all())
        or any(due_at > tx.now + LONGEST_RETRY for due_at in tx.clock_repair.furthest_due().values())
        or tx.clock_repair.is_any_beyond(tx.now + LONGEST_WORK)
    )


def repair(tx: Transaction) -> int:
    """Plan anew what is planned further away than it can be. Returns how much that was.

    A retry waits as long as its schedule says from now on, and a delivery that was not attempted yet is due now.
    """
    repaired, latest = 0, tx.now + LONGEST_RETRY
    for webhook in tx.webhooks.all():
        for failures in tx.clock_repair.failures_beyond(webhook.id, latest):
            due_at = tx.now + _wait(webhook.retry_policy, failures)
            repaired += tx.clock_repair.plan_retries(webhook.id, failures, beyond=latest, due_at=due_at)
        if _dated_wrongly(webhook, tx.now):
            tx.webhooks.save(replace(webhook, rests_until=None))
            if webhook.failing_since is not None:
                tx.webhooks.note_streak(webhook.id, Streak(failing_since=tx.now))
            repaired += 1
    return repaired + tx.clock_repair.bring_back(tx.now + LONGEST_WORK, LEASE)


def _wait(policy: RetryPolicy, failures: int) -> timedelta:
    if failures == 0 or not policy.waits_seconds:
        return timedelta()
    return timedelta(seconds=policy.waits_seconds[min(failures, len(policy.waits_seconds)) - 1])


def _dated_wrongly(webhook: Webhook, now: datetime) -> bool:
    instants = (webhook.rests_until, webhook.failing_since)
    return any(instant is not None and instant > now + LONGEST_WORK for instant in instants)

"""Failing webhooks: since when every attempt has failed, when the owner is warned, and when it is enough.

Pure rules; who looks at attempts as they are settled is `services/deliveries.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from hookline.domain.deliveries import Attempt
from hookline.domain.instants import spoken
from hookline.domain.notices import NoticeKind

#: The first failing attempt after this much failing warns the owner; the first after that much disables the webhook.
WARN_AFTER: Final = timedelta(hours=24)
DISABLE_AFTER: Final = timedelta(days=5)
#: Nobody is disabled sooner after the warning: where there were no attempts for days, for want of events or of a
#: server, the second failure of all may be the first after 5 days.
WARNED_FOR: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """Failures without a success between them: since when there are such, and when the owner was told."""

    failing_since: datetime | None = None
    warned_at: datetime | None = None


#: Of a webhook whose latest attempt was a success, or that had none.
FINE: Final = Streak()


def follow(streak: Streak, attempts: Sequence[Attempt], *, now: datetime) -> tuple[Streak, NoticeKind | None]:
    """What a webhook's streak is after these attempts (in the order in which they ended), and what that calls for.

    All of them are looked at before anything is called for: a success among the latest saves the webhook.
    """
    for attempt in attempts:
        streak = _after(streak, attempt)
    if streak.failing_since is None:
        return streak, None
    latest_at = attempts[-1].started_at
    if streak.warned_at is None:
        if latest_at - streak.failing_since < WARN_AFTER:
            return streak, None
        return replace(streak, warned_at=now), NoticeKind.WEBHOOK_FAILING
    is_enough = latest_at >= _disabled_from(streak.failing_since, streak.warned_at)
    return streak, NoticeKind.WEBHOOK_DISABLED if is_enough else None


def _disabled_from(since: datetime, warned_at: datetime) -> datetime:
    """From when on the next failure disables the webhook."""
    return max(since + DISABLE_AFTER, warned_at + WARNED_FOR)


def _after(streak: Streak, attempt: Attempt) -> Streak:
    if attempt.is_success:
        return FINE
    return Streak(failing_since=attempt.started_at) if streak.failing_since is None else streak


def warning(since: datetime, latest: Attempt, *, now: datetime) -> str:
    """What the owner of a failing webhook is told now, before it is disabled."""
    return (
        f"Every attempt has failed since {spoken(since)}, the last one with {latest.in_words}."
        f" If nothing gets through by {spoken(_disabled_from(since, now))}, the next failure disables it."
    )


def enough(since: datetime, latest: Attempt) -> str:
    """Why a webhook is disabled that failed for too long."""
    return (
        f"Every attempt has failed since {spoken(since)}: for {DISABLE_AFTER.days} days,"
        f" the last one with {latest.in_words}."
    )

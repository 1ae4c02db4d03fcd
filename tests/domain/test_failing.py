"""When a webhook that fails is warned of, and when it is disabled."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.deliveries import Attempt
from hookline.domain.failing import DISABLE_AFTER, FINE, WARN_AFTER, WARNED_FOR, Streak, enough, follow, warning
from hookline.domain.notices import NoticeKind
from tests.fakes import MONDAY
from tests.values import DAY, HOUR, MICROSECOND


def attempt(at: datetime = MONDAY, status: int | None = 503, error: str = "") -> Attempt:
    return Attempt(number=1, started_at=at, duration_ms=5.0, status=status, error=error)


def failing(*, since: datetime = MONDAY, warned_at: datetime | None = None) -> Streak:
    return Streak(failing_since=since, warned_at=warned_at)


@pytest.mark.parametrize("bad", [attempt(status=500), attempt(status=410), attempt(status=None, error="No answer.")])
def test_the_first_failure_begins_a_streak_when_its_attempt_began(bad: Attempt) -> None:
    assert follow(FINE, [bad], now=MONDAY + HOUR) == (failing(), None)


def test_later_failures_do_not_move_its_beginning() -> None:
    assert follow(failing(), [attempt(MONDAY + HOUR)], now=MONDAY + HOUR) == (failing(), None)


def test_a_success_ends_it_and_forgets_the_warning() -> None:
    old = failing(warned_at=MONDAY + DAY)
    assert follow(old, [attempt(MONDAY + 4 * DAY, status=200)], now=MONDAY + 4 * DAY) == (FINE, None)


def test_the_first_failure_after_a_day_warns_once() -> None:
    just_before, then, later = (MONDAY + WARN_AFTER + each for each in (-MICROSECOND, timedelta(), HOUR))
    assert follow(failing(), [attempt(just_before)], now=just_before)[1] is None
    streak, called_for = follow(failing(), [attempt(then)], now=later)
    assert (streak, called_for) == (failing(warned_at=later), NoticeKind.WEBHOOK_FAILING)
    assert follow(streak, [attempt(later)], now=later) == (streak, None)


def test_the_first_failure_after_five_days_is_enough() -> None:
    warned = failing(warned_at=MONDAY + DAY)
    just_before, then = MONDAY + DISABLE_AFTER - MICROSECOND, MONDAY + DISABLE_AFTER
    assert follow(warned, [attempt(just_before)], now=then)[1] is None
    assert follow(warned, [attempt(then)], now=then)[1] is NoticeKind.WEBHOOK_DISABLED


def test_nobody_is_disabled_without_a_warning_a_day_before_however_long_nothing_was_attempted() -> None:
    late = MONDAY + 9 * DAY
    streak, called_for = follow(failing(), [attempt(late)], now=late)
    assert called_for is NoticeKind.WEBHOOK_FAILING
    just_before, then = late + WARNED_FOR - MICROSECOND, late + WARNED_FOR
    assert follow(streak, [attempt(just_before)], now=just_before) == (streak, None)
    assert follow(streak, [attempt(then)], now=then)[1] is NoticeKind.WEBHOOK_DISABLED


def test_a_success_among_those_that_are_settled_together_saves_the_webhook() -> None:
    late = MONDAY + DISABLE_AFTER
    ended = [attempt(late), attempt(late, status=204), attempt(late + HOUR)]
    assert follow(failing(), ended, now=late + HOUR) == (failing(since=late + HOUR), None)


def test_the_sentences_hold_the_facts() -> None:
    assert warning(MONDAY, attempt(), now=MONDAY + DAY) == (
        "Every attempt has failed since 2026-01-05 09:00 UTC, the last one with status 503."
        " If nothing gets through by 2026-01-10 09:00 UTC, the next failure disables it."
    )
    assert "by 2026-01-15 09:00 UTC" in warning(MONDAY, attempt(), now=MONDAY + 9 * DAY)
    assert enough(MONDAY, attempt(status=None, error="No answer within 15 s.")) == (
        'Every attempt has failed since 2026-01-05 09:00 UTC: for 5 days, the last one with "No answer within 15 s".'
    )


attempts = st.lists(st.tuples(st.integers(0, 3 * 86_400), st.booleans()), min_size=1, max_size=30)


def brute_force(history: Sequence[Attempt]) -> tuple[datetime | None, set[NoticeKind]]:
    """Since when it fails after all of these, and what was called for since it does, looked up in the whole history."""
    fails = len(history) - next((back for back, each in enumerate(reversed(history)) if each.is_success), len(history))
    streak = history[fails:]
    if not streak:
        return None, set()
    since = streak[0].started_at
    warned_at = next((each.started_at for each in streak if each.started_at - since >= WARN_AFTER), None)
    if warned_at is None:
        return since, set()
    latest_at = streak[-1].started_at
    is_enough = latest_at - since >= DISABLE_AFTER and latest_at - warned_at >= WARNED_FOR
    return since, {NoticeKind.WEBHOOK_FAILING} | ({NoticeKind.WEBHOOK_DISABLED} if is_enough else set())


@given(attempts)
def test_followed_one_by_one_it_is_what_the_whole_history_says(steps: list[tuple[int, bool]]) -> None:
    now, streak, history = MONDAY, FINE, list[Attempt]()
    called: set[NoticeKind] = set()
    for wait, fails in steps:
        now += timedelta(seconds=wait)
        history.append(attempt(now, status=500 if fails else 200))
        streak, kind = follow(streak, history[-1:], now=now)
        called = set() if streak == FINE else called | ({kind} if kind else set())
        assert (streak.failing_since, called) == brute_force(history)
        if kind is NoticeKind.WEBHOOK_DISABLED:
            return


@given(attempts)
def test_what_is_settled_together_leads_to_the_same_streak_as_one_by_one(steps: list[tuple[int, bool]]) -> None:
    now, alone, history = MONDAY, FINE, list[Attempt]()
    for wait, fails in steps:
        now += timedelta(seconds=wait)
        history.append(attempt(now, status=500 if fails else 200))
        alone, _ = follow(alone, history[-1:], now=now)
    together, _ = follow(FINE, history, now=now)
    assert together.failing_since == alone.failing_since

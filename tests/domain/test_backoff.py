"""Which failures are tried again, and when."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hookline.domain.backoff import (
    BREVO,
    MAX_RETRIES,
    NAMED,
    STANDARD,
    RetryPolicy,
    asked_wait,
    own_policy,
    wait_before_retry,
)

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MINUTE, HOUR = 60, 3600

#: The table of the contract: how long after the one before each attempt comes.
SCHEDULES = {
    "standard": [5, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 30 * HOUR],
    "brevo": [10 * MINUTE, HOUR, 2 * HOUR, 8 * HOUR],
}
STATUSES = [None, *range(100, 600)]

draws = st.floats(0, 1, exclude_max=True)
waits = st.lists(st.integers(0, 172_800), max_size=MAX_RETRIES).map(tuple)


def waits_of(policy: RetryPolicy, jitter: float) -> list[float]:
    """Every wait until there is none."""
    found: list[float] = []
    while (wait := wait_before_retry(policy, len(found) + 1, jitter=jitter)) is not None:
        found.append(wait)
    return found


@pytest.mark.parametrize("name", NAMED)
def test_the_schedules_are_those_of_the_contract(name: str) -> None:
    assert waits_of(NAMED[name], jitter=0) == SCHEDULES[name]
    assert NAMED[name].name == name


def test_the_standard_schedule_takes_about_74_hours() -> None:
    assert 74 <= sum(waits_of(STANDARD, jitter=0)) / HOUR < 75
    assert len(waits_of(STANDARD, jitter=0)) + 1 == 10


@given(draws, st.integers(1, 9))
@example(0.0, 1)
def test_jitter_lengthens_the_standard_waits_by_up_to_a_fifth_and_never_shortens(jitter: float, retry: int) -> None:
    planned = SCHEDULES["standard"][retry - 1]
    wait = wait_before_retry(STANDARD, retry, jitter=jitter)
    assert wait is not None
    assert planned <= wait <= planned * 1.2


@given(draws, draws)
def test_more_jitter_is_a_longer_wait(one: float, other: float) -> None:
    pairs = zip(waits_of(STANDARD, jitter=one), waits_of(STANDARD, jitter=other), strict=True)
    assert all((shorter <= longer) == (one <= other) or shorter == longer for shorter, longer in pairs)


@given(draws, waits, st.booleans())
def test_schedules_that_somebody_wrote_down_are_kept_to_the_second(
    jitter: float, schedule: tuple[int, ...], retry_4xx: bool
) -> None:
    assert waits_of(own_policy(schedule, retry_4xx=retry_4xx), jitter=jitter) == list(schedule)
    assert waits_of(BREVO, jitter=jitter) == SCHEDULES["brevo"]


def test_a_schedule_without_waits_has_one_attempt() -> None:
    assert waits_of(own_policy((), retry_4xx=True), jitter=0) == []


@pytest.mark.parametrize("policy", [STANDARD, own_policy((5,), retry_4xx=True)])
def test_every_failure_but_410_is_retried(policy: RetryPolicy) -> None:
    assert [status for status in STATUSES if not policy.retries(status)] == [410]


def test_an_own_schedule_may_end_with_any_4xx() -> None:
    policy = own_policy((5,), retry_4xx=False)
    assert [status for status in STATUSES if not policy.retries(status)] == list(range(400, 500))


def test_brevo_retries_no_answer_429_and_5xx_and_nothing_else() -> None:
    retried = [status for status in STATUSES if status is None or status >= 300 if BREVO.retries(status)]
    assert retried == [None, 429, *range(500, 600)]


def test_only_brevo_lets_hosts_rest_and_that_for_ten_minutes() -> None:
    assert (BREVO.rest_seconds, STANDARD.rest_seconds, own_policy((), retry_4xx=True).rest_seconds) == (600, 0, 0)


# Retry-After


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("1", 1),
        (" 120 ", 120),
        ("21600", 21600),
        ("21601", 21600),
        ("9" * 400, 21600),
        ("Mon, 05 Jan 2026 09:00:01 GMT", 1),
        ("Monday, 05-Jan-26 09:02:00 GMT", 120),
        ("Mon Jan  5 09:02:00 2026", 120),
        ("Mon, 05 Jan 2026 08:59:59 GMT", 0),
        ("Mon, 05 Jan 1998 09:00:00 GMT", 0),
        ("Tue, 06 Jan 2026 09:00:00 GMT", 21600),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 21600),
    ],
)
def test_a_receiver_may_ask_for_seconds_or_name_a_date_up_to_six_hours(status: int, value: str, seconds: float) -> None:
    assert asked_wait(status, value, NOW) == seconds


@pytest.mark.parametrize("value", [None, "", " ", "soon", "-5", "1.5", "1e3", "٣", "²", "+5", "5 seconds", "0x10"])
def test_anything_else_asks_for_nothing(value: str | None) -> None:
    assert asked_wait(503, value, NOW) == 0


@pytest.mark.parametrize("status", [status for status in STATUSES if status not in (429, 503)])
def test_only_429_and_503_may_ask(status: int | None) -> None:
    assert asked_wait(status, "120", NOW) == 0


@given(st.text() | st.text("0123456789:,+- GMTJanMonFeb", max_size=40))
@example("Mon, 05 Jan 2026 09:00:00 -0000")
@example("Mon, 32 Jan 2026 09:00:00 GMT")
@example("Mon, 05 Jan 2026 25:00:00 GMT")
@example("Mon, 05 Jan 0000 09:00:00 GMT")
@example("Mon, 05 Jan 2026 09:00:00 +9999999999")
@example(",")
@example("0 0 0 0 0")
def test_whatever_a_receiver_writes_the_wait_is_between_none_and_six_hours(value: str) -> None:
    assert 0 <= asked_wait(503, value, NOW) <= 6 * HOUR


@given(st.integers(0, 6 * HOUR))
def test_a_date_asks_for_the_time_until_it(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert asked_wait(429, date, NOW) == seconds

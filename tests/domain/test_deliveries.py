"""What one attempt leads to, and the moves that a delivery can make."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.backoff import BREVO, STANDARD, RetryPolicy, own_policy, wait_before_retry
from hookline.domain.deliveries import (
    MOVES,
    Attempt,
    Claim,
    Outcome,
    Signal,
    State,
    Verdict,
    judge,
)
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import DeliveryId, EventId, MeetingId
from tests.fakes import MONDAY
from tests.values import HOUR, MICROSECOND, outcome, webhook

EVENT = Event(
    id=EventId("evt_a"),
    kind=EventKind.MEETING_STARTED,
    subject=MeetingId("mtg_a"),
    sequence=2,
    occurred_at=MONDAY,
    created_at=MONDAY,
    body=b"{}",
)

policies = st.sampled_from([STANDARD, BREVO]) | st.builds(
    own_policy, st.lists(st.integers(0, 172_800), max_size=30).map(tuple), retry_4xx=st.booleans()
)
statuses = st.none() | st.integers(100, 599)
draws = st.floats(0, 1, exclude_max=True)


def claim(failures: int = 0, give_up_in: timedelta | None = None) -> Claim:
    return Claim(
        delivery_id=DeliveryId("dlv_a_1"),
        attempt=failures + 1,
        failures=failures,
        lease_until=MONDAY + HOUR,
        token=7,
        give_up_at=None if give_up_in is None else MONDAY + give_up_in,
        event=EVENT,
        webhook=webhook(),
    )


def verdict(
    status: int | None,
    policy: RetryPolicy = STANDARD,
    *,
    failures: int = 0,
    retry_after: str | None = None,
    error: str = "",
    give_up_in: timedelta | None = None,
    jitter: float = 0.0,
) -> Verdict:
    result = outcome(claim(failures, give_up_in), status, error=error, retry_after=retry_after)
    return judge(result, policy, now=MONDAY, jitter=jitter)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_success(status: int) -> None:
    assert verdict(status) == Verdict(signal=Signal.ACCEPTED)
    assert verdict(status).state is State.DELIVERED


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 304, 307, 308, 400, 404, 429, 500, 503, 599])
def test_anything_else_is_a_failure(status: int) -> None:
    assert verdict(status).signal is Signal.FAILED
    assert verdict(status).state is State.PENDING


def test_no_answer_is_a_failure() -> None:
    assert verdict(None, error="The name could not be resolved.").signal is Signal.FAILED


def test_an_answer_that_broke_off_is_a_failure_whatever_its_status() -> None:
    assert verdict(200, error="The answer broke off.").signal is Signal.FAILED
    assert verdict(200, BREVO, error="The answer broke off.").signal is Signal.FAILED


def test_410_ends_it_and_disables_the_webhook_by_every_policy() -> None:
    for policy in (STANDARD, BREVO, own_policy((1,), retry_4xx=True)):
        judged = verdict(410, policy)
        assert (judged.signal, judged.due_at) == (Signal.EXHAUSTED, None)
        assert judged.disable_because == "The receiver answered 410 Gone."
        assert judged.reason == "the receiver answered 410 Gone"


@pytest.mark.parametrize("status", [300, 301, 304, 400, 401, 404, 409])
def test_by_brevos_policy_3xx_and_4xx_end_it(status: int) -> None:
    assert verdict(status, BREVO).signal is Signal.EXHAUSTED
    assert verdict(status, BREVO).reason == f"its policy does not retry a {status}"


@given(policies, draws, statuses)
def test_each_failure_waits_as_its_policy_says_until_there_are_no_more_attempts(
    policy: RetryPolicy, jitter: float, status: int | None
) -> None:
    if status is not None and (200 <= status < 300 or not policy.retries(status)):
        return
    for failures in range(len(policy.waits_seconds)):
        wait = wait_before_retry(policy, failures + 1, jitter=jitter)
        assert wait is not None
        judged = verdict(status, policy, failures=failures, jitter=jitter)
        assert judged == Verdict(signal=Signal.FAILED, due_at=MONDAY + timedelta(seconds=wait))
    retries = len(policy.waits_seconds)
    last = verdict(status, policy, failures=retries, jitter=jitter)
    assert last == Verdict(signal=Signal.EXHAUSTED, reason=f"attempt {retries + 1} was the last")


def test_retry_after_lengthens_the_wait_and_never_shortens_it() -> None:
    assert verdict(503, retry_after="120").due_at == MONDAY + timedelta(seconds=120)
    assert verdict(503, retry_after="1").due_at == MONDAY + timedelta(seconds=5)
    assert verdict(429, retry_after="86400").due_at == MONDAY + timedelta(hours=6)
    assert verdict(500, retry_after="120").due_at == MONDAY + timedelta(seconds=5)
    assert verdict(429, retry_after="Mon, 05 Jan 2026 09:10:00 GMT").due_at == MONDAY + timedelta(minutes=10)


@given(policies, draws, st.integers(0, 30), st.sampled_from([None, 301, 404, 429, 500, 503]), st.integers(0, 30_000))
def test_a_wait_is_the_planned_one_with_its_jitter_or_what_was_asked_if_that_is_longer(
    policy: RetryPolicy, jitter: float, failures: int, status: int | None, asked: int
) -> None:
    told = verdict(status, policy, failures=failures, retry_after=str(asked), jitter=jitter)
    if told.due_at is None:
        assert failures >= len(policy.waits_seconds) or not policy.retries(status)
        return
    planned = policy.waits_seconds[failures]
    least = max(planned, min(asked, 6 * 3600) if status in (429, 503) else 0)
    most = max(planned * 1.2 if policy is STANDARD else planned, least)
    # A tolerance for the rounding of instants to whole microseconds.
    assert least <= (told.due_at - MONDAY).total_seconds() <= most + 0.000_001


def test_retry_after_makes_no_attempt_where_there_is_none_left() -> None:
    judged = verdict(503, own_policy((), retry_4xx=True), retry_after="5")
    assert (judged.signal, judged.due_at) == (Signal.EXHAUSTED, None)


def test_what_would_be_due_when_it_is_of_no_use_any_more_is_given_up() -> None:
    given_up = Verdict(signal=Signal.EXHAUSTED, reason="by the next attempt the meeting would have been over for 24 h")
    assert verdict(500, give_up_in=timedelta(seconds=5)) == given_up
    assert verdict(500, give_up_in=timedelta(seconds=5) + MICROSECOND).signal is Signal.FAILED
    assert verdict(503, give_up_in=HOUR, retry_after="3600") == given_up


def test_a_success_counts_however_late() -> None:
    assert verdict(200, give_up_in=-HOUR).signal is Signal.ACCEPTED


@given(policies, draws, statuses, st.integers(0, 40), st.text(max_size=5), st.sampled_from(["", "It broke off."]))
def test_a_delivery_goes_on_exactly_when_it_has_a_next_instant(
    policy: RetryPolicy, jitter: float, status: int | None, failures: int, retry_after: str, error: str
) -> None:
    judged = verdict(status, policy, failures=failures, retry_after=retry_after, error=error, jitter=jitter)
    assert (judged.due_at is not None) == (judged.state is State.PENDING)
    if judged.due_at is not None:
        assert judged.due_at >= MONDAY


# Attempts


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
def test_retry_after_is_found_whatever_its_case_the_first_counts(name: str) -> None:
    attempt = Attempt(
        number=1,
        started_at=MONDAY,
        duration_ms=1.0,
        status=503,
        error="",
        response_headers=(("X", "0"), (name, "5"), ("retry-after", "6")),
    )
    assert attempt.retry_after == "5"
    assert not attempt.is_success


def test_without_the_header_nothing_was_asked() -> None:
    assert outcome(claim(), 503).attempt.retry_after is None


# The table of moves


def test_only_a_delivery_that_is_owed_can_be_settled_and_only_a_settled_one_revived() -> None:
    settled = {State.DELIVERED, State.DEAD, State.WITHDRAWN}
    assert {move for move in MOVES if move[0] in settled} == {(state, Signal.REPLAYED) for state in settled}
    assert {MOVES[state, Signal.REPLAYED] for state in settled} == {State.PENDING}
    assert {state for (state, signal) in MOVES if signal is Signal.CLAIMED} == {State.PENDING}


def test_every_state_can_be_reached_and_left() -> None:
    assert {state for state, _ in MOVES} == set(State)
    assert set(MOVES.values()) == set(State)


def test_every_signal_means_something_and_a_verdict_can_be_any_that_ends_an_attempt() -> None:
    assert {signal for _, signal in MOVES} == set(Signal)
    ends = (Signal.ACCEPTED, Signal.FAILED, Signal.EXHAUSTED, Signal.WITHDRAWN)
    assert [Verdict(signal=signal).state for signal in ends] == [
        State.DELIVERED,
        State.PENDING,
        State.DEAD,
        State.WITHDRAWN,
    ]


def test_what_came_of_a_claim_names_its_attempt() -> None:
    made = claim(failures=3)
    assert Outcome(claim=made, attempt=outcome(made, 200).attempt).attempt.number == 4

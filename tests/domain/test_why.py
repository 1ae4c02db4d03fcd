"""Why an event was or was not sent to a webhook, in sentences with the facts."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from hookline.domain.deliveries import Attempt, State
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import CallId, DeliveryId, EventId, WebhookId
from hookline.domain.why import Fate, Fortune, Standing, WebhookThen, explain
from tests.fakes import MONDAY
from tests.values import HOUR

EVENT = Event(
    id=EventId("evt_a"),
    kind=EventKind.CALL_FINISHED,
    subject=CallId("call_a"),
    sequence=1,
    occurred_at=MONDAY,
    created_at=MONDAY,
    body=b'{"phone_line_name":"Desk","recording":false,"type":"answered"}',
)
STANDING = Standing(
    since=MONDAY - HOUR,
    events=(EventKind.CALL_FINISHED,),
    filter=(),
    is_active=True,
    disabled_reason="",
    is_removed=False,
)


def attempt(number: int, status: int | None = 503, error: str = "") -> Attempt:
    return Attempt(number=number, started_at=MONDAY + HOUR, duration_ms=5.0, status=status, error=error)


def fate(state: State, **changes: Any) -> Fate:
    made = Fate(delivery_id=DeliveryId("dlv_a_7"), webhook_id=WebhookId(7), state=state, attempt=1, latest=attempt(1))
    return replace(made, **changes)


def why(became: Fate, *, rests_until: datetime | None = None, now: datetime = MONDAY + HOUR) -> str:
    then = WebhookThen(webhook_id=WebhookId(7), made_at=MONDAY, standing=STANDING)
    explained = explain(EVENT, then, became, rests_until=rests_until, now=now)
    assert (explained.delivery_id, explained.fortune) == ("dlv_a_7", Fortune(became.state.value))
    return explained.why


def why_not(event: Event = EVENT, **changes: Any) -> str:
    standing = replace(STANDING, **changes)
    then = WebhookThen(webhook_id=WebhookId(7), made_at=MONDAY - HOUR, standing=standing)
    explained = explain(event, then, None, rests_until=None, now=MONDAY + HOUR)
    assert (explained.webhook_id, explained.delivery_id, explained.fortune) == (7, None, Fortune.NOT_OWED)
    return explained.why


# What became of a delivery


def test_a_delivery_tells_the_attempt_that_got_through() -> None:
    assert why(fate(State.DELIVERED, attempt=2, latest=attempt(2, 204))) == (
        "Delivered with attempt 2 at 2026-01-05 10:00:00 UTC, status 204."
    )
    assert why(fate(State.DELIVERED, attempt=2, latest=None)) == "Delivered with attempt 2."


def test_one_that_waits_tells_until_when_and_what_the_last_attempt_got() -> None:
    later = MONDAY + 3 * HOUR
    assert why(fate(State.PENDING, due_at=later, latest=attempt(3))) == (
        "Waits until 2026-01-05 12:00:00 UTC, because attempt 3 got status 503."
    )
    assert why(fate(State.PENDING, due_at=later, latest=attempt(3, None, "No answer within 15 s."))) == (
        'Waits until 2026-01-05 12:00:00 UTC, because attempt 3 got "No answer within 15 s".'
    )
    assert why(fate(State.PENDING, due_at=later, latest=None)) == "Waits until 2026-01-05 12:00:00 UTC."


def test_one_whose_host_rests_says_so() -> None:
    later = MONDAY + 3 * HOUR
    resting = fate(State.PENDING, due_at=later, latest=None)
    assert why(resting, rests_until=later) == (
        "Waits until 2026-01-05 12:00:00 UTC: its host does not answer, and rests until then."
    )
    assert "rests" not in why(resting, rests_until=MONDAY)
    assert "rests" not in why(replace(resting, due_at=later + HOUR), rests_until=later)


def test_one_that_is_due_waits_for_room() -> None:
    assert why(fate(State.PENDING, due_at=MONDAY, latest=None)) == (
        "Due since 2026-01-05 09:00:00 UTC: it is its turn when there is room."
    )


def test_one_that_waits_for_others_says_for_which() -> None:
    assert why(fate(State.PENDING, due_at=None, latest=None, waits_for=1)) == (
        "Waits for sequence 1 of this subject, since the webhook is ordered."
    )
    in_batch = fate(State.PENDING, attempt=0, latest=None, due_at=MONDAY + 2 * HOUR, is_batched=True)
    assert why(in_batch) == "Gathers in a batch until 2026-01-05 11:00:00 UTC."
    assert why(replace(in_batch, attempt=1, latest=attempt(1))) == (
        "Waits until 2026-01-05 11:00:00 UTC, because attempt 1 got status 503."
    )
    assert why(fate(State.PENDING, due_at=None)) == "Waits for the one before it. Attempt 1 got status 503."


def test_one_that_is_being_sent_tells_the_attempt() -> None:
    assert why(fate(State.SENDING, attempt=2, due_at=MONDAY + 2 * HOUR)) == (
        "Attempt 2 is under way, or about to be; it is known by 2026-01-05 11:00:00 UTC what came of it."
    )
    assert why(fate(State.SENDING, attempt=2, due_at=MONDAY)) == (
        "Attempt 2 was begun, and nobody told what came of it; it is made again."
    )


@pytest.mark.parametrize(("state", "word"), [(State.DEAD, "Given up"), (State.WITHDRAWN, "Withdrawn")])
def test_one_that_ended_tells_when_and_why(state: State, word: str) -> None:
    ended = fate(state, latest=attempt(10), settled_at=MONDAY + HOUR, reason="attempt 10 was the last")
    assert why(ended) == (
        f"{word} at 2026-01-05 10:00:00 UTC because attempt 10 was the last. Attempt 10 got status 503."
    )
    assert why(replace(ended, latest=None, reason="")) == f"{word} at 2026-01-05 10:00:00 UTC."


# Why there is none


def test_one_that_was_made_later_says_when() -> None:
    then = WebhookThen(webhook_id=WebhookId(7), made_at=MONDAY + HOUR, standing=None)
    explained = explain(EVENT, then, None, rests_until=None, now=MONDAY + 2 * HOUR)
    assert explained.why == "The webhook was made at 2026-01-05 10:00:00 UTC, after this event."


def test_one_that_was_gone_or_disabled_says_so_whatever_it_wanted() -> None:
    assert why_not(is_removed=True, is_active=False) == (
        "The webhook was deleted at 2026-01-05 08:00:00 UTC, before this event."
    )
    assert why_not(is_active=False, disabled_reason="Disabled by hand.", events=()) == (
        "The webhook was disabled at that time: Disabled by hand."
    )


def test_one_that_did_not_list_the_event_says_what_it_listed() -> None:
    assert why_not(events=(EventKind.MEETING_BOOKED, EventKind.MEETING_STARTED)) == (
        "Not subscribed to callFinished at that time, but to meetingBooked, meetingStarted."
    )


def test_a_filter_says_by_what_it_stopped_the_event() -> None:
    assert why_not(filter=(("recording", (False,)), ("type", ("missed", "missed voicemail")))) == (
        'Filtered: `type` was "answered", wanted one of "missed", "missed voicemail".'
    )
    assert why_not(filter=(("recording", (True,)),)) == "Filtered: `recording` was false, wanted true."
    many = tuple(f"Line {number}" for number in range(12))
    assert why_not(filter=(("phone_line_name", many),)).endswith('"Line 8", "Line 9" or 2 more.')
    long = replace(EVENT, body=b'{"type":"' + b"x" * 500 + b'"}')
    assert len(why_not(long, filter=(("type", ("missed",)),))) < 200


def test_what_cannot_be_known_is_not_made_up() -> None:
    assert "erased since" in why_not(filter=(("type", ("answered",)),))
    assert "no record" in why_not()


def test_a_test_says_that_it_is_one() -> None:
    assert why_not(replace(EVENT, is_test=True)) == "It is a test, sent to one webhook alone."

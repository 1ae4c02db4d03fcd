"""A range is sent again to one webhook: the right deliveries, exactly counted, a little at a time."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from hookline.adapters.sql import paging
from hookline.domain.backoff import BREVO, own_policy
from hookline.domain.deliveries import State
from hookline.domain.events import CallType, EventKind
from hookline.domain.processes import Only, Process, ProcessStatus
from hookline.domain.webhooks import Webhook
from hookline.engine.processes import PACE
from hookline.errors import Invalid, NotFound
from hookline.services import replays
from hookline.services.calls import report_calls
from hookline.services.deliveries import read_delivery
from hookline.services.processes import fail_process, list_processes, next_step, read_process, take_step
from hookline.services.replays import Pace, begin_replay, count_replay
from hookline.services.retention import forget_old_processes
from hookline.services.webhooks import delete_webhook, disable_webhook, send_test, update_webhook
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.services.reading import claim_all, events, new_webhook, owed, settle
from tests.values import DAY, HOUR, LIMITS, MICROSECOND, accepted, call_payload, refused, unanswered

ONCE = own_policy((), retry_4xx=True)
SMALL = Pace(step=2, per_second=4, most_in_front=100, look_again=timedelta(seconds=1))


def calls(store: Store, count: int = 1, **changes: Any) -> None:
    store.write(report_calls, [call_payload(**changes)] * count)


def outage(store: Store, count: int, **of_the_webhook: Any) -> Webhook:
    """A webhook that missed so many calls: all of them are dead."""
    webhook = new_webhook(store, retry_policy=ONCE, **of_the_webhook)
    calls(store, count)
    settle(store, *(unanswered(claim) for claim in claim_all(store)))
    return webhook


def begun(store: Store, webhook: Webhook, only: Only = Only.FAILED, **edges: Any) -> Process:
    edges = {"since": MONDAY, "until": None, **edges}
    return store.write(begin_replay, webhook.id, edges["since"], edges["until"], only)


def step(store: Store, clock: ManualClock, process: Process, pace: Pace = SMALL) -> Process:
    """One more step, as soon as it may be taken."""
    due_at = store.read(read_process, process.id).due_at
    assert due_at is not None
    clock.set_wall(max(due_at, clock.now()))
    after = store.write(take_step, process.id, pace)
    assert after is not None
    return after


def ended(store: Store, clock: ManualClock, process: Process, pace: Pace = SMALL) -> Process:
    """The process after its last step."""
    while process.due_at is not None:
        process = step(store, clock, process, pace)
    return process


def states(store: Store, webhook: Webhook) -> list[State]:
    return [delivery.status for delivery in owed(store, webhook_id=webhook.id)]


# What is asked for


def test_what_failed_is_counted_and_made_due_in_the_order_of_keeping(store: Store, clock: ManualClock) -> None:
    webhook = outage(store, 5)
    clock.advance(seconds=60)
    process = begun(store, webhook)
    assert (process.status, process.total, process.done) == (ProcessStatus.QUEUED, 5, 0)
    done = []
    while process.due_at is not None:
        process = step(store, clock, process)
        done.append(process.done)
        assert states(store, webhook) == [State.PENDING] * process.done + [State.DEAD] * (5 - process.done)
    assert done == [2, 4, 5]
    assert (process.status, process.info) == (ProcessStatus.COMPLETED, "5 of 5 deliveries are due again.")


def test_a_replayed_delivery_keeps_its_id_and_begins_its_schedule_anew(store: Store, clock: ManualClock) -> None:
    webhook = outage(store, 1)
    [event] = events(store)
    clock.advance(seconds=60)
    ended(store, clock, begun(store, webhook))
    [claim] = claim_all(store)
    assert (claim.event, claim.attempt, claim.failures) == (event, 2, 0)


def test_what_waits_after_a_failure_is_hurried_and_what_was_never_tried_is_left_alone(
    store: Store, clock: ManualClock
) -> None:
    webhook = new_webhook(store)
    calls(store)
    settle(store, *(refused(claim) for claim in claim_all(store)))
    calls(store)
    clock.advance(seconds=1)
    process = begun(store, webhook)
    assert process.total == 1
    ended(store, clock, process)
    assert [delivery.next_attempt_at for delivery in owed(store)] == [MONDAY + timedelta(seconds=1), MONDAY]


def test_of_what_failed_everything_is_sent_again_whatever_the_webhook_wants_by_now(
    store: Store, clock: ManualClock
) -> None:
    webhook = outage(store, 2)
    store.write(update_webhook, webhook.id, {"events": (EventKind.MEETING_BOOKED,)}, LIMITS)
    clock.advance(seconds=1)
    assert begun(store, webhook).total == 2


def test_all_is_what_the_webhook_wants_owed_before_or_never(store: Store, clock: ManualClock) -> None:
    older = new_webhook(store)
    calls(store, 3)
    settle(store, *(accepted(claim) for claim in claim_all(store)))
    clock.advance(seconds=60)
    younger = new_webhook(store)
    for webhook in (older, younger):
        process = begun(store, webhook, Only.ALL)
        assert process.total == 3
        assert ended(store, clock, process).info == "3 of 3 deliveries are due again."
        assert states(store, webhook) == [State.PENDING] * 3
    assert sorted(claim.attempt for claim in claim_all(store)) == [1, 1, 1, 2, 2, 2]


def test_all_keeps_to_the_events_and_the_filter_of_the_webhook(store: Store, clock: ManualClock) -> None:
    calls(store, 3)
    calls(store, 3, type=CallType.MISSED, duration_seconds=0)
    clock.advance(seconds=1)
    nothing = new_webhook(store, events=(EventKind.MEETING_BOOKED,))
    missed = new_webhook(store, filter=(("type", ("missed",)),))
    for webhook, count in ((nothing, 0), (missed, 3)):
        process = begun(store, webhook, Only.ALL)
        assert process.total == count
        assert ended(store, clock, process).done == count
    assert {event.subject for event in events(store)[3:]} == {each.subject for each in owed(store)}


def test_a_filter_that_is_changed_meanwhile_does_not_change_what_was_counted(store: Store, clock: ManualClock) -> None:
    calls(store, 5)
    clock.advance(seconds=1)
    webhook = new_webhook(store, filter=(("type", ("answered",)),))
    process = step(store, clock, begun(store, webhook, Only.ALL))
    store.write(update_webhook, webhook.id, {"filter": (("type", ("missed",)),)}, LIMITS)
    assert ended(store, clock, process).done == 5


@pytest.mark.parametrize("only", list(Only))
def test_test_sends_are_never_sent_again(store: Store, clock: ManualClock, only: Only) -> None:
    webhook = new_webhook(store, retry_policy=ONCE)
    store.write(send_test, webhook.id, EventKind.CALL_FINISHED)
    settle(store, *(refused(claim) for claim in claim_all(store)))
    clock.advance(seconds=1)
    assert begun(store, webhook, only).total == 0


@pytest.mark.parametrize("only", list(Only))
def test_the_range_is_of_when_the_event_was_kept_and_its_end_is_not_in_it(
    store: Store, clock: ManualClock, only: Only
) -> None:
    webhook = outage(store, 1)
    for instant in (MONDAY + HOUR - MICROSECOND, MONDAY + HOUR):
        clock.set_wall(instant)
        calls(store)
        settle(store, *(unanswered(claim) for claim in claim_all(store)))
    clock.advance(seconds=1)

    def count(since: datetime, until: datetime | None) -> int:
        return store.write(count_replay, webhook.id, since, until, only)

    assert count(MONDAY, MONDAY + HOUR) == 2
    assert count(MONDAY + MICROSECOND, MONDAY + HOUR) == 1
    assert count(MONDAY, None) == count(MONDAY, MONDAY + DAY) == 3
    assert begun(store, webhook, only, until=MONDAY + HOUR).total == 2


def test_what_happens_after_it_was_asked_for_is_not_in_it(store: Store, clock: ManualClock) -> None:
    webhook = new_webhook(store)
    clock.advance(seconds=1)
    process = begun(store, webhook, Only.ALL, until=MONDAY + DAY)
    clock.advance(seconds=1)
    calls(store)
    assert (process.total, ended(store, clock, process).done) == (0, 0)


def test_to_count_makes_no_process(store: Store, clock: ManualClock) -> None:
    webhook = outage(store, 3)
    clock.advance(seconds=1)
    assert store.write(count_replay, webhook.id, MONDAY, None, Only.FAILED) == 3
    assert store.read(list_processes, newest_first=True, limit=9, offset=0) == ([], 0)


@pytest.mark.parametrize("ask", [begin_replay, count_replay])
def test_a_webhook_that_cannot_be_sent_to_is_refused(store: Store, ask: Any) -> None:
    with pytest.raises(NotFound):
        store.write(ask, 1, MONDAY - DAY, None, Only.ALL)
    webhook = new_webhook(store)
    store.write(disable_webhook, webhook, "Gone.")
    with pytest.raises(Invalid, match="is disabled: Gone"):
        store.write(ask, webhook.id, MONDAY - DAY, None, Only.ALL)


@pytest.mark.parametrize(
    ("since", "until", "word"),
    [
        (MONDAY, None, "now"),
        (MONDAY + HOUR, MONDAY + DAY, "now"),
        (MONDAY - HOUR, MONDAY - HOUR, "until"),
        (MONDAY - HOUR, MONDAY - DAY, "until"),
    ],
)
def test_a_range_without_any_time_in_it_is_refused(
    store: Store, since: datetime, until: datetime | None, word: str
) -> None:
    webhook = new_webhook(store)
    with pytest.raises(Invalid, match=f"since: expected a time before {word}"):
        begun(store, webhook, since=since, until=until)
    assert store.read(next_step) is None


# What happens meanwhile


def test_what_was_delivered_meanwhile_is_passed_over_and_said(store: Store, clock: ManualClock) -> None:
    webhook = new_webhook(store)
    calls(store, 3)
    settle(store, *(refused(claim) for claim in claim_all(store)))
    clock.advance(seconds=1)
    process = begun(store, webhook)
    clock.advance(seconds=60)
    settle(store, *(accepted(claim) for claim in claim_all(store)[:1]))
    process = ended(store, clock, process)
    assert (process.total, process.done, process.status) == (3, 0, ProcessStatus.COMPLETED)
    assert "delivered or attempted meanwhile" in process.info


def test_what_is_being_sent_is_passed_over(store: Store, clock: ManualClock) -> None:
    webhook = new_webhook(store)
    calls(store, 2)
    [first, second] = claim_all(store)
    settle(store, accepted(first))
    clock.advance(seconds=1)
    process = ended(store, clock, begun(store, webhook, Only.ALL))
    assert (process.total, process.done) == (2, 1)
    assert store.read(read_delivery, second.delivery_id).status is State.SENDING


@pytest.mark.parametrize(("gone", "word"), [("deleted", "was deleted."), ("disabled", "was disabled: Gone.")])
def test_a_webhook_that_goes_meanwhile_ends_the_process_in_a_sentence(
    store: Store, clock: ManualClock, gone: str, word: str
) -> None:
    webhook = outage(store, 5)
    clock.advance(seconds=1)
    process = step(store, clock, begun(store, webhook))
    if gone == "deleted":
        store.write(delete_webhook, webhook.id)
    else:
        store.write(disable_webhook, webhook, "Gone.")
    process = ended(store, clock, process)
    assert (process.status, process.completed_at) == (ProcessStatus.FAILED, clock.now())
    assert process.info == f"Webhook 1 {word} 2 of 5 deliveries were due again by then."


def test_steps_keep_a_constant_rate(store: Store, clock: ManualClock) -> None:
    webhook = outage(store, 5)
    clock.advance(seconds=1)
    process = begun(store, webhook)
    first = step(store, clock, process)
    assert (process.due_at, first.due_at) == (clock.now(), clock.now() + timedelta(seconds=0.5))


def test_a_step_is_taken_once_whoever_else_would_take_it(store: Store, clock: ManualClock) -> None:
    webhook = outage(store, 5)
    clock.advance(seconds=1)
    process = begun(store, webhook)
    assert store.write(take_step, process.id, SMALL) is not None
    assert store.write(take_step, process.id, SMALL) is None
    assert store.write(take_step, 99, SMALL) is None
    assert states(store, webhook).count(State.PENDING) == 2


def test_nothing_more_comes_while_enough_waits_in_front(store: Store, clock: ManualClock) -> None:
    webhook = outage(store, 5)
    clock.advance(seconds=1)
    pace = Pace(step=2, per_second=4, most_in_front=1, look_again=timedelta(seconds=7))
    process = step(store, clock, begun(store, webhook), pace)
    waiting = step(store, clock, process, pace)
    assert (waiting.done, waiting.due_at) == (2, clock.now() + timedelta(seconds=7))
    settle(store, *(accepted(claim) for claim in claim_all(store)))
    assert step(store, clock, waiting, pace).done == 4


def test_a_host_that_rests_is_left_alone_until_it_has_rested(store: Store, clock: ManualClock) -> None:
    webhook = new_webhook(store, retry_policy=BREVO)
    calls(store)
    settle(store, unanswered(*claim_all(store)))
    clock.advance(seconds=1)
    process = step(store, clock, begun(store, webhook))
    assert (process.done, process.due_at) == (0, MONDAY + timedelta(minutes=10))
    assert ended(store, clock, process).done == 1


def test_a_filter_that_lets_nothing_pass_is_walked_in_steps_that_let_others_in_between(
    store: Store, clock: ManualClock
) -> None:
    calls(store, 600)
    clock.advance(seconds=1)
    webhook = new_webhook(store, filter=(("type", ("missed",)),))
    process = begun(store, webhook, Only.ALL)
    after = step(store, clock, process, PACE)
    assert (after.status, after.done) == (ProcessStatus.IN_PROCESS, 0)
    assert after.due_at is not None
    assert after.due_at > clock.now()
    assert ended(store, clock, after, PACE).status is ProcessStatus.COMPLETED


# Batches


@pytest.mark.parametrize("only", list(Only))
def test_a_webhook_that_gets_batches_gets_what_is_replayed_in_batches(
    store: Store, clock: ManualClock, only: Only
) -> None:
    webhook = new_webhook(store, retry_policy=ONCE, batched=True)
    calls(store, 5)
    clock.advance(seconds=300)
    settle(store, *(refused(claim) for claim in claim_all(store)))
    process = ended(store, clock, begun(store, webhook, only), PACE)
    assert (process.total, process.done) == (5, 5)
    [claim] = claim_all(store)
    assert (claim.batch_size, claim.attempt) == (5, 2)


def test_what_was_never_owed_gathers_with_what_happens(store: Store, clock: ManualClock) -> None:
    calls(store, 3)
    clock.advance(seconds=1)
    webhook = new_webhook(store, batched=True)
    ended(store, clock, begun(store, webhook, Only.ALL), PACE)
    calls(store)
    clock.advance(seconds=300)
    assert [claim.batch_size for claim in claim_all(store)] == [4]


# Around it


def test_a_process_that_cannot_go_on_is_ended_once(store: Store, clock: ManualClock) -> None:
    webhook = outage(store, 1)
    clock.advance(seconds=1)
    process = begun(store, webhook)
    store.write(fail_process, process.id, "Alas.")
    store.write(fail_process, process.id, "Again.")
    store.write(fail_process, 99, "Nobody.")
    failed = store.read(read_process, process.id)
    assert (failed.status, failed.error) == (ProcessStatus.FAILED, "Alas.")
    assert store.read(next_step) is None


def test_a_process_that_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.read(read_process, 1)


def test_processes_go_when_they_have_ended_and_are_old_enough(store: Store, clock: ManualClock) -> None:
    webhook = outage(store, 1)
    clock.advance(seconds=1)
    begun(store, webhook)
    ended(store, clock, begun(store, webhook))
    clock.set_wall(MONDAY + 31 * DAY)
    assert store.write(forget_old_processes, 30 * DAY, 9) == 1
    processes, count = store.read(list_processes, newest_first=True, limit=9, offset=0)
    assert ([each.id for each in processes], count) == ([1], 1)


def test_a_replay_of_large_events_takes_few_at_a_time_and_ends_with_the_last(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (paging, replays):
        monkeypatch.setattr(module, "READ_BYTES", 25_000)
    webhook = new_webhook(store)
    calls(store, 7, phone_line_name="x" * 10_000)
    settle(store, *(accepted(claim) for claim in claim_all(store)))
    clock.advance(seconds=60)
    process, done = begun(store, webhook, Only.ALL), []
    while process.due_at is not None:
        process = step(store, clock, process, Pace(step=50, per_second=4, most_in_front=100, look_again=HOUR))
        done.append(process.done)
    assert done == [3, 6, 7]
    assert states(store, webhook) == [State.PENDING] * 7

"""For every webhook it is told why an event was or was not sent to it: always the cause, and never a wrong one."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.adapters.sql.group import Call
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.domain.backoff import BREVO, own_policy
from hookline.domain.deliveries import Claim
from hookline.domain.events import EventKind
from hookline.domain.ids import EventId, WebhookId
from hookline.domain.webhooks import Webhook
from hookline.domain.why import Explanation, Fortune
from hookline.errors import NotFound
from hookline.ports.storage import Transaction
from hookline.services.booking import book_meeting, cancel_meeting
from hookline.services.calls import report_call
from hookline.services.deliveries import recover, release, retry_delivery
from hookline.services.explaining import explain_event
from hookline.services.publishing import publish
from hookline.services.retention import forget_old_events
from hookline.services.webhooks import delete_webhook, send_test, update_webhook
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.services.reading import claim_all, events, new_webhook, settle
from tests.values import DAY, HOUR, LIMITS, accepted, call_payload, details, refused, unanswered, webhook

CALLS = (EventKind.CALL_FINISHED,)


def explained(store: Store, event_id: str = "") -> dict[int, Explanation]:
    """Why, by webhook, of an event; of the latest unless told."""
    _, explanations = store.read(explain_event, event_id or events(store)[-1].id)
    return {each.webhook_id: each for each in explanations}


def only(store: Store) -> tuple[str, str]:
    """Outcome and why of the one webhook there is."""
    [explanation] = explained(store).values()
    return explanation.fortune.value, explanation.why


def claim(store: Store) -> Claim:
    store.write(report_call, call_payload())
    [one] = claim_all(store)
    return one


# What became of deliveries, with the reason where the decision fell


def test_a_delivery_from_its_birth_to_its_success(store: Store, clock: ManualClock) -> None:
    new_webhook(store)
    store.write(report_call, call_payload())
    assert only(store) == ("pending", "Due since 2026-01-05 09:00:00 UTC: it is its turn when there is room.")
    [first] = claim_all(store)
    assert only(store)[0] == "sending"
    settle(store, refused(first, 503, retry_after="3600"))
    assert only(store) == ("pending", "Waits until 2026-01-05 10:00:00 UTC, because attempt 1 got status 503.")
    clock.set_wall(MONDAY + HOUR)
    [second] = claim_all(store)
    settle(store, accepted(second))
    assert only(store) == ("delivered", "Delivered with attempt 2 at 2026-01-05 10:01:00 UTC, status 200.")


@pytest.mark.parametrize(
    ("policy", "status", "reason"),
    [
        (own_policy((), retry_4xx=True), 503, "attempt 1 was the last"),
        (BREVO, 404, "its policy does not retry a 404"),
        (BREVO, 410, "the receiver answered 410 Gone"),
    ],
)
def test_one_that_is_given_up_says_why(store: Store, policy: Any, status: int, reason: str) -> None:
    new_webhook(store, retry_policy=policy)
    settle(store, refused(claim(store), status))
    assert only(store) == (
        "dead", f"Given up at 2026-01-05 09:00:00 UTC because {reason}. Attempt 1 got status {status}."
    )  # fmt: skip


def test_one_that_was_of_no_use_any_more_says_so(store: Store, clock: ManualClock) -> None:
    new_webhook(store)

    def start(tx: Transaction) -> None:
        subject: Any = f"mtg_{tx.ulid()}"
        publish(tx, EventKind.MEETING_STARTED, subject, sequence=1, body=b"{}", give_up_at=tx.now + DAY)

    store.write(start)
    clock.set_wall(MONDAY + DAY)
    assert not claim_all(store)
    assert only(store) == ("dead", "Given up at 2026-01-06 09:00:00 UTC because the meeting had been over for 24 h.")


def test_one_whose_webhook_went_says_how(store: Store, clock: ManualClock) -> None:
    disabled, deleted = new_webhook(store), new_webhook(store)
    store.write(report_call, call_payload())
    clock.set_wall(MONDAY + HOUR)
    store.write(update_webhook, disabled.id, {"is_active": False}, LIMITS)
    store.write(delete_webhook, deleted.id)
    told = explained(store)
    assert told[disabled.id].why == (
        "Withdrawn at 2026-01-05 10:00:00 UTC because the webhook was disabled: Disabled by hand."
    )
    assert told[deleted.id].why == "Withdrawn at 2026-01-05 10:00:00 UTC because the webhook was deleted."
    assert {each.fortune for each in told.values()} == {Fortune.WITHDRAWN}


@pytest.mark.parametrize("how", ["settled", "given back", "recovered"])
@pytest.mark.parametrize("gone", ["disabled", "deleted"])
def test_one_that_was_being_sent_when_its_webhook_went_says_the_same(store: Store, how: str, gone: str) -> None:
    made = new_webhook(store)
    held = claim(store)
    if gone == "deleted":
        store.write(delete_webhook, made.id)
    else:
        store.write(update_webhook, made.id, {"is_active": False}, LIMITS)
    if how == "settled":
        settle(store, refused(held))
    elif how == "given back":
        store.write(release, [held])
    else:
        store.write(recover)
    outcome, why = only(store)
    assert outcome == "withdrawn"
    assert f"because the webhook was {gone}" in why


def test_one_whose_host_rests_says_so(store: Store) -> None:
    new_webhook(store, retry_policy=BREVO)
    settle(store, unanswered(claim(store)))
    store.write(report_call, call_payload())
    assert only(store) == (
        "pending", "Waits until 2026-01-05 09:10:00 UTC: its host does not answer, and rests until then."
    )  # fmt: skip


def test_one_that_is_sent_again_by_hand_tells_what_became_of_that(store: Store) -> None:
    new_webhook(store, retry_policy=own_policy((), retry_4xx=True))
    dead = claim(store)
    settle(store, refused(dead))
    store.write(retry_delivery, dead.delivery_id)
    assert only(store)[0] == "pending"
    settle(store, *(accepted(each) for each in claim_all(store)))
    assert only(store)[1].startswith("Delivered with attempt 2")


def test_what_waits_in_a_line_says_for_what(store: Store) -> None:
    new_webhook(store, ordered=True)
    meeting = store.write(book_meeting, details())
    store.write(cancel_meeting, meeting, "")
    assert only(store)[1] == "Waits for sequence 1 of this subject, since the webhook is ordered."


def test_what_goes_in_a_batch_is_told_what_becomes_of_the_batch(store: Store, clock: ManualClock) -> None:
    new_webhook(store, batched=True, retry_policy=own_policy((3600,), retry_4xx=True))
    store.write(report_call, call_payload())
    assert only(store) == ("pending", "Gathers in a batch until 2026-01-05 09:05:00 UTC.")
    clock.set_wall(MONDAY + HOUR)
    [batch] = claim_all(store)
    assert only(store)[0] == "sending"
    settle(store, refused(batch, 503))
    assert only(store) == ("pending", "Waits until 2026-01-05 11:00:00 UTC, because attempt 1 got status 503.")
    clock.set_wall(MONDAY + 2 * HOUR)
    settle(store, *(refused(each, 500) for each in claim_all(store)))
    assert only(store) == (
        "dead", "Given up at 2026-01-05 11:00:00 UTC because attempt 2 was the last. Attempt 2 got status 500."
    )  # fmt: skip


def test_what_goes_in_another_batch_when_it_is_tried_again_tells_of_that_one(store: Store, clock: ManualClock) -> None:
    new_webhook(store, batched=True, retry_policy=own_policy((), retry_4xx=True))
    store.write(report_call, call_payload())
    clock.set_wall(MONDAY + HOUR)
    settle(store, *(refused(each, 500) for each in claim_all(store)))
    [explanation] = explained(store).values()
    assert explanation.delivery_id is not None
    store.write(retry_delivery, explanation.delivery_id)
    settle(store, *(accepted(each) for each in claim_all(store)))
    assert only(store)[1].startswith("Delivered with attempt 2")


def test_a_test_is_told_as_one(store: Store) -> None:
    tested, other = new_webhook(store), new_webhook(store)
    sent = store.write(send_test, tested.id, EventKind.CALL_FINISHED)
    told = explained(store, f"evt_{sent.split('_')[1]}")
    assert told[tested.id].fortune is Fortune.PENDING
    assert told[other.id] == Explanation(
        webhook_id=other.id,
        delivery_id=None,
        fortune=Fortune.NOT_OWED,
        why="It is a test, sent to one webhook alone.",
    )


def test_an_event_that_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.read(explain_event, "evt_nothing")


def test_it_takes_a_handful_of_questions_however_many_webhooks_there_are(sqlite_store: SqliteStore) -> None:
    store = sqlite_store
    for _ in range(30):
        new_webhook(store)
    store.write(report_call, call_payload())
    event_id = events(store)[-1].id
    asked: list[str] = []
    store.connection.set_trace_callback(asked.append)
    explained(store, event_id)
    store.connection.set_trace_callback(None)
    selects = [sql for sql in asked if sql.lstrip().startswith("SELECT")]
    assert len(selects) <= 6
    for sql in selects:
        plan = [row[3] for row in store.connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
        tables = ("SCAN event", "SCAN delivery", "SCAN settled_delivery", "SCAN attempt", "SCAN d")
        assert not [step for step in plan if step.startswith(tables)], plan


# Retention


def test_changes_are_kept_as_long_as_they_explain_an_event(store: Store, clock: ManualClock) -> None:
    kept, gone = new_webhook(store, events=CALLS), new_webhook(store, events=CALLS)
    store.write(report_call, call_payload(phone_number=""))
    settle(store, *(accepted(each) for each in claim_all(store)))
    for _ in range(3):
        store.write(update_webhook, kept.id, {"is_active": False}, LIMITS)
        store.write(update_webhook, kept.id, {"is_active": True}, LIMITS)
    store.write(update_webhook, kept.id, {"events": (EventKind.MEETING_BOOKED,)}, LIMITS)
    store.write(delete_webhook, gone.id)
    clock.set_wall(MONDAY + DAY)
    store.write(report_call, call_payload())
    before = explained(store)
    assert "deleted" in before[gone.id].why
    while store.write(forget_old_events, timedelta(hours=1), 2):
        pass
    after = explained(store)
    assert after == {kept.id: before[kept.id]}
    [(count,)] = store.connection.execute("SELECT COUNT(*) FROM webhook_history")
    assert count == 1
    clock.set_wall(MONDAY + 3 * DAY)
    while store.write(forget_old_events, timedelta(hours=1), 500):
        pass
    store.write(report_call, call_payload())
    assert explained(store)[kept.id].why == before[kept.id].why


# Against brute force


@dataclass
class Truth:
    """What publishing did with each event, written down when it did it."""

    causes: dict[EventId, dict[int, str]] = field(default_factory=dict)
    made: list[WebhookId] = field(default_factory=list)


KINDS = st.sampled_from([EventKind.CALL_FINISHED, EventKind.MEETING_BOOKED])
FILTERS = st.sampled_from([(), (("type", ("missed",)),), (("type", ("answered", "missed")), ("recording", (True,)))])
CHANGES = st.one_of(
    st.fixed_dictionaries({"events": st.lists(KINDS, min_size=1, unique=True).map(tuple)}),
    st.fixed_dictionaries({"filter": FILTERS}),
    st.fixed_dictionaries({"is_active": st.booleans(), "disabled_reason": st.sampled_from(["", "Gone."])}),
    st.fixed_dictionaries({"description": st.text(max_size=3)}),
)
STEPS = st.one_of(
    st.tuples(st.just("add"), CHANGES),
    st.tuples(st.just("change"), st.integers(0, 9), CHANGES),
    st.tuples(st.just("remove"), st.integers(0, 9)),
    st.tuples(st.just("event"), KINDS, st.sampled_from(["missed", "answered"]), st.booleans()),
)
#: Commits of parts (functions) of steps; the clock moves before some commits, backwards too.
HISTORY = st.lists(
    st.tuples(st.integers(-2, 2), st.lists(st.tuples(st.lists(STEPS, max_size=5), st.booleans()), max_size=4)),
    max_size=6,
)


def cause(each: Webhook, kind: EventKind, payload: dict[str, Any]) -> str:
    """Why this webhook, as it stands, does not get the event; "" when it does."""
    if not each.is_active:
        return "disabled"
    if kind not in each.events:
        return "Not subscribed"
    return "" if all(payload[name] in values for name, values in each.filter) else "Filtered"


def play(tx: Transaction, steps: Sequence[Any], truth: Truth, *, fails: bool) -> None:
    """One function of a commit: what it does, and what it should say of it later; nothing when it fails."""
    learnt = Truth(dict(truth.causes), list(truth.made))
    for name, *told in steps:
        there = tx.webhooks.all()
        if name == "add":
            learnt.made.append(tx.webhooks.add(webhook(**{"events": CALLS, **told[0]})).id)
        elif name == "change" and there:
            tx.webhooks.save(replace(there[told[0] % len(there)], **told[1]))
        elif name == "remove" and there:
            tx.webhooks.remove(there[told[0] % len(there)].id)
        elif name == "event":
            note_event(tx, learnt, *told)
    if fails:
        raise LookupError
    truth.causes, truth.made = learnt.causes, learnt.made


def note_event(tx: Transaction, learnt: Truth, kind: EventKind, type_: str, recording: bool) -> None:
    payload = {"type": type_, "recording": recording}
    body = f'{{"recording":{str(recording).lower()},"type":"{type_}"}}'.encode()
    subject: Any = f"call_{tx.ulid()}"
    event = publish(tx, kind, subject, sequence=1, body=body)
    there = {each.id: cause(each, kind, payload) for each in tx.webhooks.all()}
    learnt.causes[event.id] = {each: there.get(each, "deleted") for each in learnt.made}


@settings(max_examples=60, deadline=None)
@given(HISTORY)
def test_not_owed_is_said_exactly_when_no_delivery_was_made_and_with_the_right_cause(history: list[Any]) -> None:
    with TemporaryDirectory() as folder:
        clock, truth = ManualClock(), Truth()
        store = SqliteStore(Path(folder) / "hookline.db", clock, random.Random(7))
        for moved, parts in history:
            clock.set_wall(clock.now() + timedelta(microseconds=moved))
            store.write_group([Call(play, (steps, truth), {"fails": fails}) for steps, fails in parts])
        check(store, truth)
        store.close()


def check(store: Store, truth: Truth) -> None:
    owed = {row[0] for row in store.connection.execute("SELECT id FROM delivery")}
    for event_id, causes in truth.causes.items():
        told = explained(store, event_id)
        assert set(told) == set(truth.made)
        for webhook_id, explanation in told.items():
            reason = causes.get(webhook_id, "was made at")
            assert (explanation.fortune is Fortune.NOT_OWED) == bool(reason)
            assert (explanation.delivery_id in owed) == (not reason)
            assert reason in explanation.why

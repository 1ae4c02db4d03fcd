"""What the store promises of erasing, and of what explains afterwards why an event was sent to whom."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hookline.adapters.sql import group
from hookline.domain.calls import Call
from hookline.domain.deliveries import Signal, State, Verdict
from hookline.domain.erasure import BECAUSE_ERASED
from hookline.domain.events import EventKind, canonical_bytes
from hookline.domain.ids import CallId, ConnectorId, EventId, MeetingId
from hookline.domain.legs import Shown
from hookline.domain.meetings import Meeting
from hookline.domain.why import WebhookThen
from hookline.ports.intake import HeardCall
from hookline.ports.storage import Transaction
from tests.contract.owing import added, claimed, delivery, new_event, owed, settled, states
from tests.contract.stores import Place, Store
from tests.fakes import MONDAY, ManualClock
from tests.values import HOUR, accepted, call_payload, details, outcome

SUBJECT = MeetingId("mtg_a")


def booked(store: Store, id_: str = SUBJECT) -> Meeting:
    made = details()
    meeting = Meeting(
        id=MeetingId(id_), details=made, booked_body=made.body, version=1, sequence=1,
        created_at=MONDAY, modified_at=MONDAY, cancelled_at=MONDAY, cancel_reason="Bo is ill.",
    )  # fmt: skip
    store.write(lambda tx: tx.calendar.add(meeting))
    return meeting


def event_of(delivery_id: str) -> EventId:
    return EventId(f"evt_{delivery_id.split('_')[1]}")


def withdrawn(store: Store, delivery_id: str, because: str = "gone") -> int:
    """Withdraw the event of a delivery; how many were."""
    count: int = store.write(lambda tx: tx.erasure.withdraw(event_of(delivery_id), because=because))
    return count


# Bodies


def test_meetings_are_found_by_a_participant_in_any_case_up_to_a_limit(store: Store) -> None:
    for name in "abc":
        booked(store, f"mtg_{name}")
    found: Sequence[Meeting] = store.read(lambda tx: tx.erasure.meetings_with("BO@Example.com", 2))
    assert [each.id for each in found] == ["mtg_c", "mtg_b"]
    assert not store.read(lambda tx: tx.erasure.meetings_with("anna@example.com", 2))


def test_a_meeting_reads_as_it_was_rewritten_and_is_found_by_its_new_address(store: Store) -> None:
    before = booked(store)
    other = details(meeting_name="Other").body

    def rewrite(tx: Transaction) -> None:
        tx.erasure.rewrite_meeting(
            SUBJECT, body=other, booked_body=b"{}", participant="BO@example.com", becomes="x@example.com"
        )

    store.write(rewrite)
    after: Meeting | None = store.read(lambda tx: tx.calendar.meeting(SUBJECT))
    assert after is not None
    assert (after.details.body, after.booked_body, after.cancel_reason) == (other, b"{}", "")
    assert replace(after, details=before.details, booked_body=before.booked_body, cancel_reason="Bo is ill.") == before
    assert not store.read(lambda tx: tx.erasure.meetings_with("bo@example.com", 2))
    assert store.read(lambda tx: tx.erasure.meetings_with("x@example.com", 2))


def test_a_call_reads_as_it_was_rewritten_and_its_number_is_withheld(store: Store) -> None:
    payload = call_payload()
    call = Call(id=CallId("call_a"), payload=payload, body=canonical_bytes(payload), source="api", created_at=MONDAY)
    withheld = replace(payload, phone_number="")
    store.write(lambda tx: tx.phone.add(call))
    assert store.read(lambda tx: tx.erasure.calls_with(payload.phone_number, 5)) == [call]
    store.write(lambda tx: tx.erasure.rewrite_call(call.id, canonical_bytes(withheld)))
    assert not store.read(lambda tx: tx.erasure.calls_with(payload.phone_number, 5))
    assert store.read(lambda tx: tx.phone.call("call_a")) == replace(
        call, payload=withheld, body=canonical_bytes(withheld)
    )


def test_every_event_of_a_subject_is_found_and_reads_as_it_was_rewritten(store: Store) -> None:
    mine = store.write(new_event, EventKind.MEETING_BOOKED, SUBJECT)
    other = store.write(new_event)
    assert store.read(lambda tx: list(tx.erasure.bodies_of(SUBJECT))) == [(mine.id, mine.body)]
    store.write(lambda tx: tx.erasure.rewrite_event(mine.id, b'{"of":"nobody"}'))
    assert store.read(lambda tx: tx.outbox.event(mine.id)) == replace(mine, body=b'{"of":"nobody"}')
    assert store.read(lambda tx: tx.outbox.event(other.id)) == other


# What is owed, and what was answered


def test_all_that_is_owed_of_an_event_is_withdrawn_also_what_is_being_sent(store: Store) -> None:
    to = added(store)
    sending = owed(store, to)
    [claim] = claimed(store)
    pending, other = owed(store, to), owed(store, to)
    for each in (sending, pending):
        assert withdrawn(store, each) == 1
    assert states(store, sending, pending, other) == [State.WITHDRAWN, State.WITHDRAWN, State.PENDING]
    assert settled(store, (accepted(claim), Verdict(signal=Signal.ACCEPTED))) == [claim]
    assert states(store, sending) == [State.WITHDRAWN]
    assert withdrawn(store, sending) == 0


def test_answers_are_emptied_and_attempts_stay(store: Store) -> None:
    to = added(store)
    mine, other = owed(store, to), owed(store, to)
    for claim in claimed(store):
        answered = outcome(claim, 200, retry_after="5")
        settled(store, (answered, Verdict(signal=Signal.ACCEPTED)))
    before = delivery(store, mine).attempts[0]
    assert store.write(lambda tx: tx.erasure.empty_answers(event_of(mine))) == 1
    assert delivery(store, mine).attempts == (replace(before, response_headers=(), response_body=b""),)
    assert delivery(store, other).attempts[0].response_body
    assert store.write(lambda tx: tx.erasure.empty_answers(event_of(mine))) == 0


def test_late_answers_are_emptied_only_of_what_was_erased(store: Store) -> None:
    to = added(store)
    erased, other = owed(store, to), owed(store, to)
    claims = claimed(store)
    for each, because in ((erased, BECAUSE_ERASED), (other, "something else")):
        withdrawn(store, each, because)
    settled(store, *((accepted(claim), Verdict(signal=Signal.ACCEPTED)) for claim in claims))
    store.write(lambda tx: tx.erasure.empty_late_answers(claims))
    assert [delivery(store, each).attempts[0].response_body for each in (erased, other)] == [b"", b"answer 200"]


# Why


def then(store: Store, event: Any) -> dict[int, WebhookThen]:
    return {each.webhook_id: each for each in store.read(lambda tx: tx.past.webhooks_at(event))}


def test_an_event_finds_every_webhook_as_publishing_found_it(store: Store, clock: ManualClock) -> None:
    one = added(store)

    def work(tx: Transaction) -> list[Any]:
        told = [new_event(tx)]
        tx.webhooks.save(replace(one, events=(EventKind.CALL_FINISHED,), description="changed"))
        told.append(new_event(tx))
        tx.webhooks.save(replace(one, is_active=False, disabled_reason="Gone."))
        told.append(new_event(tx))
        tx.webhooks.remove(one.id)
        return [*told, new_event(tx)]

    told = store.write(work)
    clock.set_wall(MONDAY - HOUR)  # the clock is set back, and that changes nothing
    late = added(store)
    met = [then(store, event)[one.id].standing for event in told]
    assert [(each.events, each.is_active, each.is_removed) for each in met if each] == [
        (tuple(EventKind), True, False),
        ((EventKind.CALL_FINISHED,), True, False),
        (tuple(EventKind), False, False),
        (tuple(EventKind), False, True),
    ]
    assert [then(store, event)[late.id].standing for event in told] == [None] * 4
    assert then(store, told[0])[late.id].made_at == MONDAY - HOUR


def test_a_change_of_what_decides_nothing_is_no_change(store: Store, clock: ManualClock) -> None:
    one = added(store)
    clock.set_wall(MONDAY + HOUR)
    store.write(lambda tx: tx.webhooks.save(replace(one, description="x", timeout_seconds=3)))
    standing = then(store, store.write(new_event))[one.id].standing
    assert standing is not None
    assert standing.since == MONDAY


def test_a_change_that_is_undone_was_none(store: Store) -> None:
    one = added(store)

    def fail(tx: Transaction) -> None:
        tx.webhooks.remove(one.id)
        raise LookupError

    try:
        store.write(fail)
    except LookupError:
        standing = then(store, store.write(new_event))[one.id].standing
    assert standing is not None
    assert not standing.is_removed


def test_fates_tell_of_each_delivery_of_an_event_and_of_no_other(place: Place) -> None:
    store = place.open()
    to = added(store)
    mine, other = owed(store, to), owed(store, to)
    withdrawn(store, mine)
    fates = store.read(lambda tx: tx.past.fates(event_of(mine)))
    assert {id_: (fate.delivery_id, fate.state, fate.reason) for id_, fate in fates.items()} == {
        to.id: (mine, State.WITHDRAWN, "gone")
    }
    [pending] = store.read(lambda tx: tx.past.fates(event_of(other))).values()
    assert (pending.state, pending.due_at, pending.attempt, pending.latest) == (State.PENDING, MONDAY, 0, None)


def test_a_call_that_is_told_of_is_kept_with_other_facts_and_its_old_pages_are_done_with(store: Store) -> None:
    heard = HeardCall(
        connector_id=ConnectorId("con_1"),
        call_key="one",
        kind="scripted",
        region="",
        facts=(Shown(leg="a", at=MONDAY, shows="+14002007868"),),
        due_at=MONDAY,
        updated_at=MONDAY,
    )
    store.write(lambda tx: tx.intake.keep(heard))
    without = replace(heard, facts=(Shown(leg="a", at=MONDAY, shows=""),))
    _, doings = store.write_group([group.Call(lambda tx: tx.erasure.rewrite_facts(without), (), {})])
    assert doings.erased
    assert store.read(lambda tx: tx.intake.unsettled()) == [without]

"""A person is taken out of everything that is kept, in steps that survive a crash, and nothing goes out after."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hookline.adapters.sql.sqlite import SqliteStore
from hookline.domain.decided_calls import CallOutcome
from hookline.domain.deliveries import State
from hookline.domain.erasure import ERASED_EMAIL, Erased
from hookline.domain.events import EventKind, Participant, QuestionAndAnswer
from hookline.domain.filters import Filter
from hookline.domain.finished_calls import is_over
from hookline.domain.legs import Fact, LegStarted, Redialled, Shown, Side
from hookline.ports.storage import CallFilter, MeetingFilter, Transaction
from hookline.services.booking import (
    book_meeting,
    cancel_meeting,
    edit_meeting,
    list_meetings,
    read_meeting,
    reschedule_meeting,
)
from hookline.services.calls import list_calls, read_call, report_call
from hookline.services.decisions import list_decisions
from hookline.services.deliveries import release, retry_delivery
from hookline.services.erasure import erase_contact, erase_participant
from hookline.services.explaining import explain_event
from hookline.services.intake import settle_due, take_in
from hookline.services.timers import fire_due
from tests.contract.stores import Store, tables
from tests.contract.test_storage_phonebook import PBX
from tests.fakes import MONDAY, ManualClock
from tests.services.reading import claim_all, delivery, events, new_webhook, owed, payload, settle
from tests.telling import (
    CALLER,
    LINE,
    SECOND,
    TELLER,
    WAITS,
    a_whole_call,
    add_line,
    comes_in,
    goes_out,
    hangs_up,
    report,
    talk,
)
from tests.values import DAY, HOUR, accepted, call_payload, details, outcome, refused

ADA = Participant(EMAIL="Ada@Example.com", FIRSTNAME="Ada", LASTNAME="Lovelace")
BO = Participant(EMAIL="bo@example.com", FIRSTNAME="Bo")
NUMBER = "+14002007868"


def with_ada(**changes: Any) -> Any:
    return details(
        **{
            "event_participants": (ADA, BO),
            "meeting_name": "Ada and Anna",
            "meeting_notes": "Ada wrote this.",
            "questions_and_answers": (QuestionAndAnswer(question="Who?", answer="Ada"),),
            **changes,
        }
    )


def erase(store: Store, email: str = "ada@example.com", limit: int = 500) -> list[Erased]:
    """Erase to the end; what came of each step."""
    return _to_the_end(lambda: store.write(erase_participant, email, limit))


def erase_number(store: Store, number: str = NUMBER, limit: int = 500) -> list[Erased]:
    return _to_the_end(lambda: store.write(erase_contact, number, limit))


def _to_the_end(step: Callable[[], Erased | None]) -> list[Erased]:
    steps = []
    while (erased := step()) is not None:
        steps.append(erased)
    return steps


def everything(store: Store) -> bytes:
    """All that is in the database, except in free pages."""
    found = []
    for table in tables(store):
        for row in store.connection.execute(f"SELECT * FROM {table}"):
            found += [each if isinstance(each, bytes) else str(each).encode() for each in row]
    return b"\n".join(found).lower()


def test_nothing_of_a_participant_is_left_and_the_record_is(store: Store, clock: ManualClock) -> None:
    new_webhook(store)
    moved = store.write(book_meeting, with_ada())
    other = store.write(book_meeting, details(event_participants=(BO,), meeting_name="Without her"))
    store.write(edit_meeting, moved, {"meeting_notes": "Ada, again."})
    store.write(reschedule_meeting, moved, MONDAY + 2 * HOUR, None)
    settle(store, *(accepted(each) for each in claim_all(store)))
    store.write(cancel_meeting, moved, "Ada is ill.")
    before, record, untouched = events(store), owed(store), store.read(read_meeting, other)
    assert b"ada" in everything(store)
    assert erase(store) == [Erased(meetings=1, events=4, withdrawn=1, answers=3)]
    assert b"ada" not in everything(store)
    after = events(store)
    for old, new in zip(before, after, strict=True):
        assert (old.id, old.kind, old.subject, old.sequence, old.occurred_at, old.created_at) == (
            new.id, new.kind, new.subject, new.sequence, new.occurred_at, new.created_at,
        )  # fmt: skip
        assert (old.body == new.body) == (new.subject == other)
    assert payload(after[0])["event_participants"] == [
        {"EMAIL": ERASED_EMAIL, "FIRSTNAME": "", "LASTNAME": ""},
        {"EMAIL": "bo@example.com", "FIRSTNAME": "Bo", "LASTNAME": ""},
    ]
    left = [(each.id, [attempt.status for attempt in each.attempts]) for each in owed(store)]
    assert left == [(each.id, [attempt.status for attempt in each.attempts]) for each in record]
    assert store.read(read_meeting, other) == untouched


def test_a_participant_who_was_taken_out_of_a_meeting_is_erased_from_the_events_of_before(store: Store) -> None:
    meeting = store.write(book_meeting, with_ada())
    store.write(edit_meeting, meeting, {"event_participants": (BO,), "meeting_name": "Bo and Anna"})
    assert b"ada" in everything(store)
    assert [each.meetings for each in erase(store)] == [1]
    assert b"ada" not in everything(store)


def test_nobody_finds_them_any_more_and_others_are_found(store: Store) -> None:
    meeting = store.write(book_meeting, with_ada())
    erase(store, "ADA@example.COM")

    def found(participant: str) -> list[str]:
        page = store.read(list_meetings, MeetingFilter(participant=participant), limit=10, cursor=None)
        return [each.id for each in page.items]

    assert not found("ada@example.com")
    assert found("bo@example.com") == [meeting]
    assert found(ERASED_EMAIL) == [meeting]


def test_what_is_still_owed_is_withdrawn_and_nothing_goes_out_after(store: Store) -> None:
    new_webhook(store)
    store.write(book_meeting, with_ada())
    store.write(book_meeting, with_ada())
    held = claim_all(store)[0]  # both are being sent; one fails, and waits
    settle(store, *(refused(each) for each in claim_all(store)))
    store.write(release, [])
    assert erase(store) == [Erased(meetings=2, events=2, withdrawn=2, answers=0)]
    assert [each.status for each in owed(store)] == [State.WITHDRAWN] * 2
    assert not claim_all(store)
    store.write(release, [held])  # given back: it is nobody's any more
    assert not claim_all(store)
    [explanation] = store.read(explain_event, held.event.id)[1]
    assert explanation.why == "Withdrawn at 2026-01-05 09:00:00 UTC because the person in it was erased."


def test_the_answer_to_what_was_under_way_is_not_kept(store: Store) -> None:
    new_webhook(store)
    store.write(book_meeting, with_ada())
    [under_way] = claim_all(store)
    erase(store)
    settle(store, accepted(under_way))
    kept = delivery(store, under_way)
    assert kept.status is State.WITHDRAWN
    assert [(each.status, each.response_body, each.response_headers) for each in kept.attempts] == [(200, b"", ())]


def test_those_who_hold_its_claims_are_asked_to_give_them_back(store: Store) -> None:
    webhook = new_webhook(store)
    store.write(book_meeting, with_ada())
    erase_first = store.write(erase_participant, "nobody@example.com", 500)
    assert erase_first is None
    claim_all(store)
    store.write(erase_participant, "ada@example.com", 500)
    assert store._session.doings.webhooks == {webhook.id}  # type: ignore[attr-defined]  # of both kinds of store


def test_a_delivery_that_is_tried_again_by_hand_says_what_is_left(store: Store) -> None:
    new_webhook(store)
    store.write(book_meeting, with_ada())
    erase(store)
    store.write(retry_delivery, owed(store)[0].id)
    [claim] = claim_all(store)
    assert b"ada" not in claim.event.body.lower()


def test_a_start_that_is_still_to_come_fires_with_what_is_left(store: Store, clock: ManualClock) -> None:
    meeting = store.write(book_meeting, with_ada())
    erase(store)
    clock.set_wall(MONDAY + HOUR)
    assert store.write(fire_due, 10) == 1
    started = events(store)[-1]
    assert (started.kind, started.subject) == (EventKind.MEETING_STARTED, meeting)
    assert payload(started)["event_participants"][0]["EMAIL"] == ERASED_EMAIL
    assert payload(started)["meeting_name"] == "Erased"


def test_a_meeting_can_be_moved_edited_and_cancelled_after(store: Store) -> None:
    meeting = store.write(book_meeting, with_ada())
    erase(store)
    store.write(edit_meeting, meeting, {"meeting_notes": "New."})
    store.write(reschedule_meeting, meeting, MONDAY + DAY, None)
    store.write(cancel_meeting, meeting, "")
    assert payload(events(store)[-1])["meeting_notes"] == "New."
    assert payload(events(store)[1])["meeting_notes"] == ""  # as it was last announced: erased


def test_two_who_came_to_one_meeting_are_erased_one_after_the_other(store: Store) -> None:
    meeting = store.write(book_meeting, with_ada())
    assert erase(store) == [Erased(meetings=1, events=1)]
    assert erase(store, "bo@example.com") == [Erased(meetings=1, events=1)]
    said = json.loads(store.read(read_meeting, meeting).details.body)
    assert [each["EMAIL"] for each in said["event_participants"]] == [ERASED_EMAIL] * 2
    assert b"bo@" not in everything(store)


def test_done_again_it_changes_nothing_and_nobody_is_nobody(store: Store) -> None:
    store.write(book_meeting, with_ada())
    erase(store)
    before = everything(store)
    assert erase(store) == []
    assert erase(store, ERASED_EMAIL.upper()) == []
    assert erase(store, "nobody@example.com") == []
    assert everything(store) == before


@pytest.mark.parametrize("limit", [1, 7, 500])
def test_many_meetings_take_small_steps_and_one_that_is_cut_short_is_gone_on_with(store: Store, limit: int) -> None:
    new_webhook(store)
    for _ in range(9):
        store.write(book_meeting, with_ada())
    first = store.write(erase_participant, "ada@example.com", limit)
    assert first is not None
    assert first.rows <= limit + 3

    def fail(tx: Any) -> None:
        erase_participant(tx, "ada@example.com", limit)
        raise LookupError

    with pytest.raises(LookupError):
        store.write(fail)
    rest = erase(store, limit=limit)
    assert sum(rest, first) == Erased(meetings=9, events=9, withdrawn=9)
    assert all(step.rows <= limit + 3 for step in rest)
    assert b"ada" not in everything(store)


def test_nothing_of_a_contact_is_left_and_the_record_is(store: Store) -> None:
    new_webhook(store)
    calls = [store.write(report_call, call_payload(phone_number=NUMBER)) for _ in range(3)]
    other = store.write(report_call, call_payload(phone_number="+441400800009"))
    settle(store, *(accepted(each) for each in claim_all(store)[:2]))
    assert erase_number(store, limit=4) == [
        Erased(calls=2, events=2, withdrawn=1, answers=1),
        Erased(calls=1, events=1, answers=1),
    ]
    assert NUMBER.encode() not in everything(store)
    assert store.read(read_call, calls[0]).payload == call_payload(phone_number="")
    assert store.read(read_call, other).payload.phone_number == "+441400800009"
    assert not store.read(list_calls, CallFilter(phone_number=NUMBER), limit=9, cursor=None).items
    assert [payload(event)["phone_number"] for event in events(store)] == ["", "", "", "+441400800009"]
    assert erase_number(store) == []


def test_a_filter_on_what_was_erased_is_explained_as_far_as_that_goes(store: Store) -> None:
    stops: Filter = (("meeting_notes", ("",)),)
    new_webhook(store, events=(EventKind.MEETING_BOOKED,), filter=stops)
    store.write(book_meeting, with_ada())
    erase(store)
    [explanation] = store.read(explain_event, events(store)[0].id)[1]
    assert "erased since" in explanation.why


def test_of_a_batch_the_erased_part_goes_and_the_rest_is_sent(store: Store, clock: ManualClock) -> None:
    new_webhook(store, batched=True)
    store.write(book_meeting, with_ada())
    store.write(book_meeting, details(event_participants=(BO,)))
    assert erase(store) == [Erased(meetings=1, events=1, withdrawn=1)]
    store.write(book_meeting, details(event_participants=(BO,), meeting_name="Later"))
    clock.set_wall(MONDAY + HOUR)
    [batch] = claim_all(store)
    assert [each["meeting_name"] for each in json.loads(batch.event.body)] == ["First talk", "Later"]
    settle(store, accepted(batch))
    assert [each.status for each in owed(store)] == [State.WITHDRAWN, State.DELIVERED, State.DELIVERED]


def test_a_batch_that_is_empty_goes_whole_and_the_next_event_opens_another(store: Store, clock: ManualClock) -> None:
    new_webhook(store, batched=True)
    store.write(book_meeting, with_ada())
    erase(store)
    assert store.connection.execute("SELECT COUNT(*) FROM delivery").fetchone() == (0,)
    store.write(book_meeting, details())
    clock.set_wall(MONDAY + HOUR)
    [batch] = claim_all(store)
    assert batch.batch_size == 1


@pytest.mark.parametrize("status", [200, 500])
def test_the_answer_to_a_batch_that_was_under_way_is_not_kept_and_those_after_it_are(
    store: Store, clock: ManualClock, status: int
) -> None:
    new_webhook(store, batched=True)
    store.write(book_meeting, with_ada())
    store.write(book_meeting, details(event_participants=(BO,)))
    clock.set_wall(MONDAY + HOUR)
    [batch] = claim_all(store)
    erase(store)
    answered = outcome(batch, status)
    settle(store, replace(answered, attempt=replace(answered.attempt, started_at=MONDAY + HOUR)))
    assert [attempt.response_body for each in owed(store) for attempt in each.attempts] == [b"", b""]
    if status == 500:
        clock.set_wall(MONDAY + 2 * HOUR)
        [again] = claim_all(store)
        assert b"ada" not in again.event.body.lower()
        settle(store, accepted(again))
        assert owed(store)[1].attempts[1].response_body == b"answer 200"


def test_what_is_erased_is_overwritten_in_the_file(sqlite_store: SqliteStore) -> None:
    assert sqlite_store.connection.execute("PRAGMA secure_delete").fetchone() == (1,)


def tell(store: Store, *facts: Fact) -> None:
    store.write(take_in, TELLER, report(*facts, complete=is_over(facts)))


def settle_all(store: Store) -> None:
    store.write(settle_due, 10)


def connect(tx: Transaction) -> None:
    tx.phonebook.keep_connector(replace(PBX, id=TELLER.connector_id))


def decided(store: Store) -> Any:
    return store.read(list_decisions, TELLER.connector_id, None, limit=10, cursor=None).items


@pytest.mark.parametrize("spelling", ["07700 900103", "0044 7700 900103", "+447700900103", "447700900103"])
@pytest.mark.parametrize("begins", [comes_in, goes_out])
def test_a_contact_of_a_call_that_is_not_over_is_erased_from_what_was_told_of_it_however_spelt(
    store: Store, clock: ManualClock, begins: Any, spelling: str
) -> None:
    store.write(add_line, LINE)
    late: Fact = Redialled(leg="contact", at=MONDAY + SECOND, dialled=spelling)
    if begins is comes_in:
        late = Shown(leg="contact", at=MONDAY + SECOND, shows=spelling)
    tell(store, *begins(), late, *talk())
    assert erase_number(store, CALLER) == [Erased(calls=1)]
    assert b"900103" not in everything(store)
    tell(store, *hangs_up())
    clock.advance(seconds=WAITS.total_seconds())
    store.write(settle_due, 10)
    [call] = store.read(list_calls, CallFilter(), limit=10, cursor=None).items
    assert (call.payload.phone_line, call.payload.duration_seconds) == (LINE, 61)
    assert call.payload.phone_number == ""


def test_others_who_are_in_a_call_stay_as_they_are(store: Store) -> None:
    store.write(add_line, LINE)
    tell(store, *comes_in())
    before = store.read(lambda tx: tx.intake.unsettled())
    assert erase_number(store, "+447700900104") == []
    assert store.read(lambda tx: tx.intake.unsettled()) == before


def test_a_number_that_only_stands_in_the_legs_is_erased_from_them_and_the_contact_stays(store: Store) -> None:
    store.write(add_line, LINE)
    forwarded = LegStarted(leg="mobile", at=MONDAY, side=Side.OUTSIDE, places=False, dialled="07700 900104", shows=LINE)
    tell(store, *comes_in(), forwarded, *hangs_up("contact", "phone", "mobile"))
    settle_all(store)
    [before] = store.read(list_calls, CallFilter(), limit=10, cursor=None).items
    assert [leg.number for leg in before.legs.legs] == [CALLER, "+447700900104", ""]
    assert erase_number(store, "+447700900104") == [Erased(calls=1)]
    assert b"900104" not in everything(store)
    after = store.read(read_call, before.id)
    assert (after.payload, [leg.number for leg in after.legs.legs]) == (before.payload, [CALLER, "", ""])


def test_a_number_is_erased_from_calls_that_became_no_event(store: Store) -> None:
    store.write(connect)
    tell(store, *comes_in(), *hangs_up())  # on a number that is no line
    settle_all(store)
    [before] = decided(store)
    assert (before.outcome, before.legs.legs[0].number) == (CallOutcome.NONE, CALLER)
    assert erase_number(store, CALLER) == [Erased(calls=1)]
    assert b"900103" not in everything(store)
    assert [leg.number for leg in decided(store)[0].legs.legs] == ["", ""]


def test_of_a_settled_call_nothing_is_left_that_tells_who_it_was_once_it_is_erased(store: Store) -> None:
    store.write(add_line, LINE)
    store.write(take_in, TELLER, report(*a_whole_call(), complete=True))
    store.write(settle_due, 10)
    assert erase_number(store, CALLER) == [Erased(calls=1, events=1)]
    assert b"900103" not in everything(store)

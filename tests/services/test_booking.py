"""Meetings are booked, edited, moved and cancelled, and everybody who wants to know is told, in order, once."""

from datetime import datetime, timedelta

import pytest

from hookline.domain.events import EventKind, Participant, QuestionAndAnswer, canonical_bytes
from hookline.domain.ids import MeetingId
from hookline.domain.instants import parse_instant
from hookline.domain.meetings import MeetingStatus
from hookline.errors import Conflict, Invalid, NotFound
from hookline.ports.storage import MeetingFilter
from hookline.services.booking import (
    book_meeting,
    book_meetings,
    cancel_meeting,
    edit_meeting,
    list_meetings,
    read_meeting,
    reschedule_meeting,
)
from hookline.services.timers import fire_due, next_timer_at
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.services.reading import claim_all, events, new_webhook, owed, payload, told
from tests.values import DAY, HOUR, MICROSECOND, details

BO = Participant(EMAIL="bo@example.com", FIRSTNAME="Bo")
CY, DI = Participant(EMAIL="Cy@Example.com", LASTNAME="C"), Participant(EMAIL="di@example.com")
BOOKED, STARTED, CANCELLED = EventKind.MEETING_BOOKED, EventKind.MEETING_STARTED, EventKind.MEETING_CANCELLED
TEN = MONDAY + HOUR  # where the meeting of most tests starts, an hour from now; it lasts an hour


def booked(store: Store, start_at: datetime = TEN, length: timedelta = HOUR) -> MeetingId:
    return store.write(book_meeting, details(start_at, length))


def fire(store: Store) -> int:
    return store.write(fire_due, 500)


# Booking


def test_a_booking_is_announced_with_exactly_its_payload(store: Store) -> None:
    meeting_id = booked(store)
    [event] = events(store)
    assert meeting_id.startswith("mtg_")
    assert event.id.startswith("evt_")
    assert (event.kind, event.subject, event.sequence) == (BOOKED, meeting_id, 1)
    assert (event.occurred_at, event.created_at) == (MONDAY, MONDAY)
    assert event.body == canonical_bytes(details().payload)
    assert not event.is_test


def test_a_booking_is_owed_to_every_active_webhook_that_wants_it(store: Store) -> None:
    first, second = new_webhook(store), new_webhook(store)
    new_webhook(store, events=(CANCELLED,))
    booked(store)
    assert [delivery.webhook_id for delivery in owed(store)] == [first.id, second.id]
    assert {claim.event.id for claim in claim_all(store)} == {events(store)[0].id}


def test_a_new_meeting_reads_as_it_was_booked(store: Store) -> None:
    meeting = store.read(read_meeting, booked(store))
    assert meeting.details == details()
    assert (meeting.sequence, meeting.version) == (1, 1)
    assert (meeting.created_at, meeting.modified_at, meeting.cancelled_at) == (MONDAY, MONDAY, None)


def test_many_are_booked_in_the_order_given(store: Store) -> None:
    many = [details(meeting_name=f"Number {number}") for number in range(5)]
    meeting_ids = store.write(book_meetings, many)
    assert [event.subject for event in events(store)] == meeting_ids
    assert [payload(event)["meeting_name"] for event in events(store)] == [each.payload.meeting_name for each in many]
    assert [store.read(read_meeting, each).details for each in meeting_ids] == many


def test_a_meeting_that_is_not_there_is_not_found(store: Store) -> None:
    for act in (
        lambda: store.read(read_meeting, "mtg_nothing"),
        lambda: store.write(edit_meeting, "mtg_nothing", {}),
        lambda: store.write(cancel_meeting, "mtg_nothing", ""),
        lambda: store.write(reschedule_meeting, "mtg_nothing", TEN, None),
    ):
        with pytest.raises(NotFound):
            act()


def test_meetings_are_listed_the_latest_made_first(store: Store) -> None:
    made = [booked(store) for _ in range(3)]
    page = store.read(list_meetings, MeetingFilter(), limit=2, cursor=None)
    assert [meeting.id for meeting in page.items] == [made[2], made[1]]


# The start


def test_the_start_is_announced_when_it_is_reached_and_not_before(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    assert store.read(next_timer_at) == TEN
    clock.set_wall(TEN - MICROSECOND)
    assert fire(store) == 0
    clock.set_wall(TEN)
    assert fire(store) == 1
    assert told(store, meeting_id) == [(BOOKED, 1), (STARTED, 2)]


def test_the_start_is_announced_once(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    clock.set_wall(TEN)
    fire(store)
    clock.set_wall(TEN + DAY)
    assert fire(store) == 0
    assert store.read(next_timer_at) is None
    assert told(store, meeting_id) == [(BOOKED, 1), (STARTED, 2)]


def test_a_start_occurred_when_it_was_scheduled_however_late_it_is_told(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store, length=3 * DAY)
    clock.set_wall(TEN + 2 * DAY)
    fire(store)
    started = events(store, meeting_id)[-1]
    assert (started.kind, started.occurred_at, started.created_at) == (STARTED, TEN, TEN + 2 * DAY)


def test_a_start_is_told_until_the_meeting_has_ended_for_a_day(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    clock.set_wall(TEN + HOUR + DAY - MICROSECOND)
    fire(store)
    assert told(store, meeting_id) == [(BOOKED, 1), (STARTED, 2)]


def test_a_start_is_of_no_use_when_the_meeting_has_ended_for_a_day(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    clock.set_wall(TEN + HOUR + DAY)
    fire(store)
    assert told(store, meeting_id) == [(BOOKED, 1)]
    assert store.read(next_timer_at) is None


def test_the_delivery_of_a_start_is_given_up_when_the_meeting_has_ended_for_a_day(
    store: Store, clock: ManualClock
) -> None:
    new_webhook(store, events=(STARTED,))
    booked(store)
    clock.set_wall(TEN)
    fire(store)
    [claim] = claim_all(store)
    assert claim.give_up_at == TEN + HOUR + DAY


def test_only_starts_are_given_up(store: Store) -> None:
    new_webhook(store)
    store.write(cancel_meeting, booked(store), "")
    assert [claim.give_up_at for claim in claim_all(store)] == [None, None]


@pytest.mark.parametrize("ago", [timedelta(), HOUR, DAY])
def test_a_meeting_in_the_past_starts_at_once(store: Store, ago: timedelta) -> None:
    meeting_id = booked(store, MONDAY - ago)
    fire(store)
    assert told(store, meeting_id) == [(BOOKED, 1), (STARTED, 2)]
    assert events(store)[-1].occurred_at == MONDAY - ago


def test_a_meeting_that_ended_a_day_ago_is_booked_and_never_starts(store: Store) -> None:
    meeting_id = booked(store, MONDAY - HOUR - DAY)
    assert store.read(next_timer_at) is None
    fire(store)
    assert told(store, meeting_id) == [(BOOKED, 1)]


def test_a_start_carries_the_values_as_they_are_at_the_start(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    store.write(edit_meeting, meeting_id, {"meeting_name": "Before"})
    clock.set_wall(TEN)
    fire(store)
    assert payload(events(store, meeting_id)[-1])["meeting_name"] == "Before"


def test_an_edit_just_behind_the_start_is_not_faster_than_the_timer(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    clock.set_wall(TEN)
    store.write(edit_meeting, meeting_id, {"meeting_name": "After"})
    fire(store)
    assert told(store, meeting_id) == [(BOOKED, 1), (STARTED, 2)]
    assert payload(events(store, meeting_id)[-1])["meeting_name"] == "First talk"
    assert store.read(read_meeting, meeting_id).details.payload.meeting_name == "After"
    assert store.read(read_meeting, meeting_id).sequence == 2


# Editing


def test_an_edit_is_told_to_nobody_and_shown_by_later_events(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    clock.advance(seconds=60)
    changes: dict[str, object] = {
        "meeting_name": "Zoë",
        "meeting_notes": "n",
        "meeting_location": "l",
        "meeting_address": "a",
        "questions_and_answers": (QuestionAndAnswer(answer="x, y", question="q"),),
        "price": 49.90,
        "currency": "eur",
    }
    store.write(edit_meeting, meeting_id, changes)
    assert told(store, meeting_id) == [(BOOKED, 1)]
    meeting = store.read(read_meeting, meeting_id)
    assert meeting.modified_at == MONDAY + timedelta(seconds=60)
    assert meeting.details.payload.currency == "EUR"
    assert (meeting.details.start_at, meeting.details.end_at) == (TEN, TEN + HOUR)
    store.write(reschedule_meeting, meeting_id, TEN + DAY, None)
    said = payload(events(store, meeting_id)[-1])
    assert (said["meeting_name"], said["price"], said["currency"]) == ("Zoë", 49.9, "EUR")
    assert said["questions_and_answers"] == [{"answer": "x, y", "question": "q"}]


def test_participants_that_are_changed_are_in_later_events_and_not_in_a_cancellation_of_what_was_booked(
    store: Store, clock: ManualClock
) -> None:
    def emails(number: int) -> list[str]:
        return [each["EMAIL"] for each in payload(events(store, meeting_id)[number])["event_participants"]]

    meeting_id = booked(store)
    store.write(edit_meeting, meeting_id, {"event_participants": (CY, DI)})
    assert told(store, meeting_id) == [(BOOKED, 1)]
    store.write(reschedule_meeting, meeting_id, TEN + DAY, None)
    assert [emails(number) for number in range(3)] == [["bo@example.com"]] * 2 + [[CY.EMAIL, DI.EMAIL]]
    store.write(edit_meeting, meeting_id, {"event_participants": (DI,)})
    clock.set_wall(TEN + DAY)
    fire(store)
    assert (told(store, meeting_id)[-1], emails(3)) == ((STARTED, 4), [DI.EMAIL])


def test_a_meeting_is_listed_by_those_who_come_now(store: Store) -> None:
    def found(email: str) -> int:
        return len(store.read(list_meetings, MeetingFilter(participant=email), limit=9, cursor=None).items)

    meeting_id = booked(store)
    store.write(edit_meeting, meeting_id, {"event_participants": (CY, CY, DI)})
    assert [found(email) for email in ("bo@example.com", CY.EMAIL.lower(), DI.EMAIL)] == [0, 1, 1]
    store.write(edit_meeting, meeting_id, {"event_participants": (BO,)})
    assert [found(email) for email in ("BO@example.com", CY.EMAIL, DI.EMAIL)] == [1, 0, 0]


@pytest.mark.parametrize("host", ["anna@example.com", "Anna@EXAMPLE.com"])
def test_the_host_is_left_out_of_changed_participants(store: Store, host: str) -> None:
    meeting_id = booked(store)
    store.write(edit_meeting, meeting_id, {"event_participants": (Participant(EMAIL=host), CY)})
    assert store.read(read_meeting, meeting_id).details.payload.event_participants == (CY,)
    with pytest.raises(Invalid, match="at least one participant besides the host"):
        store.write(edit_meeting, meeting_id, {"event_participants": (Participant(EMAIL=host),)})


def test_a_meeting_that_was_kept_under_older_rules_can_be_edited_and_corrected(store: Store) -> None:
    host = Participant(EMAIL="anna@example.com")
    old = details(currency="ANG", price=5, event_participants=(host,))
    meeting_id = store.write(book_meeting, old)
    store.write(edit_meeting, meeting_id, {"meeting_name": "Other"})
    with pytest.raises(Invalid, match="ANG was withdrawn"):
        store.write(edit_meeting, meeting_id, {"price": 6})
    store.write(edit_meeting, meeting_id, {"currency": "XCG"})
    edited = store.read(read_meeting, meeting_id).details.payload
    assert (edited.meeting_name, edited.currency, edited.price) == ("Other", "XCG", 5)


def test_an_edit_that_changes_nothing_modifies_nothing(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    clock.advance(seconds=60)
    store.write(edit_meeting, meeting_id, {"meeting_name": "First talk"})
    store.write(edit_meeting, meeting_id, {})
    assert store.read(read_meeting, meeting_id).modified_at == MONDAY


@pytest.mark.parametrize(
    "changes", [{"meeting_name": ""}, {"meeting_name": "x" * 256}, {"price": -1}, {"price": 5}, {"currency": "XXQ"}]
)
def test_an_edit_that_breaks_a_rule_is_refused_and_changes_nothing(store: Store, changes: dict[str, object]) -> None:
    meeting_id = booked(store)
    before = store.read(read_meeting, meeting_id)
    with pytest.raises(Invalid):
        store.write(edit_meeting, meeting_id, changes)
    assert store.read(read_meeting, meeting_id) == before


def test_an_edit_keeps_the_microseconds_of_the_start(store: Store) -> None:
    meeting_id = booked(store, TEN + MICROSECOND)
    store.write(edit_meeting, meeting_id, {"meeting_name": "Other"})
    assert store.read(read_meeting, meeting_id).details.start_at == TEN + MICROSECOND
    assert store.read(next_timer_at) == TEN + MICROSECOND


# Cancelling


def test_a_cancellation_repeats_what_was_booked_whatever_was_edited_since(store: Store) -> None:
    meeting_id = booked(store)
    store.write(edit_meeting, meeting_id, {"meeting_name": "Edited", "meeting_notes": "much"})
    store.write(cancel_meeting, meeting_id, "Anna is ill")
    first, last = events(store, meeting_id)
    assert told(store, meeting_id) == [(BOOKED, 1), (CANCELLED, 2)]
    assert last.body == first.body
    meeting = store.read(read_meeting, meeting_id)
    assert meeting.cancel_reason == "Anna is ill"
    assert meeting.details.payload.meeting_name == "Edited"
    assert meeting.status(MONDAY) is MeetingStatus.CANCELLED


def test_a_cancelled_meeting_never_starts(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    clock.set_wall(TEN - MICROSECOND)
    store.write(cancel_meeting, meeting_id, "")
    assert store.read(next_timer_at) is None
    clock.set_wall(TEN)
    fire(store)
    assert told(store, meeting_id) == [(BOOKED, 1), (CANCELLED, 2)]


def test_to_cancel_again_changes_nothing_even_after_the_start(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    cancelled = store.write(cancel_meeting, meeting_id, "first")
    for at in (MONDAY + MICROSECOND, TEN, TEN + 9 * DAY):
        clock.set_wall(at)
        assert store.write(cancel_meeting, meeting_id, "second") == cancelled
    assert store.read(read_meeting, meeting_id) == cancelled
    assert told(store, meeting_id) == [(BOOKED, 1), (CANCELLED, 2)]


@pytest.mark.parametrize("fired", [False, True])
@pytest.mark.parametrize("late", [timedelta(), MICROSECOND, HOUR, 9 * DAY])
def test_what_has_started_is_neither_cancelled_nor_moved(
    store: Store, clock: ManualClock, fired: bool, late: timedelta
) -> None:
    meeting_id = booked(store)
    clock.set_wall(TEN + late)
    if fired:
        fire(store)
    before = told(store, meeting_id)
    with pytest.raises(Conflict) as refusal:
        store.write(cancel_meeting, meeting_id, "")
    assert refusal.value.code == "meeting_already_started"
    with pytest.raises(Conflict) as refusal:
        store.write(reschedule_meeting, meeting_id, TEN + DAY, None)
    assert refusal.value.code == "meeting_already_started"
    assert told(store, meeting_id) == before


def test_a_refused_cancellation_leaves_the_start_to_be_announced(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    clock.set_wall(TEN)
    with pytest.raises(Conflict):
        store.write(cancel_meeting, meeting_id, "")
    fire(store)
    assert told(store, meeting_id) == [(BOOKED, 1), (STARTED, 2)]


def test_what_was_cancelled_is_neither_edited_nor_moved(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    store.write(cancel_meeting, meeting_id, "")
    for at in (MONDAY, TEN + HOUR):
        clock.set_wall(at)
        with pytest.raises(Conflict) as refusal:
            store.write(edit_meeting, meeting_id, {"meeting_name": "Other"})
        assert refusal.value.code == "meeting_cancelled"
        with pytest.raises(Conflict) as refusal:
            store.write(reschedule_meeting, meeting_id, TEN + DAY, None)
        assert refusal.value.code == "meeting_cancelled"
    assert told(store, meeting_id) == [(BOOKED, 1), (CANCELLED, 2)]


# Moving


def test_to_move_is_to_cancel_the_old_time_and_to_book_the_new_one_in_one_commit(store: Store) -> None:
    new_webhook(store)
    meeting_id = booked(store)
    store.write(edit_meeting, meeting_id, {"meeting_name": "Edited"})
    store.write(reschedule_meeting, meeting_id, TEN + DAY, TEN + DAY + 2 * HOUR)
    first, cancelled, again = events(store, meeting_id)
    assert told(store, meeting_id) == [(BOOKED, 1), (CANCELLED, 2), (BOOKED, 3)]
    assert cancelled.body == first.body
    said = payload(again)
    assert said["meeting_start_timestamp"] == "2026-01-06T10:00:00.000Z"
    assert said["meeting_end_timestamp"] == "2026-01-06T12:00:00.000Z"
    assert said["meeting_name"] == "Edited"
    assert cancelled.occurred_at == again.occurred_at == again.created_at == MONDAY
    assert [claim.event.kind for claim in claim_all(store)] == [BOOKED, CANCELLED, BOOKED]


def test_a_move_without_an_end_keeps_the_length(store: Store) -> None:
    meeting_id = booked(store, length=2 * HOUR + MICROSECOND)
    moved = store.write(reschedule_meeting, meeting_id, TEN + DAY, None)
    assert (moved.details.start_at, moved.details.end_at) == (TEN + DAY, TEN + DAY + 2 * HOUR + MICROSECOND)


def test_a_moved_meeting_starts_at_its_new_time_only(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    store.write(reschedule_meeting, meeting_id, TEN + DAY, None)
    clock.set_wall(TEN + HOUR)
    assert fire(store) == 0
    clock.set_wall(TEN + DAY)
    assert fire(store) == 1
    assert told(store, meeting_id) == [(BOOKED, 1), (CANCELLED, 2), (BOOKED, 3), (STARTED, 4)]
    assert payload(events(store)[-1])["meeting_start_timestamp"] == "2026-01-06T10:00:00.000Z"


def test_a_move_to_where_it_is_changes_nothing(store: Store, clock: ManualClock) -> None:
    meeting_id = booked(store)
    before = store.read(read_meeting, meeting_id)
    clock.advance(seconds=60)
    assert store.write(reschedule_meeting, meeting_id, TEN, None) == before
    assert store.write(reschedule_meeting, meeting_id, TEN, TEN + HOUR) == before
    assert told(store, meeting_id) == [(BOOKED, 1)]


def test_a_move_to_the_times_that_events_tell_changes_nothing_though_they_are_cut_to_milliseconds(store: Store) -> None:
    start_at, length = TEN + timedelta(microseconds=696_900), timedelta(microseconds=99_200)
    meeting_id = booked(store, start_at, length)
    said = payload(events(store, meeting_id)[0])
    told_start, told_end = (parse_instant(said[f"meeting_{end}_timestamp"], end) for end in ("start", "end"))
    assert told_start < start_at
    store.write(reschedule_meeting, meeting_id, told_start, told_end)
    store.write(reschedule_meeting, meeting_id, told_start, None)
    assert told(store, meeting_id) == [(BOOKED, 1)]


def test_a_move_that_is_repeated_after_the_start_that_it_asked_for_changes_nothing(
    store: Store, clock: ManualClock
) -> None:
    meeting_id = booked(store)
    store.write(reschedule_meeting, meeting_id, MONDAY - HOUR, None)
    fire(store)
    before = told(store, meeting_id)
    moved = store.read(read_meeting, meeting_id)
    assert moved.status(clock.now()) is not MeetingStatus.BOOKED
    assert store.write(reschedule_meeting, meeting_id, MONDAY - HOUR, None) == moved
    assert told(store, meeting_id) == before


def test_three_that_start_together_are_told_apart_when_one_is_cancelled_and_one_is_moved(
    store: Store, clock: ManualClock
) -> None:
    stays, cancelled, moved = booked(store), booked(store), booked(store)
    store.write(cancel_meeting, cancelled, "")
    store.write(reschedule_meeting, moved, TEN + HOUR, None)
    clock.set_wall(TEN)
    fire(store)
    assert told(store, stays) == [(BOOKED, 1), (STARTED, 2)]
    assert told(store, cancelled) == [(BOOKED, 1), (CANCELLED, 2)]
    assert told(store, moved) == [(BOOKED, 1), (CANCELLED, 2), (BOOKED, 3)]


def test_each_cancellation_of_a_meeting_that_is_moved_twice_has_the_times_of_the_booking_before(store: Store) -> None:
    meeting_id = booked(store)
    store.write(reschedule_meeting, meeting_id, TEN + DAY, None)
    store.write(reschedule_meeting, meeting_id, TEN + 2 * DAY, None)
    store.write(cancel_meeting, meeting_id, "")
    assert told(store, meeting_id) == [(kind, n) for n, kind in enumerate((BOOKED, CANCELLED) * 3, 1)]
    starts = [payload(event)["meeting_start_timestamp"][:10] for event in events(store, meeting_id)]
    assert starts == ["2026-01-05"] * 2 + ["2026-01-06"] * 2 + ["2026-01-07"] * 2


def test_a_move_of_the_end_alone_is_a_move(store: Store) -> None:
    meeting_id = booked(store)
    store.write(reschedule_meeting, meeting_id, TEN, TEN + 3 * HOUR)
    assert told(store, meeting_id) == [(BOOKED, 1), (CANCELLED, 2), (BOOKED, 3)]


def test_a_move_to_an_end_before_the_start_is_refused(store: Store) -> None:
    meeting_id = booked(store)
    with pytest.raises(Invalid) as refusal:
        store.write(reschedule_meeting, meeting_id, TEN + DAY, TEN + DAY - MICROSECOND)
    assert refusal.value.fields[0].field == "meeting_end_timestamp"
    assert told(store, meeting_id) == [(BOOKED, 1)]


def test_a_meeting_that_is_moved_into_the_past_starts_at_once(store: Store) -> None:
    meeting_id = booked(store)
    store.write(reschedule_meeting, meeting_id, MONDAY - HOUR, None)
    fire(store)
    assert told(store, meeting_id)[2:] == [(BOOKED, 3), (STARTED, 4)]


def test_a_meeting_that_is_moved_to_days_ago_never_starts(store: Store) -> None:
    meeting_id = booked(store)
    store.write(reschedule_meeting, meeting_id, MONDAY - 3 * DAY, None)
    assert store.read(next_timer_at) is None
    fire(store)
    assert told(store, meeting_id)[2:] == [(BOOKED, 3)]


def test_a_meeting_can_be_moved_many_times(store: Store) -> None:
    meeting_id = booked(store)
    for days in range(1, 6):
        store.write(reschedule_meeting, meeting_id, TEN + days * DAY, None)
    assert [sequence for _, sequence in told(store, meeting_id)] == list(range(1, 12))
    meeting = store.read(read_meeting, meeting_id)
    assert (meeting.sequence, meeting.version) == (11, 6)
    bodies = [event.body for event in events(store, meeting_id)]
    assert bodies[0::2][:-1] == bodies[1::2]  # each cancellation repeats the booking before it


# Timers


def test_timers_of_other_meetings_fire_in_steps_the_earliest_first(store: Store, clock: ManualClock) -> None:
    made = [booked(store, TEN + minutes * timedelta(minutes=1)) for minutes in (3, 1, 2)]
    clock.set_wall(TEN + HOUR)
    assert [store.write(fire_due, 2), store.write(fire_due, 2), store.write(fire_due, 2)] == [2, 1, 0]
    started = [event.subject for event in events(store) if event.kind is STARTED]
    assert started == [made[1], made[2], made[0]]

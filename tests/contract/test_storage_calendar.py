"""What the store promises of meetings and their timers."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from hookline.domain.events import Participant, QuestionAndAnswer, canonical_bytes
from hookline.domain.ids import MeetingId
from hookline.domain.meetings import Meeting, MeetingDetails, MeetingStatus
from hookline.ports.storage import MeetingFilter, Page, Timer, Transaction
from tests.contract.owing import pages
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.values import DAY, HOUR, MICROSECOND, details

RICH = details(
    MONDAY + HOUR + MICROSECOND,
    currency="JPY",
    event_participants=(
        Participant(EMAIL="bo@example.com", FIRSTNAME="Bo", LASTNAME="Ng"),
        Participant(EMAIL="Zoë@example.com"),
    ),
    meeting_notes='Zoë said: "ﬁne" \U0001f600\n\u2028 </script>',
    price=1200,
    questions_and_answers=(QuestionAndAnswer(answer="tea, coffee", question="To drink?"), QuestionAndAnswer()),
)


def new_meeting(tx: Transaction, made_of: MeetingDetails, **changes: Any) -> Meeting:
    meeting = Meeting(
        id=MeetingId(f"mtg_{tx.ulid()}"),
        details=made_of,
        booked_body=canonical_bytes(made_of.payload),
        version=1,
        sequence=1,
        created_at=tx.now,
        modified_at=tx.now,
    )
    return replace(meeting, **changes)


def added(store: Store, made_of: MeetingDetails = RICH, **changes: Any) -> Meeting:
    def add(tx: Transaction) -> Meeting:
        meeting = new_meeting(tx, made_of, **changes)
        tx.calendar.add(meeting)
        return meeting

    return store.write(add)


def read(store: Store, meeting_id: str) -> Meeting | None:
    meeting: Meeting | None = store.read(lambda tx: tx.calendar.meeting(meeting_id))
    return meeting


def listed(store: Store, wanted: MeetingFilter) -> Sequence[Meeting]:
    page: Page[Meeting] = store.read(lambda tx: tx.calendar.meetings(wanted, limit=100, cursor=None))
    return page.items


def test_a_meeting_reads_as_it_was_added(store: Store) -> None:
    meeting = added(store)
    assert read(store, meeting.id) == meeting


def test_a_meeting_that_is_not_there_is_none(store: Store) -> None:
    added(store)
    assert read(store, "mtg_nothing") is None
    assert read(store, "") is None


def test_a_meeting_reads_as_it_was_saved_last(store: Store) -> None:
    meeting, other = added(store), added(store)
    moved = meeting.moved(details(MONDAY + DAY, account_email="Zed@example.com", price=1.5), MONDAY + HOUR)
    changed = replace(moved, sequence=3).cancelled("Zoë is ill", MONDAY + 2 * HOUR)
    store.write(lambda tx: tx.calendar.save(changed))
    assert read(store, meeting.id) == changed
    assert read(store, other.id) == other


def test_many_meetings_are_read_at_once_by_id_those_that_there_are(store: Store) -> None:
    one, _, third = added(store), added(store), added(store)
    wanted = [third.id, MeetingId("mtg_nothing"), one.id, third.id]
    assert store.read(lambda tx: tx.calendar.meetings_of(wanted)) == {one.id: one, third.id: third}
    assert store.read(lambda tx: tx.calendar.meetings_of([])) == {}


def test_one_more_event_of_many_meetings_is_counted_at_once(store: Store) -> None:
    one, other, third = added(store), added(store), added(store)
    store.write(lambda tx: tx.calendar.count_event([one.id, third.id]))
    store.write(lambda tx: tx.calendar.count_event([third.id]))
    store.write(lambda tx: tx.calendar.count_event([]))
    assert read(store, one.id) == replace(one, sequence=2)
    assert read(store, other.id) == other
    assert read(store, third.id) == replace(third, sequence=3)


def test_meetings_are_listed_the_latest_made_first(store: Store) -> None:
    made = [added(store, details(MONDAY + hours * HOUR)) for hours in (5, 1, 3)]
    assert listed(store, MeetingFilter()) == made[::-1]


@pytest.mark.parametrize("limit", range(1, 9))
def test_pages_of_meetings_show_each_once(store: Store, limit: int) -> None:
    made = store.write(lambda tx: [new_meeting(tx, RICH) for _ in range(7)])
    store.write(lambda tx: [tx.calendar.add(meeting) for meeting in made])

    def fetch(limit: int, cursor: str | None) -> Page[Meeting]:
        added(store)  # meanwhile others are booked, and do not get in between
        page: Page[Meeting] = store.read(lambda tx: tx.calendar.meetings(MeetingFilter(), limit=limit, cursor=cursor))
        return page

    seen = pages(fetch, limit)
    assert seen[1:] == made[::-1]  # the first was booked just before the first page was asked for


def test_meetings_are_found_by_host_and_participant_whatever_their_case(store: Store) -> None:
    one = added(store, details(account_email="Anna@Example.com"))
    rich = replace(RICH.payload, account_email="cy@example.com")
    two = added(store, MeetingDetails.of(rich, RICH.start_at, RICH.end_at))
    assert listed(store, MeetingFilter(account_email="anna@EXAMPLE.com")) == [one]
    assert listed(store, MeetingFilter(participant="BO@example.com")) == [two, one]
    assert listed(store, MeetingFilter(participant="zoË@example.com")) == [two]
    assert listed(store, MeetingFilter(account_email="cy@example.com", participant="bo@example.com")) == [two]
    assert not listed(store, MeetingFilter(account_email="anna@example.com", participant="Zoë@example.com"))
    assert not listed(store, MeetingFilter(participant="%"))


def test_a_meeting_that_lists_a_participant_twice_is_listed_once(store: Store) -> None:
    twice = added(
        store, details(event_participants=(Participant(EMAIL="bo@a.example"), Participant(EMAIL="BO@a.example")))
    )
    assert listed(store, MeetingFilter(participant="bo@a.example")) == [twice]


def test_meetings_are_found_by_their_start_the_end_of_the_span_excluded(store: Store) -> None:
    early, late = added(store, details(MONDAY)), added(store, details(MONDAY + HOUR))
    assert listed(store, MeetingFilter(from_at=MONDAY)) == [late, early]
    assert listed(store, MeetingFilter(from_at=MONDAY + MICROSECOND)) == [late]
    assert listed(store, MeetingFilter(to_at=MONDAY + HOUR)) == [early]
    assert listed(store, MeetingFilter(from_at=MONDAY, to_at=MONDAY + HOUR + MICROSECOND)) == [late, early]
    assert not listed(store, MeetingFilter(from_at=MONDAY, to_at=MONDAY))


@pytest.mark.parametrize("at", [MONDAY + minutes * timedelta(minutes=1) for minutes in (0, 59, 60, 61, 119, 120, 500)])
def test_a_meeting_is_found_by_the_status_that_it_has_at_that_instant(
    store: Store, clock: ManualClock, at: datetime
) -> None:
    spans = [(60, 60), (60, 0), (0, 0), (30, 30)]
    many = [details(MONDAY + timedelta(minutes=start), timedelta(minutes=length)) for start, length in spans]
    made = [added(store, each) for each in many]
    made += [added(store, each, cancelled_at=MONDAY) for each in many]
    clock.set_wall(at)
    for status in MeetingStatus:
        expected = [meeting for meeting in reversed(made) if meeting.status(at) is status]
        assert listed(store, MeetingFilter(status=status)) == expected


def timer(meeting: str, due_at: datetime, version: int = 1) -> Timer:
    return Timer(meeting_id=MeetingId(meeting), version=version, due_at=due_at)


def set_timers(store: Store, *timers: Timer) -> None:
    store.write(lambda tx: [tx.calendar.set_timer(each) for each in timers])


def due(store: Store, limit: int = 100) -> Sequence[Timer]:
    timers: Sequence[Timer] = store.read(lambda tx: tx.calendar.due_timers(limit))
    return timers


def test_timers_are_due_when_their_instant_is_reached_and_not_before(store: Store, clock: ManualClock) -> None:
    set_timers(store, timer("mtg_a", MONDAY + HOUR))
    clock.set_wall(MONDAY + HOUR - MICROSECOND)
    assert not due(store)
    clock.set_wall(MONDAY + HOUR)
    assert due(store) == [timer("mtg_a", MONDAY + HOUR)]


def test_due_timers_come_the_earliest_first_up_to_the_limit_and_stay_set(store: Store, clock: ManualClock) -> None:
    made = [timer(f"mtg_{hours}", MONDAY + hours * HOUR) for hours in (3, 1, 4, 2, 9)]
    set_timers(store, *made)
    clock.set_wall(MONDAY + 4 * HOUR)
    in_order = sorted(made, key=lambda each: each.due_at)
    assert due(store) == in_order[:4]
    assert due(store, limit=2) == in_order[:2]
    assert due(store) == in_order[:4]


def test_a_timer_takes_the_place_of_the_one_the_meeting_had(store: Store, clock: ManualClock) -> None:
    set_timers(store, timer("mtg_a", MONDAY + HOUR), timer("mtg_b", MONDAY + HOUR))
    set_timers(store, timer("mtg_a", MONDAY + 2 * HOUR, version=2))
    clock.set_wall(MONDAY + HOUR)
    assert due(store) == [timer("mtg_b", MONDAY + HOUR)]
    clock.set_wall(MONDAY + 2 * HOUR)
    assert timer("mtg_a", MONDAY + 2 * HOUR, version=2) in due(store)
    assert len(due(store)) == 2


def test_a_timer_that_is_set_twice_in_one_transaction_is_the_later_one(store: Store) -> None:
    set_timers(store, timer("mtg_a", MONDAY + HOUR), timer("mtg_a", MONDAY + DAY, version=2))
    assert store.read(lambda tx: tx.calendar.next_timer_at()) == MONDAY + DAY


def test_a_cleared_timer_is_gone_and_clearing_none_is_harmless(store: Store) -> None:
    set_timers(store, timer("mtg_a", MONDAY), timer("mtg_b", MONDAY))
    store.write(lambda tx: tx.calendar.clear_timers(["mtg_a"]))
    store.write(lambda tx: tx.calendar.clear_timers(["mtg_a"]))
    assert not store.read(lambda tx: tx.calendar.has_timer("mtg_a"))
    assert store.read(lambda tx: tx.calendar.has_timer("mtg_b"))
    assert due(store) == [timer("mtg_b", MONDAY)]


def test_many_timers_are_cleared_at_once(store: Store) -> None:
    set_timers(store, *(timer(f"mtg_{number}", MONDAY) for number in range(300)))
    store.write(lambda tx: tx.calendar.clear_timers([f"mtg_{number}" for number in range(1, 299)]))
    store.write(lambda tx: tx.calendar.clear_timers([]))
    assert {each.meeting_id for each in due(store, limit=999)} == {"mtg_0", "mtg_299"}


def test_the_next_timer_is_the_earliest_due_or_not(store: Store) -> None:
    assert store.read(lambda tx: tx.calendar.next_timer_at()) is None
    set_timers(store, timer("mtg_a", MONDAY + DAY), timer("mtg_b", MONDAY + HOUR), timer("mtg_c", MONDAY - HOUR))
    assert store.read(lambda tx: tx.calendar.next_timer_at()) == MONDAY - HOUR
    store.write(lambda tx: tx.calendar.clear_timers(["mtg_c"]))
    assert store.read(lambda tx: tx.calendar.next_timer_at()) == MONDAY + HOUR

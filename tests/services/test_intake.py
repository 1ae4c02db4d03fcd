"""From what connectors tell of a call to one event: once, whatever comes late, twice, in disorder or never."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from hookline.domain.calls import Call, CallOrigin, CallTimes
from hookline.domain.calls_in_the_air import MOST_FACTS
from hookline.domain.events import CallType
from hookline.domain.finished_calls import Reason
from hookline.domain.ids import ConnectorId
from hookline.domain.legs import Fact, Rang
from hookline.domain.notices import NoticeKind
from hookline.errors import Invalid
from hookline.ports.connectors import Report
from hookline.ports.intake import HeardCall
from hookline.ports.storage import CallFilter
from hookline.services.calls import list_calls
from hookline.services.intake import (
    LINGERING,
    SILENT,
    Settled,
    TakenIn,
    Teller,
    first_due,
    give_up,
    next_due_at,
    settle_due,
    settle_this,
    take_in,
)
from hookline.services.notices import list_notices
from hookline.services.retention import forget_old_intake
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.services.reading import events, payload
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
    recorded,
    report,
    talk,
    unknown_lines,
)

HERE = TELLER.connector_id
OTHER_LINE = "+441400800009"


@pytest.fixture
def store(store: Store) -> Store:
    """A store in which there is a line."""
    store.write(add_line, LINE)
    return store


def tell(store: Store, *facts: Fact, key: str = "one", complete: bool = False, teller: Teller = TELLER) -> TakenIn:
    taken: TakenIn = store.write(take_in, teller, report(*facts, key=key, complete=complete))
    return taken


def settle(store: Store, limit: int = 100) -> Sequence[Settled]:
    settled: Sequence[Settled] = store.write(settle_due, limit)
    return settled


def due_in(store: Store, clock: ManualClock) -> timedelta:
    at: datetime | None = store.read(next_due_at)
    assert at is not None
    return at - clock.now()


def calls(store: Store) -> Sequence[Call]:
    found: Sequence[Call] = store.read(list_calls, CallFilter(), limit=100, cursor=None).items
    return found


def heard(store: Store, key: str = "one") -> HeardCall | None:
    found: HeardCall | None = store.read(lambda tx: tx.intake.heard(HERE, key))
    return found


def wait(clock: ManualClock, span: timedelta = WAITS) -> None:
    clock.advance(seconds=span.total_seconds())


def test_a_call_becomes_one_event_when_nothing_more_is_to_be_expected(store: Store, clock: ManualClock) -> None:
    tell(store, *comes_in())
    tell(store, *talk(), *hangs_up())
    wait(clock, WAITS - SECOND)
    assert settle(store) == []
    wait(clock, SECOND)
    [settled] = settle(store)
    [call] = calls(store)
    assert (call.id, call.source) == (settled.call_id, "scripted")
    assert (call.payload.type, call.payload.duration_seconds) == (CallType.ANSWERED, 61)
    assert (call.payload.phone_line, call.payload.phone_number) == (LINE, CALLER)
    [event] = events(store)
    assert event.subject == call.id
    assert payload(event)["phone_number"] == CALLER


def test_a_call_says_when_it_was_and_who_told_of_it_and_its_event_happened_at_its_end(
    store: Store, clock: ManualClock
) -> None:
    tell(store, *a_whole_call(), key="pbx-1717.42")
    wait(clock, timedelta(hours=5))
    settle(store)
    [call] = calls(store)
    ended_at = MONDAY + 66 * SECOND
    assert call.times == CallTimes(started_at=MONDAY, answered_at=MONDAY + 5 * SECOND, ended_at=ended_at)
    assert call.origin == CallOrigin(connector_id=HERE, external_id="pbx-1717.42")
    [event] = events(store)
    assert (event.occurred_at, event.created_at) == (ended_at, clock.now())


def test_of_what_is_settled_no_fact_is_left_but_what_it_became(store: Store, clock: ManualClock) -> None:
    tell(store, *a_whole_call())
    wait(clock)
    [settled] = settle(store)
    kept = heard(store)
    assert kept is not None
    assert (kept.is_settled, kept.facts, kept.call_id, kept.reason) == (True, (), settled.call_id, "")


def test_what_is_told_again_before_the_end_delays_nothing(store: Store, clock: ManualClock) -> None:
    tell(store, *a_whole_call())
    wait(clock, 20 * SECOND)
    tell(store, *a_whole_call())
    assert due_in(store, clock) == 10 * SECOND
    wait(clock, 10 * SECOND)
    tell(store, *a_whole_call())
    assert len(settle(store)) == 1
    assert len(calls(store)) == 1


@pytest.mark.parametrize("late", [a_whole_call(), recorded(), (Rang(leg="other", at=MONDAY),)], ids=str)
def test_what_comes_after_it_is_settled_changes_nothing(
    store: Store, clock: ManualClock, late: tuple[Fact, ...]
) -> None:
    tell(store, *a_whole_call())
    wait(clock)
    settle(store)
    before = heard(store)
    assert tell(store, *late, complete=True) == TakenIn()
    assert heard(store) == before
    wait(clock, 2 * SILENT)
    assert settle(store) == []
    assert len(calls(store)) == 1


def test_in_whatever_order_it_is_told_it_is_the_same_call(store: Store, clock: ManualClock) -> None:
    told = (comes_in(), talk(), hangs_up("phone"), hangs_up("contact"))
    for number, order in enumerate(permutations(told)):
        for facts in order:
            tell(store, *facts, key=str(number))
    wait(clock, SILENT)
    settle(store)
    bodies = {call.body for call in calls(store)}
    assert (len(calls(store)), len(bodies)) == (24, 1)


def test_what_comes_while_it_waits_is_heard(store: Store, clock: ManualClock) -> None:
    tell(store, *a_whole_call())
    wait(clock, 20 * SECOND)
    tell(store, *recorded())
    assert due_in(store, clock) == 10 * SECOND
    wait(clock, 10 * SECOND)
    settle(store)
    assert [call.payload.recording for call in calls(store)] == [True]


def test_a_further_end_is_waited_after_as_the_first(store: Store, clock: ManualClock) -> None:
    tell(store, *comes_in()[:1], *hangs_up("contact"))
    wait(clock, 20 * SECOND)
    tell(store, *comes_in()[1:], *talk(), *hangs_up("phone"))
    assert due_in(store, clock) == WAITS
    wait(clock)
    settle(store)
    assert [call.payload.type for call in calls(store)] == [CallType.ANSWERED]


def test_a_report_that_is_complete_is_decided_on_at_once(store: Store) -> None:
    tell(store, *a_whole_call(), complete=True)
    assert len(settle(store)) == 1


def test_what_is_due_is_not_delayed_by_what_comes_then(store: Store) -> None:
    tell(store, *a_whole_call(), complete=True)
    tell(store, *hangs_up("contact", at=MONDAY + 70 * SECOND))
    assert len(settle(store)) == 1


def test_a_leg_of_ours_that_outlives_the_contact_is_waited_for_ten_minutes_after_the_last_word(
    store: Store, clock: ManualClock
) -> None:
    tell(store, *comes_in(), *talk(), *hangs_up("contact"))
    assert due_in(store, clock) == LINGERING
    wait(clock, 60 * SECOND)
    tell(store, Rang(leg="phone", at=clock.now()))
    assert due_in(store, clock) == LINGERING
    wait(clock, LINGERING)
    settle(store)
    assert [call.payload.duration_seconds for call in calls(store)] == [61]


def test_a_call_that_never_ends_is_given_up_a_day_after_the_last_word(store: Store, clock: ManualClock) -> None:
    tell(store, *comes_in())
    wait(clock, 60 * SECOND)
    tell(store, *talk())
    assert due_in(store, clock) == SILENT
    wait(clock, SILENT)
    [settled] = settle(store)
    assert (settled.call_id, settled.reason) == ("", Reason.UNFINISHED)
    assert calls(store) == []
    kept = heard(store)
    assert kept is not None
    assert (kept.is_settled, kept.call_id, kept.reason) == (True, None, "unfinished")


def test_calls_of_two_connectors_are_two_whatever_they_are_called(store: Store, clock: ManualClock) -> None:
    there = Teller(connector_id=ConnectorId("con_2"), kind="other", region="GB", waits=2 * WAITS)
    tell(store, *a_whole_call())
    tell(store, *a_whole_call(), teller=there)
    wait(clock, 2 * WAITS)
    settle(store)
    assert {call.source for call in calls(store)} == {"scripted", "other"}


def test_no_more_are_settled_at_once_than_asked_for_and_the_earliest_first(store: Store, clock: ManualClock) -> None:
    for key in "bac":
        tell(store, *a_whole_call(), key=key)
        wait(clock, SECOND)
    wait(clock)
    assert [[each.call.call_key for each in settle(store, 2)] for _ in range(3)] == [["b", "a"], ["c"], []]


@pytest.mark.parametrize(
    "facts", [comes_in(dialled=OTHER_LINE), goes_out(shows=OTHER_LINE)], ids=["inbound", "outbound"]
)
def test_a_call_on_no_line_of_ours_is_told_counted_once_and_no_event(
    store: Store, clock: ManualClock, facts: tuple[Fact, ...]
) -> None:
    whole = (*facts, *hangs_up())
    for _ in range(3):
        assert tell(store, *whole).unknown_line == OTHER_LINE
    wait(clock)
    [settled] = settle(store)
    assert (settled.call_id, settled.reason, settled.line) == ("", Reason.UNKNOWN_LINE, OTHER_LINE)
    assert (calls(store), heard(store)) == ([], None)
    assert unknown_lines(store) == {OTHER_LINE: 1}


def test_who_calls_a_number_that_is_no_line_is_told_so_from_the_beginning(store: Store) -> None:
    assert tell(store, *comes_in(dialled=OTHER_LINE)).unknown_line == OTHER_LINE
    assert tell(store, *hangs_up()).unknown_line == OTHER_LINE
    assert unknown_lines(store) == {OTHER_LINE: 1}


def test_what_is_shown_on_a_call_that_we_make_may_change_until_it_ends(store: Store) -> None:
    assert tell(store, *goes_out(shows=OTHER_LINE)).unknown_line == ""
    assert unknown_lines(store) == {}


def test_a_leg_that_is_over_before_it_is_told_for_whom_it_was_made_says_nothing_of_a_line(store: Store) -> None:
    assert tell(store, *goes_out(shows=CALLER), *hangs_up("contact")).unknown_line == ""
    assert unknown_lines(store) == {}


def test_a_line_that_is_added_while_people_talk_is_known_at_the_end(store: Store, clock: ManualClock) -> None:
    tell(store, *comes_in(dialled=OTHER_LINE))
    store.write(add_line, OTHER_LINE)
    assert tell(store, *talk(), *hangs_up()).unknown_line == ""
    wait(clock)
    settle(store)
    assert [call.payload.phone_line for call in calls(store)] == [OTHER_LINE]


def test_a_call_on_no_line_that_is_told_again_once_there_is_one_is_an_event(store: Store, clock: ManualClock) -> None:
    whole = (*comes_in(dialled=OTHER_LINE), *hangs_up())
    tell(store, *whole, complete=True)
    settle(store)
    store.write(add_line, OTHER_LINE)
    tell(store, *whole, complete=True)
    settle(store)
    assert [call.payload.phone_line for call in calls(store)] == [OTHER_LINE]


def test_a_call_holds_a_bounded_number_of_facts_and_still_ends(store: Store, clock: ManualClock) -> None:
    many = tuple(Rang(leg="contact", at=MONDAY + number * SECOND) for number in range(MOST_FACTS))
    taken = tell(store, *comes_in(), *talk(), *many)
    assert taken.dropped == 4
    tell(store, *hangs_up())
    wait(clock)
    settle(store)
    assert [call.payload.type for call in calls(store)] == [CallType.ANSWERED]


@pytest.mark.parametrize("key", ["", "k" * 256, "a\0b", "\ud800"], ids=ascii)
def test_a_call_whose_name_cannot_be_kept_is_refused_and_nothing_is(store: Store, key: str) -> None:
    with pytest.raises(Invalid):
        tell(store, *a_whole_call(), key=key)
    assert store.read(next_due_at) is None


def test_a_call_that_cannot_be_decided_on_is_given_up_and_no_other(store: Store) -> None:
    for key in "ab":
        tell(store, *a_whole_call(), key=key, complete=True)
    first: HeardCall | None = store.read(first_due)
    assert first is not None
    [given_up] = store.write(give_up, HERE, first.call_key, "because")
    assert (given_up.call.call_key, given_up.reason) == ("a", "because")
    assert store.write(give_up, HERE, first.call_key, "because") == []
    assert [each.call.call_key for each in store.write(settle_this, HERE, "b")] == ["b"]
    assert store.write(settle_this, HERE, "b") == []
    assert len(calls(store)) == 1


def test_a_call_that_is_not_due_is_not_settled_by_name(store: Store) -> None:
    tell(store, *comes_in())
    settling: Sequence[Callable[[], Any]] = (
        lambda: store.write(settle_this, HERE, "one"),
        lambda: store.write(give_up, HERE, "one", "because"),
    )
    assert [each() for each in settling] == [[], []]


def test_what_is_settled_is_known_for_as_long_as_everything_and_then_forgotten(
    store: Store, clock: ManualClock
) -> None:
    tell(store, *a_whole_call(), complete=True)
    settle(store)
    tell(store, *comes_in(), key="open")
    wait(clock, timedelta(days=30))
    assert store.write(forget_old_intake, timedelta(days=30), 100) == 0
    wait(clock, SECOND)
    assert store.write(forget_old_intake, timedelta(days=30), 100) == 1
    assert heard(store) is None
    assert heard(store, "open") is not None


def test_a_commit_that_fails_settles_nothing_and_publishes_nothing(store: Store) -> None:
    tell(store, *a_whole_call(), complete=True)

    def settle_and_fail(tx: Any) -> None:
        settle_due(tx, 1)
        raise LookupError

    with pytest.raises(LookupError):
        store.write(settle_and_fail)
    assert (calls(store), events(store)) == ([], [])
    settle(store)
    assert (len(calls(store)), len(events(store))) == (1, 1)


def test_reports_of_one_message_are_taken_in_together(store: Store) -> None:
    def all_of_it(tx: Any) -> None:
        for key in "ab":
            take_in(tx, TELLER, Report(call_key=key, facts=a_whole_call(), complete=True))

    store.write(all_of_it)
    assert len(settle(store)) == 2


def test_a_number_that_is_not_understood_is_told_as_it_came_and_counted(store: Store, clock: ManualClock) -> None:
    for key, shows in (("one", "441400A800008"), ("two", "441400A800009"), ("three", "anonymous")):
        tell(store, *comes_in(shows=shows), *hangs_up(), key=key)
    wait(clock)
    settle(store)
    assert {call.payload.phone_number for call in calls(store)} == {"441400A800008", "441400A800009", ""}
    [notice] = store.read(list_notices, limit=10, cursor=None).items
    assert (notice.kind, notice.connector_id, notice.calls) == (NoticeKind.NUMBER_NOT_UNDERSTOOD, HERE, 2)

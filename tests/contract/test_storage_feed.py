"""What the store promises of events and of their feed."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.domain.events import Event, EventKind
from hookline.domain.ids import MeetingId
from hookline.ports.storage import Page, Transaction
from hookline.services.publishing import make_event
from tests.contract.owing import new_event, pages
from tests.contract.stores import STORES, Place, Store, examples
from tests.fakes import MONDAY, ManualClock
from tests.values import DAY, HOUR, MICROSECOND


def added(store: Store, count: int = 1, kind: EventKind = EventKind.MEETING_BOOKED) -> list[Event]:
    return store.write(lambda tx: [new_event(tx, kind) for _ in range(count)])


def feed(
    store: Store,
    *,
    kind: EventKind | None = None,
    subject: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Sequence[Event]:
    page: Page[Event] = store.read(
        lambda tx: tx.outbox.events(kind=kind, subject=subject, after=after, limit=limit, cursor=None)
    )
    return page.items


def test_an_event_reads_as_it_was_added(store: Store) -> None:
    def add(tx: Transaction) -> Event:
        subject = MeetingId(f"mtg_{tx.ulid()}")
        event = make_event(
            tx,
            EventKind.MEETING_STARTED,
            subject,
            sequence=7,
            body='{"name":"Zoë\U0001f600"}'.encode(),
            occurred_at=MONDAY - MICROSECOND,
        )
        tx.outbox.add_event(event)
        return event

    event = store.write(add)
    assert store.read(lambda tx: tx.outbox.event(event.id)) == event
    assert feed(store) == [event]


def test_an_event_that_is_not_there_is_none(store: Store) -> None:
    added(store)
    assert store.read(lambda tx: tx.outbox.event("evt_nothing")) is None


def test_an_event_is_kept_once(store: Store) -> None:
    [event] = added(store)
    with pytest.raises(Exception, match="event"):
        store.write(lambda tx: tx.outbox.add_event(event))
    assert feed(store) == [event]


def test_the_feed_is_in_the_order_in_which_events_were_kept(place: Place, clock: ManualClock) -> None:
    first = added(place.open(), 3)
    clock.set_wall(MONDAY - DAY)
    second = added(place.open(), 3)  # another process, whose clock is behind: its ids sort before
    assert second[0].id < first[0].id
    store = place.open()
    assert feed(store) == first + second
    assert feed(store, after=first[1].id) == [first[2], *second]
    assert feed(store, after=second[0].id) == second[1:]


def test_the_feed_goes_on_behind_an_event(store: Store) -> None:
    events = added(store, 5)
    for index, event in enumerate(events):
        assert feed(store, after=event.id) == events[index + 1 :]


def test_the_feed_shows_one_kind_or_one_subject(store: Store) -> None:
    booked = added(store, 2)
    calls = added(store, 2, EventKind.CALL_FINISHED)
    assert feed(store, kind=EventKind.CALL_FINISHED) == calls
    assert feed(store, subject=booked[1].subject) == [booked[1]]
    assert feed(store, kind=EventKind.MEETING_BOOKED, after=booked[0].id) == [booked[1]]
    assert not feed(store, kind=EventKind.CALL_FINISHED, subject=booked[1].subject)
    assert not feed(store, subject="mtg_nothing")


def test_what_is_only_sent_as_a_test_is_not_in_the_feed_and_can_be_read(store: Store) -> None:
    def add_test(tx: Transaction) -> Event:
        subject = MeetingId(f"mtg_{tx.ulid()}")
        event = make_event(tx, EventKind.MEETING_BOOKED, subject, sequence=1, body=b"{}", is_test=True)
        tx.outbox.add_event(event)
        return event

    [before] = added(store)
    test = store.write(add_test)
    [after] = added(store)
    assert feed(store) == [before, after]
    assert feed(store, after=test.id) == [after]
    assert not feed(store, subject=test.subject)
    assert store.read(lambda tx: tx.outbox.event(test.id)) == test


def test_an_event_that_is_forgotten_stands_for_its_place_in_time(store: Store, clock: ManualClock) -> None:
    old = added(store, 3)
    clock.advance(seconds=DAY.total_seconds())
    young = added(store, 2)
    store.write(lambda tx: tx.outbox.forget_before(MONDAY + HOUR, limit=100))
    assert feed(store) == young
    assert feed(store, after=old[-1].id) == young
    assert feed(store, after=old[0].id) == young


def test_what_is_behind_the_last_event_is_what_comes_next(store: Store, clock: ManualClock) -> None:
    [last] = added(store)
    assert not feed(store, after=last.id)
    assert not feed(store, after="evt_zzzzzzzzzzzzzzzzzzzzzzzzzz")
    clock.advance(seconds=DAY.total_seconds())
    store.write(lambda tx: tx.outbox.forget_before(tx.now, limit=100))  # the feed is empty now
    assert not feed(store, after=last.id)
    fresh = added(store, 2)
    assert feed(store, after=last.id) == fresh


@pytest.mark.parametrize("limit", range(1, 9))
def test_pages_of_the_feed_show_each_once_and_what_is_added_meanwhile(store: Store, limit: int) -> None:
    events = added(store, 7)
    grown: list[Event] = []

    def fetch(limit: int, cursor: str | None) -> Page[Event]:
        page: Page[Event] = store.read(
            lambda tx: tx.outbox.events(kind=None, subject=None, after=events[0].id, limit=limit, cursor=cursor)
        )
        if len(grown) < 3:
            grown.extend(added(store))
        return page

    seen = pages(fetch, limit)
    assert seen == [*events[1:], *grown][: len(seen)]
    assert len(seen) >= 6


@pytest.mark.parametrize("name", STORES)
def test_a_feed_that_is_followed_by_the_last_event_seen_has_no_gaps_and_no_doubles(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    @settings(deadline=None, max_examples=examples(name, 25))
    @given(steps=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=12))
    def play(steps: list[tuple[int, int]]) -> None:
        clock = ManualClock()
        place = Place(STORES[name], tmp_path_factory.mktemp("feed"), clock, random.Random(1))
        store = place.open()
        made: list[Event] = []
        seen: list[Event] = []
        for count, limit in steps:
            made += added(store, count)
            while got := feed(store, after=seen[-1].id if seen else None, limit=limit):
                seen += got
            clock.advance(seconds=60)
            store.write(lambda tx: tx.outbox.forget_before(tx.now, limit=2))
        place.close()
        assert seen == made

    play()

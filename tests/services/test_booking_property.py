"""The promise that matters most: whatever is done to meetings, before, exactly at and after their start, with timers
that fire in time or late, exactly the events of the contract happen, in order, each once.

Generated scripts are played twice: to the services, and to `Expected`, which knows nothing of timers, versions or
stored bodies, and reads the contract as slowly as possible.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.adapters.sql.sqlite import SqliteStore
from hookline.domain.ids import MeetingId
from hookline.errors import Conflict
from hookline.services.booking import book_meeting, cancel_meeting, edit_meeting, read_meeting, reschedule_meeting
from hookline.services.timers import fire_due
from tests.fakes import ManualClock
from tests.services.reading import events, payload
from tests.values import DAY, HOUR, MICROSECOND, details

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Values:
    """What a meeting says, as far as these scripts change it."""

    name: str
    start_at: datetime
    end_at: datetime


@dataclass(frozen=True)
class Told:
    """One event as a receiver sees it."""

    kind: str
    values: Values
    occurred_at: datetime


@dataclass
class Expected:
    """One meeting by the words of the contract."""

    values: Values
    booked_at: datetime
    told: list[Told] = field(default_factory=list)
    is_cancelled: bool = False
    start_is_over: bool = False  # announced, or of no use to anybody

    def __post_init__(self) -> None:
        self._tell("meetingBooked", self.booked_at)

    def _tell(self, kind: str, occurred_at: datetime) -> None:
        self.told.append(Told(kind, self.values, occurred_at))

    def something_runs(self, now: datetime) -> None:
        """A start that was reached fires as soon as something runs, unless the meeting has ended for 24 h by then."""
        if self.is_cancelled or self.start_is_over or now < self.values.start_at:
            return
        self.start_is_over = True
        if now < self.values.end_at + DAY:
            self._tell("meetingStarted", self.values.start_at)

    def edit(self, now: datetime, name: str) -> str:
        """No event; seen by later ones, but the start carries the values as they were at the start."""
        if self.is_cancelled:
            return "meeting_cancelled"
        self.something_runs(now)
        self.values = replace(self.values, name=name)
        return "done"

    def cancel(self, now: datetime) -> str:
        """Again: no second event. After the start: refused."""
        if self.is_cancelled:
            return "done"
        if now >= self.values.start_at:
            return "meeting_already_started"
        self._repeat_what_was_booked(now)
        self.is_cancelled = True
        return "done"

    def reschedule(self, now: datetime, start_at: datetime, length: timedelta | None) -> str:
        """Cancelled at the old times, then booked at the new ones. To the times it has, to the millisecond: nothing."""
        if self.is_cancelled:
            return "meeting_cancelled"
        end_at = start_at + (self.values.end_at - self.values.start_at if length is None else length)
        has_same_end = length is None or _millisecond(end_at) == _millisecond(self.values.end_at)
        if _millisecond(start_at) == _millisecond(self.values.start_at) and has_same_end:
            self.something_runs(now)
            return "done"
        if now >= self.values.start_at:
            return "meeting_already_started"
        self._repeat_what_was_booked(now)
        self.values = replace(self.values, start_at=start_at, end_at=end_at)
        self._tell("meetingBooked", now)
        return "done"

    def _repeat_what_was_booked(self, now: datetime) -> None:
        last = next(each for each in reversed(self.told) if each.kind == "meetingBooked")
        self.told.append(Told("meetingCancelled", last.values, now))


def _millisecond(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


class World:
    """The services, and what is expected of them, side by side."""

    def __init__(self, store: SqliteStore, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.expected: dict[MeetingId, Expected] = {}

    def book(self, start_in: timedelta, length: timedelta) -> None:
        start_at = self.clock.now() + start_in
        values = Values("First", start_at, start_at + length)
        meeting_id = self.store.write(book_meeting, details(start_at, length, meeting_name="First"))
        self.expected[meeting_id] = Expected(values, self.clock.now())

    def _meeting(self, index: int) -> tuple[MeetingId, Expected]:
        return list(self.expected.items())[index % len(self.expected)]

    def wait_for(self, index: int, point: str, offset: timedelta) -> None:
        """Go to an instant of a meeting's life, unless it is over."""
        _, expected = self._meeting(index)
        at = {
            "now": self.clock.now(),
            "start": expected.values.start_at,
            "end": expected.values.end_at,
            "of no use": expected.values.end_at + DAY,
        }[point]
        self.clock.set_wall(max(self.clock.now(), at + offset))

    def timers_fire(self, limit: int) -> None:
        while self.store.write(fire_due, limit) == limit:
            continue
        for expected in self.expected.values():
            expected.something_runs(self.clock.now())

    def edit(self, index: int, name: str) -> None:
        meeting_id, expected = self._meeting(index)
        self._same(
            lambda: self.store.write(edit_meeting, meeting_id, {"meeting_name": name}),
            expected.edit(self.clock.now(), name),
        )

    def cancel(self, index: int) -> None:
        meeting_id, expected = self._meeting(index)
        self._same(lambda: self.store.write(cancel_meeting, meeting_id, ""), expected.cancel(self.clock.now()))

    def reschedule(self, index: int, from_now: bool, start_in: timedelta, length: timedelta | None) -> None:
        meeting_id, expected = self._meeting(index)
        start_at = (self.clock.now() if from_now else expected.values.start_at) + start_in
        end_at = None if length is None else start_at + length
        self._same(
            lambda: self.store.write(reschedule_meeting, meeting_id, start_at, end_at),
            expected.reschedule(self.clock.now(), start_at, length),
        )

    def _same(self, act: Callable[[], object], expected: str) -> None:
        outcome = "done"
        try:
            act()
        except Conflict as refusal:
            outcome = refusal.code
        assert outcome == expected

    def compare(self) -> None:
        for meeting_id, expected in self.expected.items():
            happened = events(self.store, meeting_id)
            assert [event.sequence for event in happened] == list(range(1, len(happened) + 1))
            assert [_told(event.kind.value, payload(event), event.occurred_at) for event in happened] == [
                _told(each.kind, _said(each.values), each.occurred_at) for each in expected.told
            ]
            _check_by_eye([event.kind.value for event in happened])
            meeting = self.store.read(read_meeting, meeting_id)
            assert meeting.sequence == len(happened)
            assert meeting.details.payload.meeting_name == expected.values.name


def _said(values: Values) -> dict[str, str]:
    def wire(instant: datetime) -> str:
        return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03}Z"

    return {
        "meeting_name": values.name,
        "meeting_start_timestamp": wire(values.start_at),
        "meeting_end_timestamp": wire(values.end_at),
    }


def _told(kind: str, said: dict[str, str], occurred_at: datetime) -> tuple[object, ...]:
    names = ("meeting_name", "meeting_start_timestamp", "meeting_end_timestamp")
    return (kind, *(said[name] for name in names), occurred_at)


def _check_by_eye(kinds: list[str]) -> None:
    """What holds whatever the model says: booked first; at most one start for a version, never of a cancelled one."""
    is_booked, has_started = False, False
    for kind in kinds:
        assert not has_started, "what has started is over: it is neither cancelled, moved nor started again"
        if kind == "meetingBooked":
            assert not is_booked
            is_booked = True
        else:
            assert is_booked
            is_booked = kind != "meetingCancelled"
            has_started = kind == "meetingStarted"


offsets = st.sampled_from([-HOUR, -MICROSECOND, timedelta(), MICROSECOND, MINUTE, HOUR])
starts = st.sampled_from(
    [MINUTE, HOUR, HOUR + 999 * MICROSECOND, DAY, MICROSECOND, timedelta(), -MICROSECOND, -MINUTE, -DAY, -DAY - HOUR]
)
lengths = st.sampled_from([timedelta(), MINUTE, HOUR, 30 * HOUR])
meetings = st.integers(0, 1)
steps = st.one_of(
    st.tuples(st.just("wait_for"), meetings, st.sampled_from(["now", "start", "end", "of no use"]), offsets),
    st.tuples(st.just("timers_fire"), st.integers(1, 3)),
    st.tuples(st.just("edit"), meetings, st.sampled_from(["First", "Second", "Third"])),
    st.tuples(st.just("cancel"), meetings),
    st.tuples(st.just("reschedule"), meetings, st.booleans(), starts, st.none() | lengths),
)


@pytest.fixture(scope="module")
def world_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqliteStore, ManualClock]]:
    """One store for all scripts, each of which books meetings of its own and goes on where time stands."""
    clock = ManualClock()
    store = SqliteStore(tmp_path_factory.mktemp("booking") / "hookline.db", clock, random.Random(7))
    store.connection.execute("PRAGMA synchronous = OFF")  # nothing here is about the disk
    yield store, clock
    store.close()


@settings(deadline=None, max_examples=300)
@given(
    first=st.tuples(starts, lengths),
    second=st.none() | st.tuples(starts, lengths),
    script=st.lists(steps, max_size=14),
)
def test_exactly_the_events_of_the_contract_happen_whatever_is_done_and_when(
    world_store: tuple[SqliteStore, ManualClock],
    first: tuple[timedelta, timedelta],
    second: tuple[timedelta, timedelta] | None,
    script: list[tuple[str, ...]],
) -> None:
    store, clock = world_store
    store.write(fire_due, 10_000)  # what earlier scripts left
    world = World(store, clock)
    world.book(*first)
    if second is not None:
        world.book(*second)
    for step, *arguments in script:
        getattr(world, step)(*arguments)
    world.compare()
    world.timers_fire(500)
    world.compare()


@pytest.mark.parametrize("when", [-MICROSECOND, timedelta(), MICROSECOND])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("act", ["edit", "cancel", "reschedule"])
def test_around_the_instant_of_the_start_each_deed_has_one_outcome(
    world_store: tuple[SqliteStore, ManualClock], when: timedelta, late: bool, act: str
) -> None:
    store, clock = world_store
    world = World(store, clock)
    world.book(HOUR, HOUR)
    world.wait_for(0, "start", when)
    if not late:
        world.timers_fire(500)
    arguments = {"edit": ("Other",), "cancel": (), "reschedule": (True, HOUR, None)}[act]
    getattr(world, act)(0, *arguments)
    world.timers_fire(500)
    world.compare()
    world.wait_for(0, "of no use", timedelta())
    world.timers_fire(500)
    world.compare()

"""Captures become the right calls in the running product: at their own pace, at once, and over new processes."""

import random
from collections.abc import Callable, Iterator

import pytest

from hookline.adapters.sql.sqlite import SqliteStore
from tests.connectors.asterisk.captures import FIRST, LIVE, PRESENTATIONS, CaptureSet, assert_right
from tests.connectors.asterisk.running import Running, events_with_times, set_up
from tests.fakes import ManualClock

SETS = {"first": FIRST, "live": LIVE}
EVERY = [pytest.param(captures, name, id=name) for captures in SETS.values() for name in captures.names]
OF_LIVE = [pytest.param(LIVE, name, id=name) for name in LIVE.names]

Begin = Callable[[CaptureSet, str], Running]


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, clock: ManualClock) -> Iterator[dict[str, SqliteStore]]:
    """A store for each office; each play is a connector of its own in it."""
    folder = tmp_path_factory.mktemp("running")
    opened = {name: SqliteStore(folder / f"{name}.db", clock, random.Random(1)) for name in SETS}
    for name, store in opened.items():
        store.write(set_up, SETS[name])
    yield opened
    for store in opened.values():
        store.close()


@pytest.fixture
def begin(stores: dict[str, SqliteStore], clock: ManualClock) -> Begin:
    """A process that is connected when a capture begins."""

    def begun(captures: CaptureSet, name: str) -> Running:
        store = next(store for key, store in stores.items() if SETS[key] is captures)
        clock.set_wall(events_with_times(captures, name)[0][0])
        return Running(store, clock, captures, PRESENTATIONS.get(name, "allowed_not_screened"))

    return begun


@pytest.mark.parametrize(("captures", "name"), EVERY)
def test_a_capture_at_its_own_pace_becomes_the_right_calls(captures: CaptureSet, name: str, begin: Begin) -> None:
    running = begin(captures, name)
    running.start()
    running.play(events_with_times(captures, name))
    running.finish()
    running.kill()
    assert_right(running.payloads(), captures.expected[name])


@pytest.mark.parametrize(("captures", "name"), EVERY)
def test_a_capture_at_once_becomes_the_right_calls(captures: CaptureSet, name: str, begin: Begin) -> None:
    running = begin(captures, name)
    running.start()
    running.play(events_with_times(captures, name), at_its_pace=False)
    running.finish()
    running.kill()
    assert_right(running.payloads(), captures.expected[name])


@pytest.mark.parametrize("ends", [Running.kill, Running.stop], ids=["kill", "stop"])
@pytest.mark.parametrize(("captures", "name"), OF_LIVE)
def test_a_new_process_at_every_tenth_event_tells_the_right_calls(
    captures: CaptureSet, name: str, ends: Callable[[Running], None], begin: Begin
) -> None:
    events = events_with_times(captures, name)
    running = begin(captures, name)
    for start in range(0, len(events), 10):
        running.start()
        running.play(events[start : start + 10])
        ends(running)
    running.start()
    running.finish()
    running.kill()
    assert_right(running.payloads(), captures.expected[name])


#: What is told of a call that ends while nothing runs, by how far it had come when the process ended: the number of
#: `BridgeEnter` events that were heard, and the type. Of talks the duration is that up to the last thing heard.
ENDS_UNHEARD = {
    "conference_joined": (2, "answered"),
    "outbound_national": (2, "connected"),
    "queue_recorded": (2, "answered"),
    "click_to_call_local": (4, "connected"),
    "attended_by_ami": (2, "answered"),
    "chan_sip_trunk_in_on_18": (2, "answered"),
    "conference_alone": (0, "missed"),
    "menu_digits_then_hangup": (0, "missed"),
}


@pytest.mark.parametrize("ends", [Running.kill, Running.stop], ids=["kill", "stop"])
@pytest.mark.parametrize("name", ENDS_UNHEARD)
def test_a_call_that_ends_while_nothing_runs_is_told_up_to_the_last_thing_heard(
    name: str, ends: Callable[[Running], None], begin: Begin
) -> None:
    events = events_with_times(LIVE, name)
    entered, expected = ENDS_UNHEARD[name]
    talks = [place for place, (_, each) in enumerate(events) if each["Event"] == "BridgeEnter"]
    cut = talks[entered - 1] + 1 if entered else len(events) // 2
    running = begin(LIVE, name)
    running.start()
    running.play(events[:cut])
    ends(running)
    running.play(events[cut:])
    running.start()
    running.finish()
    running.kill()
    [payload] = running.payloads()
    whole = LIVE.expected[name][0]
    assert {**payload, "duration_seconds": 0} == {**whole, "duration_seconds": 0, "type": expected}
    assert payload["duration_seconds"] <= 1
    assert running.ends_are_estimated() == [True]


#: Calls that look otherwise when only their first half was heard. The other party was not connected to the caller yet,
#: so its call is one of its own; and of a number that a dial plan changes, what the user dialled is known.
LOOKS_OTHERWISE = {
    "attended_to_outside": [("+14002007868", "+441400800008"), ("+447700900103", "+441400800008")],
    "chan_sip_trunk_busy_on_18": [("75442079460018", "+441400800008")],
}


@pytest.mark.parametrize(("captures", "name"), OF_LIVE)
def test_no_call_is_lost_that_ends_while_nothing_runs(captures: CaptureSet, name: str, begin: Begin) -> None:
    """Whatever was heard of it until the process was killed: here the first half of its events."""
    events = events_with_times(captures, name)
    half = len(events) // 2
    running = begin(captures, name)
    running.start()
    running.play(events[:half])
    running.kill()
    running.play(events[half:])
    running.start()
    running.finish()
    running.kill()
    told, right = running.payloads(), captures.expected[name]
    expected = LOOKS_OTHERWISE.get(name, [(each["phone_number"], each["phone_line"]) for each in right])
    assert sorted((each["phone_number"], each["phone_line"]) for each in told) == sorted(expected)
    longest = max((each["duration_seconds"] for each in right), default=0)
    assert all(each["duration_seconds"] <= longest for each in told)

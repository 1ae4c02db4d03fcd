"""Calls of a live FreeSWITCH become the right events: whatever the order of arrival, at once and at their own pace."""

import json
import random
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache
from itertools import islice, permutations
from pathlib import Path
from typing import Any, Final

import pytest

from hookline.ports.connectors import Report
from hookline.services.intake import Settled, next_due_at, settle_due, take_in
from tests.connectors.freeswitch.captures import NAMES, Capture, capture, same, set_up, teller
from tests.contract.stores import STORES, Place, Store
from tests.fakes import ManualClock
from tests.services.reading import events, payload

#: How many records are told in every order; of calls with more, so many orders are tried.
ALL_ORDERS_UP_TO: Final = 6
RANDOM_ORDERS: Final = 200
#: When a call should be told after its last leg is over: FreeSWITCH posts again 5 s after a post that failed.
PROMPTLY: Final = timedelta(seconds=10)
#: Who was alone in a conference may have left colleagues there, who tell of it when they leave.
WAITS_FOR_OTHERS: Final = {"conference_alone"}

captured = cache(capture)


@pytest.fixture
def sqlite(tmp_path: Path, clock: ManualClock, dice: random.Random) -> Iterable[Store]:
    """A store with the users and lines of the captures."""
    place = Place(STORES["sqlite"], tmp_path, clock, dice)
    store = place.open()
    store.write(set_up)
    yield store
    place.close()


def told(store: Store) -> list[dict[str, Any]]:
    return [payload(event) for event in events(store)]


def is_right(got: Sequence[dict[str, Any]], it: Capture) -> bool:
    return len(got) == len(it.expected) and all(map(same, got, it.expected))


def orders(reports: Sequence[Report], seed: str) -> list[Sequence[Report]]:
    if len(reports) <= ALL_ORDERS_UP_TO:
        return list(permutations(reports))
    dice = random.Random(seed)
    return [dice.sample(reports, len(reports)) for _ in range(RANDOM_ORDERS)]


def settle_all(store: Store, clock: ManualClock) -> list[Settled]:
    """Let time pass until nothing is left to be decided on."""
    settled: list[Settled] = []
    while (at := store.read(next_due_at)) is not None:
        clock.set_wall(max(at, clock.now()))
        settled += store.write(settle_due, 10_000)
    return settled


@pytest.mark.parametrize("name", NAMES)
def test_a_captured_call_is_right_in_every_order_of_arrival(name: str, sqlite: Store, clock: ManualClock) -> None:
    it = captured(name)
    clock.set_wall(it.all[-1].at)
    live = [said.report for said in it.events]
    tried = orders([said.report for said in it.records], name)

    def tell(tx: Any) -> None:
        for place, order in enumerate(tried):
            for report in (*live, *order):
                take_in(tx, teller(f"con_{place}"), report)

    sqlite.write(tell)
    settled = settle_all(sqlite, clock)
    by_order: dict[str, list[dict[str, Any]]] = {f"con_{place}": [] for place in range(len(tried))}
    of_call = {each.call_id: str(each.call.connector_id) for each in settled if each.call_id}
    for event in events(sqlite):
        by_order[of_call[event.subject]].append(payload(event))
    wrong = {place: got for place, got in by_order.items() if not is_right(got, it)}
    assert not wrong, json.dumps([list(it.expected), *islice(wrong.items(), 3)], indent=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_captured_call_is_right_and_prompt_at_its_own_pace(name: str, sqlite: Store, clock: ManualClock) -> None:
    it = captured(name)
    clock.set_wall(it.all[0].at)
    for said in it.all:
        while (due := sqlite.read(next_due_at)) is not None and due <= said.at:
            clock.set_wall(max(due, clock.now()))
            sqlite.write(settle_due, 100)
        clock.set_wall(max(said.at, clock.now()))
        sqlite.write(take_in, teller(), said.report)
    if name not in WAITS_FOR_OTHERS:
        clock.set_wall(clock.now() + PROMPTLY)
        sqlite.write(settle_due, 100)
        assert is_right(told(sqlite), it), json.dumps([list(it.expected), told(sqlite)], indent=1)
    settle_all(sqlite, clock)
    assert is_right(told(sqlite), it), json.dumps([list(it.expected), told(sqlite)], indent=1)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told_again_after_a_captured_call_changes_nothing(name: str, sqlite: Store, clock: ManualClock) -> None:
    it = captured(name)
    clock.set_wall(it.all[-1].at)
    for _ in range(2):
        for said in it.all:
            sqlite.write(take_in, teller(), said.report)
        settle_all(sqlite, clock)
    assert is_right(told(sqlite), it), json.dumps([list(it.expected), told(sqlite)], indent=1)

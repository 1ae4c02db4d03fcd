"""What the store promises of what one node at a time does."""

from datetime import timedelta

import pytest

from hookline.ports.leases import Held
from hookline.ports.storage import Transaction
from tests.contract.stores import Place, Store
from tests.fakes import MONDAY, ManualClock

MINUTE = timedelta(minutes=1)


def hold(store: Store, holder: str, name: str = "chores") -> bool:
    held: bool = store.write(lambda tx: tx.leases.hold(name, holder, MINUTE))
    return held


def let_go(store: Store, holder: str) -> None:
    store.write(lambda tx: tx.leases.let_go("chores", holder))


def test_while_one_holds_it_nobody_else_gets_it(place: Place, clock: ManualClock) -> None:
    first, second = place.open(), place.open()
    assert hold(first, "a")
    clock.advance(seconds=59.999999)
    assert not hold(second, "b")
    clock.advance(seconds=0.000001)
    assert hold(second, "b")
    assert not hold(first, "a")


def test_each_name_is_held_by_itself(store: Store) -> None:
    assert hold(store, "a")
    assert hold(store, "b", "other")


def test_who_holds_it_may_hold_it_on(place: Place, clock: ManualClock) -> None:
    first, second = place.open(), place.open()
    for _ in range(3):
        assert hold(first, "a")
        clock.advance(seconds=59)
        assert not hold(second, "b")
    clock.advance(seconds=1)
    assert hold(second, "b")


def test_who_was_late_and_met_nobody_may_go_on(store: Store, clock: ManualClock) -> None:
    assert hold(store, "a")
    clock.advance(seconds=600)
    assert hold(store, "a")
    assert not hold(store, "b")


def test_what_is_let_go_the_next_gets_at_once(place: Place) -> None:
    first, second = place.open(), place.open()
    assert hold(first, "a")
    let_go(first, "a")
    assert hold(second, "b")


def test_nobody_lets_go_what_another_holds(store: Store) -> None:
    assert hold(store, "a")
    let_go(store, "b")
    assert not hold(store, "b")


def test_everybody_sees_who_holds_what_and_until_when(place: Place, clock: ManualClock) -> None:
    first, second = place.open(), place.open()
    assert hold(first, "a")
    clock.advance(seconds=30)
    assert hold(first, "b", "other")
    assert second.read(lambda tx: tx.leases.held()) == {
        "chores": Held(holder="a", until=MONDAY + MINUTE),
        "other": Held(holder="b", until=MONDAY + 1.5 * MINUTE),
    }
    clock.advance(seconds=30)
    assert list(second.read(lambda tx: tx.leases.held())) == ["other"]


def test_what_a_transaction_that_failed_wanted_to_hold_is_free(store: Store) -> None:
    def fail(tx: Transaction) -> None:
        tx.leases.hold("chores", "a", MINUTE)
        raise LookupError

    with pytest.raises(LookupError):
        store.write(fail)
    assert hold(store, "b")

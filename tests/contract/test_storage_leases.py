"""What the store promises of what one node at a time does."""

from datetime import timedelta

from hookline.ports.storage import Transaction
from tests.contract.stores import Place, Store
from tests.fakes import ManualClock

MINUTE = timedelta(minutes=1)


def take(store: Store, name: str = "chores") -> int | None:
    token: int | None = store.write(lambda tx: tx.leases.take(name, MINUTE))
    return token


def renew(store: Store, token: int) -> bool:
    held: bool = store.write(lambda tx: tx.leases.renew("chores", token, MINUTE))
    return held


def give_back(store: Store, token: int) -> None:
    store.write(lambda tx: tx.leases.give_back("chores", token))


def test_while_one_holds_it_nobody_else_gets_it(place: Place, clock: ManualClock) -> None:
    first, second = place.open(), place.open()
    assert take(first) is not None
    clock.advance(seconds=59.999999)
    assert take(second) is None
    assert take(first) is None  # who has lost its token is somebody else


def test_each_name_is_held_by_itself(store: Store) -> None:
    assert take(store) is not None
    assert take(store, "other") is not None


def test_when_the_time_of_the_one_is_over_the_next_gets_it_with_another_token(place: Place, clock: ManualClock) -> None:
    first, second = place.open(), place.open()
    before = take(first)
    clock.advance(seconds=60)
    after = take(second)
    assert after is not None
    assert after != before


def test_who_renews_holds_on(place: Place, clock: ManualClock) -> None:
    first, second = place.open(), place.open()
    token = take(first)
    assert token is not None
    for _ in range(3):
        clock.advance(seconds=59)
        assert renew(first, token)
        assert take(second) is None
    clock.advance(seconds=60)
    assert take(second) is not None


def test_who_was_late_and_met_nobody_may_go_on(store: Store, clock: ManualClock) -> None:
    token = take(store)
    assert token is not None
    clock.advance(seconds=600)
    assert renew(store, token)
    assert take(store) is None


def test_who_was_late_and_lost_it_can_neither_renew_it_nor_give_it_back(place: Place, clock: ManualClock) -> None:
    slow, fast = place.open(), place.open()
    lost = take(slow)
    clock.advance(seconds=60)
    held = take(fast)
    assert lost is not None
    assert held is not None
    assert not renew(slow, lost)
    give_back(slow, lost)
    assert take(slow) is None
    assert renew(fast, held)


def test_what_is_given_back_the_next_gets_at_once(place: Place) -> None:
    first, second = place.open(), place.open()
    token = take(first)
    assert token is not None
    give_back(first, token)
    assert not renew(first, token)
    assert take(second) is not None


def test_what_was_taken_by_a_transaction_that_failed_is_not_held(store: Store) -> None:
    def fail(tx: Transaction) -> None:
        tx.leases.take("chores", MINUTE)
        raise LookupError

    try:
        store.write(fail)
    except LookupError:
        assert take(store) is not None

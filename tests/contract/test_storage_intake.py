"""What the store promises of calls that connectors tell of."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from hookline.adapters.sql.group import Call
from hookline.domain.ids import CallId, ConnectorId
from hookline.domain.legs import HungUp, LegStarted, Shown, Side
from hookline.ports.intake import HeardCall
from hookline.ports.storage import Transaction
from tests.contract.stores import Place, Store
from tests.fakes import MONDAY, ManualClock

MINUTE = timedelta(minutes=1)
HERE = ConnectorId("con_here")
FACTS = (
    LegStarted(leg="a", at=MONDAY, side=Side.OUTSIDE, places=True, dialled="+441400800008", shows="\0\ud800 ü"),
    Shown(leg="a", at=MONDAY + timedelta(microseconds=1), shows=""),
    HungUp(leg="a", at=MONDAY + MINUTE, sip=486),
)


def a_call(call_key: str = "one", due_at: datetime | None = MONDAY, **changes: Any) -> HeardCall:
    heard = HeardCall(
        connector_id=HERE, call_key=call_key, kind="twilio", region="GB", facts=FACTS, due_at=due_at, updated_at=MONDAY
    )
    return replace(heard, **changes)


def keep(store: Store, *calls: HeardCall) -> None:
    store.write(lambda tx: [tx.intake.keep(call) for call in calls])


def heard(store: Store, call_key: str = "one", connector_id: ConnectorId = HERE) -> HeardCall | None:
    found: HeardCall | None = store.read(lambda tx: tx.intake.heard(connector_id, call_key))
    return found


def due(store: Store, limit: int = 10) -> list[str]:
    return [call.call_key for call in store.read(lambda tx: tx.intake.due(limit))]


def test_what_was_heard_is_kept_as_it_was(place: Place) -> None:
    keep(place.open(), a_call())
    assert heard(place.open()) == a_call()


def test_a_call_of_which_nothing_was_heard_is_none(store: Store) -> None:
    keep(store, a_call())
    assert heard(store, "another") is None
    assert heard(store, "one", ConnectorId("con_there")) is None


def test_a_key_is_one_call_at_each_connector(store: Store) -> None:
    there = a_call(connector_id=ConnectorId("con_there"), facts=())
    keep(store, a_call(), there)
    assert heard(store) == a_call()
    assert heard(store, "one", there.connector_id) == there


def test_what_is_kept_again_is_in_place_of_what_was(store: Store) -> None:
    keep(store, a_call())
    settled = a_call(
        due_at=None, facts=(), call_id=CallId("call_1"), reason="x", region="DE", updated_at=MONDAY + MINUTE
    )
    keep(store, settled)
    assert heard(store) == settled


def test_what_is_due_comes_the_earliest_first_and_no_more_than_asked_for(store: Store, clock: ManualClock) -> None:
    keep(store, *(a_call(key, MONDAY + MINUTE * at) for key, at in (("c", 3), ("a", 1), ("b", 2), ("d", 4))))
    keep(store, a_call("settled", None))
    assert due(store) == []
    clock.advance(seconds=60 * 3)
    assert due(store) == ["a", "b", "c"]
    assert due(store, 2) == ["a", "b"]


def test_the_earliest_instant_is_known_and_that_there_is_none(store: Store) -> None:
    def earliest() -> datetime | None:
        at: datetime | None = store.read(lambda tx: tx.intake.next_due_at())
        return at

    keep(store, a_call("settled", None))
    assert earliest() is None
    keep(store, a_call("late", MONDAY + MINUTE), a_call("early", MONDAY - MINUTE))
    assert earliest() == MONDAY - MINUTE


def test_all_that_is_not_settled_is_found(store: Store) -> None:
    keep(store, a_call("late", MONDAY + MINUTE), a_call("settled", None), a_call("early"))
    found = store.read(lambda tx: tx.intake.unsettled())
    assert [call.call_key for call in found] == ["early", "late"]


def test_what_is_removed_was_never_heard_of(store: Store) -> None:
    keep(store, a_call(), a_call("other"))
    store.write(lambda tx: tx.intake.remove(HERE, "one"))
    assert heard(store) is None
    assert heard(store, "other") is not None


def test_only_what_is_settled_and_old_is_forgotten_and_no_more_at_once_than_asked_for(store: Store) -> None:
    old = [a_call(f"old {number}", None, updated_at=MONDAY - MINUTE * (3 - number)) for number in range(3)]
    keep(store, *old, a_call("young", None), a_call("open", updated_at=MONDAY - MINUTE))

    def forget(limit: int) -> int:
        count: int = store.write(lambda tx: tx.intake.forget_before(MONDAY, limit=limit))
        return count

    assert forget(2) == 2
    assert heard(store, "old 2") is not None
    assert forget(2) == 1
    assert forget(2) == 0
    assert heard(store, "young") is not None
    assert heard(store, "open") is not None


def test_the_listener_hears_of_what_is_to_be_decided_on_and_of_nothing_else(store: Store) -> None:
    def doing(*functions: Any) -> bool:
        _, doings = store.write_group([Call(function, (), {}) for function in functions])
        return doings.intake

    assert doing(lambda tx: tx.intake.keep(a_call()))
    assert not doing(lambda tx: tx.intake.keep(a_call(due_at=None)))
    assert not doing(lambda tx: tx.intake.remove(HERE, "one"))
    assert not doing(_keep_and_fail)
    assert doing(lambda tx: tx.intake.keep(a_call()), _keep_and_fail)


def _keep_and_fail(tx: Transaction) -> None:
    tx.intake.keep(a_call())
    raise LookupError


def test_what_a_transaction_that_failed_heard_is_not_kept(store: Store) -> None:
    with pytest.raises(LookupError):
        store.write(_keep_and_fail)
    assert heard(store) is None


def named(store: Store, *names: str, connector_id: ConnectorId = HERE) -> list[str]:
    return [call.call_key for call in store.read(lambda tx: tx.intake.named(connector_id, names))]


def name(store: Store, call_key: str, *names: str, told: str = "", connector_id: ConnectorId = HERE) -> None:
    store.write(lambda tx: tx.intake.name(connector_id, call_key, names, told=told))


def has_told(store: Store, leg: str, connector_id: ConnectorId = HERE) -> bool:
    told: bool = store.read(lambda tx: tx.intake.has_told(connector_id, leg))
    return told


def test_calls_are_found_by_their_key_and_by_every_name(store: Store) -> None:
    keep(store, a_call("one"), a_call("two"), a_call("one", connector_id=ConnectorId("con_there")))
    name(store, "one", "leg", "both")
    name(store, "two", "both", "' ü")
    assert named(store, "leg") == named(store, "one") == ["one"]
    assert named(store, "both") == named(store, "leg", "two", "nobody") == ["one", "two"]
    assert named(store, "' ü") == ["two"]
    assert named(store, "leg", connector_id=ConnectorId("con_there")) == named(store) == []


def test_a_leg_has_told_of_a_settled_call_only(store: Store) -> None:
    keep(store, a_call())
    name(store, "one", "first", "second", told="first")
    assert not has_told(store, "first")
    keep(store, a_call(due_at=None))
    assert (has_told(store, "first"), has_told(store, "second")) == (True, False)
    assert not has_told(store, "first", ConnectorId("con_there"))
    name(store, "one", "first")
    assert has_told(store, "first")


def test_names_are_given_on_and_what_was_told_with_them(store: Store) -> None:
    keep(store, a_call("one"), a_call("two", due_at=None))
    name(store, "one", "first", "second", told="first")
    store.write(lambda tx: tx.intake.rename(HERE, "one", "two"))
    store.write(lambda tx: tx.intake.remove(HERE, "one"))
    assert named(store, "first") == named(store, "second") == ["two"]
    assert (has_told(store, "first"), has_told(store, "second")) == (True, False)


def test_names_are_forgotten_with_their_call_and_no_sooner(store: Store) -> None:
    """Also when many calls were last changed at one instant."""
    keys = [f"call {place}" for place in range(7)]
    keep(store, *(a_call(key, due_at=None) for key in keys))
    for key in keys:
        name(store, key, f"name of {key}", told=f"name of {key}")
    left = set(keys)
    while store.write(lambda tx: tx.intake.forget_before(MONDAY + MINUTE, limit=2)):
        gone = {key for key in left if heard(store, key) is None}
        left -= gone
        keep(store, *(a_call(key) for key in gone))  # the same keys again, as other calls
        assert {key for key in keys if named(store, f"name of {key}")} == left
    assert not left
    assert not any(has_told(store, f"name of {key}") for key in keys)


def test_names_go_with_a_call_that_is_removed(store: Store) -> None:
    keep(store, a_call())
    name(store, "one", "leg", told="leg")
    store.write(lambda tx: tx.intake.remove(HERE, "one"))
    keep(store, a_call(due_at=None))
    assert (named(store, "leg"), has_told(store, "leg")) == ([], False)

"""What the store promises of calls that were decided on."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hookline.domain.call_legs import NO_LEGS, CallLeg, CallLegs, LegOutcome, Party
from hookline.domain.calls import Call, CallTimes
from hookline.domain.decided_calls import MOST_DECIDED, CallOutcome, DecidedCall
from hookline.domain.events import canonical_bytes
from hookline.domain.finished_calls import Reason
from hookline.domain.ids import CallId, ConnectorId
from hookline.domain.phonebook import ConnectorTally
from hookline.ports.storage import Transaction
from tests.contract.stores import Place, Store
from tests.contract.test_storage_phonebook import CARRIER, PBX
from tests.fakes import MONDAY
from tests.values import call_payload

MINUTE = timedelta(minutes=1)
NUMBER = "+14002007868"
LEG = CallLeg(
    party=Party.CONTACT, number=NUMBER, address="", user=None, started_at=MONDAY, rang_at=None, answered_at=None,
    talked_from=None, ended_at=MONDAY + MINUTE, outcome=LegOutcome.NO_ANSWER, sip=487, q850=None,
)  # fmt: skip
LEGS = CallLegs(legs=(LEG,), omitted=2)


@pytest.fixture
def store(store: Store) -> Store:
    """A store with two connectors."""
    store.write(_connect)
    return store


def _connect(tx: Transaction) -> None:
    tx.phonebook.keep_connector(PBX)
    tx.phonebook.keep_connector(CARRIER)


def decision(external_id: str = "one", **changes: Any) -> DecidedCall:
    decided = DecidedCall(
        connector_id=PBX.id,
        external_id=external_id,
        decided_at=MONDAY,
        ended_at=MONDAY - MINUTE,
        reason=Reason.INTERNAL,
        legs=LEGS,
    )
    return replace(decided, **changes)


def note(store: Store, *decided: DecidedCall) -> None:
    store.write(lambda tx: [tx.decisions.note(each) for each in decided])


def listed(
    store: Store, connector_id: ConnectorId = PBX.id, outcome: CallOutcome | None = None, limit: int = 5
) -> Sequence[DecidedCall]:
    """All of them, page by page."""
    found: list[DecidedCall] = []
    cursor: int | None = None
    while True:
        items, cursor = store.read(_page, connector_id, outcome, limit, cursor)
        assert len(items) <= limit
        found += items
        if cursor is None:
            return found


def _page(
    tx: Transaction, connector_id: ConnectorId, outcome: CallOutcome | None, limit: int, cursor: int | None
) -> Any:
    return tx.decisions.decided(connector_id, outcome, limit=limit, cursor=cursor)


def tally(store: Store) -> ConnectorTally:
    found: ConnectorTally = store.read(lambda tx: tx.phonebook.connector(PBX.id)).tally
    return found


def test_a_decision_reads_as_it_was_noted(place: Place) -> None:
    store = place.open()
    store.write(_connect)
    told = decision(line="+441632960999", ended_at=None, end_is_estimated=True)
    note(store, told)
    assert listed(place.open()) == [told]


def test_end_and_legs_of_an_event_are_those_of_its_call(store: Store) -> None:
    payload = call_payload()
    call = Call(
        id=CallId("call_a"), payload=payload, body=canonical_bytes(payload), source="asterisk", created_at=MONDAY,
        times=CallTimes(ended_at=MONDAY + MINUTE, end_is_estimated=True), legs=LEGS,
    )  # fmt: skip
    store.write(lambda tx: tx.phone.add(call))
    assert store.read(lambda tx: tx.phone.call("call_a")) == call
    note(store, decision(call_id=call.id, reason="", ended_at=None))
    [told] = listed(store)
    assert (told.outcome, told.ended_at, told.end_is_estimated, told.legs) == (
        CallOutcome.EVENT, MONDAY + MINUTE, True, LEGS,
    )  # fmt: skip


def test_decisions_come_the_latest_first_in_pages_and_by_outcome(store: Store) -> None:
    note(store, *(decision(f"call {number}", call_id=CallId("call_x") if number % 3 else None) for number in range(8)))
    note(store, decision("elsewhere", connector_id=CARRIER.id))
    names = [f"call {number}" for number in reversed(range(8))]
    for limit in (1, 2, 3, 8, 9):
        assert [each.external_id for each in listed(store, limit=limit)] == names
    assert [each.external_id for each in listed(store, outcome=CallOutcome.NONE)] == ["call 6", "call 3", "call 0"]
    assert len(listed(store, outcome=CallOutcome.EVENT)) == 5
    assert [each.external_id for each in listed(store, CARRIER.id)] == ["elsewhere"]


def test_events_and_calls_that_became_none_are_counted_each_once(store: Store) -> None:
    note(store, decision("a"), decision("b", call_id=CallId("call_b")), decision("a"), decision("c"))
    assert tally(store) == ConnectorTally(events=1, no_events=2)
    assert [each.external_id for each in listed(store)] == ["c", "a", "b"]


def test_only_the_last_ones_of_each_connector_are_kept(store: Store) -> None:
    note(store, decision("of the other", connector_id=CARRIER.id))
    note(store, *(decision(str(number), legs=NO_LEGS) for number in range(MOST_DECIDED + 5)))
    kept = [each.external_id for each in listed(store, limit=200)]
    assert (len(kept), kept[0], kept[-1]) == (MOST_DECIDED, str(MOST_DECIDED + 4), "5")
    assert len(listed(store, CARRIER.id)) == 1
    assert tally(store).no_events == MOST_DECIDED + 5


def test_of_a_connector_that_is_not_there_nothing_is_kept(store: Store) -> None:
    note(store, decision(connector_id=ConnectorId("con_gone")))
    assert listed(store, ConnectorId("con_gone")) == []


def test_decisions_of_a_connector_are_forgotten_and_no_other(store: Store) -> None:
    note(store, decision(), decision(connector_id=CARRIER.id))
    store.write(lambda tx: tx.decisions.forget_of(PBX.id))
    assert (listed(store), len(listed(store, CARRIER.id))) == ([], 1)


def test_old_decisions_are_forgotten_a_few_at_a_time(store: Store) -> None:
    note(store, *(decision(str(number), decided_at=MONDAY + number * MINUTE) for number in range(5)))

    def forget(limit: int) -> int:
        count: int = store.write(lambda tx: tx.decisions.forget_before(MONDAY + 3 * MINUTE, limit=limit))
        return count

    assert [forget(2), forget(2), forget(2)] == [2, 1, 0]
    assert [each.external_id for each in listed(store)] == ["4", "3"]


def test_decisions_that_mention_a_number_are_found_and_their_legs_replaced(store: Store) -> None:
    other = decision("other", legs=NO_LEGS)
    note(store, decision(), other)
    assert store.read(lambda tx: tx.decisions.mentioning(NUMBER)) == [decision()]
    assert store.read(lambda tx: tx.decisions.mentioning("+4930123456")) == []
    without = replace(LEGS, legs=(replace(LEG, number=""),))
    store.write(lambda tx: tx.decisions.rewrite_legs(decision(), without))
    assert listed(store) == [other, decision(legs=without)]


def test_a_decision_of_a_transaction_that_failed_is_not_kept_nor_counted(store: Store) -> None:
    def note_and_fail(tx: Transaction) -> None:
        tx.decisions.note(decision())
        raise LookupError

    with pytest.raises(LookupError):
        store.write(note_and_fail)
    assert (listed(store), tally(store)) == ([], ConnectorTally())


def test_a_call_is_found_by_every_number_in_its_legs(store: Store) -> None:
    mobile = replace(LEG, party=Party.OUTSIDE, number="+447700900103")
    payload = call_payload(phone_number=NUMBER)
    call = Call(
        id=CallId("call_a"), payload=payload, body=canonical_bytes(payload), source="x", created_at=MONDAY,
        legs=CallLegs(legs=(LEG, mobile, mobile)),
    )  # fmt: skip
    store.write(lambda tx: tx.phone.add(call))
    for number in (NUMBER, mobile.number):
        assert store.read(_ids_with, number) == [call.id]
    store.write(lambda tx: tx.erasure.rewrite_legs(call.id, LEGS, mobile.number))
    assert store.read(lambda tx: tx.phone.call("call_a")).legs == LEGS
    assert store.read(lambda tx: tx.erasure.calls_with(mobile.number, 5)) == []


def _ids_with(tx: Transaction, number: str) -> list[CallId]:
    return [each.id for each in tx.erasure.calls_with(number, 5)]

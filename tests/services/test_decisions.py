"""What was decided on the calls of a connector, and why one of them is no event."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from hookline.domain.call_legs import Party
from hookline.domain.decided_calls import CallOutcome, DecidedCall
from hookline.domain.finished_calls import Reason
from hookline.domain.legs import Fact, LegStarted, Side
from hookline.errors import NotFound
from hookline.ports.storage import Transaction
from hookline.services.decisions import list_decisions
from hookline.services.intake import SILENT, give_up, settle_due, take_in
from hookline.services.phonebook import delete_connector, read_connector
from hookline.services.retention import forget_old_intake
from tests.contract.stores import Store
from tests.contract.test_storage_phonebook import PBX
from tests.fakes import MONDAY, ManualClock
from tests.telling import (
    CALLER,
    LINE,
    SECOND,
    TELLER,
    a_whole_call,
    add_line,
    comes_in,
    goes_out,
    hangs_up,
    report,
)

HERE = TELLER.connector_id
OTHER_LINE = "+441400800009"
DAY = timedelta(days=1)


@pytest.fixture
def store(store: Store) -> Store:
    """A store in which there are a line and the connector that tells."""
    store.write(_set_up)
    return store


def _set_up(tx: Transaction) -> None:
    add_line(tx, LINE)
    tx.phonebook.keep_connector(PBX)


def decide(store: Store, *facts: Fact, key: str = "one") -> None:
    store.write(take_in, TELLER, report(*facts, key=key, complete=True))
    store.write(settle_due, 10)


def decided(store: Store, outcome: CallOutcome | None = None) -> Sequence[DecidedCall]:
    found: Sequence[DecidedCall] = store.read(list_decisions, HERE, outcome, limit=100, cursor=None).items
    return found


def test_a_call_that_became_an_event_leads_to_its_call_with_its_legs(store: Store, clock: ManualClock) -> None:
    decide(store, *a_whole_call(), key="pbx-1")
    [told] = decided(store)
    call = store.read(lambda tx: tx.phone.call(told.call_id))
    assert (told.external_id, told.outcome, told.why, told.ended_at) == (
        "pbx-1", CallOutcome.EVENT, "", MONDAY + 66 * SECOND,
    )  # fmt: skip
    assert told.legs == call.legs
    assert [leg.party for leg in call.legs.legs] == [Party.CONTACT, Party.USER]
    assert call.legs.legs[0].number == CALLER
    assert decided(store, CallOutcome.NONE) == []


INTERNAL = LegStarted(leg="phone", at=MONDAY, side=Side.OURS, places=True, dialled="102", identity="101")
RUNG = LegStarted(leg="phone", at=MONDAY, side=Side.OURS, places=False, identity="101")


@pytest.mark.parametrize(
    ("facts", "reason", "words", "ended_at"),
    [
        ((INTERNAL, *hangs_up("phone")), Reason.INTERNAL, "Nobody outside", MONDAY + 66 * SECOND),
        ((RUNG, *hangs_up("phone")), Reason.NEVER_DIALLED, "was never dialled", MONDAY + 66 * SECOND),
        (
            (*comes_in(dialled=OTHER_LINE), *hangs_up()),
            Reason.UNKNOWN_LINE, f"No phone line has the number '{OTHER_LINE}'", MONDAY + 66 * SECOND,
        ),
        (
            (*goes_out(shows=OTHER_LINE), *hangs_up()),
            Reason.UNKNOWN_LINE, f"No phone line has the number '{OTHER_LINE}'", MONDAY + 66 * SECOND,
        ),
        (comes_in(), Reason.UNFINISHED, "was never heard", None),
    ],
    ids=["internal", "never dialled", "unknown line", "unknown line shown", "unfinished"],
)  # fmt: skip
def test_a_call_that_is_no_event_says_why_and_shows_its_legs(
    store: Store, facts: tuple[Fact, ...], reason: Reason, words: str, ended_at: Any
) -> None:
    decide(store, *facts)
    [told] = decided(store, CallOutcome.NONE)
    assert (told.reason, told.call_id, told.ended_at) == (reason, None, ended_at)
    assert words in told.why
    assert told.why.endswith(".")
    assert told.legs.legs


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence(reason: Reason) -> None:
    told = DecidedCall(
        connector_id=HERE, external_id="x", decided_at=MONDAY, ended_at=None, reason=reason, line=OTHER_LINE
    )
    assert told.why.endswith(".")
    assert told.why != reason


def test_a_reason_in_words_of_its_own_stays_as_it_is(store: Store) -> None:
    store.write(take_in, TELLER, report(*a_whole_call(), complete=True))
    store.write(give_up, HERE, "one", "Something {strange}.")
    [told] = decided(store)
    assert (told.outcome, told.why, told.legs.legs) == (CallOutcome.NONE, "Something {strange}.", ())


def test_a_call_that_is_told_again_once_there_is_a_line_is_listed_once_and_as_an_event(store: Store) -> None:
    facts = (*comes_in(dialled=OTHER_LINE), *hangs_up())
    decide(store, *facts)
    decide(store, *facts)
    store.write(add_line, OTHER_LINE)
    decide(store, *facts)
    assert [each.outcome for each in decided(store)] == [CallOutcome.EVENT]


def test_the_connector_counts_what_was_decided(store: Store) -> None:
    decide(store, *a_whole_call(), key="a")
    decide(store, INTERNAL, *hangs_up("phone"), key="b")
    tally = store.read(read_connector, HERE).tally
    assert (tally.events, tally.no_events) == (1, 1)


def test_decisions_go_with_their_connector_and_with_their_time(store: Store, clock: ManualClock) -> None:
    decide(store, *a_whole_call())
    clock.advance(seconds=(30 * DAY).total_seconds())
    assert store.write(forget_old_intake, 30 * DAY, 10) == 0
    clock.advance(seconds=1)
    assert store.write(forget_old_intake, 30 * DAY, 10) == 2
    assert decided(store) == []
    decide(store, *a_whole_call(), key="two")
    store.write(delete_connector, HERE)
    with pytest.raises(NotFound):
        decided(store)
    store.write(lambda tx: tx.phonebook.keep_connector(PBX))
    assert decided(store) == []


def test_a_call_of_a_connector_that_was_deleted_is_still_an_event(store: Store, clock: ManualClock) -> None:
    store.write(take_in, TELLER, report(*a_whole_call()))
    store.write(delete_connector, HERE)
    clock.advance(seconds=SILENT.total_seconds())
    [settled] = store.write(settle_due, 10)
    assert settled.call_id

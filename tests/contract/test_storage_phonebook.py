"""What the store promises of users, lines and connectors."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from hookline.adapters.sql.group import Call
from hookline.domain.ids import ConnectorId, PhoneLineId, UserId
from hookline.domain.phonebook import Connector, ConnectorState, PhoneLine, UnknownLine, User
from hookline.ports.storage import Transaction
from tests.contract.stores import Place, Store
from tests.fakes import MONDAY, ManualClock

SECOND = timedelta(seconds=1)
JOHN = User(
    id=UserId("usr_1"),
    email="John.Doe@company.example",
    given_name="John",
    family_name="Doe",
    extension="101",
    channel_prefixes=("PJSIP/101-", "SIP/101-"),
    outbound_line="+441400800008",
    provider_ids=("client:john",),
    created_at=MONDAY,
    modified_at=MONDAY,
)
LINE = PhoneLine(
    id=PhoneLineId("line_1"),
    number="+441400800008",
    name="My number",
    owner_email="john.doe@company.example",
    region="GB",
    created_at=MONDAY,
    modified_at=MONDAY,
)
PBX = Connector(
    id=ConnectorId("con_1"),
    kind="asterisk",
    name="Office",
    settings={"host": "pbx.example", "port": 5038, "tls": False, "region": "GB"},
    token="",
    state=ConnectorState.CONNECTING,
    last_event_at=None,
    last_error="",
    created_at=MONDAY,
    modified_at=MONDAY,
)
CARRIER = replace(PBX, id=ConnectorId("con_2"), kind="twilio", settings={"authToken": "é"}, token="a-long-token")


def test_users_are_kept_changed_found_by_address_in_any_case_and_forgotten(store: Store) -> None:
    store.write(lambda tx: tx.phonebook.keep_user(JOHN))
    changed = replace(JOHN, given_name="Jon", is_set_up=False)
    store.write(lambda tx: tx.phonebook.keep_user(changed))
    assert store.read(lambda tx: tx.phonebook.users()) == [changed]
    assert store.read(lambda tx: tx.phonebook.user("usr_1")) == changed
    assert store.read(lambda tx: tx.phonebook.user_at("JOHN.doe@Company.example")) == changed
    assert store.read(lambda tx: tx.phonebook.user("usr_2")) is None
    assert store.write(lambda tx: tx.phonebook.remove_user(JOHN.id))
    assert not store.write(lambda tx: tx.phonebook.remove_user(JOHN.id))
    assert store.read(lambda tx: tx.phonebook.user_at(JOHN.email)) is None


def test_lines_are_kept_changed_found_and_forgotten(store: Store) -> None:
    store.write(lambda tx: tx.phonebook.keep_line(LINE))
    changed = replace(LINE, name="Reception")
    store.write(lambda tx: tx.phonebook.keep_line(changed))
    assert store.read(lambda tx: tx.phonebook.lines()) == [changed]
    assert store.read(lambda tx: tx.phonebook.line("line_1")) == changed
    assert store.read(lambda tx: tx.phonebook.line_with("+441400800008")) == changed
    assert store.read(lambda tx: tx.phonebook.line_with("+441400800009")) is None
    assert store.write(lambda tx: tx.phonebook.remove_line(LINE.id))
    assert not store.write(lambda tx: tx.phonebook.remove_line(LINE.id))


def test_the_book_holds_all_lines_and_users(store: Store) -> None:
    store.write(lambda tx: tx.phonebook.keep_user(JOHN))
    store.write(lambda tx: tx.phonebook.keep_line(LINE))
    book = store.read(lambda tx: tx.phonebook.book("GB"))
    assert book.line("+441400800008") == LINE
    assert book.user_at(LINE.owner_email) == JOHN
    assert book.user_of("PJSIP/101-0000001") == book.user_of("client:john") == book.user_of("101") == JOHN
    assert book.user_of("john.doe@company.example") == JOHN
    assert book.user_of("PJSIP/1011-0000001") is book.user_of("") is None
    assert book.e164("01400 800008") == "+441400800008"


def test_the_book_is_that_of_the_moment_whoever_changed_it(place: Place) -> None:
    changes: tuple[tuple[Callable[[Transaction], object], bool, bool], ...] = (
        (lambda tx: tx.phonebook.keep_line(LINE), True, False),
        (lambda tx: tx.phonebook.keep_user(JOHN), True, True),
        (lambda tx: tx.phonebook.remove_line(LINE.id), False, True),
        (lambda tx: tx.phonebook.remove_user(JOHN.id), False, False),
        (lambda tx: tx.phonebook.meet(JOHN), False, True),
    )
    here, there = place.open(), place.open()

    def known(tx: Transaction) -> tuple[bool, bool]:
        book = tx.phonebook.book("GB")
        return book.line(LINE.number) is not None, book.user_at(JOHN.email) is not None

    for change, has_line, has_user in changes:

        def change_and_look(tx: Transaction, change: Callable[[Transaction], object] = change) -> tuple[bool, bool]:
            known(tx)
            change(tx)
            return known(tx)

        seen = {here.write(change_and_look), *(store.write(known) for store in (here, there))}
        seen |= {store.read(known) for store in (here, there)}
        assert seen == {(has_line, has_user)}


def test_what_was_undone_is_in_no_book(store: Store) -> None:
    def keep_and_fail(tx: Transaction) -> None:
        tx.phonebook.keep_line(LINE)
        assert tx.phonebook.book().line(LINE.number) == LINE
        raise LookupError

    def line(tx: Transaction) -> PhoneLine | None:
        return tx.phonebook.book().line(LINE.number)

    answers, _ = store.write_group([Call(each, (), {}) for each in (line, keep_and_fail, line)])
    assert [answer.result for answer in answers] == [None, None, None]
    with pytest.raises(LookupError):
        store.write(keep_and_fail)
    assert store.write(line) is None


def test_connectors_are_kept_changed_found_by_their_token_and_forgotten(store: Store, clock: ManualClock) -> None:
    def keep(tx: Transaction) -> None:
        tx.phonebook.keep_connector(PBX)
        tx.phonebook.keep_connector(CARRIER)

    store.write(keep)
    assert store.read(lambda tx: tx.phonebook.connectors()) == [PBX, CARRIER]
    assert store.read(lambda tx: tx.phonebook.connector_at("a-long-token")) == CARRIER
    assert store.read(lambda tx: tx.phonebook.connector_at("a-long-tokem")) is None
    assert store.read(lambda tx: tx.phonebook.connector_at("")) is None
    changed = replace(CARRIER, settings={"authToken": "other"})
    store.write(lambda tx: tx.phonebook.keep_connector(changed))
    assert store.read(lambda tx: tx.phonebook.connector("con_2")) == changed
    assert store.write(lambda tx: tx.phonebook.remove_connector(CARRIER.id))
    assert store.read(lambda tx: tx.phonebook.connectors()) == [PBX]


def test_how_a_connection_stands_is_kept(store: Store, clock: ManualClock) -> None:
    store.write(lambda tx: tx.phonebook.keep_connector(PBX))
    store.write(lambda tx: tx.phonebook.stand(PBX.id, ConnectorState.FAILED, "Wrong secret."))
    store.write(lambda tx: tx.phonebook.heard_from(PBX.id))
    kept = store.read(lambda tx: tx.phonebook.connector(PBX.id))
    assert kept == replace(
        PBX,
        state=ConnectorState.FAILED,
        last_error="Wrong secret.",
        last_error_at=clock.now(),
        last_event_at=clock.now(),
    )


def test_a_connection_that_stood_and_does_not_is_a_gap_and_one_that_never_stood_is_none(
    store: Store, clock: ManualClock
) -> None:
    def stands(state: ConnectorState) -> tuple[int, datetime | None]:
        clock.advance(seconds=1)
        store.write(lambda tx: tx.phonebook.stand(PBX.id, state, ""))
        tally = store.read(lambda tx: tx.phonebook.connector(PBX.id)).tally
        return tally.gaps, tally.last_gap_at

    store.write(lambda tx: tx.phonebook.keep_connector(PBX))
    assert [stands(state) for state in (ConnectorState.FAILED, ConnectorState.CONNECTED)] == [(0, None), (0, None)]
    first_gap = (1, MONDAY + 3 * SECOND)
    assert [stands(state) for state in (ConnectorState.CONNECTING, ConnectorState.FAILED)] == [first_gap, first_gap]
    assert [stands(state) for state in (ConnectorState.CONNECTED, ConnectorState.CONNECTED)] == [first_gap, first_gap]
    assert stands(ConnectorState.FAILED) == (2, MONDAY + 7 * SECOND)


def test_what_is_refused_is_counted_and_the_last_one_is_told(store: Store, clock: ManualClock) -> None:
    store.write(lambda tx: tx.phonebook.keep_connector(CARRIER))
    for error in ("No body.", "No signature."):
        clock.advance(seconds=1)
        store.write(_refuse, error)
    kept = store.read(lambda tx: tx.phonebook.connector(CARRIER.id))
    assert (kept.last_error, kept.last_error_at, kept.tally.refused) == ("No signature.", clock.now(), 2)
    store.write(lambda tx: tx.phonebook.keep_connector(replace(CARRIER, name="Other")))
    assert store.read(lambda tx: tx.phonebook.connector(CARRIER.id)).tally == kept.tally


def test_numbers_that_are_no_line_are_counted_until_they_are(store: Store, clock: ManualClock) -> None:
    for number in ("+441632960999", "+441400800008", "+441632960999"):
        clock.advance(seconds=1)
        store.write(_count, number)
    store.write(lambda tx: tx.phonebook.keep_line(LINE))
    assert store.read(lambda tx: tx.phonebook.unknown_lines()) == [
        UnknownLine(number="+441632960999", calls=2, last_at=clock.now())
    ]


def test_who_dials_at_random_fills_no_disk(store: Store, clock: ManualClock) -> None:
    def count(tx: Transaction) -> None:
        for number in range(300):
            tx.phonebook.count_unknown_line(f"+4416329{number:05}")

    store.write(count)
    assert len(store.read(lambda tx: tx.phonebook.unknown_lines())) == 200


def _refuse(tx: Transaction, error: str) -> None:
    tx.phonebook.note_refusal(CARRIER.id, error)


def _count(tx: Transaction, number: str) -> None:
    tx.phonebook.count_unknown_line(number)

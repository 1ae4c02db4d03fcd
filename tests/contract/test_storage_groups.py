"""Many functions in one commit: each that fails undoes its own part, and nobody else's."""

import random
import sqlite3
from typing import Any, NoReturn

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.adapters.sql.group import Answered, Call
from hookline.adapters.sql.session import ROWS_PER_GROUP
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.domain.events import EventKind
from hookline.domain.ids import DeliveryId, KeyId
from hookline.domain.keys import ApiKey, Scope
from hookline.ports.storage import Timer, Transaction
from hookline.services.booking import book_meeting
from tests.contract.owing import added, claimed, new_event, plenty
from tests.contract.stores import STORES, Place, Store, examples
from tests.fakes import MONDAY, ManualClock
from tests.values import details, webhook


class Refused(Exception):
    """What a function may raise."""


class Broken:
    """Stands for what a driver says of a broken rule of the schema."""


@pytest.fixture
def store(place: Place) -> Store:
    """A store with a listener that has room for everything."""
    return place.open(plenty)


def call(function: Any, *args: Any) -> Call:
    return Call(function, args, {})


def key(tx: Transaction, digest: str) -> str:
    """Only inserts: nothing is asked, so the row goes with those of others."""
    tx.keys.add(ApiKey(id=KeyId(f"key_{tx.ulid()}"), name="a key", scope=Scope.READ, digest=digest, created_at=tx.now))
    return digest


def key_and_look(tx: Transaction, digest: str) -> str:
    """Inserts, then asks: the row must be there."""
    key(tx, digest)
    found = tx.keys.by_digest(digest)
    assert found is not None
    return found.digest


def key_and_fail(tx: Transaction, digest: str) -> NoReturn:
    key(tx, digest)
    raise Refused(digest)


def key_look_and_fail(tx: Transaction, digest: str) -> NoReturn:
    key_and_look(tx, digest)
    raise Refused(digest)


def owe(tx: Transaction) -> DeliveryId:
    to = tx.webhooks.all()[0]
    return tx.outbox.owe(new_event(tx, EventKind.CALL_FINISHED), to, due_at=tx.now, give_up_at=None)


def owe_and_fail(tx: Transaction) -> NoReturn:
    owe(tx)
    tx.calendar.set_timer(Timer(meeting_id=book_meeting(tx, details()), version=1, due_at=tx.now))
    raise Refused


def digests(store: Store) -> set[str]:
    return {each.digest for each in store.read(lambda tx: tx.keys.all())}


def told(answers: list[Answered]) -> list[Any]:
    """What each was told: its result, or the kind of its error."""
    return [answer.result if answer.error is None else _kind(answer.error) for answer in answers]


def _kind(error: BaseException) -> type:
    return Broken if isinstance(error, sqlite3.IntegrityError | psycopg.IntegrityError) else type(error)


def test_everybody_is_told_what_their_own_function_returned(store: Store) -> None:
    answers, _ = store.write_group([call(key, "a"), call(key_and_look, "b"), call(key, "c")])
    assert told(answers) == ["a", "b", "c"]
    assert digests(store) == {"a", "b", "c"}


@pytest.mark.parametrize("fail", [key_and_fail, key_look_and_fail])
@pytest.mark.parametrize("nth", range(3))
def test_one_that_raises_undoes_only_its_own_part(store: Store, fail: Any, nth: int) -> None:
    calls = [call(key, "a"), call(key_and_look, "b")]
    calls.insert(nth, call(fail, "x"))
    answers, _ = store.write_group(calls)
    assert Refused in told(answers)
    assert told(answers)[nth] is Refused
    assert digests(store) == {"a", "b"}


@pytest.mark.parametrize("work", [key, key_and_look])
@pytest.mark.parametrize("nth", range(4))
def test_one_that_breaks_a_rule_of_the_schema_undoes_only_its_own_part(store: Store, work: Any, nth: int) -> None:
    store.write(key, "taken")
    calls = [call(key, "a"), call(key_and_look, "b"), call(key, "c")]
    calls.insert(nth, call(work, "taken"))
    answers, _ = store.write_group(calls)
    assert told(answers)[nth] is Broken
    assert [result for result in told(answers) if result is not Broken] == ["a", "b", "c"]
    assert digests(store) == {"taken", "a", "b", "c"}


def test_of_two_that_want_the_same_the_first_has_it(store: Store) -> None:
    answers, _ = store.write_group([call(key, "a"), call(key, "a"), call(key, "b")])
    assert told(answers) == ["a", Broken, "b"]
    assert digests(store) == {"a", "b"}


def test_a_delivery_that_was_undone_is_born_in_nobodys_claims(store: Store) -> None:
    added(store)
    answers, doings = store.write_group([call(owe), call(owe_and_fail), call(owe)])
    kept = [answer.result for answer in answers if answer.error is None]
    assert [claim.delivery_id for claim in doings.claims] == kept
    assert doings.claimed_of[doings.claims[0].webhook.id] == 2
    assert not doings.timers
    assert not claimed(store)


def test_a_commit_with_many_rows_takes_no_further_function(store: Store) -> None:
    def many_keys(tx: Transaction, name: str) -> None:
        for number in range(ROWS_PER_GROUP // 2):
            key(tx, f"{name}{number}")

    calls = [call(many_keys, "a"), call(key_and_fail, "x"), call(many_keys, "b"), call(key, "c"), call(key, "d")]
    answers, _ = store.write_group(calls)
    assert [answer.error is None for answer in answers] == [True, False, True]
    assert len(digests(store)) == ROWS_PER_GROUP
    assert told(store.write_group(calls[3:])[0]) == ["c", "d"]


def owe_many(tx: Transaction, count: int) -> None:
    for _ in range(count):
        owe(tx)


def owe_many_and_fail(tx: Transaction, count: int) -> NoReturn:
    owe_many(tx, count)
    raise Refused


def sizes(store: Store) -> list[int]:
    """How many events each batch holds that is due, and that the batch says as many."""
    found = [(claim.batch_size, claim.event.body.count(b"{")) for claim in claimed(store)]
    assert all(said == held for said, held in found)
    return [held for _, held in found]


def test_what_was_undone_counts_in_no_batch_however_the_parts_of_commits_fall(store: Store, clock: ManualClock) -> None:
    added(store, batched=True)
    first = [call(owe_many, 300), call(owe_many_and_fail, 199), call(key, "a"), call(owe_many, 199)]
    store.write_group([*first, call(key_and_fail, "x"), call(owe_many_and_fail, 499)])
    assert sizes(store) == []
    store.write_group([call(owe_many_and_fail, 7), call(owe_many, 502), call(owe_many_and_fail, 498)])
    assert sizes(store) == [500, 500]
    clock.advance(seconds=300)
    assert 1 in sizes(store)


def test_batches_are_whole_when_somebody_else_broke_a_rule(store: Store, clock: ManualClock) -> None:
    added(store, batched=True)
    store.write(key, "taken")
    store.write_group([call(owe_many, 499), call(key, "taken"), call(owe_many, 2)])
    assert sizes(store) == [500]
    clock.advance(seconds=300)
    assert 1 in sizes(store)


def test_a_commit_in_which_nothing_is_asked_writes_what_gathers_with_what_others_insert(
    sqlite_store: SqliteStore,
) -> None:
    store = sqlite_store
    added(store, batched=True)
    store.write(owe)
    statements: list[str] = []
    store.connection.set_trace_callback(statements.append)
    store.write_group([call(owe_many, 64), call(owe_many, 64)])
    store.connection.set_trace_callback(None)
    assert sum("INSERT" in each for each in statements) == 4  # two for events, two for deliveries
    assert not any("SAVEPOINT" in each or "UPDATE" in each for each in statements)


def test_a_whole_commit_that_was_undone_told_nobody_anything(store: Store) -> None:
    added(store)
    _, doings = store.write_group([call(owe_and_fail)])
    assert not doings.claims
    assert not doings.owed
    assert not doings.timers


def test_claims_are_told_once_when_somebody_else_broke_a_rule(store: Store) -> None:
    added(store)
    store.write(key, "taken")
    answers, doings = store.write_group([call(owe), call(key, "taken"), call(owe)])
    assert [claim.delivery_id for claim in doings.claims] == [answers[0].result, answers[2].result]
    record = store.read(lambda tx: [tx.outbox.delivery(claim.delivery_id).status for claim in doings.claims])
    assert record == ["sending", "sending"]


def test_a_webhook_that_was_undone_is_wanted_by_nobody(store: Store) -> None:
    def add_and_fail(tx: Transaction) -> NoReturn:
        tx.webhooks.add(webhook())
        assert tx.webhooks.wanting(EventKind.CALL_FINISHED)
        raise Refused

    answers, doings = store.write_group(
        [call(add_and_fail), call(lambda tx: len(tx.webhooks.all())), call(lambda tx: len(tx.webhooks.wanting("x")))]
    )
    assert told(answers) == [Refused, 0, 0]
    assert not doings.claims


def test_each_function_of_a_commit_has_its_own_instant(store: Store, clock: ManualClock) -> None:
    def look(tx: Transaction) -> float:
        now = tx.now
        clock.advance(seconds=1)
        assert tx.now == now
        return (now - MONDAY).total_seconds()

    answers, _ = store.write_group([call(look)] * 3)
    assert told(answers) == [0.0, 1.0, 2.0]


def test_later_functions_see_what_earlier_ones_wrote(store: Store) -> None:
    answers, _ = store.write_group(
        [
            call(key, "a"),
            call(lambda tx: tx.keys.by_digest("a").digest),
            call(key_and_fail, "b"),
            call(lambda tx: tx.keys.by_digest("b")),
        ]
    )
    assert told(answers) == ["a", "a", Refused, None]


def test_what_ends_the_process_undoes_the_whole_commit(store: Store) -> None:
    def stop(tx: Transaction) -> NoReturn:
        key(tx, "b")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write_group([call(key_and_look, "a"), call(stop)])
    assert digests(store) == set()
    store.write(key, "c")
    assert digests(store) == {"c"}


WORKS = {
    "key": key,
    "key and look": key_and_look,
    "key and fail": key_and_fail,
    "key, look and fail": key_look_and_fail,
}


@pytest.mark.parametrize("name", STORES)
def test_a_commit_of_many_is_as_if_they_had_come_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    @settings(deadline=None, max_examples=examples(name, 60))
    @given(
        group=st.lists(st.tuples(st.sampled_from(sorted(WORKS)), st.sampled_from("abcd")), min_size=1, max_size=8),
        before=st.sets(st.sampled_from("abcd"), max_size=2),
    )
    def play(group: list[tuple[str, str]], before: set[str]) -> None:
        place = Place(STORES[name], tmp_path_factory.mktemp("group"), ManualClock(), random.Random(1))
        store = place.open()
        for digest in before:
            store.write(key, digest)
        answers, _ = store.write_group([call(WORKS[work], digest) for work, digest in group])

        expected: list[Any] = []
        there = set(before)
        for work, digest in group:
            # What only gathers rows fails before the schema is asked.
            if work == "key and fail":
                expected.append(Refused)
            elif digest in there:
                expected.append(Broken)
            elif work == "key, look and fail":
                expected.append(Refused)
            else:
                expected.append(digest)
                there.add(digest)
        assert told(answers) == expected
        assert digests(store) == there
        store.close()
        place.close()

    play()

"""A request that is sent twice is done once, and answered the same both times."""

import asyncio
import random
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from hookline.adapters.sql.group_commit import SqliteDatabase
from hookline.errors import Conflict, IdempotencyMismatch
from hookline.ports.storage import Transaction
from hookline.services.booking import book_meeting
from hookline.services.idempotency import forget_old_answers, once
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.services.reading import events
from tests.values import DAY, MICROSECOND, details


def book(tx: Transaction) -> tuple[int, bytes]:
    return 201, book_meeting(tx, details()).encode()


def refuse(tx: Transaction) -> NoReturn:
    book_meeting(tx, details())
    raise Conflict("Not now.", code="slot_taken")


def test_the_same_request_is_done_once_and_answered_the_same(store: Store, clock: ManualClock) -> None:
    first = store.write(once, "key_1", "k", "f", book)
    clock.advance(seconds=3600)
    assert store.write(once, "key_1", "k", "f", book) == first
    assert first[0] == 201
    assert [event.subject.encode() for event in events(store)] == [first[1]]


def test_another_request_under_the_same_key_is_refused(store: Store) -> None:
    store.write(once, "key_1", "k", "f", book)
    with pytest.raises(IdempotencyMismatch, match="'k'") as refusal:
        store.write(once, "key_1", "k", "g", book)
    assert refusal.value.code == "idempotency_mismatch"
    assert len(events(store)) == 1


def test_keys_of_different_owners_and_different_keys_have_nothing_to_do_with_one_another(store: Store) -> None:
    answers = {
        store.write(once, owner, key, "f", book) for owner, key in (("key_1", "k"), ("key_2", "k"), ("key_1", "l"))
    }
    assert len(answers) == len(events(store)) == 3


def test_an_answer_is_remembered_for_a_day(store: Store, clock: ManualClock) -> None:
    first = store.write(once, "key_1", "k", "f", book)
    clock.set_wall(MONDAY + DAY - MICROSECOND)
    assert store.write(once, "key_1", "k", "f", book) == first
    with pytest.raises(IdempotencyMismatch):
        store.write(once, "key_1", "k", "g", book)
    clock.set_wall(MONDAY + DAY)
    assert store.write(once, "key_1", "k", "g", book) != first
    assert len(events(store)) == 2


def test_a_day_is_counted_from_the_answer_that_counts(store: Store, clock: ManualClock) -> None:
    store.write(once, "key_1", "k", "f", book)
    clock.set_wall(MONDAY + DAY)
    second = store.write(once, "key_1", "k", "f", book)
    clock.set_wall(MONDAY + 2 * DAY - MICROSECOND)
    assert store.write(once, "key_1", "k", "f", book) == second


def test_a_refusal_is_not_kept_and_neither_is_anything_it_did(store: Store) -> None:
    with pytest.raises(Conflict):
        store.write(once, "key_1", "k", "f", refuse)
    assert not events(store)
    store.write(once, "key_1", "k", "g", book)
    assert len(events(store)) == 1


def test_two_at_once_are_done_once(tmp_path: Path, clock: ManualClock, dice: random.Random) -> None:
    async def scenario() -> None:
        database = SqliteDatabase(tmp_path / "hookline.db", clock, dice)
        database.start()
        answers = await asyncio.gather(*(database.write(once, "key_1", "k", "f", book) for _ in range(20)))
        assert len(set(answers)) == 1
        page = await database.read(
            lambda tx: tx.outbox.events(kind=None, subject=None, after=None, limit=9, cursor=None)
        )
        assert len(page.items) == 1
        await database.close()

    asyncio.run(scenario())


def test_answers_are_forgotten_when_nobody_can_ask_for_them_any_more(store: Store, clock: ManualClock) -> None:
    for number in range(5):
        store.write(once, "key_1", f"old {number}", "f", book)
    clock.advance(seconds=1)
    young = store.write(once, "key_1", "young", "f", book)
    clock.set_wall(MONDAY + DAY)
    assert (
        store.write(forget_old_answers, 100) == 0
    )  # at this very instant they may not be asked for, and are still there
    clock.set_wall(MONDAY + DAY + timedelta(seconds=1) - MICROSECOND)
    assert [store.write(forget_old_answers, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert store.write(once, "key_1", "young", "f", book) == young

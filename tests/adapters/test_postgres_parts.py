"""Events, settled deliveries and attempts in PostgreSQL are in parts by time, made ahead, and dropped when old."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import psycopg
import pytest

from hookline.adapters.sql.postgres import PostgresStore
from hookline.adapters.sql.postgres_database import PostgresDatabase
from hookline.adapters.sql.postgres_link import connected
from hookline.adapters.sql.postgres_parts import PARTS, make_parts, part_length, tend_parts
from hookline.adapters.sql.session import instant
from hookline.domain.batches import GATHERING
from hookline.domain.ids import DeliveryId
from hookline.domain.webhooks import Webhook
from tests.contract.gathering import batch_of, gathered
from tests.contract.owing import DELIVERED, added, again_at, all_deliveries, claimed, delivery, owed, settled
from tests.contract.stores import database_of, forget_database_of
from tests.fakes import MONDAY, ManualClock
from tests.values import DAY, HOUR, accepted, refused

KEEP_FOR: Final = 10 * DAY
MIDNIGHT: Final = MONDAY.replace(hour=0)
TABLES: Final = ("event", "settled_delivery", "attempt")


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock, dice: random.Random) -> Iterator[PostgresStore]:
    with closing(PostgresStore(database_of(tmp_path), clock, dice)) as opened:
        yield opened
    forget_database_of(tmp_path)


@pytest.fixture
def beside(tmp_path: Path, store: PostgresStore) -> Iterator[psycopg.Connection]:
    """A connection that is not the store's."""
    with closing(connected(database_of(tmp_path))) as connection:
        yield connection


@pytest.fixture
def to(store: PostgresStore) -> Webhook:
    return added(store)


def parts(connection: psycopg.Connection) -> list[tuple[datetime, datetime]]:
    """From when to when there are parts. Each must be four tables, and there are no others but those called rest."""
    rows = connection.execute("SELECT name, since, until FROM part ORDER BY since").fetchall()
    attached = connection.execute("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'").fetchall()
    expected = {f"{kind}_{name}" for name, *_ in rows for kind in (*TABLES, "attempt_of_batch")}
    assert {name for (name,) in attached} == expected | {f"{table}_rest" for table in TABLES}
    return [(instant(since), instant(until)) for _, since, until in rows]


def days(*numbers: int) -> list[tuple[datetime, datetime]]:
    """The parts of these days, counted from Monday."""
    return [(MIDNIGHT + number * DAY, MIDNIGHT + (number + 1) * DAY) for number in numbers]


def count(connection: psycopg.Connection, *tables: str) -> int:
    """How many rows there are in these tables."""
    return sum(row[0] for table in tables for row in connection.execute(f"SELECT COUNT(*) FROM {table}".encode()))


def in_rest(connection: psycopg.Connection) -> int:
    return count(connection, *(f"{table}_rest" for table in TABLES))


def delivered(store: PostgresStore, to: Webhook) -> DeliveryId:
    owed_id = owed(store, to)
    settled(store, *((accepted(claim), DELIVERED) for claim in claimed(store)))
    return owed_id


def owed_for_long(store: PostgresStore, to: Webhook) -> DeliveryId:
    """A delivery that was tried once, and is to be tried again in a year."""
    owed_id = owed(store, to)
    settled(store, *((refused(claim), again_at(MONDAY + 365 * DAY)) for claim in claimed(store)))
    return owed_id


def tend(connection: psycopg.Connection, clock: ManualClock) -> None:
    tend_parts(connection, clock.now(), KEEP_FOR)


def forget(store: PostgresStore) -> int:
    """How many rows went one by one."""
    gone: int = store.write(lambda tx: tx.outbox.forget_before(tx.now - KEEP_FOR, limit=1000))
    return gone


def together(*calls: Callable[[], None]) -> None:
    """Make these calls at the same time, each in a thread of its own."""
    with ThreadPoolExecutor(len(calls)) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()


# Parts are made ahead


def test_there_are_parts_for_today_and_ahead(clock: ManualClock, beside: psycopg.Connection) -> None:
    for _ in range(2):  # there is nothing to do the second time
        tend(beside, clock)
        assert parts(beside) == days(0, 1, 2)


@pytest.mark.parametrize(("kept", "length"), [(1, 1), (9, 1), (19, 1), (20, 2), (30, 3), (365, 36), (3650, 365)])
def test_there_are_few_parts_whatever_the_retention(kept: int, length: int) -> None:
    assert part_length(kept * DAY) == length * DAY
    assert kept / length <= 2 * PARTS


def test_over_many_days_each_row_is_in_a_part_and_parts_go_as_they_come(
    store: PostgresStore, clock: ManualClock, beside: psycopg.Connection, to: Webhook
) -> None:
    for day in range(25):
        clock.set_wall(MONDAY + day * DAY)
        tend(beside, clock)
        assert forget(store) == 0
        delivered(store, to)
        assert in_rest(beside) == 0
        kept = min(day + 1, 11)  # the last of them is as old as it may be, but what is in it ends a little later
        assert [count(beside, table) for table in TABLES] == [kept] * 3
        assert len(all_deliveries(store)) == kept
        assert len(parts(beside)) == kept + 2


def test_what_no_part_was_made_for_is_kept_all_the_same_and_the_next_parts_begin_behind_it(
    store: PostgresStore, clock: ManualClock, beside: psycopg.Connection, to: Webhook
) -> None:
    made = [delivered(store, to)]
    tend(beside, clock)
    assert parts(beside) == days(1, 2)
    for day in range(1, 6):  # nobody makes parts
        clock.set_wall(MONDAY + day * DAY)
        made.append(delivered(store, to))
    assert in_rest(beside) == 3 * len(days(0, 3, 4, 5))
    tend(beside, clock)
    assert parts(beside) == days(1, 2, 6, 7)
    assert [each.id for each in all_deliveries(store)] == made[::-1]
    assert all(len(delivery(store, each).attempts) == 1 for each in made)
    clock.set_wall(MONDAY + 16 * DAY)
    tend(beside, clock)
    assert forget(store) == 3 * len(days(0, 3, 4, 5))
    assert not all_deliveries(store)


def test_ids_that_ran_ahead_of_a_clock_that_was_set_back_are_in_nobodys_way(
    store: PostgresStore, clock: ManualClock, beside: psycopg.Connection, to: Webhook
) -> None:
    clock.set_wall(MONDAY + 4 * DAY)
    early = delivered(store, to)
    for day in range(6):
        clock.set_wall(MONDAY + day * DAY)
        tend(beside, clock)
    late = delivered(store, to)
    assert parts(beside) == days(0, 1, 2, 3, 5, 6, 7)
    assert {each.id for each in all_deliveries(store)} == {early, late}


def test_parts_can_begin_in_the_past_for_what_is_moved_in(clock: ManualClock, beside: psycopg.Connection) -> None:
    make_parts(beside, since=MONDAY - 2 * DAY, now=clock.now(), keep_for=KEEP_FOR)
    assert parts(beside) == days(-2, -1, 0, 1, 2)


# Parts are dropped


def test_a_part_goes_as_a_whole_when_the_last_of_it_is_old(
    store: PostgresStore, clock: ManualClock, beside: psycopg.Connection, to: Webhook
) -> None:
    tend(beside, clock)
    first = delivered(store, to)
    clock.set_wall(MIDNIGHT + 11 * DAY - HOUR)
    tend(beside, clock)
    assert forget(store) == 0
    assert delivery(store, first).attempts
    clock.set_wall(MIDNIGHT + 11 * DAY)
    tend(beside, clock)
    assert store.read(lambda tx: tx.outbox.delivery(first)) is None
    assert count(beside, *TABLES) == 0
    assert parts(beside)[0] == days(1)[0]


def test_a_part_in_which_anything_is_owed_stays_and_the_rest_of_it_goes_row_by_row_a_day_later(
    store: PostgresStore, clock: ManualClock, beside: psycopg.Connection, to: Webhook
) -> None:
    tend(beside, clock)
    kept = owed_for_long(store, to)
    gone = delivered(store, to)
    clock.set_wall(MIDNIGHT + 11 * DAY)
    tend(beside, clock)
    assert forget(store) == 0
    assert delivery(store, gone).attempts
    clock.set_wall(MIDNIGHT + 12 * DAY)
    tend(beside, clock)
    assert forget(store) == 3
    assert [each.id for each in all_deliveries(store)] == [kept]
    assert len(delivery(store, kept).attempts) == 1
    assert store.read(lambda tx: tx.outbox.event(delivery(store, kept).event_id)) is not None
    clock.set_wall(MONDAY + 366 * DAY)
    settled(store, *((accepted(claim), DELIVERED) for claim in claimed(store)))
    tend(beside, clock)
    assert count(beside, *TABLES) == 0


def test_what_was_settled_and_is_owed_again_keeps_its_part(
    store: PostgresStore, clock: ManualClock, beside: psycopg.Connection, to: Webhook
) -> None:
    tend(beside, clock)
    again = delivered(store, to)
    store.write(lambda tx: tx.outbox.replay(again))
    clock.set_wall(MONDAY + 20 * DAY)
    tend(beside, clock)
    forget(store)
    [claim] = claimed(store)
    assert (claim.delivery_id, claim.attempt) == (again, 2)
    assert len(delivery(store, again).attempts) == 1


def test_the_attempts_of_a_batch_are_there_for_as_long_as_any_event_that_was_in_it(
    store: PostgresStore, clock: ManualClock, beside: psycopg.Connection
) -> None:
    tend(beside, clock)
    to = added(store, batched=True)
    clock.set_wall(MIDNIGHT + DAY - timedelta(minutes=1))
    [first] = gathered(store, to, b"1")
    clock.advance(seconds=120)  # past midnight
    [second] = gathered(store, to, b"2")
    assert batch_of(store, first) == batch_of(store, second)
    clock.advance(seconds=GATHERING.total_seconds())
    settled(store, *((accepted(claim), DELIVERED) for claim in claimed(store)))
    assert in_rest(beside) == 0
    clock.set_wall(MIDNIGHT + 11 * DAY)
    tend(beside, clock)
    forget(store)
    assert [each.id for each in all_deliveries(store)] == [second]
    assert len(delivery(store, second).attempts) == 1
    clock.set_wall(MIDNIGHT + 12 * DAY)
    tend(beside, clock)
    assert count(beside, *TABLES) == 0


def test_a_batch_that_is_owed_keeps_its_attempts(
    store: PostgresStore, clock: ManualClock, beside: psycopg.Connection
) -> None:
    tend(beside, clock)
    [kept] = gathered(store, added(store, batched=True), b"1")
    clock.advance(seconds=GATHERING.total_seconds())
    settled(store, *((refused(claim), again_at(MONDAY + 365 * DAY)) for claim in claimed(store)))
    clock.set_wall(MONDAY + 30 * DAY)
    tend(beside, clock)
    forget(store)
    assert len(delivery(store, kept).attempts) == 1


# Nobody waits for it


def test_who_reads_is_not_disturbed_and_the_part_goes_the_next_time(
    store: PostgresStore,
    clock: ManualClock,
    beside: psycopg.Connection,
    to: Webhook,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tend(beside, clock)
    delivered(store, to)
    clock.set_wall(MONDAY + 11 * DAY)
    with closing(connected(database_of(tmp_path))) as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        assert count(reader, "event") == 1
        with caplog.at_level(logging.WARNING):
            tend(beside, clock)
        assert "parts.postponed" in caplog.text
        assert forget(store) == 0
        delivered(store, to)  # who writes goes on
        assert count(reader, "event") == 1
        reader.execute("ROLLBACK")
    tend(beside, clock)
    assert len(all_deliveries(store)) == 1


def test_a_user_who_may_make_no_tables_keeps_everything_in_the_part_called_rest(
    store: PostgresStore, clock: ManualClock, beside: psycopg.Connection, to: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    beside.execute("SET ROLE pg_write_all_data")
    with caplog.at_level(logging.WARNING):
        tend(beside, clock)
    assert "parts.postponed" in caplog.text
    beside.execute("RESET ROLE")
    delivered(store, to)
    assert in_rest(beside) == 3


def test_nodes_that_tend_at_the_same_time_do_it_once(
    clock: ManualClock, beside: psycopg.Connection, tmp_path: Path
) -> None:
    with closing(connected(database_of(tmp_path))) as other:
        together(lambda: tend(beside, clock), lambda: tend(other, clock))
        assert parts(beside) == days(0, 1, 2)
        clock.set_wall(MONDAY + 20 * DAY)
        together(lambda: tend(beside, clock), lambda: tend(other, clock))
        assert parts(beside) == days(20, 21, 22)


def test_a_server_tends_its_parts(tmp_path: Path, clock: ManualClock, dice: random.Random) -> None:
    async def scenario() -> None:
        database = PostgresDatabase(database_of(tmp_path), clock, dice)
        database.start()
        await database.tend(KEEP_FOR)
        await database.close()

    asyncio.run(scenario())
    with closing(connected(database_of(tmp_path))) as beside:
        assert parts(beside) == days(0, 1, 2)
    forget_database_of(tmp_path)


# The feed


def test_the_feed_goes_on_over_parts_in_the_order_in_which_events_were_kept(
    store: PostgresStore, clock: ManualClock, beside: psycopg.Connection, to: Webhook
) -> None:
    made = []
    for day in (0, 1, 2, 1, 2, 3):  # the clock is set back in between
        clock.set_wall(MONDAY + day * DAY)
        tend(beside, clock)
        made.append(delivery(store, delivered(store, to)).event_id)
    for after in (None, *made):
        page = store.read(
            lambda tx, after: tx.outbox.events(kind=None, subject=None, after=after, limit=99, cursor=None), after
        )
        assert [event.id for event in page.items] == made[made.index(after) + 1 if after else 0 :]

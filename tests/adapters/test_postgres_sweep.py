"""What was claimed and settled is swept out of the way of who looks for what is due."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from hookline.adapters.sql import postgres_sweep
from hookline.adapters.sql.postgres import PostgresStore
from hookline.adapters.sql.postgres_database import PostgresDatabase
from hookline.adapters.sql.postgres_link import Link, connected
from hookline.adapters.sql.postgres_sweep import Sweeper, sweep
from tests.contract.owing import DELIVERED, added, claimed, owed, settled
from tests.contract.stores import database_of, forget_database_of
from tests.fakes import ManualClock, until
from tests.values import accepted

SLEEPS = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    yield database_of(tmp_path)
    forget_database_of(tmp_path)


@pytest.fixture
def beside(url: str) -> Iterator[psycopg.Connection]:
    """A connection that is not the store's, to a table in which nothing is dead."""
    with closing(connected(url)) as connection:
        connection.execute("VACUUM delivery")
        yield connection


def settle_many(url: str, clock: ManualClock, dice: random.Random, count: int) -> None:
    """So many deliveries, of which each leaves two dead rows."""
    with closing(PostgresStore(url, clock, dice)) as store:
        to = added(store)
        for _ in range(count):
            owed(store, to)
        settled(store, *((accepted(claim), DELIVERED) for claim in claimed(store)))
        store.connection.execute("SELECT pg_stat_force_next_flush()")


def dead(connection: psycopg.Connection) -> int:
    [(count,)] = connection.execute("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'delivery'")
    return int(count)


def test_it_is_done_when_it_is_worth_it(
    url: str, clock: ManualClock, dice: random.Random, beside: psycopg.Connection
) -> None:
    settle_many(url, clock, dice, 20)
    assert dead(beside) == 40
    assert not sweep(beside, least_dead=40)
    assert dead(beside) == 40
    assert sweep(beside, least_dead=39)
    assert dead(beside) == 0
    assert not sweep(beside, least_dead=0)


def test_nobody_waits_for_it_and_it_waits_for_nobody(
    url: str, clock: ManualClock, dice: random.Random, beside: psycopg.Connection
) -> None:
    settle_many(url, clock, dice, 20)
    with closing(connected(url)) as other, other.transaction():
        other.execute("LOCK TABLE delivery IN SHARE UPDATE EXCLUSIVE MODE")  # another one is at it
        assert sweep(beside, least_dead=1)
    assert dead(beside) == 40


def test_a_server_sweeps_and_ends_when_it_is_told_to(
    url: str, clock: ManualClock, dice: random.Random, beside: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_sweep, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(postgres_sweep, "LEAST_DEAD", 1)

    async def scenario() -> None:
        database = PostgresDatabase(url, clock, dice)
        database.start()
        await until(lambda: not dead(beside))
        await database.close()

    settle_many(url, clock, dice, 20)
    asyncio.run(scenario())


def test_it_ends_at_once_also_when_the_database_does_not_answer(
    url: str, clock: ManualClock, dice: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_sweep, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(postgres_sweep, "DEAD", "SELECT pg_sleep(600) IS NULL, %s")
    link = Link(url, clock, dice)
    link.mend()
    sweeper = Sweeper(link)
    sweeper.start()
    with closing(connected(url)) as beside:
        while not beside.execute(SLEEPS).fetchall():
            continue
    sweeper.close()
    sweeper.thread.join()

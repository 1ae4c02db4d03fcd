"""A PostgreSQL database gets its schema once, whoever comes first, and versions of Hookline work on it side by side."""

import logging
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from typing import Any, Final

import psycopg
import pytest

from hookline.adapters.sql.migrate import migrations_of
from hookline.adapters.sql.postgres import PostgresStore
from hookline.adapters.sql.postgres_link import connected
from hookline.adapters.sql.postgres_migrate import BREAKS, WAIT_TO_MIGRATE, latest_schema, migrate_postgres, schema_of
from hookline.adapters.sql.postgres_parts import tend_parts
from hookline.adapters.sql.postgres_upkeep import look_into
from hookline.domain.deliveries import State
from hookline.errors import Unavailable
from hookline.services.booking import book_meeting
from hookline.services.calls import report_call
from hookline.services.deliveries import claim_due, settle
from hookline.services.explaining import explain_event
from hookline.services.retention import forget_old_events
from hookline.services.timers import fire_due
from hookline.services.webhooks import create_webhook
from tests.contract.owing import LEASE, all_deliveries, delivery, plenty
from tests.fakes import MONDAY, ManualClock
from tests.patience import PATIENCE_SECONDS
from tests.postgres_server import postgres_server
from tests.values import DAY, HOUR, LIMITS, accepted, call_payload, details, refused, wanted

OURS: Final = migrations_of("postgres")
LATEST: Final = latest_schema()
#: What a later version may add: columns with defaults to every table, an index to each, a table.
NEXT: Final = """
    DO $$
    DECLARE each TEXT;
    BEGIN
        FOR each IN SELECT relname FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
        LOOP
            EXECUTE format('ALTER TABLE %I ADD COLUMN colour TEXT NOT NULL DEFAULT ''red''', each);
            EXECUTE format('ALTER TABLE %I ADD COLUMN size INTEGER', each);
            EXECUTE format('CREATE INDEX ON %I (colour)', each);
        END LOOP;
    END $$;
    CREATE TABLE colour (name TEXT PRIMARY KEY, webhook_id BIGINT NOT NULL);
"""
NEXT_ONE: Final = [*OURS, (LATEST + 1, NEXT)]
#: What comes when no version that does not know it is left.
LATER_ONE: Final = [*NEXT_ONE, (LATEST + 2, f"{BREAKS}\nALTER TABLE notice DROP COLUMN message;")]


@pytest.fixture
def url() -> Iterator[str]:
    """A database without any table."""
    made = postgres_server().empty_database()
    yield made
    postgres_server().drop(made)


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection]:
    with closing(connected(url)) as opened:
        yield opened


def tables(connection: psycopg.Connection) -> int:
    [(count,)] = connection.execute("SELECT COUNT(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    return int(count)


def waiting(connection: psycopg.Connection) -> int:
    """How many wait for a lock of ours."""
    [(count,)] = connection.execute("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    return int(count)


# One migrates


def test_of_nodes_that_start_together_one_migrates_while_the_others_wait(
    url: str, connection: psycopg.Connection
) -> None:
    def start() -> list[int]:
        with closing(connected(url)) as own:
            return migrate_postgres(own)

    with ThreadPoolExecutor(3) as pool:
        with connection.transaction():
            connection.execute(WAIT_TO_MIGRATE.encode())
            nodes = [pool.submit(start) for _ in range(3)]
            while waiting(connection) < len(nodes):
                assert not any(node.done() for node in nodes)
        assert sorted(node.result() for node in nodes) == [[], [], [number for number, _ in OURS]]
    assert schema_of(connection).number == LATEST


def test_a_migration_that_ends_in_the_middle_leaves_everything_as_it_was(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        migrate_postgres(connection, [*OURS, (LATEST + 1, "CREATE TABLE colour (name TEXT); DROP TABLE nothing;")])
    assert schema_of(connection).number == tables(connection) == 0
    assert migrate_postgres(connection) == [number for number, _ in OURS]


# Versions side by side


def live(store: PostgresStore, clock: ManualClock) -> None:
    """Much of what a node does: each kind of row is written, changed, read and forgotten."""
    kinds: tuple[dict[str, Any], ...] = ({}, {"ordered": True}, {"batched": True})
    for changes in kinds:
        store.write(create_webhook, wanted(**changes), LIMITS)
    store.write(book_meeting, details(clock.now() + HOUR))
    store.write(report_call, call_payload())
    clock.advance(seconds=HOUR.total_seconds())
    store.write(fire_due, 10)
    outcomes = [accepted, refused]
    for _ in range(4):
        claims = store.write(claim_due, 100, LEASE, plenty)
        store.write(settle, [outcomes[number % 2](claim) for number, claim in enumerate(claims)])
        clock.advance(seconds=HOUR.total_seconds())
    for each in all_deliveries(store):
        store.read(explain_event, each.event_id)
        if each.status is State.DELIVERED:
            store.write(lambda tx, owed_id: tx.outbox.replay(owed_id), each.id)
            assert delivery(store, each.id).status is State.PENDING
    store.write(forget_old_events, 30 * DAY, 100)


def test_a_node_goes_on_while_a_later_version_migrates_and_after_that(
    url: str, connection: psycopg.Connection, dice: random.Random
) -> None:
    migrate_postgres(connection)
    tend_parts(connection, MONDAY, 10 * DAY)
    clock, migrated, began = ManualClock(), Event(), Event()

    def go_on() -> int:
        """Live until the other has migrated, and once more."""
        lives = 0
        with closing(PostgresStore(url, clock, dice)) as store:
            while not migrated.is_set() or not lives:
                live(store, clock)
                lives += 1
                began.set()
            live(store, clock)
        return lives

    with ThreadPoolExecutor(1) as pool:
        node = pool.submit(go_on)
        assert began.wait(timeout=PATIENCE_SECONDS), "The node did not begin to work."
        assert migrate_postgres(connection, NEXT_ONE) == [LATEST + 1]
        migrated.set()
        assert node.result() >= 1
    tend_parts(connection, clock.now() + 12 * DAY, 10 * DAY)  # parts get what was added, too
    clock.advance(seconds=(12 * DAY).total_seconds())
    with closing(PostgresStore(url, clock, dice)) as store:
        live(store, clock)
    [(colours,)] = connection.execute("SELECT COUNT(*) FROM event WHERE colour = 'red'").fetchall()
    assert colours > 0


def test_a_node_starts_on_the_schema_of_a_later_version_that_works_beside_it(
    url: str, connection: psycopg.Connection, clock: ManualClock, dice: random.Random, caplog: pytest.LogCaptureFixture
) -> None:
    migrate_postgres(connection, NEXT_ONE)
    with caplog.at_level(logging.WARNING), closing(PostgresStore(url, clock, dice)) as store:
        live(store, clock)
    assert f"store.newer schema={LATEST + 1} known={LATEST}" in caplog.text
    assert schema_of(connection) == (LATEST + 1, 1)
    health = look_into(url)
    assert (health.schema, health.is_known) == (LATEST + 1, True)
    assert health.backlog is not None


def test_a_node_does_not_start_on_a_schema_that_it_cannot_work_on(
    url: str, connection: psycopg.Connection, clock: ManualClock, dice: random.Random
) -> None:
    migrate_postgres(connection, LATER_ONE)
    with pytest.raises(Unavailable) as refusal:
        PostgresStore(url, clock, dice)
    assert refusal.value.message == (
        f"The database has schema {LATEST + 2}, on which versions work that know schema {LATEST + 2} or a later one; "
        f"this version knows schemas up to {LATEST}."
    )
    assert refusal.value.hint == "Start the version that made it, or a later one."
    assert schema_of(connection) == (LATEST + 2, LATEST + 2)
    health = look_into(url)
    assert (health.is_known, health.backlog) == (False, None)


def test_whoever_migrated_in_several_steps_knows_the_same(connection: psycopg.Connection) -> None:
    for migrations in (OURS, NEXT_ONE, LATER_ONE, [*LATER_ONE, (LATEST + 3, "CREATE TABLE later (name TEXT);")]):
        assert migrate_postgres(connection, migrations)
    assert schema_of(connection) == (LATEST + 3, LATEST + 2)


# A database of somebody else


@pytest.mark.parametrize(
    "theirs",
    [
        "CREATE TABLE customer (id INTEGER)",
        "CREATE TABLE call (id INTEGER)",
        "CREATE VIEW v AS SELECT 1 AS one",
        "CREATE TABLE schema_version (number INTEGER)",
    ],
)
def test_where_somebody_else_has_tables_nothing_is_made(connection: psycopg.Connection, theirs: str) -> None:
    connection.execute(theirs)
    before = tables(connection)
    with pytest.raises(Unavailable, match="tables of something else"):
        migrate_postgres(connection)
    assert tables(connection) == before


def test_a_schema_of_its_own_will_do_beside_somebody_else_s(url: str, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE customer (id INTEGER)")
    connection.execute("CREATE SCHEMA ours")
    with closing(connected(f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Dours")) as own:
        assert migrate_postgres(own)[-1] == LATEST


def test_an_option_that_makes_no_sense_is_a_sentence(url: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="connect_timeout"):
        connected(f"{url}{'&' if '?' in url else '?'}connect_timeout=soon")

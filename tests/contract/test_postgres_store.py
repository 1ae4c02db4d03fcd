"""What only the PostgreSQL store does: its schema, the server's clock, a connection or a server that goes away."""

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hookline.adapters.sql.group import Call
from hookline.adapters.sql.migrate import migrations_of
from hookline.adapters.sql.postgres import PostgresStore, TimeLimits
from hookline.adapters.sql.postgres_session import PostgresSession
from hookline.adapters.sql.postgres_upkeep import schema_of
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.adapters.sql.webhooks import ALL_WEBHOOKS
from hookline.adapters.system_clock import ServerClock
from hookline.domain.events import Event
from hookline.domain.failing import Streak
from hookline.domain.ids import EventId
from hookline.domain.keys import Scope
from hookline.errors import Unavailable
from hookline.ports.storage import Transaction
from hookline.services.booking import book_meeting
from hookline.services.keys import create_key
from tests.contract.owing import DELIVERED, added, claimed, delivery, owed, settled
from tests.fakes import ManualClock
from tests.postgres_server import PostgresServer, postgres_server
from tests.values import accepted, details


@pytest.fixture
def url() -> Iterator[str]:
    """A database with the tables of this version."""
    made = postgres_server().new_database()
    yield made
    postgres_server().forget(made)


@pytest.fixture
def opened(url: str, clock: ManualClock, dice: random.Random) -> Iterator[Callable[..., PostgresStore]]:
    """Opens stores on that database, and closes them."""
    stores: list[PostgresStore] = []

    def open_store(**more: Any) -> PostgresStore:
        stores.append(PostgresStore(url, clock, dice, **more))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[..., PostgresStore]) -> PostgresStore:
    return opened()


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of its own, to be stopped and started."""
    made = PostgresServer()
    yield made
    made.close()


def names(store: PostgresStore) -> list[str]:
    return [key.name for key in store.read(lambda tx: tx.keys.all())]


def feed(store: PostgresStore, *, after: EventId | None, limit: int) -> list[Event]:
    asked = {"kind": None, "subject": None, "after": after, "limit": limit, "cursor": None}
    return list(store.read(lambda tx: tx.outbox.events(**asked)).items)


def ask(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(sql.encode()).fetchall()


def disconnect_all(url: str) -> None:
    """What an administrator does, or a proxy that thinks a connection was idle for too long."""
    ask(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hookline'")


# The schema


def test_nodes_that_start_at_once_make_the_tables_once(clock: ManualClock) -> None:
    url = postgres_server().empty_database()
    assert schema_of(url) == 0
    begin = threading.Barrier(4)

    def start(seed: int) -> None:
        begin.wait()
        PostgresStore(url, clock, random.Random(seed)).close()

    with ThreadPoolExecutor(4) as nodes:
        list(nodes.map(start, range(4)))
    assert schema_of(url) == migrations_of("postgres")[-1][0]
    assert ask(url, "SELECT count(*) FROM schema_version") == [(len(migrations_of("postgres")),)]
    postgres_server().drop(url)


def test_a_database_of_a_later_version_is_left_alone(clock: ManualClock, dice: random.Random) -> None:
    url = postgres_server().empty_database()
    PostgresStore(url, clock, dice).close()
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO schema_version VALUES (9999, 9999)")
    with pytest.raises(Unavailable, match="schema 9999"):
        PostgresStore(url, clock, dice)
    postgres_server().drop(url)


def test_both_databases_have_the_same_tables_with_the_same_columns(
    store: PostgresStore, sqlite_store: SqliteStore, url: str
) -> None:
    columns = """
        SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND a.attnum > 0 AND NOT a.attisdropped
    """
    postgres = {pair for pair in ask(url, columns) if pair[0] not in ("schema_version", "writing", "part")}
    tables = [
        name for (name,) in sqlite_store.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    ]
    sqlite = {
        (table, column[1])
        for table in tables
        if not table.startswith("sqlite_")
        for column in sqlite_store.connection.execute(f"PRAGMA table_info({table})")
    }
    assert postgres == sqlite


def test_whatever_is_in_an_index_is_ordered_by_bytes_whatever_the_order_of_the_database(url: str) -> None:
    unordered = """
        SELECT c.relname, a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
        WHERE c.relnamespace = 'public'::regnamespace AND a.atttypid = 'text'::regtype
            AND a.attcollation <> (SELECT oid FROM pg_collation WHERE collname = 'C')
    """
    assert ask(url, unordered) == []


# What PostgreSQL cannot keep


def test_text_with_a_nul_is_kept_without_it_and_found_by_nobody(store: PostgresStore) -> None:
    to = added(store)
    id_ = owed(store, to)
    [claim] = claimed(store)
    outcome = accepted(claim)
    said = replace(outcome.attempt, error="a\0b", response_headers=(("x", "a\0b"),), response_body=b"a\0b")
    assert settled(store, (replace(outcome, attempt=said), DELIVERED)) == []
    [attempt] = delivery(store, id_).attempts
    assert (attempt.error, attempt.response_body) == ("a\N{REPLACEMENT CHARACTER}b", b"a\0b")
    assert attempt.response_headers == (("x", "a\0b"),)
    assert store.read(lambda tx: tx.outbox.event("evt_\0")) is None


# Time


def test_the_instant_of_a_transaction_is_the_servers(url: str, dice: random.Random) -> None:
    clock = ServerClock()
    clock.agree(datetime(2031, 1, 1, tzinfo=UTC))  # this node is years ahead
    with closing(PostgresStore(url, clock, dice, agree=clock.agree)) as store:
        before = ask(url, "SELECT clock_timestamp()")[0][0]
        instant = store.write(lambda tx: tx.now)
        after = ask(url, "SELECT clock_timestamp()")[0][0]
    assert before < instant < after
    assert clock.now() < datetime(2031, 1, 1, tzinfo=UTC)


def test_what_the_server_said_before_this_node_was_paused_is_asked_anew(
    opened: Callable[..., PostgresStore], url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the clock would be behind by the whole pause, and leases that are over would be taken for valid."""
    heard: list[datetime] = []
    store = opened(agree=heard.append)
    answer_of = store._last_of

    resumed: list[datetime] = []

    def paused(statements: str) -> Any:
        answer = answer_of(statements)
        clock.advance(seconds=60)
        resumed.extend(when for (when,) in ask(url, "SELECT clock_timestamp()"))
        return answer

    monkeypatch.setattr(store, "_last_of", paused)
    for use in (store.write, store.read):
        resumed.clear()
        use(lambda _: None)
        assert heard.pop() > resumed[0]


# One writer at a time


def test_who_waits_for_too_long_for_another_writer_is_told(opened: Callable[..., PostgresStore]) -> None:
    holding, waiting = opened(), opened(limits=TimeLimits(lock_seconds=0.05))

    def hold(tx: Transaction) -> str:
        with pytest.raises(Unavailable, match="lock timeout"):
            waiting.write(create_key, "kept by nobody", Scope.READ)
        return create_key(tx, "kept", Scope.READ)

    holding.write(hold)
    assert names(waiting) == ["kept"]
    waiting.write(create_key, "now", Scope.READ)
    assert names(holding) == ["kept", "now"]


def test_who_is_paused_while_it_writes_holds_nobody_up_for_long_and_keeps_nothing(
    opened: Callable[..., PostgresStore],
) -> None:
    paused, other = opened(limits=TimeLimits(silence_seconds=0.05)), opened()

    def pause(tx: Transaction) -> None:
        create_key(tx, "of the paused one", Scope.READ)
        assert tx.keys.all()
        other.write(create_key, "of the other one", Scope.READ)  # returns when the server has ended our transaction

    with pytest.raises(Unavailable):
        paused.write(pause)
    assert names(other) == ["of the other one"]
    paused.write(create_key, "of the next one", Scope.READ)
    assert names(other) == ["of the other one", "of the next one"]


def test_an_order_of_commits_is_the_order_of_the_feed_however_many_write(
    opened: Callable[..., PostgresStore], clock: ManualClock
) -> None:
    stores = [opened() for _ in range(4)]

    def book_many(store: PostgresStore) -> None:
        for _ in range(10):
            store.write_group([Call(book_meeting, (details(),), {})] * 3)

    def follow() -> list[str]:
        """The feed as somebody reads it who remembers the last event seen."""
        seen: list[Any] = []
        reader = opened()
        while len(seen) < 120:
            seen += feed(reader, after=seen[-1].id if seen else None, limit=7)
        return [event.id for event in seen]

    with ThreadPoolExecutor(5) as threads:
        following = threads.submit(follow)
        list(threads.map(book_many, stores))
        seen = following.result()
    assert len(set(seen)) == 120
    assert seen == [event.id for event in feed(stores[0], after=None, limit=200)]


# Connections and servers go away


def test_a_connection_that_was_lost_between_two_commits_is_replaced_and_nobody_notices(
    store: PostgresStore, url: str
) -> None:
    store.write(create_key, "before", Scope.READ)
    disconnect_all(url)
    store.write(create_key, "after", Scope.READ)
    disconnect_all(url)
    assert names(store) == ["before", "after"]


def test_a_commit_whose_connection_is_lost_on_the_way_keeps_nothing_and_the_next_one_works(
    store: PostgresStore, url: str
) -> None:
    def lose(tx: Transaction) -> str:
        create_key(tx, "lost", Scope.READ)
        assert tx.keys.all()
        disconnect_all(url)
        return create_key(tx, "lost too", Scope.READ)

    with pytest.raises(Unavailable):
        store.write(lose)
    assert names(store) == []
    store.write(create_key, "kept", Scope.READ)
    assert names(store) == ["kept"]


def test_a_commit_that_nobody_confirmed_says_that_it_may_have_been_kept(store: PostgresStore, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("""
            CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); RETURN NULL; END $$
        """)
        connection.execute("""
            CREATE CONSTRAINT TRIGGER leave AFTER INSERT ON api_key DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION leave()
        """)
    with pytest.raises(Unavailable, match="may have been kept or not"):
        store.write(create_key, "in doubt", Scope.READ)
    with psycopg.connect(url) as connection:
        connection.execute("DROP FUNCTION leave() CASCADE")
    store.write(create_key, "kept", Scope.READ)
    assert names(store)[-1] == "kept"


def test_while_the_server_is_away_everybody_is_told_at_once_and_it_is_asked_ever_more_seldom(
    server: PostgresServer, clock: ManualClock, dice: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PostgresStore(server.new_database(), clock, dice)
    store.write(create_key, "before", Scope.READ)
    server.stop()
    tries: list[float] = []
    connect = psycopg.connect

    def counted(*args: Any, **more: Any) -> Any:
        tries.append(clock.monotonic())
        return connect(*args, **more)

    monkeypatch.setattr(psycopg, "connect", counted)
    for _ in range(600):
        for _ in range(2):
            with pytest.raises(Unavailable):
                store.write(create_key, "refused", Scope.READ)
        clock.advance(seconds=0.1)
    assert 10 <= len(tries) <= 40
    waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert waits[0] < 1 < max(waits) < 8
    server.start()
    clock.advance(seconds=8)
    store.write(create_key, "after", Scope.READ)
    assert names(store) == ["before", "after"]
    store.close()


def test_who_never_got_through_to_the_server_is_told_and_gets_through_later(
    server: PostgresServer, clock: ManualClock, dice: random.Random
) -> None:
    url = server.new_database()
    server.stop()
    with pytest.raises(Unavailable):
        PostgresStore(url, clock, dice)
    with closing(PostgresStore(url, clock, dice, read_only=True)) as reader:
        with pytest.raises(Unavailable):
            names(reader)
        server.start()
        clock.advance(seconds=1)
        assert names(reader) == []


def test_a_server_that_only_follows_another_is_as_good_as_none_until_it_is_promoted(
    server: PostgresServer, clock: ManualClock, dice: random.Random
) -> None:
    store = PostgresStore(server.new_database(), clock, dice)
    store.write(create_key, "before", Scope.READ)
    server.demote()
    for use in (lambda: store.write(create_key, "refused", Scope.READ), lambda: names(store)):
        clock.advance(seconds=8)
        with pytest.raises(Unavailable):
            use()
    server.promote()
    clock.advance(seconds=8)
    store.write(create_key, "after", Scope.READ)
    assert names(store) == ["before", "after"]
    store.close()


def test_a_pooler_that_leads_to_a_server_that_only_follows_makes_nothing_fail_for_good(
    server: PostgresServer, clock: ManualClock, dice: random.Random
) -> None:
    """The connection to the pooler stays, and so does whatever it was begun with."""
    url = server.new_database() + "&target_session_attrs=any"
    PostgresStore(url, clock, dice).close()
    server.demote()
    store = PostgresStore(url, clock, dice)
    with pytest.raises(Unavailable, match="during recovery"):
        store.write(create_key, "refused", Scope.READ)
    server.promote()
    store.write(create_key, "after", Scope.READ)
    assert names(store) == ["after"]
    store.close()


def test_a_server_that_crashes_loses_nothing_that_was_committed(
    clock: ManualClock, dice: random.Random, tmp_path: Path
) -> None:
    server = PostgresServer(fsync="on", full_page_writes="on")
    store = PostgresStore(server.new_database(), clock, dice)
    kept: list[str] = []
    for number in range(2):
        kept.append(f"before crash {number}")
        store.write(create_key, kept[-1], Scope.READ)
        server.stop("immediate")
        server.start()
        assert names(store) == kept
    store.close()
    server.close()


def test_webhooks_are_read_again_when_another_node_changed_one_and_only_then(
    opened: Callable[..., PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = opened(), opened()
    to = added(here)
    for store in (here, there):
        assert store.write(lambda tx: tx.webhooks.all()) == [to]
    asked: list[str] = []
    rows = PostgresSession.rows

    def noted(session: PostgresSession, sql: str, *more: Any) -> list[Any]:
        asked.append(sql)
        return rows(session, sql, *more)

    monkeypatch.setattr(PostgresSession, "rows", noted)
    for _ in range(3):
        for store in (here, there):
            owed(store, to)
            assert store.write(lambda tx: tx.webhooks.all()) == [to]
    assert ALL_WEBHOOKS not in asked
    streak = Streak(failing_since=to.created_at)
    there.write(lambda tx: tx.webhooks.note_streak(to.id, streak))
    assert here.write(lambda tx: tx.webhooks.webhook(to.id).failing_since) == to.created_at
    assert asked.count(ALL_WEBHOOKS) == 1

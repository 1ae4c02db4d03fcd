"""The parts by time in which PostgreSQL keeps events, settled deliveries and attempts: made ahead, dropped when old.

A part is a range of ids, which begin with the instant of birth. To drop one takes a moment, however much is in it, and
leaves nothing to be vacuumed; to forget its rows one by one takes a transaction for every few hundred. There are never
many parts, whatever the retention: each statement that is not about one id has to look into all of them.

Both are done in short transactions of their own, under the lock of who writes, and give up when somebody who reads is
in the way: then it is done an hour later. Until then nothing is lost: what no part was made for is in the part called
rest, and goes row by row.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import errors, sql

from hookline.adapters.sql.postgres_migrate import LOCK_SPACE
from hookline.adapters.sql.session import instant, micros
from hookline.domain.ids import ulid

DAY: Final = timedelta(days=1)
#: Of how many parts a retention is made: so much longer than asked for, at most, is kept what goes with its part.
PARTS: Final = 10
#: How many parts there are for the time to come, so that none may be made for so long.
_AHEAD: Final = 2
#: How long a part that could not be dropped waits for the next try before its rows go one by one.
PATIENCE: Final = DAY
#: By how much the parts of what is a batch's own begin and end before the others of their time: a batch begins with its
#: first event, so what is its own is there for as long as any event that was in it.
_GATHERED: Final = timedelta(hours=1)
#: Nobody waits longer than this for parts to be made or dropped, neither who reads nor who writes.
_LOCK_MS: Final = 250
_STATEMENT_MS: Final = 5_000
_WRITER_MS: Final = 10_000

BEGIN: Final = f"""
    BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    SET LOCAL statement_timeout = {_STATEMENT_MS + _WRITER_MS};
    SET LOCAL idle_in_transaction_session_timeout = {_STATEMENT_MS};
    SET LOCAL lock_timeout = {_WRITER_MS};
    SELECT pg_advisory_xact_lock({LOCK_SPACE}, 2);
    SET LOCAL statement_timeout = {_STATEMENT_MS};
    SET LOCAL lock_timeout = {_LOCK_MS};
"""
LATEST_UNTIL: Final = "SELECT MAX(until) FROM part"
KEEP_PART: Final = "INSERT INTO part (name, since, until) VALUES (%s, %s, %s)"
#: Rows come, are changed once at most, and go together; but the planner should hear of them soon.
MAKE_TABLE: Final = """
    CREATE TABLE {part} (LIKE {table} INCLUDING DEFAULTS)
        WITH (autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05)
"""
#: Unlike CREATE TABLE ... PARTITION OF, this lets others read and write meanwhile.
ATTACH: Final = "ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES FROM ({since}) TO ({until})"
IS_IN_REST: Final = "SELECT EXISTS (SELECT 1 FROM {rest} WHERE {key} >= {since} AND {key} < {until})"
OLD_PARTS: Final = "SELECT name, since, until FROM part WHERE until <= %s ORDER BY until"
#: An event that is owed has a row whose id begins as its own does; so has one in a batch, and so has the batch.
IS_OWED: Final = "SELECT EXISTS (SELECT 1 FROM delivery WHERE id >= {since} AND id < {until})"
DROP: Final = "DROP TABLE {parts}"
FORGET_PART: Final = "DELETE FROM part WHERE name = %s"
#: Where the parts begin whose rows do not go one by one.
FIRST_WHOLE: Final = "SELECT MIN(since) FROM part WHERE until > %s"

#: Somebody was in the way for longer than anybody should wait; or whoever owns the tables lets this user make none.
_IN_THE_WAY: Final = (errors.LockNotAvailable, errors.QueryCanceled, errors.InsufficientPrivilege)

_log = logging.getLogger("hookline.store")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Rows that are in parts: of which table, under what ids, and how a part of them is called."""

    table: str
    key: str
    prefix: str
    called: str
    earlier: timedelta = timedelta(0)

    def part(self, name: str) -> sql.Identifier:
        """The table of a part."""
        return sql.Identifier(f"{self.called}_{name}")

    def bounds(self, since: datetime, until: datetime) -> dict[str, sql.Literal]:
        """The ids of a part's time."""
        ends = {"since": since, "until": until}
        return {name: sql.Literal(self.prefix + ulid(end - self.earlier, 0)) for name, end in ends.items()}


_EVENTS: Final = _Kind(table="event", key="id", prefix="evt_", called="event")
_SETTLED: Final = _Kind(table="settled_delivery", key="id", prefix="dlv_", called="settled_delivery")
_ATTEMPTS: Final = _Kind(table="attempt", key="delivery_id", prefix="dlv_", called="attempt")
_ATTEMPTS_OF_BATCHES: Final = _Kind(
    table="attempt", key="delivery_id", prefix="batch_", called="attempt_of_batch", earlier=_GATHERED
)
_KINDS: Final = (_EVENTS, _SETTLED, _ATTEMPTS, _ATTEMPTS_OF_BATCHES)


def tend_parts(connection: psycopg.Connection, now: datetime, keep_for: timedelta) -> None:
    """Make the parts that will be needed, and drop those of which everything is older than `keep_for` and nothing owed.

    Raises:
        psycopg.Error: the database could not be used.
    """
    try:
        make_parts(connection, since=now, now=now, keep_for=keep_for)
        drop_parts(connection, before=now - keep_for)
    except _IN_THE_WAY as problem:
        _log.warning("parts.postponed error=%r", str(problem).strip().splitlines()[0])


def make_parts(connection: psycopg.Connection, *, since: datetime, now: datetime, keep_for: timedelta) -> None:
    """Have parts from the day of `since`, or from the end of the last one that there is, to some time after `now`."""
    length = part_length(keep_for)
    enough = now + _AHEAD * length
    while not _is_there_until(connection, enough):
        with _writing(connection):
            if not _is_there_until(connection, enough):  # no other node was quicker
                _make_next(connection, since, length)


def drop_parts(connection: psycopg.Connection, *, before: datetime) -> None:
    """Drop the parts that end before this instant, each in a transaction of its own, unless something in it is owed."""
    for name, since, until in connection.execute(OLD_PARTS, (micros(before),)).fetchall():
        with _writing(connection):
            if not _is_owed(connection, instant(since), instant(until)):
                parts = sql.SQL(", ").join(kind.part(name) for kind in _KINDS)
                if connection.execute(FORGET_PART, (name,)).rowcount:  # no other node was quicker
                    connection.execute(sql.SQL(DROP).format(parts=parts))
                    _log.info("parts.dropped part=%s", name)


def part_length(keep_for: timedelta) -> timedelta:
    """How much time a part is for: whole days, so that its name can be a date."""
    return max(DAY, keep_for // PARTS // DAY * DAY)


def rows_before(connection: psycopg.Connection | psycopg.Cursor[Any], wanted: datetime) -> datetime:
    """Before which instant old rows go one by one, when all before `wanted` are to go: those behind it are in parts
    that go as a whole, when all that is in them is old.
    """
    [(first_whole,)] = connection.execute(FIRST_WHOLE, (micros(wanted - PATIENCE),)).fetchall()
    return wanted if first_whole is None else min(wanted, instant(first_whole) - _GATHERED)


def _is_there_until(connection: psycopg.Connection, enough: datetime) -> bool:
    [(latest,)] = connection.execute(LATEST_UNTIL).fetchall()
    return latest is not None and instant(latest) >= enough


def _make_next(connection: psycopg.Connection, since: datetime, length: timedelta) -> None:
    [(latest,)] = connection.execute(LATEST_UNTIL).fetchall()
    start = since.replace(hour=0, minute=0, second=0, microsecond=0)
    start = start if latest is None else max(start, instant(latest))
    while _is_any_in_rest(connection, start, start + length):  # no part is made over what is there already
        start += DAY
    _make(connection, start, start + length)


def _is_any_in_rest(connection: psycopg.Connection, since: datetime, until: datetime) -> bool:
    return any(
        _is_so(
            connection,
            sql.SQL(IS_IN_REST).format(
                rest=sql.Identifier(f"{kind.table}_rest"), key=sql.Identifier(kind.key), **kind.bounds(since, until)
            ),
        )
        for kind in _KINDS
    )


def _is_owed(connection: psycopg.Connection, since: datetime, until: datetime) -> bool:
    kinds = (_SETTLED, _ATTEMPTS_OF_BATCHES)  # a delivery that is owed has the id that it has when it is settled
    return any(_is_so(connection, sql.SQL(IS_OWED).format(**kind.bounds(since, until))) for kind in kinds)


def _is_so(connection: psycopg.Connection, question: sql.Composed) -> bool:
    [(is_so,)] = connection.execute(question).fetchall()
    return bool(is_so)


def _make(connection: psycopg.Connection, since: datetime, until: datetime) -> None:
    name = f"{since:%Y%m%d}"
    for kind in _KINDS:
        names = {"table": sql.Identifier(kind.table), "part": kind.part(name)}
        connection.execute(sql.SQL(MAKE_TABLE).format(**names))
        connection.execute(sql.SQL(ATTACH).format(**names, **kind.bounds(since, until)))
    connection.execute(KEEP_PART, (name, micros(since), micros(until)))
    _log.info("parts.made part=%s until=%s", name, f"{until:%Y-%m-%d}")


@contextmanager
def _writing(connection: psycopg.Connection) -> Iterator[None]:
    """A short transaction as the one who writes."""
    try:
        connection.execute(BEGIN.encode())
        yield
    except BaseException:
        with suppress(psycopg.Error):  # a connection that is lost has lost its transaction too
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")

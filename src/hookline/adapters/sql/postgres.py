"""PostgreSQL: one connection that writes, others that read, and all that only PostgreSQL does.

The database has one writer at a time, as a SQLite file has: each commit begins by taking an advisory lock, so what a
function reads is so until its commit, on however many nodes such functions run. READ COMMITTED is enough then: each
statement sees all that was committed before the lock was had. Nothing belongs to a session (prepared statements, locks,
settings), so that a pooler may stand between. A node that is paused or cut off while it has the lock loses its
transaction to a time limit of the server, and with it the lock.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import psycopg

from hookline.adapters.sql.group import Answered, Call, every_body_fits, nobody_has_room, run_parts
from hookline.adapters.sql.postgres_bell import told_with
from hookline.adapters.sql.postgres_link import (
    CLOCK,
    OF_A_PART,
    Link,
    agree_on_now,
    as_unavailable,
    is_below_sql,
    met_another,
)
from hookline.adapters.sql.postgres_migrate import LOCK_SPACE, migrate_postgres
from hookline.adapters.sql.postgres_session import NotUndone, PostgresSession
from hookline.adapters.sql.session import Doings, Row, instant
from hookline.adapters.sql.transaction import SqlTransaction
from hookline.domain.deliveries import LEASE
from hookline.domain.ids import WebhookId
from hookline.errors import Unavailable
from hookline.ports.clock import Clock
from hookline.ports.storage import Fits

T = TypeVar("T")
P = ParamSpec("P")

LIMIT_TIME: Final = """
    SET LOCAL lock_timeout = {lock_ms};
    SET LOCAL statement_timeout = {statement_ms};
    SET LOCAL idle_in_transaction_session_timeout = {silence_ms};
"""
#: One way to the server: the last answer is that of the last statement, which sees what was committed before the lock.
BEGIN_WRITING: Final = f"""
    BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    {{settings}}
    SELECT pg_advisory_xact_lock({LOCK_SPACE}, 2);
    SELECT {CLOCK}, latest, webhook_version FROM writing;
"""
BEGIN_READING: Final = f"""
    BEGIN ISOLATION LEVEL REPEATABLE READ {{access}};
    {{settings}}
    SELECT {CLOCK};
"""
TAKE_OVER: Final = "UPDATE writing SET latest = %s"
NOTE_WEBHOOKS: Final = "UPDATE writing SET webhook_version = webhook_version + 1;"
#: How often a commit is begun again that met another one.
_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """What a transaction may take, by the server's clock."""

    lock_seconds: float = 10.0  # until the transactions before it have ended
    statement_seconds: float = 30.0  # for one statement
    silence_seconds: float = 5.0  # between two statements: how long a node that was paused can hold up the others

    @property
    def sql(self) -> str:
        """The statements that set them."""
        limits = {"lock": self.lock_seconds, "statement": self.statement_seconds, "silence": self.silence_seconds}
        return LIMIT_TIME.format(**{f"{name}_ms": int(seconds * 1000) for name, seconds in limits.items()})


def nobody_asks(_: datetime) -> None:
    """Who does not care what the server's clock says."""


TIME_LIMITS: Final = TimeLimits()


class PostgresStore:
    """One connection to a database. Not to be shared between threads that run at the same time."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        dice: random.Random,
        *,
        room: Callable[[WebhookId], int] = nobody_has_room,
        fits: Fits = every_body_fits,
        agree: Callable[[datetime], None] = nobody_asks,
        limits: TimeLimits = TIME_LIMITS,
        read_only: bool = False,
    ) -> None:
        """Connect to the database at `url`, and make or migrate its tables; if `read_only`, connect when first asked.

        `agree` is told what the server's clock says whenever a transaction begins, before anybody is asked for the
        instant.

        Raises:
            Unavailable: the server cannot be reached, or the database is no database of ours.
        """
        self._clock = clock
        self._agree = agree
        self._webhook_version = -1  # of the webhooks that are held
        self._limits_sql = limits.sql
        self._access = "READ ONLY" if read_only else "READ WRITE"
        self.id = dice.getrandbits(63)
        self._link = Link(url, clock, dice, purpose="read" if read_only else "write")
        self._session = PostgresSession(clock, dice)
        if not read_only:
            self._connect_and_migrate()
        self._tx = SqlTransaction(self._session, dice, room=room, fits=fits, lease=LEASE)

    @property
    def connection(self) -> psycopg.Connection:
        """The connection, for what is done to the database as a whole."""
        return self._link.connection

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def write(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one function in a transaction of its own."""
        [answered], _ = self.write_group([Call(function, args, kwargs)])
        result: T = answered.value()
        return result

    def read(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one function on one unchanging state of the database."""
        call = Call(function, args, kwargs)
        with as_unavailable():
            try:
                result: T = self._read(call, careful=False)
            except psycopg.DataError:
                result = self._read(call, careful=True)
        return result

    def write_group(self, calls: Sequence[Call]) -> tuple[list[Answered], Doings]:
        """Run many functions inside one commit; each that raises undoes only its own part.

        There are answers of the first functions only, and at least one, when these insert many rows. The others were
        not run.
        """
        try:
            with as_unavailable():
                return self._write_together(calls), self._session.doings
        except Unavailable as problem:
            return [Answered(error=problem) for _ in calls], Doings()

    def _connect_and_migrate(self) -> None:
        with as_unavailable():
            try:
                migrate_postgres(self._link.mend())
                self._use(self.connection)
            except BaseException:
                self._link.close()
                raise

    def _use(self, connection: psycopg.Connection) -> None:
        """Work on this connection, which was just made, from now on."""
        self._session.use(connection)
        settings = f"{self._limits_sql} {self._link.local_settings}"
        self._begin_writing_sql = BEGIN_WRITING.format(settings=settings)
        self._begin_reading_sql = BEGIN_READING.format(access=self._access, settings=settings)

    def _read(self, call: Call, *, careful: bool) -> Any:
        try:
            self._begin(lambda: self._begin_reading_sql)
            self._tx.forget_held()
            self._session.begin(careful=careful)
            return call.function(self._tx, *call.args, **call.kwargs)
        finally:
            self._roll_back()

    def _write_together(self, calls: Sequence[Call]) -> list[Answered]:
        """One commit, begun again with care when a part could not be undone, and again when it met another one."""
        careful, tries = False, 0
        while True:
            try:
                return self._try_to_write(calls, careful=careful)
            except (NotUndone, *OF_A_PART):
                if careful:
                    raise
                careful = True
            except psycopg.OperationalError as problem:
                tries += 1
                if tries == _TRIES or not met_another(problem):
                    raise

    def _try_to_write(self, calls: Sequence[Call], *, careful: bool) -> list[Answered]:
        try:
            self._begin_writing(careful=careful)
            answers = run_parts(calls, self._session, self._tx, is_below_sql)
            self._session.write_all()
        except BaseException:
            self._roll_back()
            raise
        self._commit()
        return answers

    def _begin_writing(self, *, careful: bool) -> None:
        _, latest, webhook_version = self._begin(lambda: self._begin_writing_sql)
        self._session.begin(careful=careful)
        if webhook_version != self._webhook_version:
            self._webhook_version = webhook_version
            self._tx.forget_held()
        if latest != self.id:  # another connection wrote since
            self._tx.forget_all_but_webhooks()
            self._tx.forget_bodies()
            self.connection.execute(TAKE_OVER, (self.id,))

    def _begin(self, statements: Callable[[], str]) -> Row:
        """Begin a transaction, on a new connection if the last was lost, and agree with the server on the time.

        `statements` are those that begin it on the present connection.
        """
        if not self._link.is_lost:
            try:
                return self._begin_here(statements())
            except psycopg.OperationalError:
                if not self._link.is_lost:  # it is alive, and could not
                    raise
        self._tx.forget_held()
        self._use(self._link.mend())
        return self._begin_here(statements())

    def _begin_here(self, statements: str) -> Row:
        """Begin a transaction. Returns the last answer."""
        asked_at = self._clock.now()
        [answer] = self._last_of(statements).fetchall()
        agree_on_now(self.connection, self._clock, self._agree, instant(answer[0]), asked_at)
        return answer

    def _last_of(self, statements: str) -> psycopg.Cursor[Row]:
        """Send several statements in one go. Returns what came of the last."""
        cursor = self.connection.execute(statements.encode())
        while cursor.nextset():
            pass
        return cursor

    def _roll_back(self) -> None:
        self._tx.forget_held()
        if not self._link.is_lost:  # a connection that is lost has lost its transaction too
            with suppress(psycopg.Error):
                self.connection.execute("ROLLBACK")

    def _commit(self) -> None:
        """Commit, and tell other nodes. When the answer does not come, nobody knows whether it was."""
        try:
            noted = NOTE_WEBHOOKS if self._session.wrote_webhooks else ""
            told = told_with(self._session.doings, self.id)
            outcome = self._last_of(f"{noted} {told} COMMIT").statusmessage
        except psycopg.Error as problem:
            self._tx.forget_held()
            raise Unavailable(
                "The database went away while it kept this, so it may have been kept or not.",
                hint="Ask again with the same Idempotency-Key; then it is done once.",
            ) from problem
        if outcome != "COMMIT":  # some statement failed, and whoever asked it did not mind
            self._tx.forget_held()
            raise NotUndone
        self._webhook_version += self._session.wrote_webhooks

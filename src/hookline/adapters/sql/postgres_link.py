"""The way to a PostgreSQL server: how a connection comes about, and how a lost one comes back.

Nobody is kept waiting while the server is away: whoever asks is told so at once, and only now and then somebody is the
one who tries. The waits grow, and differ from node to node, so that a server that is just up again is not run over.
"""

import logging
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

import psycopg
from psycopg import errors
from psycopg.conninfo import make_conninfo

from hookline.adapters.sql.postgres_settings import (
    connection_parameters,
    local_settings,
    require_usable,
    set_up_session,
)
from hookline.adapters.sql.session import instant
from hookline.adapters.sql.startup import Unreachable
from hookline.errors import Unavailable
from hookline.ports.clock import Clock

PROCESS_ID: Final = "SELECT pg_backend_pid()"
#: A statement is prepared when it has been asked so often.
_ASKED_BEFORE: Final = 3
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 5.0
#: After so many the wait is the longest. There may be thousands of failures, and no float holds two to that power.
_DOUBLINGS: Final = 6
#: What the server's clock says.
CLOCK: Final = "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT"
#: A word of the server's that was on its way for longer than this is late.
_LATE: Final = timedelta(seconds=1)
#: What the server says of one statement: the part that it belongs to is at fault, and no other.
OF_A_PART: Final = (
    psycopg.IntegrityError,
    psycopg.ProgrammingError,
    psycopg.DataError,
)
#: What it says when the database is not what we left: a table or a right was taken away.
_OTHER_DATABASE: Final = (errors.UndefinedTable, errors.UndefinedColumn, errors.InsufficientPrivilege)
#: SQLSTATEs of a server that will be back: the connection is lost, it stops or starts, it has too many clients.
_PASSING_STATES: Final = ("08", "57P", "53300")
#: What libpq says, without a SQLSTATE, of a connection that no second attempt will make. A server may say some of it in
#: another language: then it counts as passing, which costs a wait.
_PERMANENT_REFUSALS: Final = re.compile(
    r"password authentication failed|role \".*\" does not exist|database \".*\" does not exist|not permitted to log in"
    r"|no pg_hba\.conf entry|no password supplied|server does not support|certificate|invalid .*value"
    r"|definition of service|permission denied for database|is not currently accepting connections"
    r"|authentication method|unsupported startup"
)

_log = logging.getLogger("hookline.store")


class Link:
    """One connection, made when it is first needed, and another one when it is lost."""

    def __init__(self, url: str, clock: Clock, dice: random.Random, *, purpose: str = "store") -> None:
        """`purpose` names the connection in the log."""
        self._url = url
        self._purpose = purpose
        self._clock = clock
        self._dice = dice
        self._connection: psycopg.Connection | None = None
        self._failures = 0
        self._not_before = clock.monotonic()
        self._failing_since = clock.monotonic()  # while there are failures
        self.local_settings = ""  # what each transaction has to begin with

    @property
    def connection(self) -> psycopg.Connection:
        """The connection; there is one since the first `mend`."""
        assert self._connection is not None
        return self._connection

    @property
    def is_lost(self) -> bool:
        """Whether there is no connection of which anything can be asked."""
        return self._connection is None or self._connection.closed

    def mend(self) -> psycopg.Connection:
        """Connect anew.

        Raises:
            Unavailable: it is too soon after a try that failed, or the database cannot be used.
            psycopg.Error: it did not come about.
        """
        if self.seconds_to_wait() > 0:
            raise Unreachable("The database cannot be reached now.")
        had_one = self._connection is not None
        wait = min(_FIRST_WAIT_SECONDS * 2 ** min(self._failures, _DOUBLINGS), _LONGEST_WAIT_SECONDS)
        self._failures += 1
        self._not_before = self._clock.monotonic() + wait * (0.5 + self._dice.random())
        self.close()
        try:
            self._connection = connected(self._url)
            self.local_settings = local_settings(self._connection) if is_pooled(self._connection) else ""
        except (psycopg.Error, Unavailable) as problem:
            self._note_failure(problem)
            raise
        self._note_success(had_one=had_one)
        return self._connection

    def _note_failure(self, problem: Exception) -> None:
        """Log the first failure of several."""
        if self._failures == 1:
            self._failing_since = self._clock.monotonic()
            _log.warning("store.lost connection=%s error=%r", self._purpose, first_line(problem))

    def _note_success(self, *, had_one: bool) -> None:
        """Log that a lost connection was replaced, or that the database can be reached at last."""
        failed = self._failures > 1
        if failed or had_one:
            away_seconds = self._clock.monotonic() - self._failing_since if failed else 0.0
            _log.info("store.back connection=%s away_s=%.1f", self._purpose, away_seconds)
        self._failures = 0

    def seconds_to_wait(self) -> float:
        """How long until the next try may be made."""
        return self._not_before - self._clock.monotonic() if self._failures else 0.0

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()


def agree_on_now(
    connection: psycopg.Connection, clock: Clock, agree: Callable[[datetime], None], said: datetime, asked_at: datetime
) -> None:
    """Tell `agree` what the server's clock says, which was asked for at `asked_at` on our own.

    What was long on its way, since others were waited for or this node was paused, says nothing about now: a clock that
    is behind by a pause would take leases for valid that are over. Then the server is asked anew.
    """
    while clock.now() - asked_at > _LATE:
        asked_at = clock.now()
        [(micros,)] = connection.execute(f"SELECT {CLOCK}".encode()).fetchall()
        said = instant(micros)
    agree(said)


def connected(url: str) -> psycopg.Connection:
    """A new connection with our settings, on which transactions begin and end only when told to.

    Raises:
        psycopg.Error: it did not come about.
        Unusable: the server is too old, or the database has an encoding that loses text.
    """
    try:
        wanted = make_conninfo("", **connection_parameters(url))
        connection = psycopg.connect(wanted, autocommit=True, prepare_threshold=None)
    except psycopg.ProgrammingError as problem:  # an option has a value that makes no sense
        raise psycopg.OperationalError(str(problem)) from None
    try:
        _set_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: psycopg.Connection) -> None:
    require_usable(connection)
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    connection.read_only = False
    # Behind a pooler a statement could be prepared by one process of the server and asked of another, under a name that
    # means something else there. A pooler tells a process id of its own; only the server's own is the server's.
    [(process_id,)] = connection.execute(PROCESS_ID).fetchall()
    if process_id == connection.info.backend_pid:
        connection.prepare_threshold = _ASKED_BEFORE
        set_up_session(connection)


def is_pooled(connection: psycopg.Connection) -> bool:
    """Whether a pooler stands between here and the server, so that nothing may be left in the session."""
    return connection.prepare_threshold is None


def is_below_sql(problem: BaseException) -> bool:
    """Whether the server or the way to it failed, so that the whole commit is in doubt, not one statement of ours."""
    is_of_a_part = isinstance(problem, OF_A_PART) and not isinstance(problem, _OTHER_DATABASE)
    return isinstance(problem, psycopg.Error) and not is_of_a_part


def met_another(problem: BaseException) -> bool:
    """Whether a transaction only stood in the way of another one: run again, it may well succeed."""
    return isinstance(problem, errors.SerializationFailure | errors.DeadlockDetected)


def is_passing(problem: psycopg.Error) -> bool:
    """Whether the database may well be back in a moment: it starts, ends, fails over, or is full of clients."""
    if problem.sqlstate is not None:
        return problem.sqlstate.startswith(_PASSING_STATES)
    return isinstance(problem, psycopg.OperationalError) and not _PERMANENT_REFUSALS.search(str(problem))


def first_line(problem: Exception) -> str:
    """What went wrong, on one line. It never holds the password."""
    primary = problem.diag.message_primary if isinstance(problem, psycopg.Error) else None
    return (primary or str(problem) or type(problem).__name__).strip().splitlines()[0]


@contextmanager
def as_unavailable() -> Iterator[None]:
    """What PostgreSQL says below SQL, as a sentence for whoever asked. It never holds the password.

    Raises:
        Unreachable: the database is away, and may be back in a moment.
        Unavailable: it cannot be used for another reason.
    """
    try:
        yield
    except psycopg.Error as problem:
        if not is_below_sql(problem):
            raise
        kind = Unreachable if is_passing(problem) else Unavailable
        sentence = f"The database cannot be used now: {first_line(problem).rstrip('.')}."
        if problem.sqlstate is not None:
            raise kind(sentence) from problem
        # The driver's own words, of a connection that failed, name the server's address.
        raise kind("The database cannot be reached now.", for_operator=sentence) from problem

"""The way to a PostgreSQL server: how a connection comes about, and how a lost one comes back.

Nobody is kept waiting while the server is away: whoever asks is told so at once, and only now and then somebody is the
one who tries. The waits grow, and differ from node to node, so that a server that is just up again is not run over.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hookline.adapters.sql.session import instant
from hookline.errors import Unavailable
from hookline.ports.clock import Clock

#: What a connection may take to come about, and how soon a dead one is noticed. What the URL says goes before.
_CONNECTING: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "application_name": "hookline",
    # After a failover the address may lead to what is a standby now: that is as good as no server.
    "target_session_attrs": "primary",
}
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


class Link:
    """One connection, made when it is first needed, and another one when it is lost."""

    def __init__(self, url: str, clock: Clock, dice: random.Random) -> None:
        self._url = url
        self._clock = clock
        self._dice = dice
        self._connection: psycopg.Connection | None = None
        self._failures = 0
        self._not_before = clock.monotonic()

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
            Unavailable: it is too soon after a try that failed.
            psycopg.Error: it did not come about.
        """
        if self.seconds_to_wait() > 0:
            raise Unavailable("The database cannot be reached now.")
        wait = min(_FIRST_WAIT_SECONDS * 2 ** min(self._failures, _DOUBLINGS), _LONGEST_WAIT_SECONDS)
        self._failures += 1
        self._not_before = self._clock.monotonic() + wait * (0.5 + self._dice.random())
        self.close()
        self._connection = connected(self._url)
        self._failures = 0
        return self._connection

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


def is_understood(url: str) -> bool:
    """Whether this is a URL of a database that has a name. Whether there is one, only its server knows."""
    try:
        return bool(conninfo_to_dict(url).get("dbname"))
    except psycopg.ProgrammingError:
        return False


def connected(url: str) -> psycopg.Connection:
    """A new connection, on which transactions begin and end only when told to.

    Raises:
        psycopg.Error: it did not come about.
    """
    wanted = make_conninfo("", **{**_CONNECTING, **conninfo_to_dict(url)})
    try:
        connection = psycopg.connect(wanted, autocommit=True, prepare_threshold=None)
    except psycopg.ProgrammingError as problem:  # an option has a value that makes no sense
        raise psycopg.OperationalError(str(problem)) from None
    # Behind a pooler a statement could be prepared by one process of the server and asked of another, under a name that
    # means something else there. A pooler tells a process id of its own; only the server's own is the server's.
    [(process_id,)] = connection.execute(PROCESS_ID).fetchall()
    if process_id == connection.info.backend_pid:
        connection.prepare_threshold = _ASKED_BEFORE
    return connection


def is_below_sql(problem: BaseException) -> bool:
    """Whether the server or the way to it failed, so that the whole commit is in doubt, not one statement of ours."""
    is_of_a_part = isinstance(problem, OF_A_PART) and not isinstance(problem, _OTHER_DATABASE)
    return isinstance(problem, psycopg.Error) and not is_of_a_part


def met_another(problem: BaseException) -> bool:
    """Whether a transaction only stood in the way of another one: run again, it may well succeed."""
    return isinstance(problem, errors.SerializationFailure | errors.DeadlockDetected)


@contextmanager
def as_unavailable() -> Iterator[None]:
    """What PostgreSQL says below SQL, as a sentence for whoever asked. It never holds the password."""
    try:
        yield
    except psycopg.Error as problem:
        if not is_below_sql(problem):
            raise
        said = (problem.diag.message_primary or str(problem) or type(problem).__name__).strip().splitlines()[0]
        sentence = f"The database cannot be used now: {said.rstrip('.')}."
        if problem.sqlstate is not None:
            raise Unavailable(sentence) from problem
        # The driver's own words, of a connection that failed, name the server's address.
        raise Unavailable("The database cannot be reached now.", for_operator=sentence) from problem

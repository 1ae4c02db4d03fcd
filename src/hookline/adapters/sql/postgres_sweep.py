"""Sweeps the table of what is owed, since who looks for what is due has to step over every row that was.

A row that is claimed or settled leaves its place in the index, at the front, where the next look begins. The server's
own vacuum comes once a minute; at thousands of deliveries a second there are hundreds of thousands of such places by
then, and a look takes ten times as long. So nodes see to it themselves, in a thread beside all others: `VACUUM` keeps
nobody from reading or writing. Of several nodes one does it; the others find it done or under way.
"""

import logging
import os
import socket
import threading
from contextlib import suppress
from typing import Final

import psycopg

from hookline.adapters.sql.postgres_link import Link, as_unavailable
from hookline.errors import Unavailable

#: How often a node looks whether there is enough to be swept.
LOOK_SECONDS: Final = 5.0
#: How many rows have to be dead. Each sweep reads the indexes as a whole, so there are more where more is owed.
LEAST_DEAD: Final = 20_000
DEAD: Final = """
    SELECT n_dead_tup > %s + n_live_tup / 50 FROM pg_stat_user_tables WHERE relid = to_regclass('delivery')
"""
#: No lock is waited for, and none is taken that others would wait for.
SWEEP: Final = "VACUUM (SKIP_LOCKED, TRUNCATE FALSE, INDEX_CLEANUP ON, PARALLEL 0) delivery"

_log = logging.getLogger("hookline.store")


def sweep(connection: psycopg.Connection, least_dead: int) -> bool:
    """Sweep if it is worth it. Returns whether it was.

    Raises:
        psycopg.Error: the database could not be used.
    """
    is_worth_it = connection.execute(DEAD, (least_dead,)).fetchall() == [(True,)]
    if is_worth_it:
        connection.execute(SWEEP)
    return is_worth_it


class Sweeper:
    """Sweeps now and then, in a thread of its own."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._closing = threading.Event()
        self._ending = threading.Lock()
        self.thread = threading.Thread(target=self._sweep_until_closed, name="hookline-sweep", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self.thread.start()

    def close(self) -> None:
        """End at once, also when the server does not answer."""
        self._closing.set()
        with self._ending:
            if not self._link.is_lost:
                _cut(self._link.connection)

    def _sweep_until_closed(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            try:
                with as_unavailable():
                    sweep(self._link.mend() if self._link.is_lost else self._link.connection, LEAST_DEAD)
            except Unavailable as refusal:
                if not self._closing.is_set():
                    _log.warning("store.unswept error=%r", refusal.for_operator)
        with self._ending:
            self._link.close()


def _cut(connection: psycopg.Connection) -> None:
    """Have whoever waits for an answer on this connection find it lost."""
    with socket.socket(fileno=os.dup(connection.fileno())) as way, suppress(OSError):  # the server may have cut it
        way.shutdown(socket.SHUT_RDWR)

"""`ports.storage.Database` on PostgreSQL: the threads of `grouped.py`, one that hears what other nodes commit, and one
that sweeps.

A node has five connections: one that writes, two that read, one that listens, one that sweeps; and a sixth while parts
are made and dropped.
"""

import random
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta

from hookline.adapters.sql.group import Answered, Call
from hookline.adapters.sql.grouped import GroupedDatabase
from hookline.adapters.sql.postgres import TIME_LIMITS, PostgresStore, TimeLimits, nobody_asks
from hookline.adapters.sql.postgres_bell import Bell
from hookline.adapters.sql.postgres_link import Link, as_unavailable, connected
from hookline.adapters.sql.postgres_parts import tend_parts
from hookline.adapters.sql.postgres_sweep import Sweeper
from hookline.adapters.sql.session import Doings
from hookline.ports.clock import Clock


class PostgresDatabase(GroupedDatabase):
    """A PostgreSQL database that nodes share, for those who run on an event loop. `start` it on that loop."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        dice: random.Random,
        *,
        agree: Callable[[datetime], None] = nobody_asks,
        limits: TimeLimits = TIME_LIMITS,
    ) -> None:
        """`agree` hears what the server's clock says: `adapters.system_clock.ServerClock.agree`.

        Raises:
            Unavailable: the server cannot be reached, or the database is no database of ours.
        """
        super().__init__(lambda: PostgresStore(url, clock, dice, agree=agree, read_only=True))
        self._store = PostgresStore(url, clock, dice, room=self._room, fits=self._fits, agree=agree, limits=limits)
        self._opened.append(self._store)
        self._url = url
        self._clock = clock
        self._sweeper = Sweeper(Link(url, clock, dice, purpose="vacuum"))
        self._bell = Bell(
            Link(url, clock, dice, purpose="listen"),
            clock,
            self._store.id,
            ring=lambda news: self._loop.call_soon_threadsafe(self._tell_listener, news),
            agree=agree,
        )

    def start(self) -> None:
        """Begin to work for the running event loop."""
        super().start()
        self._bell.start()
        self._sweeper.start()

    async def tend(self, keep_for: timedelta) -> None:
        await self._loop.run_in_executor(None, self._tend, keep_for)

    def _tend(self, keep_for: timedelta) -> None:
        with as_unavailable(), closing(connected(self._url)) as connection:
            tend_parts(connection, self._clock.now(), keep_for)

    def _helpers(self) -> Sequence[threading.Thread]:
        self._bell.close()
        self._sweeper.close()
        return self._bell.thread, self._sweeper.thread

    def _write_group(self, calls: Sequence[Call]) -> tuple[list[Answered], Doings]:
        return self._store.write_group(calls)

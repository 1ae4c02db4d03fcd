"""`ports.storage.Database` on SQLite: the threads of `grouped.py`, and one that tidies the log.

Checkpoints run beside the writer on a connection of their own, so no commit waits for one.
"""

import logging
import random
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from hookline.adapters.sql import sqlite_file
from hookline.adapters.sql.group import Answered, Call
from hookline.adapters.sql.grouped import GroupedDatabase
from hookline.adapters.sql.session import Doings
from hookline.adapters.sql.sqlite import BUSY_TIMEOUT_SECONDS, SqliteStore
from hookline.errors import HooklineError, Unavailable
from hookline.ports.clock import Clock

#: Commits between two checkpoints, or rows that were written, if these are many.
_COMMITS_PER_CHECKPOINT: Final = 512
_ROWS_PER_CHECKPOINT: Final = 200_000
#: The size of the log from which on a checkpoint waits for readers to be out of the way.
_LOG_BYTES: Final = 64 * 1024 * 1024
#: How long that one waits for readers: no commit gets through meanwhile.
_PATIENCE_MS: Final = 100
#: When the log could not be emptied of somebody who was erased, since somebody reads: how long until the next try.
_EMPTY_AGAIN_SECONDS: Final = 1.0

CHECKPOINT: Final = "PRAGMA wal_checkpoint({mode})"

_log = logging.getLogger("hookline.store")


class SqliteDatabase(GroupedDatabase):
    """A SQLite file for those who run on an event loop. `start` it on that loop."""

    def __init__(
        self, path: Path, clock: Clock, dice: random.Random, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS
    ) -> None:
        super().__init__(lambda: SqliteStore(path, clock, dice, read_only=True))
        self._path = path
        self._clock = clock
        self._dice = dice
        self._store = SqliteStore(
            path, clock, dice, room=self._room, fits=self._fits, busy_timeout_seconds=busy_timeout_seconds
        )
        self._opened.append(self._store)
        self._commits = self._rows = 0  # commits since the last checkpoint, and rows written until then
        self._checkpoint_due = threading.Event()
        self._checkpoint_due.set()  # whoever was here before may have died again and again, and left a long log
        self._writing = threading.Lock()  # a checkpoint for which commits wait is waited for here, and not in SQLite
        self._log_holds_erased = threading.Event()
        self._is_marked_closed = True  # until it is started
        self._tidier = threading.Thread(target=self._checkpoint_now_and_then, name="hookline-tidy", daemon=True)

    def start(self) -> None:
        """Begin to work for the running event loop."""
        self._store.mark(sqlite_file.IN_USE)
        self._is_marked_closed = False
        self._identity = sqlite_file.Identity(self._path)
        super().start()
        self._tidier.start()

    async def close(self) -> None:
        """Commit what waits, close every connection, and say in the file that this was in order."""
        await super().close()
        if not self._is_marked_closed:  # the disk was full, and the log that has gone since made room
            try:
                with closing(SqliteStore(self._path, self._clock, self._dice)) as store:
                    store.mark(sqlite_file.CLOSED)
            except Unavailable as problem:
                _log.warning("store.not_marked_closed error=%r", problem.message)

    def _finish(self) -> None:
        with suppress(Unavailable, sqlite3.Error):
            self._store.mark(sqlite_file.CLOSED)
            self._is_marked_closed = True

    async def tend(self, keep_for: timedelta) -> None:
        """There is nothing to tend in a file."""

    def _helpers(self) -> Sequence[threading.Thread]:
        self._checkpoint_due.set()
        return (self._tidier,)

    def _write_group(self, calls: Sequence[Call]) -> tuple[list[Answered], Doings]:
        try:
            self._identity.require()
        except Unavailable as problem:
            return [Answered(error=problem) for _ in calls], Doings()
        with self._writing:
            answers, doings = self._store.write_group(calls)
            written = self._store.connection.total_changes
        self._commits += 1
        if doings.erased:
            self._log_holds_erased.set()
        is_much = self._commits >= _COMMITS_PER_CHECKPOINT or written - self._rows >= _ROWS_PER_CHECKPOINT
        if doings.erased or is_much:
            self._commits, self._rows = 0, written
            self._checkpoint_due.set()
        return answers, doings

    def _checkpoint_now_and_then(self) -> None:
        """Move the log into the file. Nobody waits for it, so a failure only means that the log is moved later."""
        try:
            store = SqliteStore(self._path, self._clock, self._dice)
        except HooklineError:
            _log.exception("store.checkpoints_off")
            return
        store.connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        log = sqlite_file.beside(self._path, "-wal")
        while not self._closing:
            self._checkpoint_due.wait(_EMPTY_AGAIN_SECONDS if self._log_holds_erased.is_set() else None)
            self._checkpoint_due.clear()
            try:
                self._checkpoint(store.connection, log)
            except (sqlite3.Error, OSError) as problem:
                _log.warning("store.checkpoint_failed error=%s", problem)
        store.close()

    def _checkpoint(self, connection: sqlite3.Connection, log: Path) -> None:
        """Move what can be moved beside the commits; then, if it must be, the rest, for which commits wait. A log that
        holds pages from before an erasure is emptied, and not only written over some day.
        """
        connection.execute(CHECKPOINT.format(mode="PASSIVE"))
        holds_erased = self._log_holds_erased.is_set()
        if holds_erased or log.stat().st_size > _LOG_BYTES:
            self._log_holds_erased.clear()
            with self._writing:
                [(is_busy, *_)] = connection.execute(CHECKPOINT.format(mode="TRUNCATE"))
                connection.execute(sqlite_file.MARK.format(mark=sqlite_file.IN_USE))  # an empty log counts as none
            if is_busy and holds_erased:
                self._log_holds_erased.set()

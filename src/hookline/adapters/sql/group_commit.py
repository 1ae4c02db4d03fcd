"""`ports.storage.Database` on SQLite: one thread that writes for everybody, two that read, one that tidies the log.

The writer takes all functions that wait (up to `GROUP`) into one commit, then tells everybody at once: one hop to the
event loop for the whole group. Checkpoints run beside it on a connection of their own, so no commit waits for one.
"""

import asyncio
import logging
import queue
import random
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from hookline.adapters.sql.group import Answered, Call
from hookline.adapters.sql.session import Doings
from hookline.adapters.sql.sqlite import BUSY_TIMEOUT_SECONDS, SqliteStore
from hookline.domain.ids import WebhookId
from hookline.errors import HooklineError, Unavailable
from hookline.ports.clock import Clock
from hookline.ports.storage import Listener, News

T = TypeVar("T")
P = ParamSpec("P")

#: Most functions in one commit: beyond it only the wait for the commit grows.
GROUP: Final = 128
_READERS: Final = 2
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
_Waiting = tuple[Call, "asyncio.Future[Any]"]


class SqliteDatabase:
    """A SQLite file for those who run on an event loop. `start` it on that loop."""

    def __init__(
        self, path: Path, clock: Clock, dice: random.Random, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS
    ) -> None:
        self._path = path
        self._clock = clock
        self._dice = dice
        self._listener: Listener | None = None
        self._store = SqliteStore(path, clock, dice, room=self._room, busy_timeout_seconds=busy_timeout_seconds)
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="hookline-read")
        self._reader = threading.local()
        self._opened: list[SqliteStore] = []
        self._writer = threading.Thread(target=self._write_for_all, name="hookline-write", daemon=True)
        self._checkpoint_due = threading.Event()
        self._writing = threading.Lock()  # a checkpoint for which commits wait is waited for here, and not in SQLite
        self._log_holds_erased = threading.Event()
        self._closing = False
        self._tidier = threading.Thread(target=self._checkpoint_now_and_then, name="hookline-tidy", daemon=True)

    def listen(self, listener: Listener) -> None:
        """Tell `listener` what every commit changed. To be called before `start`."""
        self._listener = listener

    def start(self) -> None:
        """Begin to work for the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._writer.start()
        self._tidier.start()

    async def close(self) -> None:
        """Commit what waits, then close every connection."""
        self._closing = True
        self._waiting.put(None)
        self._checkpoint_due.set()
        for thread in (self._writer, self._tidier):
            await self._loop.run_in_executor(None, thread.join)
        self._readers.shutdown()
        for store in (*self._opened, self._store):
            store.close()

    async def write(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `ports.storage.Database.write`."""
        if self._closing:
            raise Unavailable("The server is stopping.")
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.put((Call(function, args, kwargs), future))
        return await future

    async def read(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `ports.storage.Database.read`."""
        return await self._loop.run_in_executor(self._readers, lambda: self._reading(function, *args, **kwargs))

    def _room(self, webhook_id: WebhookId) -> int:
        return self._listener.room(webhook_id) if self._listener else 0

    def _reading(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        store: SqliteStore | None = getattr(self._reader, "store", None)
        if store is None:
            store = SqliteStore(self._path, self._clock, self._dice, read_only=True)
            self._reader.store = store
            self._opened.append(store)
        return store.read(function, *args, **kwargs)

    def _write_for_all(self) -> None:
        commits, rows, written = 0, 0, 0
        self._checkpoint_due.set()  # whoever was here before may have died again and again, and left a long log
        while group := self._next_group():
            try:
                with self._writing:
                    answers, doings = self._store.write_group([call for call, _ in group])
                    written = self._store.connection.total_changes
            except Exception as problem:  # noqa: BLE001  whoever waits must be told, whatever it was
                _log.exception("store.failed")
                answers, doings = [Answered(error=problem) for _ in group], Doings()
            self._loop.call_soon_threadsafe(self._tell, group, answers, doings)
            commits += 1
            if doings.erased:
                self._log_holds_erased.set()
            if doings.erased or commits >= _COMMITS_PER_CHECKPOINT or written - rows >= _ROWS_PER_CHECKPOINT:
                commits, rows = 0, written
                self._checkpoint_due.set()

    def _next_group(self) -> list[_Waiting]:
        """All that waits, at least one; nothing when the database is closing."""
        group: list[_Waiting] = []
        waiting = self._waiting.get()
        while waiting is not None:
            group.append(waiting)
            if len(group) == GROUP or self._waiting.empty():
                return group
            waiting = self._waiting.get()
        if group:
            self._waiting.put(None)  # the end comes after this group
        return group

    def _tell(self, group: list[_Waiting], answers: list[Answered], doings: Doings) -> None:
        news = News(
            claims=doings.claims,
            webhooks=doings.webhooks,
            owed=doings.owed,
            timers=doings.timers,
            processes=doings.processes,
            notices=doings.notices,
        )
        try:
            if self._listener is not None and news:
                self._listener.committed(news)
        finally:  # a mistake of the listener's is no reason to leave callers waiting
            for (_, future), answer in zip(group, answers, strict=True):
                if future.cancelled():
                    continue
                if answer.error is None:
                    future.set_result(answer.result)
                else:
                    future.set_exception(answer.error)

    def _checkpoint_now_and_then(self) -> None:
        """Move the log into the file. Nobody waits for it, so a failure only means that the log is moved later."""
        try:
            store = SqliteStore(self._path, self._clock, self._dice)
        except HooklineError:
            _log.exception("store.checkpoints_off")
            return
        store.connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        log = self._path.with_name(self._path.name + "-wal")
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
            if is_busy and holds_erased:
                self._log_holds_erased.set()

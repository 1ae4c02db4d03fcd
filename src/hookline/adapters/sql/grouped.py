"""`ports.storage.Database` for those who run on an event loop: one thread writes for everybody, two read.

The writer takes all functions that wait (up to `GROUP`) into one commit, then tells everybody at once: one hop to the
event loop for the whole group. What is done to which database meanwhile: `group_commit.py`, `postgres_database.py`.
"""

import asyncio
import logging
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from hookline.adapters.sql.group import Answered, Call
from hookline.adapters.sql.session import Doings
from hookline.domain.ids import WebhookId
from hookline.errors import Unavailable
from hookline.ports.storage import Listener, News

T = TypeVar("T")
P = ParamSpec("P")

#: Most functions in one commit: beyond it only the wait for the commit grows.
GROUP: Final = 128
_READERS: Final = 2

_log = logging.getLogger("hookline.store")
Waiting = tuple[Call, "asyncio.Future[Any]"]


class Store(Protocol):
    """What a database opens: one connection that writes, or one that reads."""

    def read(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one function on one unchanging state."""

    def close(self) -> None:
        """Close the connection."""


class GroupedDatabase(ABC):
    """The threads and the queue between callers and stores. `start` it on the event loop."""

    def __init__(self, open_reader: Callable[[], Store]) -> None:
        """`open_reader` opens a store that may change nothing; it is called in the thread that reads."""
        self._open_reader = open_reader
        self._listener: Listener | None = None
        self._waiting: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="hookline-read")
        self._reader = threading.local()
        self._opened: list[Store] = []
        self._writer = threading.Thread(target=self._write_for_all, name="hookline-write", daemon=True)
        self._closing = False
        self.refusals = 0  # see `ports.storage.Database.refusals`; only the thread that writes counts

    def listen(self, listener: Listener) -> None:
        """Tell `listener` what every commit changed. To be called before `start`."""
        self._listener = listener

    def start(self) -> None:
        """Begin to work for the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._writer.start()

    async def close(self) -> None:
        """Commit what waits, then close every connection."""
        self._closing = True
        self._waiting.put(None)
        for thread in (self._writer, *self._helpers()):
            await self._loop.run_in_executor(None, thread.join)
        self._readers.shutdown()
        self._finish()
        for store in self._opened:
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

    @abstractmethod
    async def tend(self, keep_for: timedelta) -> None:
        """See `ports.storage.Database.tend`."""

    def _finish(self) -> None:  # noqa: B027  most stores have nothing to do
        """Do what is done last, when nobody writes any more and every connection is still open."""

    def _helpers(self) -> Sequence[threading.Thread]:
        """The threads beside the writer, told to end."""
        return ()

    def _room(self, webhook_id: WebhookId) -> int:
        return self._listener.room(webhook_id) if self._listener else 0

    def _fits(self, webhook_id: WebhookId, size: int, for_it: int, in_all: int) -> bool:
        return self._listener is not None and self._listener.has_room_for(webhook_id, size, for_it, in_all)

    def _reading(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        store: Store | None = getattr(self._reader, "store", None)
        if store is None:
            store = self._open_reader()
            self._reader.store = store
            self._opened.append(store)
        return store.read(function, *args, **kwargs)

    def _write_for_all(self) -> None:
        left: list[Waiting] = []
        while group := self._next_group(left):
            try:
                answers, doings = self._write_group([call for call, _ in group])
            except Exception as problem:  # noqa: BLE001  whoever waits must be told, whatever it was
                _log.exception("store.failed")
                answers, doings = [Answered(error=problem) for _ in group], Doings()
            self.refusals += all(isinstance(answer.error, Unavailable) for answer in answers)
            group, left = group[: len(answers)], group[len(answers) :]
            self._loop.call_soon_threadsafe(self._tell, group, answers, doings)

    @abstractmethod
    def _write_group(self, calls: Sequence[Call]) -> tuple[list[Answered], Doings]:
        """One commit for all of these, or for the first of them. Called in the thread that writes."""

    def _next_group(self, left: list[Waiting]) -> list[Waiting]:
        """What the last commit left, then all that waits, at least one; nothing when the database is closing."""
        group = list(left)
        while len(group) < GROUP and not (group and self._waiting.empty()):
            waiting = self._waiting.get()
            if waiting is None:
                break
            group.append(waiting)
        else:
            return group
        if group:
            self._waiting.put(None)  # the end comes after this group
        return group

    def _tell(self, group: list[Waiting], answers: list[Answered], doings: Doings) -> None:
        news = News(
            claims=doings.claims,
            webhooks=doings.webhooks,
            owed=doings.owed,
            timers=doings.timers,
            processes=doings.processes,
            intake=doings.intake,
            connectors=doings.connectors,
            notices=doings.notices,
        )
        try:
            self._tell_listener(news)
        finally:  # a mistake of the listener's is no reason to leave callers waiting
            for (_, future), answer in zip(group, answers, strict=True):
                if future.cancelled():
                    continue
                if answer.error is None:
                    future.set_result(answer.result)
                else:
                    future.set_exception(answer.error)

    def _tell_listener(self, news: News) -> None:
        if self._listener is not None and news:
            self._listener.committed(news)

"""The whole engine on a real store in a temporary file, under a manual clock, with a scripted far side."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import psycopg

from hookline.adapters.sql.group import nobody_has_room
from hookline.adapters.sql.group_commit import SqliteDatabase
from hookline.adapters.sql.grouped import GroupedDatabase
from hookline.adapters.sql.postgres import BEGIN_WRITING, TIME_LIMITS, TimeLimits
from hookline.adapters.sql.postgres_database import PostgresDatabase
from hookline.bootstrap.engine import Engine
from hookline.domain.deliveries import LEASE, Delivery, State
from hookline.domain.webhooks import Webhook
from hookline.ports.sender import Post
from hookline.ports.storage import DeliveryFilter
from hookline.services import deliveries
from hookline.services.calls import report_calls
from hookline.services.webhooks import create_webhook
from hookline.settings import ALL_ROLES, Role
from tests.contract.stores import STORES, Store, database_of
from tests.fakes import ManualClock, Reply, Replying, ScriptedSender, turn
from tests.values import LIMITS, call_payload, wanted

T = TypeVar("T")
P = ParamSpec("P")

KEEP_FOR: Final = timedelta(days=30)
#: More turns of the event loop than any chain of steps here needs to come to its next wait.
_TURNS: Final = 30


class WatchedDatabase(GroupedDatabase):
    """How often a database was asked, and whether it still works on an answer."""

    asked = 0
    tended: list[timedelta]  # for how long everything is to be kept, each time
    _under_way = 0
    _answered: asyncio.Event

    async def write(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._noted():
            return await super().write(function, *args, **kwargs)

    async def read(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._noted():
            return await super().read(function, *args, **kwargs)

    async def answered(self) -> bool:
        """Whether an answer had to be waited for. The event loop blocks meanwhile instead of taking turns, for which it
        would take the interpreter's lock from the database's thread.
        """
        if not self._under_way:
            return False
        self._answered.clear()
        await self._answered.wait()
        return True

    @contextmanager
    def _noted(self) -> Iterator[None]:
        self.asked += 1
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._answered.set()

    async def tend(self, keep_for: timedelta) -> None:
        """Only noted: a manual clock passes days in no time, and who writes would find the lock taken at any moment."""
        self.tended.append(keep_for)


class WatchedSqlite(WatchedDatabase, SqliteDatabase):
    """SQLite, in which nobody waits for anybody."""

    def __init__(self, folder: Path, clock: ManualClock, dice: random.Random, lock_seconds: float) -> None:
        del lock_seconds
        super().__init__(folder / "hookline.db", clock, dice, busy_timeout_seconds=0)
        self.tended, self._answered = [], asyncio.Event()


class WatchedPostgres(WatchedDatabase, PostgresDatabase):
    """PostgreSQL with one node, which listens to no other: real time would decide when it looks by itself."""

    def __init__(self, folder: Path, clock: ManualClock, dice: random.Random, lock_seconds: float) -> None:
        super().__init__(database_of(folder), clock, dice, limits=TimeLimits(lock_seconds=lock_seconds))
        self.tended, self._answered = [], asyncio.Event()

    def start(self) -> None:
        GroupedDatabase.start(self)

    def _helpers(self) -> Sequence[Thread]:
        return ()


DATABASES: Final = {"sqlite": WatchedSqlite, "postgres": WatchedPostgres}


async def idle(*databases: WatchedDatabase, turns: int = _TURNS) -> None:
    """Until every loop sleeps that uses these, and nothing but the clock or the far side can wake one."""
    still = 0
    while still < turns:
        waited = [await database.answered() for database in databases]
        still = 0 if any(waited) else still + 1
        await turn()


@dataclass
class House:
    """A running engine, and what a test does with it."""

    clock: ManualClock
    sender: ScriptedSender
    database: WatchedDatabase
    engine: Engine

    @property
    def posts(self) -> list[Post]:
        """Every request so far."""
        return self.sender.posts

    async def idle(self) -> None:
        """Until every loop sleeps and nothing but the clock or the far side can wake one."""
        await idle(self.database)

    async def go_to(self, instant: datetime) -> None:
        """Let time pass until then, and everything happen that is due."""
        self.clock.advance(seconds=(instant - self.clock.now()).total_seconds())
        await self.idle()

    async def pass_by(self, **span: float) -> None:
        """Let time pass, and everything happen that is due."""
        await self.go_to(self.clock.now() + timedelta(**span))

    async def write(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something, and wait for all that follows from it now."""
        result = await self.database.write(function, *args, **kwargs)
        await self.idle()
        return result

    async def new_webhook(self, url: str = "https://receiver.example/hook", **changes: Any) -> Webhook:
        """A webhook as its owner makes it."""
        return await self.write(create_webhook, wanted(url, **changes), LIMITS)

    async def calls(self, count: int = 1) -> None:
        """So many calls are over."""
        await self.write(report_calls, [call_payload()] * count)

    async def record(self, **asked: Any) -> Sequence[Delivery]:
        """Every delivery, the oldest first."""
        page = await self.database.read(deliveries.list_deliveries, DeliveryFilter(**asked), limit=100_000, cursor=None)
        return page.items[::-1]

    async def states(self) -> list[State]:
        """The states of all deliveries, the oldest first."""
        return [each.status for each in await self.record()]

    async def only(self) -> Delivery:
        """The one delivery there is."""
        [delivery] = await self.record()
        return delivery


@dataclass
class Street:
    """Where houses are opened, one after the other, on the same database."""

    folder: Path
    clock: ManualClock
    dice: random.Random
    store: str  # one of STORES
    replying: Replying = lambda _: Reply()
    lock_seconds: float = 0.02  # how long a house waits for another one that writes

    @asynccontextmanager
    async def house(self, *, stop: bool = True, roles: frozenset[Role] = ALL_ROLES) -> AsyncIterator[House]:
        """Start as the server does, and stop as it does; without `stop`, die as a process does that is killed."""
        database = DATABASES[self.store](self.folder, self.clock, self.dice, self.lock_seconds)
        sender = ScriptedSender(self.clock, self._reply)
        real_clock: Any = self.clock
        real_sender: Any = sender
        engine = Engine(database, real_sender, real_clock, KEEP_FOR, roles)
        database.listen(engine)
        database.start()
        house = House(self.clock, sender, database, engine)
        if self.store == "sqlite":
            await house.write(deliveries.recover)
        engine.start()
        await house.idle()
        try:
            yield house
            if stop:
                await engine.stop()
        finally:
            await engine._supervisor.stop()
            await database.close()

    async def take_over(self, house: House) -> None:
        """Until what a killed house held is due again: at once on SQLite, where the next one knows that it is alone;
        when the leases end where others may deliver too.
        """
        if self.store == "postgres":
            await house.pass_by(seconds=LEASE.total_seconds())

    def open_store(self) -> Store:
        """The database, opened beside a house."""
        return STORES[self.store](self.folder, self.clock, self.dice, nobody_has_room)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Somebody else writes, and does not end."""
        with closing(self._other_connection()) as other:
            other.execute(
                "BEGIN EXCLUSIVE" if self.store == "sqlite" else BEGIN_WRITING.format(settings=TIME_LIMITS.sql).encode()
            )
            yield
            other.execute("ROLLBACK")

    def _other_connection(self) -> Any:
        if self.store == "sqlite":
            return sqlite3.connect(self.folder / "hookline.db", isolation_level=None)
        return psycopg.connect(database_of(self.folder), autocommit=True)

    def _reply(self, post: Post) -> Reply | None:
        """As the script of this moment says."""
        return self.replying(post)


def always(status: int, *headers: tuple[str, str]) -> Replying:
    """A receiver that answers everything the same way."""
    return lambda _: Reply(status=status, headers=headers)


def hanging(_: Post) -> None:
    """A receiver that takes requests and never answers."""


def silent(_: Post) -> Reply:
    """A host that nobody reaches."""
    return Reply(status=None, error="Nobody listens there.")

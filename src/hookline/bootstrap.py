"""Settings become running parts. The only file that names concrete adapters."""

import asyncio
import gc
import logging
import random
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from hookline.adapters import descriptors
from hookline.adapters.address_guard import AddressGuard
from hookline.adapters.descriptors import Shares, Shortage
from hookline.adapters.http_sender import HttpSender
from hookline.adapters.http_server import Server as Server  # noqa: PLC0414  the command line has it from here
from hookline.adapters.sql import copying, sqlite_file
from hookline.adapters.sql.group import every_body_fits, nobody_has_room
from hookline.adapters.sql.grouped import GroupedDatabase
from hookline.adapters.sql.health import Health
from hookline.adapters.sql.places import Place, SqlitePlace
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.adapters.sql.startup import STARTUP_SECONDS, retry_while_unreachable
from hookline.adapters.system_clock import SystemClock
from hookline.api.access import Access
from hookline.api.admission import Admission
from hookline.api.app import IS_READY, IS_UP, Api, NoApi
from hookline.api.intake import Intake as IntakeDoor
from hookline.api.listening import Listening
from hookline.api.site import Site
from hookline.connectors.aircall import Aircall
from hookline.connectors.asterisk import Asterisk, looking
from hookline.connectors.asterisk.looking import Seen
from hookline.connectors.asterisk.settings import read_settings
from hookline.connectors.dialpad import Dialpad
from hookline.connectors.freeswitch import FreeSwitch
from hookline.connectors.freeswitch import looking as freeswitch_looking
from hookline.connectors.freeswitch import settings as freeswitch_settings
from hookline.connectors.plivo import Plivo
from hookline.connectors.ringover import Ringover
from hookline.connectors.telnyx import Telnyx
from hookline.connectors.three_cx import ThreeCx
from hookline.connectors.twilio import Twilio
from hookline.connectors.vonage import Vonage
from hookline.domain.numbers import load_numbering_plans
from hookline.engine import notices
from hookline.engine.chores import Chores
from hookline.engine.clock_watch import ClockWatch
from hookline.engine.connections import Connections
from hookline.engine.dispatcher import Dispatcher
from hookline.engine.intake import Intake
from hookline.engine.lanes import CONCURRENCY
from hookline.engine.notifier import Notifier
from hookline.engine.processes import Processes
from hookline.engine.scheduler import Scheduler
from hookline.engine.store_probe import StoreProbe
from hookline.engine.supervisor import Loop, Supervisor
from hookline.errors import Invalid, Unavailable
from hookline.ports.clock import Clock
from hookline.ports.connectors import Called, Connector, Held
from hookline.ports.sender import Sender
from hookline.ports.storage import News
from hookline.services import deliveries
from hookline.services.webhooks import Limits
from hookline.settings import ALL_ROLES, PostgresUrl, Role, Settings, WrongSetting

if TYPE_CHECKING:
    from hookline.adapters.sql.postgres import PostgresStore

_log = logging.getLogger("hookline.store")

#: How long open requests may take to end when the server is told to stop.
GRACE_SECONDS: Final = 10
#: How long an idle client keeps its connection: longer than the 60 s after which most proxies close theirs.
KEEP_ALIVE_SECONDS: Final = 75
#: Several webhooks may lead to one host, each with attempts of its own under way.
CONNECTIONS_PER_HOST: Final = 2 * CONCURRENCY
#: Who copies between two of a kind.
_OF_ONE_KIND: Final = {
    "SQLite": "`hookline backup` copies a SQLite file.",
    "PostgreSQL": "pg_dump and pg_restore copy a PostgreSQL database.",
}


def system_clock() -> Clock:
    """The real clock."""
    return SystemClock()


def connector_kinds(clock: Clock, dice: random.Random) -> Mapping[str, Connector]:
    """Every kind of connector, by its name."""
    kinds: tuple[Connector, ...] = (
        Asterisk(clock, dice.random),
        FreeSwitch(clock, dice.random),
        Aircall(),
        Dialpad(),
        Ringover(),
        ThreeCx(),
        Twilio(),
        Telnyx(),
        Vonage(),
        Plivo(),
    )
    return {kind.kind: kind for kind in kinds}


async def look_at_asterisk(settings: Mapping[str, Any]) -> Seen:
    """What an Asterisk lets us see; see `connectors.asterisk.looking`."""
    return await looking.look(read_settings(settings), system_clock())


async def look_at_freeswitch(settings: Mapping[str, Any]) -> freeswitch_looking.Seen:
    """What a FreeSWITCH lets us see; see `connectors.freeswitch.looking`."""
    return await freeswitch_looking.look(freeswitch_settings.read_settings(settings), system_clock())


class Dice(random.Random):
    """Quick dice for ids, tokens and jitter, begun from the system's; what nobody may guess is the system's own."""

    def __init__(self) -> None:
        super().__init__(secrets.randbits(256))

    def randbytes(self, n: int) -> bytes:
        """Bytes that nobody can guess."""
        return secrets.token_bytes(n)  # noqa: TID251  this is the home of the dice


class Engine:
    """The loops of one process, and the store's listener. Which loops there are, its roles say."""

    def __init__(
        self,
        database: GroupedDatabase,
        sender: HttpSender,
        clock: SystemClock,
        keep_for: timedelta,
        roles: frozenset[Role] = ALL_ROLES,
        kinds: Mapping[str, Connector] = MappingProxyType({}),
    ) -> None:
        self._dispatcher = Dispatcher(database, sender, clock) if Role.DELIVER in roles else None
        loops: dict[str, Loop] = {}
        self._hearing: list[Callable[[News], None]] = [notices.tell]
        if self._dispatcher is not None:
            loops |= {"claims": self._dispatcher.claim_forever, "outcomes": self._dispatcher.settle_forever}
            self._hearing.append(self._dispatcher.committed)
        if Role.TIMERS in roles:
            loops |= self._timed(database, sender, clock, keep_for)
        held = {name: kind for name, kind in kinds.items() if isinstance(kind, Held)}
        self._connections = Connections(database, clock, held) if held and Role.TIMERS in roles else None
        if self._connections is not None:
            loops["connections"] = self._connections.hold_forever
            self._hearing.append(self._connections.committed)
        self._supervisor = Supervisor(clock, loops)
        self.room = self._dispatcher.room if self._dispatcher is not None else nobody_has_room
        self.has_room_for = self._dispatcher.has_room_for if self._dispatcher is not None else every_body_fits
        self.failing = self._supervisor.failing
        self.start = self._supervisor.start

    def _timed(
        self, database: GroupedDatabase, sender: HttpSender, clock: SystemClock, keep_for: timedelta
    ) -> Mapping[str, Loop]:
        """The loops that do what its time has come for."""
        scheduler = Scheduler(database, clock)
        processes = Processes(database, clock)
        notifier = Notifier(database, sender, clock)
        intake = Intake(database, clock)
        self._hearing += [scheduler.committed, processes.committed, notifier.committed, intake.committed]
        return {
            "timers": scheduler.fire_forever,
            "processes": processes.step_forever,
            "notifications": notifier.tell_forever,
            "intake": intake.settle_forever,
            "clock": ClockWatch(database, clock).watch_forever,
            "chores": Chores(database, clock, keep_for).tidy_forever,
        }

    def committed(self, news: News) -> None:
        """See `ports.storage.Listener.committed`."""
        for hear in self._hearing:
            hear(news)

    def close(self) -> None:
        """Take nothing more to send; see `engine.dispatcher`."""
        if self._dispatcher is not None:
            self._dispatcher.close()

    async def stop(self) -> None:
        """Begin nothing new, and let what is being sent end."""
        await self._supervisor.stop(
            "connections", "claims", "timers", "processes", "notifications", "intake", "clock", "chores"
        )
        if self._connections is not None:
            await self._connections.stop()
        if self._dispatcher is not None:
            await self._dispatcher.stop()
        await self._supervisor.stop()


def place_of(settings: Settings) -> Place:
    """Where everything is kept."""
    return place_at(settings.database)


def place_at(where: Path | PostgresUrl) -> Place:
    """A database by its setting."""
    if isinstance(where, Path):
        return SqlitePlace(sqlite_file.resolved(where))
    from hookline.adapters.sql.postgres_place import PostgresPlace  # noqa: PLC0415  see `adapters.sql.places`

    return PostgresPlace(where.url)


def migrate(
    settings: Settings, patience_seconds: float = STARTUP_SECONDS, *, without_log: bool = False
) -> tuple[list[int], int]:
    """Bring the database to the schema of this version. Returns the migrations applied, and the schema it has now.

    A server that cannot be reached is tried again for `patience_seconds`. `without_log` goes on with a SQLite file
    whose log is missing, without what was in the log.

    Raises:
        Invalid: `without_log`, and the database is no SQLite file.
        Unavailable: the database cannot be used, is of a later version, or is in the hands of a server.
    """

    async def attempt() -> tuple[list[int], int]:
        return _migrate_once(settings, without_log=without_log)

    retry = partial(retry_while_unreachable, clock=SystemClock(), patience_seconds=patience_seconds)
    return asyncio.run(retry(attempt, step="migration"))


def _migrate_once(settings: Settings, *, without_log: bool) -> tuple[list[int], int]:
    place = place_of(settings)
    if without_log:
        if not isinstance(place, SqlitePlace):
            raise Invalid("--without-log is for a SQLite file; the database is none.")
        place = replace(place, without_log=True)
    before, latest = place.schema(), place.latest_schema()
    if before != latest or without_log:
        _require_servable(place)
        with place.only_server(), place.side(place.clock(), Dice()):
            pass  # to open it is to migrate it
    return list(range(before + 1, latest + 1)), max(before, latest)


def back_up(settings: Settings, to: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the database while a server may be using it; see `adapters.sql.places`."""
    place_of(settings).back_up(to, progress)


def copy(source: Place, target: Place, keep_for: timedelta, progress: copying.Progress) -> dict[str, int]:
    """Carry everything from the one database into the other, or go on with that; see `adapters.sql.copying`.

    Events are kept for `keep_for` there. Returns how many rows of each table there are.

    Raises:
        Invalid: they are of one kind, the target is not empty, or the source was moved elsewhere.
        Unavailable: one of them cannot be used, is in the hands of a server, or has another schema.
    """
    if source.kind == target.kind:
        raise Invalid(f"{source} and {target} are both {source.kind}.", hint=_OF_ONE_KIND[source.kind])
    _require_schema(source, source.latest_schema())
    _require_schema(target, 0, target.latest_schema())
    if copying.is_done(source.marks(), target.marks()):
        with source.only_server(), source.side(source.clock(), Dice()) as there:
            return copying.finish(there)
    with (
        source.only_server(),
        target.only_server(),
        source.side(source.clock(), Dice()) as there,
        target.side(target.clock(), Dice()) as here,
    ):
        new_id, now = Dice().randbytes(16).hex(), system_clock().now()
        return copying.copy(there, here, new_id=new_id, now=now, keep_for=keep_for, progress=progress)


def undo_copy(source: Place) -> str:
    """Let a database be served again from which everything was copied. Returns where it was copied to.

    Raises:
        Invalid: it was not.
        Unavailable: it cannot be used, or a copy is under way.
    """
    _require_schema(source, source.latest_schema())
    with source.only_server(), source.side(source.clock(), Dice()) as there:
        return copying.undo(there).other


def _require_schema(place: Place, *wanted: int) -> None:
    schema = place.schema()
    if schema in wanted:
        return
    if schema == 0:
        raise Unavailable(f"There is nothing of ours in {place}.", hint="Is it spelt rightly?")
    raise Unavailable(
        f"{place} has schema {schema}; this version has {place.latest_schema()}.",
        hint="Migrate it first: call `hookline migrate` with HOOKLINE_DATABASE set to it."
        if schema < place.latest_schema()
        else "Use the version that made it, or a later one.",
    )


def _require_servable(place: Place) -> None:
    """Refuse a database that was moved elsewhere, or into which a copy is not complete."""
    problem = place.marks().refusal(str(place))
    if problem is not None:
        raise problem


def _look_before_serving(place: Place) -> None:
    """See `_require_servable`. Logs also what the operator should change."""
    _require_servable(place)
    for concern in place.concerns():
        _log.warning("store.concern grade=%s says=%r", concern.grade, concern.says)


def look_into(settings: Settings) -> Health:
    """How the database is; see `adapters.sql.places`."""
    return place_of(settings).look_into()


@asynccontextmanager
async def open_sender(settings: Settings) -> AsyncIterator[Sender]:
    """A sender of its own, for a command that needs no server."""
    sender = HttpSender(SystemClock(), AddressGuard(settings.allowed_networks))
    try:
        yield sender
    finally:
        await sender.close()


@asynccontextmanager
async def running(
    settings: Settings,
    patience_seconds: float = STARTUP_SECONDS,
    *,
    connections_of_sender: int = 1000,
    shortage: Shortage | None = None,
) -> AsyncIterator[tuple[Site, Engine]]:
    """Everything but the listening socket. Each step waits for a database that is away, `patience_seconds` at most."""
    load_numbering_plans()
    place, dice = place_of(settings), Dice()
    clock = place.clock()
    kinds = connector_kinds(clock, dice)
    retry = partial(retry_while_unreachable, clock=clock, patience_seconds=patience_seconds)
    with place.only_server():
        database = await retry(partial(_open_database, place, clock, dice), step="database")
        sender = HttpSender(
            clock,
            AddressGuard(settings.allowed_networks),
            connections_per_origin=CONNECTIONS_PER_HOST,
            connections_in_all=connections_of_sender,
            shortage=shortage,
        )
        keep_for = timedelta(days=settings.retention_days)
        engine = Engine(database, sender, clock, keep_for, settings.roles, kinds)
        database.listen(engine)
        database.start()
        try:
            # Once we are seen there: a copy that has begun since will find us.
            await retry(partial(asyncio.to_thread, _look_before_serving, place), step="copy_marks")
            if place.file is not None:  # this process is the only one that delivers: whoever held anything is dead
                await database.write(deliveries.recover)
            await retry(partial(database.tend, keep_for), step="partitions")  # before there is anything to keep
            engine.start()
            limits = Limits(
                max_webhooks=settings.max_webhooks,
                allowed_networks=settings.allowed_networks,
                keep_for=keep_for,
                public_url=settings.public_url,
            )
            access = Access(database, clock, settings.api_key)
            api = Api(database, access, limits, kinds) if Role.API in settings.roles else NoApi()
            called = {name: kind for name, kind in kinds.items() if isinstance(kind, Called)}
            intake = IntakeDoor(database, clock, called, settings.public_url)
            site = Site(
                api,
                intake,
                database,
                engine.failing,
                store_problem=StoreProbe(database, clock).problem,
                sender_problem=sender.problem,
                public_url=settings.public_url,
            )
            yield site, engine
            await engine.stop()
        finally:
            await database.close()
            await sender.close()


async def _open_database(place: Place, clock: SystemClock, dice: random.Random) -> GroupedDatabase:
    """The database, not started. A server of databases is asked in a thread, so that Ctrl-C ends the wait."""
    if place.file is not None:
        return place.database(clock, dice)
    return await asyncio.to_thread(place.database, clock, dice)


async def serve(
    settings: Settings,
    ready: Callable[[str], None],
    stopping: Callable[[], None],
    patience_seconds: float = STARTUP_SECONDS,
) -> None:
    """Serve until SIGTERM or SIGINT, then end without losing or repeating anything.

    A server of databases that cannot be reached is waited for, `patience_seconds` at most.
    `ready` is called with the server's own URL once it listens, `stopping` when nothing new is begun any more.
    """
    listening = listening_on(settings.host, settings.port)
    _collect_garbage_seldom()
    limit = descriptors.raise_limit()
    shares = descriptors.shares_of(limit)
    max_connections = _connections_of_clients(settings.max_connections, shares, limit)
    host, port = listening.getsockname()[:2]
    shortage = Shortage(SystemClock())
    running_server = running(settings, patience_seconds, connections_of_sender=shares.sender, shortage=shortage)
    async with running_server as (site, engine):
        admission = Admission(SystemClock(), max_connections, status_paths=frozenset((IS_UP, IS_READY)))
        server = Server(
            uvicorn.Config(
                site,
                http=partial(Listening, site.api, SystemClock(), admission),  # type: ignore[arg-type]  # it calls it as it would a class
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            ),
            lambda: ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"),
            has_room=admission.has_room,
            shortage=shortage,
        )

        def leave() -> None:
            engine.close()  # now, not when the open requests have ended
            server.leave()
            stopping()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, leave)
        await server.serve([listening])


def _collect_garbage_seldom() -> None:
    """Hardly anything here forms cycles, and looking for them at Python's own pace costs every request something."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _connections_of_clients(wanted: int | None, shares: Shares, limit: int) -> int:
    """How many clients may be connected.

    Raises:
        WrongSetting: more are wanted than the limit of open files leaves room for.
    """
    if wanted is None:
        return shares.default_clients
    if wanted > shares.most_clients:
        raise WrongSetting(
            f"HOOKLINE_MAX_CONNECTIONS: expected at most {shares.most_clients}, got {wanted}: this process may open"
            f" {limit} files, and keeps some for deliveries and the database. Raise that limit: LimitNOFILE, ulimit -n."
        )
    return wanted


def listening_on(host: str, port: int) -> socket.socket:
    """A socket that is bound before anything else is done, so that a port in use stops the start at once.

    Raises:
        WrongSetting: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as problem:
        listening.close()
        raise WrongSetting(f"HOOKLINE_LISTEN: cannot listen on {host} port {port}: {problem.strerror}.") from None
    return listening


@contextmanager
def open_store(settings: Settings) -> "Iterator[SqliteStore | PostgresStore]":
    """The store, for a command that needs no server. A server may run beside it."""
    place = place_of(settings)
    _require_servable(place)
    store = place.store(place.clock(), Dice())
    try:
        yield store
    finally:
        place.close(store)

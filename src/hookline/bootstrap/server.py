"""The server: the database, the engine and the site, and the process that serves them until it is told to stop."""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import uvicorn

from hookline.adapters import descriptors
from hookline.adapters.address_guard import AddressGuard
from hookline.adapters.descriptors import Shares, Shortage
from hookline.adapters.http_sender import HttpSender
from hookline.adapters.http_server import Server as Server  # noqa: PLC0414  the command line has it from here
from hookline.adapters.sql.startup import STARTUP_SECONDS, retry_while_unreachable
from hookline.adapters.system_clock import SystemClock
from hookline.api.access import Access
from hookline.api.admission import Admission
from hookline.api.app import IS_READY, IS_UP, Api, NoApi
from hookline.api.intake import Intake as IntakeDoor
from hookline.api.listening import Listening
from hookline.api.site import Site
from hookline.api.turns import Turns
from hookline.bootstrap import connectors
from hookline.bootstrap.engine import Engine
from hookline.bootstrap.parts import Dice
from hookline.bootstrap.storage import look_before_serving, open_database, place_of
from hookline.domain.numbers import load_numbering_plans
from hookline.engine.lanes import CONCURRENCY
from hookline.engine.store_probe import StoreProbe
from hookline.ports.connectors import Called
from hookline.services import deliveries
from hookline.services.webhooks import Limits
from hookline.settings import Role, Settings, WrongSetting

#: How long open requests may take to end when the server is told to stop.
GRACE_SECONDS: Final = 10
#: How long an idle client keeps its connection: longer than the 60 s after which most proxies close theirs.
KEEP_ALIVE_SECONDS: Final = 75
#: Several webhooks may lead to one host, each with attempts of its own under way.
CONNECTIONS_PER_HOST: Final = 2 * CONCURRENCY


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
    kinds = connectors.connector_kinds(clock, dice)
    retry = partial(retry_while_unreachable, clock=clock, patience_seconds=patience_seconds)
    with place.only_server():
        database = await retry(partial(open_database, place, clock, dice), step="database")
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
            await retry(partial(asyncio.to_thread, look_before_serving, place), step="copy_marks")
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
                clock=clock,
            )
            yield site, engine
            await engine.stop()
        finally:
            await database.close()
            await sender.close()


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
        clock = SystemClock()
        admission = Admission(clock, max_connections, status_paths=frozenset((IS_UP, IS_READY)))
        protocol = partial(Listening, site.api, clock, admission, Turns(clock), site.knows)
        server = Server(
            uvicorn.Config(
                site,
                http=protocol,  # type: ignore[arg-type]  # it calls it as it would a class
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

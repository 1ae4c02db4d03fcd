"""A connection is held by one node at a time, by the next soon after it died, and by nobody whose lease is over."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hookline.bootstrap.engine import Engine
from hookline.domain.ids import ConnectorId
from hookline.domain.phonebook import Connector, ConnectorState
from hookline.engine.connections import LEASE, LOOK, OUR_MISTAKE, PAUSE, RETRY, Connections
from hookline.errors import Unavailable
from hookline.ports.connectors import Known, Report, Stand, TakeIn
from hookline.ports.storage import Transaction
from hookline.settings import ALL_ROLES, Role
from tests.contract.stores import STORES, forget_database_of
from tests.engine.house import DATABASES, KEEP_FOR, WatchedDatabase, idle
from tests.fakes import MONDAY, ManualClock, ScriptedSender
from tests.telling import LINE, a_whole_call, comes_in, report

HERE = ConnectorId("con_1")


@dataclass(eq=False)
class Held:
    """One time that a scripted system was connected to."""

    settings: Mapping[str, Any]
    take_in: TakeIn
    stand: Stand
    ends: asyncio.Event = field(default_factory=asyncio.Event)
    fails: bool = False
    heard: Sequence[Report] = ()  # and not told: it is when the connection ends
    is_over: bool = False


class Scripted:
    """A kind of connector whose system does what the test says."""

    kind = "scripted"
    secrets: frozenset[str] = frozenset()
    waits = timedelta(0)

    def __init__(self) -> None:
        self.times: list[Held] = []

    def check(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return settings

    async def hold(self, settings: Mapping[str, Any], take_in: TakeIn, stand: Stand, known: Known) -> None:
        held = Held(settings, take_in, stand)
        self.times.append(held)
        try:
            await stand("connected", "")
            await held.ends.wait()
            assert not held.fails
        finally:
            if held.heard:
                await take_in(*held.heard)
            held.is_over = True

    @property
    def now(self) -> Sequence[Held]:
        """Who is connected."""
        return [held for held in self.times if not held.is_over]


class ShutDatabase:
    """A database that can be out of reach of one node."""

    def __init__(self, real: WatchedDatabase) -> None:
        self._real = real
        self.is_shut = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def write(self, *args: Any) -> Any:
        if self.is_shut:
            raise Unavailable("Out of reach.")
        return await self._real.write(*args)

    async def read(self, *args: Any) -> Any:
        if self.is_shut:
            raise Unavailable("Out of reach.")
        return await self._real.read(*args)


@dataclass(eq=False)
class Node:
    """Connections as one node holds them, looked after as the supervisor does."""

    database: Any
    clock: ManualClock
    kind: Scripted
    connections: Connections
    loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.loop = asyncio.create_task(self._forever())

    async def stop(self) -> None:
        await self.die()
        await self.connections.stop()

    async def die(self) -> None:
        """Be gone, without a word to the store."""
        assert self.loop is not None
        self.loop.cancel()
        await asyncio.gather(self.loop, return_exceptions=True)

    async def _forever(self) -> None:
        while True:
            try:
                await self.connections.hold_forever()
            except Unavailable:
                await self.clock.sleep_until(self.clock.now() + timedelta(seconds=1))


class World:
    """Several nodes, one database, one clock."""

    def __init__(self, real: WatchedDatabase, clock: ManualClock) -> None:
        self.real = real
        self.clock = clock
        self.nodes: list[Node] = []

    def node(self) -> Node:
        database: Any = ShutDatabase(self.real)
        kind = Scripted()
        node = Node(database, self.clock, kind, Connections(database, self.clock, {kind.kind: kind}))
        self.nodes.append(node)
        node.start()
        return node

    def committed(self, news: Any) -> None:
        for node in self.nodes:
            node.connections.committed(news)

    def room(self, _: Any) -> int:
        return 0

    def has_room_for(self, *_: int) -> bool:
        return True

    async def idle(self) -> None:
        await idle(self.real, turns=60)

    async def pass_by(self, span: timedelta) -> None:
        """Let time pass, a second after the other: every node looks on the way."""
        for _ in range(int(span.total_seconds())):
            self.clock.advance(seconds=1)
            await self.idle()

    async def keep(self, **changes: Any) -> None:
        """Make or change the connector."""
        await self.real.write(lambda tx: tx.phonebook.keep_connector(connector(**changes)))
        await self.idle()

    async def connector(self) -> Connector:
        found: Connector | None = await self.real.read(lambda tx: tx.phonebook.connector(HERE))
        assert found is not None
        return found


def connector(**changes: Any) -> Connector:
    made = Connector(
        id=HERE,
        kind="scripted",
        name="PBX",
        settings={"host": "pbx", "region": "GB"},
        token="",
        state=ConnectorState.CONNECTING,
        last_event_at=None,
        last_error="",
        created_at=MONDAY,
        modified_at=MONDAY,
    )
    return replace(made, **changes)


@pytest.fixture(params=STORES)
def real(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, dice: random.Random
) -> Iterator[WatchedDatabase]:
    made: Any = DATABASES[request.param]
    yield made(tmp_path, clock, dice, 5)
    forget_database_of(tmp_path)


@asynccontextmanager
async def a_world(real: WatchedDatabase, clock: ManualClock) -> AsyncIterator[World]:
    world = World(real, clock)
    real.listen(world)
    real.start()
    try:
        await world.keep()
        yield world
    finally:
        for node in world.nodes:
            await node.die()
        await real.close()


def test_a_connector_is_connected_to_as_soon_as_it_is_made_and_no_longer_once_it_is_removed(
    real: WatchedDatabase, clock: ManualClock
) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            await real.write(lambda tx: tx.phonebook.remove_connector(HERE))
            node = world.node()
            await world.idle()
            assert not node.kind.times
            await world.keep()
            assert [held.settings["host"] for held in node.kind.now] == ["pbx"]
            assert (await world.connector()).state is ConnectorState.CONNECTED
            await real.write(lambda tx: tx.phonebook.remove_connector(HERE))
            await world.idle()
            assert not node.kind.now

    asyncio.run(scenario())


def test_other_settings_are_another_connection_and_another_name_is_none(
    real: WatchedDatabase, clock: ManualClock
) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            node = world.node()
            await world.idle()
            await world.keep(name="renamed")
            assert len(node.kind.times) == 1
            await world.keep(settings={"host": "other"})
            assert [held.is_over for held in node.kind.times] == [True, False]
            assert node.kind.times[1].settings == {"host": "other"}

    asyncio.run(scenario())


def test_of_two_nodes_one_is_connected_for_as_long_as_it_lives(real: WatchedDatabase, clock: ManualClock) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            first, second = world.node(), world.node()
            await world.pass_by(10 * LEASE)
            assert sorted(len(node.kind.times) for node in (first, second)) == [0, 1]

    asyncio.run(scenario())


def test_when_a_node_dies_the_next_is_connected_within_the_lease_and_a_look(
    real: WatchedDatabase, clock: ManualClock
) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            first = world.node()
            await world.idle()
            second = world.node()
            await world.pass_by(2 * LEASE)
            await first.die()
            await world.pass_by(LEASE - LOOK - timedelta(seconds=1))
            assert not second.kind.times
            await world.pass_by(2 * LOOK + timedelta(seconds=1))
            assert len(second.kind.now) == 1

    asyncio.run(scenario())


def test_when_a_node_stops_the_next_is_connected_at_its_next_look(real: WatchedDatabase, clock: ManualClock) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            first = world.node()
            await world.idle()
            second = world.node()
            await world.idle()
            await first.stop()
            assert not first.kind.now
            await world.pass_by(LOOK)
            assert len(second.kind.now) == 1

    asyncio.run(scenario())


def test_a_node_that_cannot_reach_the_store_stays_connected_until_it_learns_that_another_one_is(
    real: WatchedDatabase, clock: ManualClock
) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            first = world.node()
            await world.idle()
            second = world.node()
            first.database.is_shut = True
            await world.pass_by(2 * LEASE)
            assert (len(first.kind.now), len(second.kind.now)) == (1, 1)
            telling = asyncio.ensure_future(first.kind.now[0].take_in(report(*a_whole_call())))
            await second.kind.now[0].take_in(report(*comes_in()))
            first.database.is_shut = False
            await world.pass_by(LOOK)
            assert (len(first.kind.now), len(second.kind.now)) == (0, 1)
            await telling
            kept = await real.read(lambda tx: tx.intake.heard(HERE, "one"))
            assert kept is not None
            assert set(kept.facts) == set(a_whole_call())
            await world.pass_by(2 * LEASE)
            assert (len(first.kind.times), len(second.kind.times)) == (1, 1)

    asyncio.run(scenario())


def test_trouble_of_the_store_ends_no_connection(real: WatchedDatabase, clock: ManualClock) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            node = world.node()
            await world.idle()
            node.database.is_shut = True
            await world.pass_by(5 * LEASE)
            node.database.is_shut = False
            await world.pass_by(2 * LEASE)
            assert [held.is_over for held in node.kind.times] == [False]

    asyncio.run(scenario())


def test_what_is_told_is_kept_before_the_connection_goes_on(real: WatchedDatabase, clock: ManualClock) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            node = world.node()
            await world.idle()
            [held] = node.kind.now
            node.database.is_shut = True
            telling = asyncio.ensure_future(held.take_in(report(*a_whole_call())))
            await world.pass_by(2 * RETRY)
            assert not telling.done()
            node.database.is_shut = False
            await world.pass_by(RETRY)
            await telling
            kept = await real.read(lambda tx: tx.intake.heard(HERE, "one"))
            assert kept is not None
            assert (kept.kind, kept.region, kept.facts) == ("scripted", "GB", a_whole_call())
            assert (await world.connector()).last_event_at == clock.now()

    asyncio.run(scenario())


def test_a_node_that_lost_its_lease_unheard_lets_go_at_its_next_look_and_tells_no_more_how_it_stands(
    real: WatchedDatabase, clock: ManualClock
) -> None:
    def steal(tx: Transaction) -> None:
        for name, held in tx.leases.held().items():
            tx.leases.let_go(name, held.holder)
            assert tx.leases.hold(name, "another", timedelta(hours=1))

    async def scenario() -> None:
        async with a_world(real, clock) as world:
            node = world.node()
            await world.idle()
            [held] = node.kind.now
            await real.write(steal)
            await held.stand("failed", "It said goodbye.")
            assert (await world.connector()).state is ConnectorState.CONNECTED
            await world.pass_by(LOOK)
            assert held.is_over
            assert len(node.kind.times) == 1

    asyncio.run(scenario())


def test_what_a_connection_has_heard_when_it_ends_in_order_is_still_kept(
    real: WatchedDatabase, clock: ManualClock
) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            node = world.node()
            await world.idle()
            node.kind.now[0].heard = [report(*a_whole_call())]
            await node.stop()
            assert not node.kind.now
            assert await real.read(lambda tx: tx.intake.heard(HERE, "one")) is not None
            assert await real.read(lambda tx: tx.leases.held()) == {}

    asyncio.run(scenario())


def test_nobody_waits_for_a_store_that_is_away_when_a_connection_ends(
    real: WatchedDatabase, clock: ManualClock
) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            node = world.node()
            await world.idle()
            [held] = node.kind.now
            held.heard = [report(*a_whole_call())]
            node.database.is_shut = True
            await node.stop()
            assert len(node.kind.times) == 1

    asyncio.run(scenario())


def test_what_cannot_be_kept_is_passed_over_and_the_connection_stays(real: WatchedDatabase, clock: ManualClock) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            node = world.node()
            await world.idle()
            [held] = node.kind.now
            await held.take_in(report(*a_whole_call(), key="\0"))
            await held.take_in(report(*a_whole_call()))
            assert not held.is_over

    asyncio.run(scenario())


def test_a_call_on_no_line_is_counted_and_the_connection_stays(real: WatchedDatabase, clock: ManualClock) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            node = world.node()
            await world.idle()
            [held] = node.kind.now
            await held.take_in(report(*a_whole_call()))
            assert not held.is_over
            unknown = await real.read(lambda tx: tx.phonebook.unknown_lines())
            assert [(each.number, each.calls) for each in unknown] == [(LINE, 1)]

    asyncio.run(scenario())


def test_a_kind_that_fails_is_told_of_and_connects_again(real: WatchedDatabase, clock: ManualClock) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            node = world.node()
            await world.idle()
            [held] = node.kind.now
            held.fails = True
            held.ends.set()
            await world.idle()
            found = await world.connector()
            assert (found.state, found.last_error) == (ConnectorState.FAILED, OUR_MISTAKE)
            await world.pass_by(PAUSE)
            assert len(node.kind.now) == 1
            found = await world.connector()
            assert (found.state, found.last_error) == (ConnectorState.CONNECTED, "")

    asyncio.run(scenario())


def test_connectors_of_kinds_that_are_not_held_are_left_alone(real: WatchedDatabase, clock: ManualClock) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            await world.keep(kind="other")
            node = world.node()
            await world.pass_by(LEASE)
            assert not node.kind.times
            assert await real.read(lambda tx: tx.leases.held()) == {}

    asyncio.run(scenario())


def test_the_engine_holds_connections_where_its_role_is_to_and_lets_go_of_them_when_it_stops(
    real: WatchedDatabase, clock: ManualClock
) -> None:
    async def scenario() -> None:
        async with a_world(real, clock) as world:
            kind = Scripted()
            for roles, count in ((frozenset({Role.API, Role.DELIVER}), 0), (ALL_ROLES, 1)):
                sender: Any = ScriptedSender(clock)
                real_clock: Any = clock
                engine = Engine(real, sender, real_clock, KEEP_FOR, roles, {kind.kind: kind})
                engine.start()
                await world.idle()
                assert len(kind.now) == count
                await engine.stop()
                assert not kind.now
                assert await real.read(lambda tx: tx.leases.held()) == {}

    asyncio.run(scenario())

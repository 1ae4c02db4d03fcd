"""Connections: those connectors that hold one to their system have it here, each on one node at a time.

Who holds a connection has a lease on it and renews it long before it ends. When the node dies, the lease ends, and the
next one to look connects. A node that cannot ask the store stays connected: it alone saw how the calls of now began,
and tells of them when it can again. As soon as it learns that another one has the lease, it lets go. Two that are
connected for a moment tell the same call by the same name, and that is one call.
"""

import asyncio
import logging
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Concatenate, Final, ParamSpec, TypeVar

from hookline.domain.ids import ConnectorId
from hookline.domain.phonebook import Connector, ConnectorState
from hookline.engine.bell import Bell
from hookline.errors import Invalid, Unavailable
from hookline.ports.clock import Clock
from hookline.ports.connectors import Held, Known, Report, Stand, TakeIn
from hookline.ports.storage import Database, News, Transaction
from hookline.services import intake

LEASE: Final = timedelta(seconds=12)
#: How often it is looked whether connections are to be made or ended, and leases are renewed.
LOOK: Final = timedelta(seconds=3)
#: How long a connector that failed by a mistake of ours is left alone, and how long a store that cannot be asked.
PAUSE: Final = timedelta(seconds=5)
RETRY: Final = timedelta(seconds=1)

OUR_MISTAKE: Final = "Hookline itself failed here; its log says more."

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger("hookline.connections")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connection:
    """A connection that this node holds."""

    connector: Connector
    task: asyncio.Task[None]


class Connections:
    """Holds connections. Run `hold_forever`; hear the store's news through `committed`; then `stop`."""

    def __init__(self, database: Database, clock: Clock, kinds: Mapping[str, Held]) -> None:
        self._database = database
        self._clock = clock
        self._kinds = kinds
        self._changed = Bell(clock)
        self._held: dict[ConnectorId, _Connection] = {}
        self._holder = ""

    def committed(self, news: News) -> None:
        """Look again when a connector was made, changed or removed."""
        if news.connectors:
            self._changed.ring()

    async def hold_forever(self) -> None:
        """Hold what is to be held and nobody else holds. A look that fails ends no connection."""
        try:
            while True:
                await self._look()
                await self._changed.wait(until=self._clock.now() + LOOK)
        except asyncio.CancelledError:
            await self._end(*self._held)
            raise

    async def stop(self) -> None:
        """Let another node have what this one held; `hold_forever` has ended."""
        if self._holder:
            try:
                await self._database.write(_let_go, self._holder)
            except Unavailable as refusal:  # then they have it when the leases end
                _log.warning("connection.kept_leases error=%r", refusal.message)

    async def _look(self) -> None:
        if not self._kinds:
            return
        self._holder = self._holder or await self._database.write(_holder_name)
        ours = await self._database.read(_not_held_by_others, self._holder, self._kinds)
        held = await self._database.write(_hold, self._holder, [each.id for each in ours]) if ours else ()
        connectors = {each.id: each for each in ours if each.id in held}
        await self._end(*(each for each in self._held if not self._is_as_wanted(connectors.get(each), each)))
        for connector in connectors.values():
            if connector.id not in self._held:
                task = asyncio.create_task(self._stay(connector), name=_name_of(connector.id))
                self._held[connector.id] = _Connection(connector=connector, task=task)

    def _is_as_wanted(self, wanted: Connector | None, connector_id: ConnectorId) -> bool:
        held = self._held[connector_id]
        return wanted is not None and wanted.settings == held.connector.settings and not held.task.done()

    async def _end(self, *connector_ids: ConnectorId) -> None:
        """End these connections, and wait until they have: the next one to the same system is not beside it."""
        ended = [self._held.pop(connector_id) for connector_id in connector_ids]
        for held in ended:
            held.task.cancel()
        await asyncio.gather(*(held.task for held in ended), return_exceptions=True)

    async def _stay(self, connector: Connector) -> None:
        """Be connected, until cancelled. A kind may still tell what it has heard when it is, and fail in that."""
        kind = self._kinds[connector.kind]
        while connector.id in self._held:
            try:
                stander, known = self._stander(connector.id), self._knower(connector.id)
                await kind.hold(connector.settings, self._taker(connector, kind), stander, known)
                _log.warning("connection.ended connector=%s", connector.id)
            except Exception:  # noqa: BLE001  no mistake may end a connection for good
                _log.exception("connection.failed connector=%s", connector.id)
                await self._stander(connector.id)(ConnectorState.FAILED, OUR_MISTAKE)
            await self._clock.pause(PAUSE.total_seconds())

    def _taker(self, connector: Connector, kind: Held) -> TakeIn:
        teller = intake.teller_of(connector, kind.waits)

        async def take_in(report: Report) -> None:
            try:
                [taken] = await self._kept(connector.id, intake.take_in_all, teller, [report])
            except Invalid as refusal:  # asked again it is no better
                _log.warning(
                    "intake.refused connector=%s kind=%s why=%r", connector.id, connector.kind, refusal.message
                )
                return
            if taken.dropped:
                _log.warning(
                    "intake.dropped connector=%s key=%r facts=%d", connector.id, report.call_key, taken.dropped
                )

        return take_in

    def _stander(self, connector_id: ConnectorId) -> Stand:
        async def stand(state: str, problem: str) -> None:
            await self._kept(connector_id, _stand, connector_id, self._holder, state, problem)

        return stand

    def _knower(self, connector_id: ConnectorId) -> Known:
        async def known() -> Sequence[Report]:
            while True:
                try:
                    return await self._database.read(intake.unsettled_of, connector_id)
                except Unavailable as refusal:
                    _log.warning("connection.waits connector=%s error=%r", connector_id, refusal.message)
                    await self._clock.pause(RETRY.total_seconds())

        return known

    async def _kept(
        self,
        connector_id: ConnectorId,
        function: Callable[Concatenate[Transaction, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """What `function` returned, once it is on disk, however long the store cannot be asked meanwhile.

        Raises:
            Unavailable: the connection is at its end, and the store cannot be asked.
        """
        while True:
            try:
                return await self._database.write(function, *args, **kwargs)
            except Unavailable as refusal:
                if connector_id not in self._held:
                    raise  # nobody waits at the end
                _log.warning("connection.waits connector=%s error=%r", connector_id, refusal.message)
                await self._clock.pause(RETRY.total_seconds())


def _name_of(connector_id: ConnectorId) -> str:
    return f"connector:{connector_id}"


def _holder_name(tx: Transaction) -> str:
    return tx.ulid()


def _not_held_by_others(tx: Transaction, holder: str, kinds: Container[str]) -> Sequence[Connector]:
    """Connectors of these kinds on which no other node has a lease."""
    held = tx.leases.held()
    return [
        each
        for each in tx.phonebook.connectors()
        if each.kind in kinds and ((lease := held.get(_name_of(each.id))) is None or lease.holder == holder)
    ]


def _hold(tx: Transaction, holder: str, connector_ids: Sequence[ConnectorId]) -> set[ConnectorId]:
    """Those of them on which the lease is ours now."""
    return {each for each in connector_ids if tx.leases.hold(_name_of(each), holder, LEASE)}


def _let_go(tx: Transaction, holder: str) -> None:
    """Let the next node have all that is ours."""
    for name, lease in tx.leases.held().items():
        if lease.holder == holder:
            tx.leases.let_go(name, holder)


def _stand(tx: Transaction, connector_id: ConnectorId, holder: str, state: str, problem: str) -> None:
    """How the connection stands is told by whoever has the lease."""
    if tx.leases.hold(_name_of(connector_id), holder, LEASE):
        tx.phonebook.stand(connector_id, ConnectorState(state), problem)

"""The loops of one process, by its roles."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType

from hookline.adapters.http_sender import HttpSender
from hookline.adapters.http_server import Server as Server  # noqa: PLC0414  the command line has it from here
from hookline.adapters.sql.group import every_body_fits, nobody_has_room
from hookline.adapters.sql.grouped import GroupedDatabase
from hookline.adapters.system_clock import SystemClock
from hookline.engine import notices
from hookline.engine.chores import Chores
from hookline.engine.clock_watch import ClockWatch
from hookline.engine.connections import Connections
from hookline.engine.dispatcher import Dispatcher
from hookline.engine.intake import Intake
from hookline.engine.notifier import Notifier
from hookline.engine.processes import Processes
from hookline.engine.scheduler import Scheduler
from hookline.engine.staged_reports import StagedReports
from hookline.engine.supervisor import Loop, Supervisor
from hookline.ports.connectors import Connector, Held
from hookline.ports.storage import News
from hookline.settings import ALL_ROLES, Role


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
        staged = StagedReports(database, clock)
        self._hearing += [scheduler.committed, processes.committed, notifier.committed, intake.committed]
        self._hearing.append(staged.committed)
        return {
            "timers": scheduler.fire_forever,
            "processes": processes.step_forever,
            "notifications": notifier.tell_forever,
            "intake": intake.settle_forever,
            "batches": staged.apply_forever,
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
            "connections", "claims", "timers", "processes", "notifications", "intake", "batches", "clock", "chores"
        )
        if self._connections is not None:
            await self._connections.stop()
        if self._dispatcher is not None:
            await self._dispatcher.stop()
        await self._supervisor.stop()

"""What is done to several nodes and their database, one deed a round, and in which era each request arrived."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import psycopg

from tests.acceptance.node import LEASE_SECONDS
from tests.acceptance.nodes import Node
from tests.acceptance.serving import Broken, real_seconds
from tests.fakes import turn
from tests.postgres_server import PostgresServer

#: Long enough for what a node that is no more had sent to be read.
_HEARING_OUT_SECONDS: Final = 0.05
_LONGEST_BETWEEN_SECONDS: Final = 1.0
_LONGEST_OUTAGE_SECONDS: Final = 2.5
_LONGEST_WITHOUT_SECONDS: Final = 10
_LONG_OUTAGE_SECONDS: Final = 60
#: A paused node misses the end of its leases, and of every time limit of the database.
_PAUSE_SECONDS: Final = (LEASE_SECONDS + 0.5, LEASE_SECONDS + 2.5)
_CUT: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < %s AND application_name LIKE %s
"""


class Deeds:
    """Does something terrible, and leaves everything running again."""

    def __init__(self, nodes: Sequence[Node], postgres: PostgresServer, database: str, dice: random.Random) -> None:
        self._nodes = nodes
        self._postgres = postgres
        self._database = database
        self._dice = dice
        self.era = 1
        self.done: Counter[str] = Counter()
        self._deeds: list[tuple[str, Callable[[], Awaitable[None]], int]] = [
            ("kill", self._kill_one, 24),
            ("kill several", self._kill_several, 10),
            ("pause", self._pause, 9),
            ("stop", self._stop, 14),
            ("crash of the database", self._crash_database, 14),
            ("crash of the database and a node", self._crash_both, 6),
            ("freeze of the database", self._freeze_database, 4),
            ("database away for long", self._lose_database, 1),
            ("stop without the database", self._stop_without_database, 5),
            ("cut connections", self._cut_connections, 20),
            ("cut off a node", self._cut_off, 6),
        ]

    async def do_one(self) -> str:
        """Some time after the deed before, the next. Returns what it was."""
        await real_seconds(self._dice.uniform(0, _LONGEST_BETWEEN_SECONDS))
        [(name, deed, _)] = self._dice.choices(self._deeds, [weight for *_, weight in self._deeds])
        self.done[name] += 1
        await deed()
        return name

    async def _next_era(self) -> None:
        """What was sent before the deed is read first, so that it is known to be from before it."""
        for _ in range(10):
            await turn()
        await real_seconds(_HEARING_OUT_SECONDS)
        self.era += 1

    async def _pass_by(self, seconds: float) -> None:
        """So many seconds, an era in each: attempts before the end of a lease and after it are of different ones."""
        for _ in range(math.ceil(seconds)):
            await self._next_era()
            await real_seconds(seconds / math.ceil(seconds))
        await self._next_era()

    async def _kill_one(self) -> None:
        await self._kill([self._dice.choice(self._nodes)])

    async def _kill_several(self) -> None:
        await self._kill(self._dice.sample(self._nodes, self._dice.randint(2, len(self._nodes))))

    async def _kill(self, victims: Sequence[Node]) -> None:
        await asyncio.gather(*(node.kill() for node in victims))
        await self._next_era()
        await asyncio.gather(*(node.restart() for node in victims))

    async def _pause(self) -> None:
        node = self._dice.choice(self._nodes)
        node.pause()
        # Nobody can write while it has the lock: what others sent before their leases ended, somebody may send after.
        await self._pass_by(self._dice.uniform(*_PAUSE_SECONDS))
        node.go_on()  # what it sends now, it sends after all that others sent meanwhile

    async def _stop(self) -> None:
        node = self._dice.choice(self._nodes)
        node.tell_to_stop()
        await self._stopped(node)

    async def _stop_without_database(self) -> None:
        """What came of its attempts it can tell only when the database is there again."""
        node = self._dice.choice(self._nodes)
        await asyncio.to_thread(self._postgres.stop)
        node.tell_to_stop()
        await self._next_era()
        await real_seconds(self._dice.uniform(0, _LONGEST_OUTAGE_SECONDS))
        await self._next_era()
        await asyncio.to_thread(self._postgres.start)
        await self._stopped(node)

    async def _stopped(self, node: Node) -> None:
        code = await node.gone()
        if code:
            raise Broken(f"{node.name} was told to stop and exited with code {code}\n{node.end_of_log()}")
        await node.restart()

    async def _crash_database(self) -> None:
        await self._be_without_database(self._dice.uniform(0, _LONGEST_OUTAGE_SECONDS))

    async def _lose_database(self) -> None:
        await self._be_without_database(_LONG_OUTAGE_SECONDS)

    async def _be_without_database(self, seconds: float) -> None:
        await asyncio.to_thread(self._postgres.stop)
        await self._next_era()
        await real_seconds(seconds)
        await self._next_era()  # what was sent meanwhile may be sent again by whoever is first now
        await asyncio.to_thread(self._postgres.start)

    async def _freeze_database(self) -> None:
        """It takes everything in and answers nothing."""
        thaw = await asyncio.to_thread(self._postgres.freeze)
        try:
            await self._pass_by(self._dice.uniform(1, _PAUSE_SECONDS[1]))
        finally:
            thaw()

    async def _crash_both(self) -> None:
        node = self._dice.choice(self._nodes)
        await asyncio.to_thread(self._postgres.stop)
        await node.kill()
        await self._next_era()
        await asyncio.to_thread(self._postgres.start)
        await node.restart()

    async def _cut_off(self) -> None:
        """One node is without the database that all others have, and goes on sending what it holds."""
        node = self._dice.choice(self._nodes)
        node.way.block()
        await asyncio.to_thread(self._cut, 1.0, node.name)
        await self._pass_by(self._dice.uniform(1, _LONGEST_WITHOUT_SECONDS))
        node.way.open()

    async def _cut_connections(self) -> None:
        await asyncio.to_thread(self._cut, self._dice.choice([1.0, 0.5, 0.2]))
        await self._next_era()

    def _cut(self, share: float, whose: str = "%") -> None:
        with psycopg.connect(self._database) as connection:
            connection.execute(_CUT, (share, whose))

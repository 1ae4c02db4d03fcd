"""Several nodes on one PostgreSQL, and clients that ask any of them."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from psycopg.conninfo import conninfo_to_dict

from tests.acceptance.node import CLOCK_OFF_SECONDS
from tests.acceptance.serving import API_KEY, Answer, Api, Broken, Server, in_patience, real_seconds

NODES: Final = 4
#: How far apart the clocks of the first and the last node are.
_CLOCKS_APART_SECONDS: Final = 120
#: How long a client waits for one node before it asks another one.
_PATIENCE_SECONDS: Final = 4
_LONGEST_ANSWER_SECONDS: Final = 60
_LOOK_AGAIN_SECONDS: Final = 0.02
_PROJECT: Final = Path(__file__).parents[2]


class Way:
    """A node's own way to the database: a folder that leads to that of the server's socket, or to nowhere."""

    def __init__(self, database: str, name: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="hookline-way-"))  # names of sockets may not be long
        self._link = self._folder / "pg"
        told = conninfo_to_dict(database)
        self._server = Path(str(told["host"]))
        self.url = f"postgresql:///{told['dbname']}?host={self._link}&user={told['user']}&application_name={name}"
        self.open()

    def open(self) -> None:
        """Lead to the server."""
        self._link.symlink_to(self._server)

    def block(self) -> None:
        """Lead to nowhere. Connections that were made before stay."""
        self._link.unlink()

    def remove(self) -> None:
        """Nobody goes this way any more."""
        shutil.rmtree(self._folder)


class Node(Server):
    """One of several on a database."""

    program = "tests.acceptance.node"

    def __init__(self, folder: Path, database: str, clock_off_seconds: float) -> None:
        folder.mkdir(parents=True)
        self.way = Way(database, folder.name)
        settings = {
            "HOOKLINE_DATABASE": self.way.url,
            "PYTHONPATH": str(_PROJECT),
            CLOCK_OFF_SECONDS: str(clock_off_seconds),
        }
        super().__init__(folder, **settings)
        self.name = folder.name

    async def restart(self) -> None:
        """Live once more."""
        await self.start()
        await self.ready()


@asynccontextmanager
async def nodes_on(database: str, folder: Path, *, count: int = NODES) -> AsyncIterator[list[Node]]:
    """Nodes that begin at the same moment, with clocks that disagree; gone when the block ends."""
    offs = [_CLOCKS_APART_SECONDS * (place / (count - 1) - 0.5) for place in range(count)]
    nodes = [Node(folder / f"node-{place}", database, off) for place, off in enumerate(offs, 1)]
    try:
        await asyncio.gather(*(node.restart() for node in nodes))
        yield nodes
    finally:
        for node in nodes:
            await node.kill()
            node.way.remove()


class Anywhere(Api):
    """Asks any node, and another one with the same key when there is no answer."""

    def __init__(self, nodes: Sequence[Node], session: aiohttp.ClientSession, dice: random.Random) -> None:
        super().__init__(nodes[0], session)
        self._nodes = nodes
        self._dice = dice
        #: By node: what it answered when it could not do what it was asked.
        self.unavailable: dict[str, list[Answer]] = {node.name: [] for node in nodes}

    @classmethod
    @asynccontextmanager
    async def among(cls, nodes: Sequence[Node], dice: random.Random) -> AsyncIterator["Anywhere"]:
        """With connections of its own until the block ends."""
        timeout = aiohttp.ClientTimeout(total=_LONGEST_ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, headers={"api-key": API_KEY}) as session:
            yield cls(nodes, session, dice)

    async def _one_that_is_up(self) -> Server:
        async def found() -> Server:
            while not (up := [node for node in self._nodes if node.up.is_set()]):
                await real_seconds(_LOOK_AGAIN_SECONDS)
            return self._dice.choice(up)

        return await in_patience(found(), "a node to be up")

    async def _once(self, server: Server, method: str, path: str, body: Any, key: str | None) -> Answer:
        """Who may not repeat a request elsewhere, while a node may still carry it out, has to wait."""
        may_repeat = key is not None or method == "GET"
        asked = super()._once(server, method, path, body, key)
        try:
            answer = await in_patience(asked, "", seconds=_PATIENCE_SECONDS if may_repeat else _LONGEST_ANSWER_SECONDS)
        except Broken as problem:
            raise ConnectionError(f"{server.folder.name} does not answer.") from problem
        if answer.status == 503:
            self.unavailable[server.folder.name].append(answer)
        return answer

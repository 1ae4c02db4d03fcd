"""The database is gone for a while under load: nodes say so, keep nothing by half, and go on when it is back."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.cluster_promises import broken_among_nodes
from tests.acceptance.hooks import Hook, hooks_of_every_temper, listening
from tests.acceptance.load import Client, Ledger
from tests.acceptance.nodes import Anywhere, Node, nodes_on
from tests.acceptance.operating import Journal, Operator
from tests.acceptance.promises import Figures
from tests.acceptance.record import settled_record
from tests.acceptance.serving import Api, in_patience, keep_acting, real_seconds
from tests.postgres_server import PostgresServer

_CLIENTS: Final = 4
_SOME: Final = 20
_PAUSE_SECONDS: Final = 0.05
_LOOK_AGAIN_SECONDS: Final = 0.02


class Outage:
    """Two nodes under load, their database, and subscribers of every temper."""

    def __init__(self, postgres: PostgresServer, nodes: list[Node], api: Anywhere) -> None:
        self.postgres = postgres
        self.nodes = nodes
        self.api = api
        self.era = 1
        self.ledger = Ledger()
        self.journal = Journal()
        self.hooks: list[Hook] = []
        self._ending = asyncio.Event()
        self._acting: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def coming(cls, folder: Path, dice: random.Random) -> AsyncIterator["Outage"]:
        """Everything is up, and the clients are at work."""
        postgres = PostgresServer(fsync="on", full_page_writes="on")
        async with AsyncExitStack() as stack:
            stack.callback(postgres.close)
            nodes = await stack.enter_async_context(nodes_on(postgres.empty_database(), folder, count=2))
            outage = cls(postgres, nodes, await stack.enter_async_context(Anywhere.among(nodes, dice)))
            await outage._subscribe(stack, dice)
            outage._acting = [outage._client(number, dice) for number in range(_CLIENTS)]
            yield outage
            for client in outage._acting:
                client.cancel()

    async def end(self) -> list[str]:
        """Let everything come to its end. Returns what is not as promised."""
        self._ending.set()
        await asyncio.gather(*self._acting)
        await Operator(self.api, self.hooks, self.journal, random.Random(0)).close_everything()
        record = await settled_record(self.api, self.ledger)
        compared = broken_among_nodes(self.ledger, self.journal, record, self.hooks, eras=self.era, figures=Figures())
        return list(compared)

    async def answered(self, more: int) -> None:
        """Until so many more requests were answered."""
        enough = self.ledger.answered + more
        while self.ledger.answered < enough:
            await real_seconds(_LOOK_AGAIN_SECONDS)

    async def refused_by_all(self, more: int) -> None:
        """Until every node refused so many more."""
        enough = {name: len(answers) + more for name, answers in self.api.unavailable.items()}
        while any(len(self.api.unavailable[name]) < count for name, count in enough.items()):
            await real_seconds(_LOOK_AGAIN_SECONDS)

    async def _subscribe(self, stack: AsyncExitStack, dice: random.Random) -> None:
        operator = Operator(self.api, self.hooks, self.journal, dice)
        for hook, temper in hooks_of_every_temper(dice):
            subscriber = await stack.enter_async_context(listening(hook, temper, lambda: self.era))
            self.hooks.append(hook)
            await operator.subscribe(hook, f"{subscriber.url}/{hook.name}")

    def _client(self, number: int, dice: random.Random) -> "asyncio.Task[None]":
        client = Client(f"client{number}", self.api, self.ledger, dice)
        acting = keep_acting(client.act, dice, longest_pause_seconds=_PAUSE_SECONDS, ending=self._ending)
        return asyncio.create_task(acting)


@pytest.mark.slow
def test_while_the_database_is_gone_nothing_is_half_kept_and_without_a_restart_all_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Outage.coming(tmp_path, random.Random(4)) as outage:
            await in_patience(outage.answered(_SOME), "requests to be answered")
            await asyncio.to_thread(outage.postgres.stop)
            outage.era += 1
            await in_patience(outage.refused_by_all(_SOME), "requests to be refused")
            for node in outage.nodes:
                async with Api.to(node) as api:
                    live, ready = [await api.ask_once("GET", f"/{name}") for name in ("healthz", "readyz")]
                assert (live.status, ready.status) == (200, 503)
            await asyncio.to_thread(outage.postgres.start)
            await in_patience(outage.answered(_SOME), "requests to be answered again")
            assert await outage.end() == []
        answers = [answer for of_one in outage.api.unavailable.values() for answer in of_one]
        assert {answer.value["code"] for answer in answers} == {"unavailable"}
        assert min(int(answer.retry_after or 0) for answer in answers) >= 1
        assert [node.lives for node in outage.nodes] == [1, 1]

    asyncio.run(scenario())

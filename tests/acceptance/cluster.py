"""Several nodes on one PostgreSQL, and something terrible happens to them over and over; no promise may break.

    python -m tests.acceptance.cluster --rounds 1000 --seed 1

Four nodes, whose clocks are two minutes apart, serve clients that book, move, edit and cancel meetings and report
calls at any of them, and owe all of it to subscribers that answer 200, 500, slowly or not at all, in batches, in order.
Each round does one deed: kills a node, or several, pauses one for longer than its leases, stops one, crashes the
database, or cuts connections. Every so many rounds all is left alone until nothing is owed any more, everything is
compared with everything, and a new chapter begins on a new database of the same server, with all nodes at once.

What is done: `deeds.py`. What is promised: `cluster_promises.py`. Nodes: `nodes.py`, `node.py`.

The seed decides what is done, and to whom; how fast the machine is, decides the rest.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hookline.adapters.system_clock import SystemClock
from tests.acceptance.cluster_promises import Glance, broken_among_nodes
from tests.acceptance.command import counted, long_run
from tests.acceptance.deeds import Deeds
from tests.acceptance.hooks import Hook, hooks_of_every_temper, listening
from tests.acceptance.load import Client, Ledger
from tests.acceptance.nodes import Anywhere, Node, nodes_on
from tests.acceptance.operating import Journal, Operator
from tests.acceptance.promises import Figures
from tests.acceptance.record import all_announced, ended_processes, settled
from tests.acceptance.serving import keep_acting, raise_what_failed
from tests.postgres_server import PostgresServer

_CLIENTS: Final = 6
_OPERATOR_PAUSE_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.2  # at most, between two acts of one client
_ROUNDS_IN_CHAPTER: Final = 50
_MOST_TOLD: Final = 20
#: Everything that is owed at the end of a chapter must have been settled by then.
_SETTLING_SECONDS: Final = 300
#: A node takes some 100 MB.
_MOST_MEMORY_MB: Final = 250
#: It loses nothing that it said was committed, and keeps itself tidy, as one that people run.
_AS_PEOPLE_RUN_IT: Final = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on"}


@dataclass(slots=True)
class Summary:
    """What came of it."""

    seed: int
    rounds: int = 0
    deeds: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    repeats: int = 0
    seconds: float = 0.0
    by_hand: str = ""  # of the last chapter
    memory_mb: float = 0.0  # the most that a node held
    figures: Figures = field(default_factory=Figures)
    broken: list[str] = field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        """Whether a promise was broken."""
        return bool(self.broken)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"seed {self.seed}, {self.rounds} rounds, {self.seconds:.0f} s, deeds: {counted(self.deeds)}"
        yield f"requests answered {self.requests}, repeated {self.repeats}; {self.by_hand}"
        yield f"most memory of a node {self.memory_mb:.0f} MB"
        yield f"events {self.figures.events.total()}: {counted(self.figures.events)}"
        yield f"deliveries {self.figures.deliveries.total()}: {counted(self.figures.deliveries)}"
        yield from self.figures.lines()
        yield f"broken promises: {len(self.broken)}"
        yield from self.broken[:_MOST_TOLD]


class Chapter:
    """Some rounds on a database of their own."""

    def __init__(
        self, folder: Path, postgres: PostgresServer, seed: str, summary: Summary, say: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._postgres = postgres
        self._seed = seed
        self._say = say
        self._summary = summary
        self._ledger = Ledger()
        self._journal = Journal()
        self._hooks: list[Hook] = []
        self._glances: list[Glance] = []
        self._nodes: list[Node] = []

    async def run(self, rounds: int) -> None:
        """All of it, or until a promise is broken."""
        database = self._postgres.empty_database()
        async with AsyncExitStack() as stack:
            self._nodes = await stack.enter_async_context(nodes_on(database, self._folder))
            deeds = Deeds(self._nodes, self._postgres, database, self._dice_of("deeds"))
            api = await stack.enter_async_context(Anywhere.among(self._nodes, self._dice_of("whom to ask")))
            operator = Operator(api, self._hooks, self._journal, self._dice_of("operator"))
            await self._subscribe(stack, operator, deeds)
            await self._do_all(api, operator, deeds, rounds)
            if not self._summary.broken:
                await self._reckon(api, operator, deeds)
            self._summary.deeds += deeds.done
            self._summary.requests += self._ledger.answered
            self._summary.repeats += api.repeats
            self._summary.by_hand = self._journal.summary()

    def _dice_of(self, name: str) -> random.Random:
        """Dice of its own for everybody, so that what one does shifts nobody else's."""
        return random.Random(f"{self._seed} {name}")

    async def _subscribe(self, stack: AsyncExitStack, operator: Operator, deeds: Deeds) -> None:
        """Subscribers of every temper."""
        for hook, temper in hooks_of_every_temper(self._dice_of("moods")):
            subscriber = await stack.enter_async_context(listening(hook, temper, lambda: deeds.era))
            self._hooks.append(hook)
            self._glances.append(Glance(hook))
            await operator.subscribe(hook, f"{subscriber.url}/{hook.name}")

    async def _do_all(self, api: Anywhere, operator: Operator, deeds: Deeds, rounds: int) -> None:
        """The rounds. Clients act through all of them."""
        ending = asyncio.Event()
        acting = [asyncio.create_task(self._operate(operator, ending))]
        acting += [asyncio.create_task(self._act(f"client{number}", api, ending)) for number in range(_CLIENTS)]
        try:
            for _ in range(rounds):
                name = await deeds.do_one()
                raise_what_failed(acting)
                self._summary.rounds += 1
                self._summary.broken += [f"after {name}, era {deeds.era}: {each}" for each in self._seen_at_a_glance()]
                if self._summary.broken:
                    break
            ending.set()
            await asyncio.gather(*acting)
        finally:
            for client in acting:
                client.cancel()
            await asyncio.gather(*acting, return_exceptions=True)

    async def _operate(self, operator: Operator, ending: asyncio.Event) -> None:
        pauses = self._dice_of("operator's pauses")
        await keep_acting(operator.act, pauses, longest_pause_seconds=_OPERATOR_PAUSE_SECONDS, ending=ending)

    async def _act(self, name: str, api: Anywhere, ending: asyncio.Event) -> None:
        client = Client(name, api, self._ledger, self._dice_of(name))
        pauses = self._dice_of(f"{name}'s pauses")
        await keep_acting(client.act, pauses, longest_pause_seconds=_PAUSE_SECONDS, ending=ending)

    def _seen_at_a_glance(self) -> Iterator[str]:
        """What is wrong already."""
        for glance in self._glances:
            yield from glance.broken()
        for node in self._nodes:
            if node.died:
                yield f"{node.name} died by itself: {node.end_of_log()}"
                continue
            self._summary.memory_mb = max(self._summary.memory_mb, node.resident_mb)
            if node.resident_mb > _MOST_MEMORY_MB:
                yield f"{node.name} holds {node.resident_mb:.0f} MB"
            log = node.log.read_text("utf-8", "replace")
            if "Traceback" in log:
                yield f"The log of {node.name} has a traceback: {log[max(log.index('Traceback') - 300, 0) :][:3000]}"

    async def _reckon(self, api: Anywhere, operator: Operator, deeds: Deeds) -> None:
        """Leave the nodes alone until nothing is owed any more, then compare everything with everything."""
        await all_announced(api, self._ledger)
        await ended_processes(api, seconds=_SETTLING_SECONDS)
        await operator.close_everything()
        record = await settled(api, seconds=_SETTLING_SECONDS)
        codes = await asyncio.gather(*(node.stop() for node in self._nodes))
        self._summary.broken += [f"SIGTERM was answered with exit codes {codes}"] if any(codes) else []
        self._summary.broken += broken_among_nodes(
            self._ledger, self._journal, record, self._hooks, eras=deeds.era, figures=self._summary.figures
        )


async def _chapters(rounds: int, seed: int, folder: Path, say: Callable[[str], None]) -> Summary:
    clock, began, summary = SystemClock(), SystemClock().monotonic(), Summary(seed)
    postgres = PostgresServer(**_AS_PEOPLE_RUN_IT)
    is_whole = False
    try:
        for first in range(0, rounds, _ROUNDS_IN_CHAPTER):
            chapter = Chapter(folder / f"chapter-{first}", postgres, f"{seed} {first}", summary, say)
            await chapter.run(min(_ROUNDS_IN_CHAPTER, rounds - first))
            summary.seconds = clock.monotonic() - began
            say(f"round {summary.rounds}, {summary.seconds:.0f} s: {summary.requests} requests answered")
            if summary.broken:
                break
        is_whole = not summary.broken
    finally:
        if not is_whole:
            postgres.keep(folder)
        postgres.close()
    return summary


def run(rounds: int, seed: int, folder: Path, say: Callable[[str], None]) -> Summary:
    """All chapters, or until a promise is broken."""
    return asyncio.run(_chapters(rounds, seed, folder, say))


def main() -> int:
    """The command."""
    return long_run(
        run,
        name="cluster",
        description="Kill, pause and cut off nodes and their database; nothing may be lost.",
        amount="rounds",
        default=1000,
        amount_help="how many deeds are done",
        seed_help="what decides what is done and to whom",
    )


if __name__ == "__main__":
    sys.exit(main())

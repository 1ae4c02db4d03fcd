"""The kill test: `kill -9` at random moments, over and over, and then everything has to be as promised.

    python -m tests.acceptance.kill --rounds 200 --seed 1

One server is killed while clients book, move, edit and cancel meetings and report calls, and while subscribers answer
200, 500, slowly or not at all; also while it makes its database, while it starts, while it recovers from the kill
before, and while it stops because it was told to. Some get batches, some in order; an operator rotates their secrets,
replays ranges and closes batches meanwhile. At last it is left alone until nothing is owed any more.

What clients do: `load.py`; the operator: `operating.py`; subscribers: `hooks.py`. What is promised: `promises.py`.

The seed decides what is done and when it is killed; how fast the machine is, decides the rest.
"""

import asyncio
import random
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hookline.adapters.system_clock import SystemClock
from tests.acceptance.command import counted, long_run
from tests.acceptance.hooks import Hook, hooks_of_every_temper, listening
from tests.acceptance.load import Client, Ledger
from tests.acceptance.operating import Journal, Operator
from tests.acceptance.promises import Figures, broken_promises
from tests.acceptance.record import all_announced, ended_processes, settled
from tests.acceptance.serving import Api, Broken, Server, in_patience, keep_acting, raise_what_failed, real_seconds
from tests.fakes import Subscriber, turn

_CLIENTS: Final = 6
_PAUSE_SECONDS: Final = 0.03  # at most, between two acts of one client
_OPERATOR_PAUSE_SECONDS: Final = 0.1
_LONGEST_ROUND_SECONDS: Final = 0.6
_LONGEST_RECOVERY_SECONDS: Final = 0.05
_LONGEST_STOP_SECONDS: Final = 0.4
#: The first kills are while the database is being made.
_ROUNDS_ON_NOTHING: Final = 2
_MOST_TOLD: Final = 20
#: Everything that is owed at the end must have been settled by then: the longest schedule below is far shorter.
_SETTLING_SECONDS: Final = 600


@dataclass(slots=True)
class Summary:
    """What came of it."""

    seed: int
    rounds: int
    kills: Counter[str] = field(default_factory=Counter)
    amid: int = 0  # kills while a subscriber was answering
    by_hand: str = ""
    requests: int = 0
    repeats: int = 0
    seconds: float = 0.0
    figures: Figures = field(default_factory=Figures)
    broken: list[str] = field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        """Whether a promise was broken."""
        return bool(self.broken)

    def lines(self) -> Iterator[str]:
        """For people."""
        figures = self.figures
        yield f"seed {self.seed}, {self.rounds} rounds, {self.seconds:.0f} s, kills: {counted(self.kills)}"
        yield f"kills while a POST was being answered: {self.amid}; {figures.kills()}"
        yield f"requests answered {self.requests}, repeated {self.repeats}; {self.by_hand}"
        yield f"events {figures.events.total()}: {counted(figures.events)}"
        yield f"deliveries {figures.deliveries.total()}: {counted(figures.deliveries)}"
        yield from figures.lines()
        yield f"broken promises: {len(self.broken)}"
        yield from self.broken[:_MOST_TOLD]


class KillTest:
    """One run: a server in its lives, its subscribers, its clients."""

    def __init__(self, folder: Path, rounds: int, seed: int, say: Callable[[str], None]) -> None:
        self._rounds = rounds
        self._seed = seed
        self._say = say
        self._dice = self._dice_of("kills")
        self._server = Server(folder)
        self._ledger = Ledger()
        self._journal = Journal()
        self._hooks: list[tuple[Hook, Subscriber]] = []
        self._subscribed = asyncio.Event()
        self._usual_start_seconds = 0.7
        self.summary = Summary(seed, rounds)

    async def run(self) -> Summary:
        """All rounds, the rest, and the reckoning."""
        clock, began = SystemClock(), SystemClock().monotonic()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._server.kill)
            await self._subscribe(stack)
            api = await stack.enter_async_context(Api.to(self._server))
            operator = Operator(api, [hook for hook, _ in self._hooks], self._journal, self._dice_of("operator"))
            await self._kill_over_and_over(api, operator)
            await self._let_settle(api, operator)
        self.summary.by_hand = self._journal.summary()
        self.summary.requests, self.summary.repeats = self._ledger.answered, api.repeats
        self.summary.broken += _of_files(self._server)
        self.summary.seconds = clock.monotonic() - began
        return self.summary

    def _dice_of(self, name: str) -> random.Random:
        """Dice of its own for everybody, so that what one does shifts nobody else's."""
        return random.Random(f"{self._seed} {name}")

    async def _subscribe(self, stack: AsyncExitStack) -> None:
        """Subscribers of every temper."""
        for hook, temper in hooks_of_every_temper(self._dice_of("moods")):
            self._hooks.append(
                (hook, await stack.enter_async_context(listening(hook, temper, lambda: self._server.lives)))
            )

    async def _kill_over_and_over(self, api: Api, operator: Operator) -> None:
        """The rounds. Clients act through all of them, and end in one that nobody kills."""
        ending = asyncio.Event()
        clients = [
            Client(name, api, self._ledger, self._dice_of(name)) for name in map("client{}".format, range(_CLIENTS))
        ]
        acting = [asyncio.create_task(self._operate(operator, ending))]
        acting += [asyncio.create_task(self._act(client, ending)) for client in clients]
        try:
            for number in range(1, self._rounds + 1):
                await self._round(api, number)
                raise_what_failed(acting)
                if number % 20 == 0 or number == self._rounds:
                    self._say(f"round {number}: {self._ledger.answered} requests answered, {api.repeats} repeated")
            ending.set()
            await self._server.start()
            await self._server.ready()
            await asyncio.gather(*acting)
        finally:
            for client in acting:
                client.cancel()
            await asyncio.gather(*acting, return_exceptions=True)

    async def _round(self, api: Api, number: int) -> None:
        """One life, from its start to its violent end."""
        clock = SystemClock()
        [moment] = self._dice.choices(["working", "starting", "recovering", "stopping"], [65, 13, 13, 9])
        if number <= _ROUNDS_ON_NOTHING:
            moment = "starting"
        self.summary.kills[moment] += 1
        began = clock.monotonic()
        api.asked.clear()
        await self._server.start()
        if moment == "starting":
            await real_seconds(self._usual_start_seconds * self._dice.uniform(0.3, 1.05))
        else:
            await self._server.ready()
            self._usual_start_seconds = clock.monotonic() - began
            if moment == "recovering":
                await real_seconds(self._dice.uniform(0, _LONGEST_RECOVERY_SECONDS))
            else:
                await in_patience(api.asked.wait(), "a request")
                await real_seconds(self._dice.uniform(0, _LONGEST_ROUND_SECONDS))
        if self._server.died:
            raise Broken(f"The server died by itself.\n{self._server.end_of_log()}")
        if moment == "stopping":
            self._server.tell_to_stop()
            await real_seconds(self._dice.uniform(0, _LONGEST_STOP_SECONDS))
        self.summary.amid += any(hook.under_way for hook, _ in self._hooks)
        await self._server.kill()
        await self._hear_out_the_dead()

    async def _hear_out_the_dead(self) -> None:
        """Read what the killed one had still written, so that it is known who sent what."""
        for _ in range(10):
            await turn()
        for _, subscriber in self._hooks:
            await in_patience(subscriber.until(lambda each=subscriber: each.is_alone), "connections to end")  # type: ignore[misc]

    async def _operate(self, operator: Operator, ending: asyncio.Event) -> None:
        for hook, subscriber in self._hooks:
            await operator.subscribe(hook, f"{subscriber.url}/{hook.name}")
        self._subscribed.set()
        pauses = self._dice_of("operator's pauses")
        await keep_acting(operator.act, pauses, longest_pause_seconds=_OPERATOR_PAUSE_SECONDS, ending=ending)

    async def _act(self, client: Client, ending: asyncio.Event) -> None:
        await self._subscribed.wait()
        pauses = self._dice_of(f"{client.name}'s pauses")
        await keep_acting(client.act, pauses, longest_pause_seconds=_PAUSE_SECONDS, ending=ending)

    async def _let_settle(self, api: Api, operator: Operator) -> None:
        """Leave the server alone until nothing is owed any more, then compare everything with everything."""
        self._say("waiting until all is settled")
        await all_announced(api, self._ledger)
        await ended_processes(api, seconds=_SETTLING_SECONDS)
        await operator.close_everything()
        record = await settled(api, seconds=_SETTLING_SECONDS)
        code = await self._server.stop()
        if code:
            self.summary.broken.append(f"SIGTERM at the end was answered with exit code {code}")
        hooks = [hook for hook, _ in self._hooks]
        self.summary.broken += broken_promises(
            self._ledger, self._journal, record, hooks, lives=self._server.lives, figures=self.summary.figures
        )


def _of_files(server: Server) -> Iterator[str]:
    """The database is whole, and nothing went wrong behind anybody's back."""
    with sqlite3.connect(server.database) as connection:
        [(verdict,)] = connection.execute("PRAGMA integrity_check").fetchmany(1)
    connection.close()
    if verdict != "ok":
        yield f"PRAGMA integrity_check says {verdict}"
    log = server.log.read_text("utf-8", "replace")
    if "Traceback" in log:
        yield f"The log has a traceback: {log[log.index('Traceback') - 300 :][:3000]}"


def run(rounds: int, seed: int, folder: Path, say: Callable[[str], None]) -> Summary:
    """The kill test from the first round to the reckoning."""
    return asyncio.run(KillTest(folder, rounds, seed, say).run())


def main() -> int:
    """The command."""
    return long_run(
        run,
        name="kill",
        description="Kill a server at random moments; nothing may be lost.",
        amount="rounds",
        default=200,
        amount_help="how often it is killed",
        seed_help="what decides what is done and when it is killed",
    )


if __name__ == "__main__":
    sys.exit(main())

"""The kill test: `kill -9` at random moments, over and over, and then everything has to be as promised.

    python -m tests.acceptance.kill --rounds 200 --seed 1

One server is killed while clients book, move, edit and cancel meetings and report calls, and while subscribers answer
200, 500, slowly or not at all; also while it makes its database, while it starts, while it recovers from the kill
before, and while it stops because it was told to. At last it is left alone until nothing is owed any more. What clients
do: `load.py`. What is promised: `promises.py`.

The seed decides what is done and when it is killed; how fast the machine is, decides the rest.
"""

import argparse
import asyncio
import random
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hookline.adapters.system_clock import SystemClock
from tests.acceptance.load import Client, Ledger
from tests.acceptance.promises import ACCEPTED, CUT, Arrival, Figures, Hook, broken_promises
from tests.acceptance.record import settled_record
from tests.acceptance.serving import Api, Broken, Server, in_patience, real_seconds
from tests.fakes import (
    Manner,
    Received,
    Subscriber,
    closing,
    hanging,
    replying,
    resetting,
    slowly,
    turn,
)

_CLIENTS: Final = 6
_PAUSE_SECONDS: Final = 0.03  # at most, between two acts of one client
_LONGEST_ROUND_SECONDS: Final = 0.6
_LONGEST_RECOVERY_SECONDS: Final = 0.05
_LONGEST_STOP_SECONDS: Final = 0.4
#: The first kills are while the database is being made.
_ROUNDS_ON_NOTHING: Final = 2
_MOST_TOLD: Final = 20
#: Everything that is owed at the end must have been settled by then: the longest schedule below is far shorter.
_SETTLING_SECONDS: Final = 600

_MEETINGS: Final = ("meetingBooked", "meetingStarted", "meetingCancelled")
_ALL: Final = ("callFinished", *_MEETINGS)
_PATIENT: Final = [0, 0, 1, 1, 1, *[2] * 25]
_OK: Final = replying(200)
_FAILS: Final = replying(500)

#: What a subscriber did, and the name under which it goes down in the books.
_Deed = tuple[str, Manner]
_SWIFT: Final[_Deed] = (ACCEPTED, _OK)
_REFUSES: Final[_Deed] = ("refused", _FAILS)
_MOODS: Final[list[tuple[Callable[[random.Random], _Deed], int]]] = [
    (lambda _: _SWIFT, 40),
    (lambda _: _REFUSES, 20),
    (lambda dice: (ACCEPTED, slowly(dice.uniform(0.0, 0.4), _OK)), 15),
    (lambda _: ("too late", slowly(1.5, _OK)), 4),
    (lambda _: ("hung", hanging), 4),
    (lambda _: (CUT, resetting), 9),
    (lambda _: (CUT, closing), 8),
]


@dataclass(slots=True)
class Summary:
    """What came of it."""

    seed: int
    rounds: int
    kills: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    repeats: int = 0
    seconds: float = 0.0
    figures: Figures = field(default_factory=Figures)
    broken: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """For people."""
        figures = self.figures
        yield f"seed {self.seed}, {self.rounds} rounds, {self.seconds:.0f} s, kills: {_counted(self.kills)}"
        yield f"requests answered {self.requests}, repeated {self.repeats}"
        yield f"events {figures.events.total()}: {_counted(figures.events)}"
        yield f"deliveries {figures.deliveries.total()}: {_counted(figures.deliveries)}"
        yield (
            f"attempts {figures.attempts}, of which cut short {figures.cut_short}; POSTs that arrived"
            f" {figures.arrivals}; accepted more than once {figures.duplicates}, at most {figures.duplicates_of_one}"
            " of one delivery"
        )
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
            await self._kill_over_and_over(api)
            await self._let_settle(api)
        self.summary.requests, self.summary.repeats = self._ledger.answered, api.repeats
        self.summary.broken += _of_files(self._server)
        self.summary.seconds = clock.monotonic() - began
        return self.summary

    def _dice_of(self, name: str) -> random.Random:
        """Dice of its own for everybody, so that what one does shifts nobody else's."""
        return random.Random(f"{self._seed} {name}")

    async def _subscribe(self, stack: AsyncExitStack) -> None:
        """Subscribers of every temper."""
        moods = self._dice_of("moods")

        def late(received: Received, hook: Hook) -> _Deed:
            refused = [each for each in hook.arrivals[received.header("webhook-id") or ""] if each.manner == "refused"]
            return _SWIFT if len(refused) >= 2 else _REFUSES

        def moody(_: Received, __: Hook) -> _Deed:
            [mood] = moods.choices([mood for mood, _ in _MOODS], [weight for _, weight in _MOODS])
            return mood(moods)

        tempers: list[tuple[str, tuple[str, ...], list[int], str, Callable[[Received, Hook], _Deed]]] = [
            ("steady", _ALL, _PATIENT, "delivered", lambda _, __: _SWIFT),
            ("moody", _ALL, _PATIENT, "delivered", moody),
            ("late", _ALL, _PATIENT, "delivered", late),
            ("orderly", _ALL, _PATIENT, "delivered", moody),
            ("slow", _MEETINGS, _PATIENT, "delivered", lambda _, __: (ACCEPTED, slowly(moods.uniform(0, 0.4), _OK))),
            ("calls", ("callFinished",), _PATIENT, "delivered", lambda _, __: _SWIFT),
            ("hopeless", ("meetingStarted",), [0, 1], "dead", lambda _, __: _REFUSES),
            ("silent", ("meetingCancelled",), [], "dead", lambda _, __: ("hung", hanging)),
        ]
        for name, events, schedule, settles_as, temper in tempers:
            hook = Hook(name, events, len(schedule), settles_as, ordered=name == "orderly")
            subscriber = await stack.enter_async_context(self._listening(hook, temper))
            self._hooks.append((hook, subscriber))
        self._schedules = [schedule for _, _, schedule, _, _ in tempers]

    @asynccontextmanager
    async def _listening(self, hook: Hook, temper: Callable[[Received, Hook], _Deed]) -> AsyncIterator[Subscriber]:
        def manner_for(received: Received) -> Manner:
            name, manner = temper(received, hook)
            hook.saw(Arrival(received, self._server.lives, name))
            return manner

        async with Subscriber.running(manner_for) as subscriber:
            yield subscriber

    async def _make_webhooks(self, api: Api) -> None:
        for (hook, subscriber), schedule in zip(self._hooks, self._schedules, strict=True):
            policy = {"scheduleSeconds": schedule}
            hook.webhook_id = await api.subscribe(
                *(subscriber, f"/{hook.name}"),
                events=hook.events,
                retryPolicy=policy,
                timeoutSeconds=1,
                ordered=hook.ordered,
            )

    async def _kill_over_and_over(self, api: Api) -> None:
        """The rounds. Clients act through all of them, and end in one that nobody kills."""
        ending = asyncio.Event()
        acting = [asyncio.create_task(self._act(api, number, ending)) for number in range(_CLIENTS)]
        try:
            for number in range(1, self._rounds + 1):
                await self._round(api, number)
                _raise_what_failed(acting)
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
        await self._server.kill()
        await self._hear_out_the_dead()

    async def _hear_out_the_dead(self) -> None:
        """Read what the killed one had still written, so that it is known who sent what."""
        for _ in range(10):
            await turn()
        for _, subscriber in self._hooks:
            await in_patience(subscriber.until(lambda each=subscriber: each.is_alone), "connections to end")  # type: ignore[misc]

    async def _act(self, api: Api, number: int, ending: asyncio.Event) -> None:
        if number == 0:
            await self._make_webhooks(api)
            self._subscribed.set()
        await self._subscribed.wait()
        name = f"client{number}"
        dice = self._dice_of(name)
        client = Client(name, api, self._ledger, dice)
        while not ending.is_set():
            await client.act()
            await real_seconds(dice.uniform(0, _PAUSE_SECONDS))

    async def _let_settle(self, api: Api) -> None:
        """Leave the server alone until nothing is owed any more, then compare everything with everything."""
        self._say("waiting until all is settled")
        record = await settled_record(api, self._ledger, seconds=_SETTLING_SECONDS)
        code = await self._server.stop()
        if code:
            self.summary.broken.append(f"SIGTERM at the end was answered with exit code {code}")
        hooks = [hook for hook, _ in self._hooks]
        self.summary.broken += broken_promises(
            self._ledger, record, hooks, lives=self._server.lives, figures=self.summary.figures
        )


def _raise_what_failed(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception() is not None:
            task.result()


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


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def run(rounds: int, seed: int, folder: Path, say: Callable[[str], None]) -> Summary:
    """The kill test from the first round to the reckoning."""
    return asyncio.run(KillTest(folder, rounds, seed, say).run())


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Kill a server at random moments; nothing may be lost.")
    parser.add_argument("--rounds", type=int, default=200, help="how often it is killed")
    parser.add_argument("--seed", type=int, default=None, help="what decides what is done and when it is killed")
    given = parser.parse_args()
    seed = random.SystemRandom().getrandbits(32) if given.seed is None else given.seed

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    say(f"seed {seed}")
    folder = Path(tempfile.mkdtemp(prefix="hookline-kill-"))
    try:
        summary = run(given.rounds, seed, folder, say)
    except Broken as problem:
        say(f"broken: {problem}\nseed {seed}; database and log are in {folder}")
        return 1
    for line in summary.lines():
        say(line)
    if summary.broken:
        say(f"database and log are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())

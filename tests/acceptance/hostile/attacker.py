"""The attacking process: many connections, each with a stream of attacks of its own, at one rate for all together.

It is told what to do by one line of JSON on its standard input, and says how far it is by lines of JSON on its standard
output. Two files are its books: what was accepted or may have been, and the bytes of each broken promise.
"""

import asyncio
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from hookline.adapters.system_clock import SystemClock
from tests.acceptance.hostile.answers import Answer, Malformed, take_answer
from tests.acceptance.hostile.attack import After, Attack, Closing, Expectation, Item, World
from tests.acceptance.hostile.grammar import SLOW, Grammar
from tests.acceptance.hostile.wire import Wire, Wires
from tests.acceptance.serving import real_seconds

#: How long an answer may take on a machine that is busy; a server that hangs takes longer.
PATIENCE_SECONDS: Final = 60.0
#: How much later than documented a held connection may be closed.
SLACK_SECONDS: Final = 30.0
#: How long a client that never reads is held.
_HOLD_SECONDS: Final = 60.0
#: A connection that was idle for longer is not used again: the server may be about to close it.
_FRESH_SECONDS: Final = 20.0
#: The rate changes every so many seconds, to these shares of it.
_WAVE_SECONDS: Final = 15.0
_WAVES: Final = (0.5, 1.0, 1.5, 1.25, 0.75)
_PROGRESS_SECONDS: Final = 1.0
_MOST_FILES: Final = 300
_MOST_FILES_OF_ONE_KIND: Final = 3
_MOST_KEPT_BYTES: Final = 4_000_000


class Order(msgspec.Struct, frozen=True):
    """What to do."""

    port: int
    keys: dict[str, str]
    connectors: dict[str, str]
    name: str
    seed: int
    requests: int
    connections: int
    families: list[str]
    slow_share: float  # of the connections
    rate: float  # requests a second
    niceness: int  # how much everybody else goes first, 0 to 19
    folder: str  # for the books


class Progress(msgspec.Struct, frozen=True):
    """How far it is."""

    requests: int
    connections: int
    statuses: dict[str, int]
    findings: int
    refused: int  # connections that were not accepted


class Outcome(msgspec.Struct, frozen=True):
    """What came of it."""

    requests: int
    kinds: dict[str, int]
    statuses: dict[str, int]
    findings: dict[str, int]  # by sentence
    refused: int


class Booked(msgspec.Struct, frozen=True, array_like=True):
    """A line of the books: an event that has to exist, or one that may (`id` is None)."""

    id: str | None
    marker: str
    kind: str
    digest: str


class Books:
    """What was accepted, what may have been, and what was wrong."""

    def __init__(self, folder: Path) -> None:
        self._ledger = (folder / "hostile.jsonl").open("wb")
        self._findings_folder = folder / "findings"
        self._findings_folder.mkdir(exist_ok=True)
        self.findings: Counter[str] = Counter()
        self._files = 0

    def accepted(self, items: Sequence[Item], ids: Sequence[str]) -> None:
        """These were answered as accepted."""
        for item, id_ in zip(items, ids, strict=True):
            self._write(Booked(id_, item.marker, item.kind, item.digest))

    def maybe(self, items: Sequence[Item]) -> None:
        """Nobody knows what became of these."""
        for item in items:
            self._write(Booked(None, item.marker, item.kind, item.digest))

    def found(self, attack: Attack, sentence: str, came: str) -> None:
        """A broken promise."""
        told = f"{attack.kind}: {sentence}"
        self.findings[told] += 1
        if self.findings[told] > _MOST_FILES_OF_ONE_KIND or self._files >= _MOST_FILES:
            return
        self._files += 1
        base = self._findings_folder / f"{self._files:03d}"
        base.with_suffix(".bin").write_bytes(b"".join(attack.pieces)[:_MOST_KEPT_BYTES])
        expected = [sorted(each.statuses) for each in attack.expectations[:20]]
        base.with_suffix(".txt").write_text(
            f"{told}\nexpected: {expected}, closing: {attack.closing.value}, after: {attack.after.value}\n"
            f"pieces: {[len(each) for each in attack.pieces[:50]]}, {attack.pause_seconds} s apart\ncame: {came}\n"
        )

    def close(self) -> None:
        """Write everything."""
        self._ledger.close()

    def _write(self, booked: Booked) -> None:
        self._ledger.write(msgspec.json.encode(booked) + b"\n")


class Pace:
    """Lets requests begin in the order in which connections ask: so many a second on average, in waves.

    The waves show in one run at which volume honest clients begin to notice.
    """

    def __init__(self, rate: float, clock: SystemClock) -> None:
        self._rate = rate
        self._clock = clock
        self._begun = self._next_at = clock.monotonic()

    async def take(self, requests: int) -> None:
        """Wait for one's turn."""
        now = self._clock.monotonic()
        turn_at = max(self._next_at, now)
        wave = _WAVES[int((turn_at - self._begun) / _WAVE_SECONDS) % len(_WAVES)]
        self._next_at = turn_at + requests / (self._rate * wave)
        if turn_at > now:
            await real_seconds(turn_at - now)


class Attacker:
    """All connections of this process."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._world = World(order.keys, order.connectors, order.name)
        self._wires = Wires(order.port)
        self._books = Books(Path(order.folder))
        self._pace = Pace(order.rate, SystemClock())
        self._clock = SystemClock()
        self._requests = 0
        self._kinds: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()

    async def run(self) -> Outcome:
        """Attack until enough requests were sent."""
        slow = round(self._order.connections * self._order.slow_share) if SLOW in self._order.families else 0
        quick = [asyncio.create_task(self._attack_on(number)) for number in range(self._order.connections - slow)]
        beside = [asyncio.create_task(self._hold(number)) for number in range(slow)]
        beside += [asyncio.create_task(self._wires.sweep()), asyncio.create_task(self._tell())]
        await asyncio.gather(*quick)
        for task in beside:
            task.cancel()
        for result in await asyncio.gather(*beside, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        self._books.close()
        return Outcome(
            self._requests, dict(self._kinds), dict(self._statuses), dict(self._books.findings), self._wires.refused
        )

    @property
    def _is_over(self) -> bool:
        return self._requests >= self._order.requests

    async def _attack_on(self, number: int) -> None:
        """One connection after the other, each with attacks until it is closed."""
        grammar = Grammar(
            self._order.families, self._world, random.Random(f"{self._order.seed} {self._order.name} {number}")
        )
        wire: Wire | None = None
        before: Attack | None = None
        while not self._is_over:
            attack = grammar.attack()
            await self._pace.take(attack.requests)
            if wire is not None and before is not None:
                self._look_at(wire, before)
            if wire is None or wire.has_ended or self._clock.monotonic() - wire.used_at > _FRESH_SECONDS:
                if wire is not None:
                    wire.close()
                wire = await self._connected()
                if wire is None:
                    continue
            self._note(attack)
            await self._perform(wire, attack)
            before = attack
        if wire is not None:
            wire.close()

    def _look_at(self, wire: Wire, before: Attack) -> None:
        """Between two attacks nothing may come, and nothing may be closed."""
        if wire.received and not wire.has_ended:
            self._books.found(before, "an answer to a request that was not sent", repr(bytes(wire.received[:500])))
            wire.close()
        elif (
            wire.has_ended
            and before.closing is Closing.NEVER
            and self._clock.monotonic() - wire.used_at < _FRESH_SECONDS
        ):
            if wire.cannot_send and not wire.was_reset:
                return  # closed by us
            self._books.found(before, "the connection was closed, though nothing was wrong", f"reset: {wire.was_reset}")

    async def _hold(self, number: int) -> None:
        """Hold connections, one after the other, for as long as the server lets them be held."""
        dice = random.Random(f"{self._order.seed} {self._order.name} slow {number}")
        grammar = Grammar(self._order.families, self._world, dice)
        await real_seconds(dice.uniform(0, 5))
        while True:
            attack = grammar.slow_attack()
            wire = await self._connected()
            if wire is None:
                continue
            self._note(attack)
            try:
                await self._perform(wire, attack)
            except asyncio.CancelledError:
                self._books.maybe([item for each in attack.expectations for item in each.items])
                raise
            finally:
                wire.close()

    async def _connected(self) -> Wire | None:
        try:
            return await self._wires.connect()
        except OSError:
            await real_seconds(0.1)
            return None

    def _note(self, attack: Attack) -> None:
        self._requests += attack.requests
        self._kinds[attack.kind] += attack.requests

    async def _tell(self) -> None:
        while True:
            await real_seconds(_PROGRESS_SECONDS)
            self._say(self.progress())

    def progress(self) -> Progress:
        """How far it is."""
        findings = self._books.findings.total()
        return Progress(self._requests, self._wires.open, dict(self._statuses), findings, self._wires.refused)

    def _say(self, what: Any) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
        sys.stdout.buffer.flush()

    async def _perform(self, wire: Wire, attack: Attack) -> None:
        """Send an attack, read what comes, and judge it."""
        begun = self._clock.monotonic()
        if not attack.reads:
            wire.stop_reading()
        await self._send(wire, attack)
        if attack.after in (After.RESET, After.ABANDON):
            self._books.maybe([item for each in attack.expectations for item in each.items])
            wire.close(by_reset=attack.after is After.RESET)
            return
        if attack.after is After.HALF_CLOSE:
            await self._until_sent(wire)
            wire.half_close()
        answers: list[Answer] = []
        try:
            came = "" if not attack.reads else await self._read(wire, attack, answers)
            came = came or await self._end(wire, attack, begun)
        except Malformed as problem:
            came = str(problem)
        if came:
            self._books.found(attack, _class_of(came), came)
        self._judge(attack, answers, was_wrong=bool(came))
        if came or attack.closing is not Closing.NEVER:
            wire.close()

    async def _send(self, wire: Wire, attack: Attack) -> None:
        for place, piece in enumerate(attack.pieces):
            if place and attack.pause_seconds:
                await real_seconds(attack.pause_seconds)
            if wire.has_ended:
                return
            wire.send(piece)
            if len(piece) > 30_000 and attack.reads:
                await self._until_sent(wire)

    async def _until_sent(self, wire: Wire) -> None:
        while not wire.is_sent and not wire.has_ended and await wire.wait(PATIENCE_SECONDS):
            continue

    async def _read(self, wire: Wire, attack: Attack, answers: list[Answer]) -> str:
        """Read the answers that are due. Returns what is wrong, or "".

        Raises:
            Malformed: what came is no answer.
        """
        due = attack.expectations
        while len(answers) < len(due):
            had_ended = wire.has_ended
            is_head = due[len(answers)].is_head
            answer = take_answer(wire.received, is_head=is_head, at_end=had_ended)
            if answer is not None:
                if answer.status != 100 or not attack.may_continue:
                    answers.append(answer)
            elif had_ended:
                return ""
            elif not await wire.wait(self._patience(attack)):
                return f"no answer within {self._patience(attack):g} s, {len(answers)} of {len(due)} came"
        return ""

    def _patience(self, attack: Attack) -> float:
        return attack.limit_seconds + SLACK_SECONDS if attack.limit_seconds else PATIENCE_SECONDS

    async def _end(self, wire: Wire, attack: Attack, begun: float) -> str:
        """Wait for the end of the connection, if it has to end. Returns what is wrong, or ""."""
        if attack.after is After.HOLD and not attack.limit_seconds:
            await wire.wait(_HOLD_SECONDS)
            return ""
        if attack.after is After.HOLD:
            return await self._held_until_closed(wire, attack, begun)
        if attack.closing is Closing.MUST:
            while not wire.has_ended and await wire.wait(PATIENCE_SECONDS):
                continue
            if not wire.has_ended:
                return f"the connection is still open after {PATIENCE_SECONDS:g} s"
        if wire.received:
            return f"an answer to a request that was not sent: {bytes(wire.received[:500])!r}"
        return ""

    async def _held_until_closed(self, wire: Wire, attack: Attack, begun: float) -> str:
        until = begun + attack.limit_seconds + SLACK_SECONDS
        while not wire.has_ended and (left := until - self._clock.monotonic()) > 0:
            await wire.wait(left)
        if not wire.has_ended:
            return f"held for {self._clock.monotonic() - begun:.0f} s, and the limit is {attack.limit_seconds:g} s"
        return ""

    def _judge(self, attack: Attack, answers: Sequence[Answer], *, was_wrong: bool) -> None:
        """Compare the answers with the right ones, and enter into the books what was accepted."""
        for expectation, answer in zip(attack.expectations, answers, strict=False):
            self._statuses[str(answer.status)] += 1
            for sentence in _faults(expectation, answer):
                self._books.found(attack, sentence, f"{answer.status} {answer.headers} {answer.body[:500]!r}")
            if answer.status < 300:
                self._accept(attack, expectation, answer)
        missing = attack.expectations[len(answers) :]
        self._books.maybe([item for each in missing for item in each.items])
        owed = [each for each in missing if not each.is_optional]
        if owed and not was_wrong and not any(each.status == 503 for each in answers):
            self._statuses["none"] += len(owed)
            came = [each.status for each in answers]
            self._books.found(attack, "the connection ended before the answer", f"{came} of {len(attack.expectations)}")

    def _accept(self, attack: Attack, expectation: Expectation, answer: Answer) -> None:
        if not expectation.items:
            return
        if not expectation.is_certain:
            self._books.maybe(expectation.items)
            return
        with suppress(msgspec.DecodeError, KeyError, TypeError, ValueError):
            self._books.accepted(expectation.items, list(_ids(expectation, answer)))
            return
        self._books.found(attack, "an acceptance without the right ids", repr(answer.body[:500]))


def _ids(expectation: Expectation, answer: Answer) -> Iterator[str]:
    if not answer.body:
        yield from ("" for _ in expectation.items)
        return
    value = msgspec.json.decode(answer.body)
    yield from value["ids"] if "ids" in value else [value["id"]]


def _faults(expectation: Expectation, answer: Answer) -> Iterator[str]:
    """What is wrong with an answer."""
    if answer.status == 503:
        return
    if answer.status not in expectation.statuses:
        yield f"answered {answer.status}, right is {sorted(expectation.statuses)}"
    elif expectation.contains and answer.status >= 400 and expectation.contains not in answer.body:
        yield "answered with the answer to another request"
    if answer.complaint():
        yield "answered with a refusal without code and message"


def _class_of(came: str) -> str:
    """A sentence without what differs from case to case."""
    return re.sub(r"\d[\d.]*", "N", came.partition(":")[0])[:100]


async def _attack() -> None:
    order = msgspec.json.decode(sys.stdin.readline(), type=Order)
    os.nice(order.niceness)
    outcome = await Attacker(order).run()
    sys.stdout.buffer.write(msgspec.json.encode({"outcome": msgspec.to_builtins(outcome)}) + b"\n")


if __name__ == "__main__":
    uvloop.run(_attack())

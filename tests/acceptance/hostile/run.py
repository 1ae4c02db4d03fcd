"""One hostile run: without the attacker, with it, and without it again; then the reckoning.

What honest clients see is measured in all three phases of one run on one machine, so that "at most twice as long" is
a ratio and not a figure. The attacker runs at the lowest priority and at a set rate: elsewhere it would have machines
of its own. Everybody who behaves (the honest client, the receiver, the probes) is in this process.
"""

import asyncio
import random
import sys
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from hookline.adapters.system_clock import SystemClock
from tests.acceptance.command import long_run
from tests.acceptance.hostile.attack import CALL_FINISHED, MEETING_BOOKED
from tests.acceptance.hostile.attacker import Order, Outcome, Progress
from tests.acceptance.hostile.grammar import FAMILIES
from tests.acceptance.hostile.honest import Arrived, HonestClient, Phase, receiving
from tests.acceptance.hostile.intake import AIRCALL_TOKEN, HOSTILE_LINE
from tests.acceptance.hostile.reckoning import Accepted, broken, read_kept, repeated
from tests.acceptance.record import settled_deliveries, until_nothing_is_owed
from tests.acceptance.serving import Api, Broken, Server, in_patience, real_seconds

#: What the run asserts.
MOST_MB: Final = 256.0
MOST_SLOWER: Final = 2.0
#: Memory in the second half of the attack, compared with the first. Allocator and SQLite keep what they once took, so
#: it does not go back to what it was before.
TOLERANCE_MB: Final = 32.0
#: Descriptors at the end, compared with the start.
TOLERANCE_FILES: Final = 64
#: No request may keep the event loop from everybody else for so long.
LONGEST_STALL_SECONDS: Final = 1.0

#: An attacker would have machines of its own: here everybody else goes first.
LOWEST_PRIORITY: Final = 19
_HONEST_RATE: Final = 30.0
_WARM_UP_SECONDS: Final = 3.0
_WHOLE_RUN: Final = 1_000_000
_BASELINE_SECONDS: Final = 60.0
_SLOW_SHARE: Final = 0.4
_SETTLING_SECONDS: Final = 600.0
_PROGRESS_SECONDS: Final = 10.0
_MOST_TOLD: Final = 30
_VOLUME_STEP: Final = 250
#: Phone systems that call us, with settings that each of them needs.
_CONNECTORS: Final[dict[str, dict[str, str]]] = {
    "3cx": {},
    "aircall": {"token": AIRCALL_TOKEN},
    "vonage": {"signatureSecret": "hostile-signature-secret-0123456789"},
    "plivo": {"authId": "MAXXXXXXXXXXXXXXXXXX", "authToken": "hostile-token"},
}


@dataclass(slots=True)
class Summary:
    """What came of it."""

    seed: int
    requests: int = 0
    connections: int = 0
    seconds: float = 0.0  # of the attack
    volumes: list[tuple[float, float]] = field(default_factory=list)  # instant, requests a second since the last one
    outcome: Outcome | None = None
    phases: list[Phase] = field(default_factory=list)
    arrivals: dict[str, list[float]] = field(default_factory=dict)  # seconds from report to arrival, by phase
    memory_mb: list[float] = field(default_factory=list)  # at the start, at the end
    files: list[int] = field(default_factory=list)
    accepted: int = 0
    repeated: int = 0  # deliveries of more than one attempt
    log_bytes: int = 0
    broken: list[str] = field(default_factory=list)  # promises, whatever the machine
    late: list[str] = field(default_factory=list)  # figures, which belong to a machine

    @property
    def is_broken(self) -> bool:
        """Whether a promise was broken."""
        return bool(self.broken or self.late)

    def lines(self) -> Iterator[str]:
        """For people."""
        assert self.outcome is not None
        volume = self.outcome.requests / self.seconds
        yield (
            f"seed {self.seed}, {self.outcome.requests:,} hostile requests of {len(self.outcome.kinds)} kinds from"
            f" {self.connections:,} connections in {self.seconds:.0f} s: {volume:,.0f} a second"
        )
        yield from _table(self.outcome.kinds)
        yield "answers: " + ", ".join(f"{status} {count:,}" for status, count in sorted(self.outcome.statuses.items()))
        for phase in self.phases:
            yield f"{phase.name}: report to 201 {spread(phase.answers)}"
            yield f"{phase.name}: report to arrival {spread(self.arrivals[phase.name])}"
            yield f"{phase.name}: /healthz {spread(phase.health)}"
            yield f"{phase.name}: memory at most {phase.most_mb:.0f} MB, open files at most {phase.most_files}"
            yield from (f"{phase.name}: not ready {count} times: {why}" for why, count in phase.not_ready.items())
        yield f"memory at the start {self.memory_mb[0]:.0f} MB, at the end {self.memory_mb[-1]:.0f} MB"
        yield f"open files at the start {self.files[0]}, at the end {self.files[-1]}; log {self.log_bytes / 1e6:.1f} MB"
        yield from _by_volume(self.phases[1], self.volumes)
        yield f"accepted, stored once and delivered: {self.accepted:,}; in more than one attempt: {self.repeated:,}"
        yield f"broken promises: {len(self.broken)}; figures out of bounds: {len(self.late)}"
        yield from [*self.broken, *self.late][:_MOST_TOLD]


class HostileRun:
    """A server, those who behave, and an attacker."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        say: Callable[[str], None],
        *,
        requests: int,
        connections: int,
        rate: float,
        families: Sequence[str],
        niceness: int,
    ) -> None:
        self._folder = folder
        self._requests = requests
        self._connections = connections
        self._rate = rate
        self._families = families
        self._niceness = niceness
        self._seed = seed
        self._say = say
        self._clock = SystemClock()
        self._arrived = Arrived()
        self._baseline_seconds = _BASELINE_SECONDS * min(1.0, requests / 100_000)
        self.summary = Summary(seed, requests, connections)

    async def run(self) -> Summary:
        """All phases and the reckoning."""
        async with receiving(self._arrived) as receiver, Server.running(self._folder) as server:
            async with Api.to(server) as api:
                body = {"url": receiver.url, "events": [CALL_FINISHED, MEETING_BOOKED]}
                receiver.trust((await api.post("/v3/webhooks", body))["secret"])
                await self._phases(api, server)
            await self._note_files(server)
            self._reckon(server)
            if await server.stop():
                self.summary.broken.append("The server did not end well.")
        return self.summary

    async def _phases(self, api: Api, server: Server) -> None:
        summary = self.summary
        order = await self._order(api, server)
        client = HonestClient(api, server, random.Random(f"{self._seed} honest"), _HONEST_RATE)
        await self._phase(client, "warm-up", real_seconds(_WARM_UP_SECONDS))
        summary.memory_mb.append(server.resident_mb)
        summary.files.append(server.open_files)
        before = await self._phase(client, "before", real_seconds(self._baseline_seconds))
        beside = await self._phase(client, "beside the attack", self._attack(order, server))
        accepted = Accepted.read(client.booked, self._folder / "hostile.jsonl")
        await in_patience(_decided(api, accepted), "calls of phone systems to be decided on", seconds=_SETTLING_SECONDS)
        await in_patience(until_nothing_is_owed(api), "all to be settled", seconds=_SETTLING_SECONDS)
        await self._phase(client, "calming down", real_seconds(_WARM_UP_SECONDS))
        after = await self._phase(client, "after", real_seconds(self._baseline_seconds))
        summary.phases = [before, beside, after]
        deliveries = await in_patience(settled_deliveries(api), "all to be settled", seconds=_SETTLING_SECONDS)
        accepted = Accepted.read(client.booked, self._folder / "hostile.jsonl")
        summary.accepted = accepted.total
        summary.broken += broken(accepted, await read_kept(api), deliveries, self._arrived)
        summary.repeated = repeated(deliveries)
        summary.memory_mb.append(server.resident_mb)

    async def _note_files(self, server: Server) -> None:
        """Nobody is connected any more: descriptors come back to where they were, at once or soon."""
        most = self.summary.files[0] + TOLERANCE_FILES
        with suppress(Broken):
            await in_patience(_until(lambda: server.open_files <= most), "descriptors to be given back")
        self.summary.files.append(server.open_files)

    async def _order(self, api: Api, server: Server) -> Order:
        """Everything that the attacker is given: keys, and the addresses of phone systems."""
        await api.post("/v3/phone-lines", {"number": HOSTILE_LINE, "name": "Office"})
        connectors = {}
        for kind, settings in _CONNECTORS.items():
            made = await api.post("/v3/connectors", {"kind": kind, "name": kind, "settings": settings})
            connectors[kind] = "/in/" + made["url"].partition("/in/")[2]
        return Order(
            port=server.port,
            keys={scope: await server.make_key(scope) for scope in ("read", "ingest")},
            connectors=connectors,
            name="a",
            seed=self._seed,
            requests=self._requests,
            connections=self._connections,
            families=list(self._families),
            slow_share=_SLOW_SHARE,
            rate=self._rate,
            niceness=self._niceness,
            folder=str(self._folder),
        )

    async def _phase(self, client: HonestClient, name: str, until: Any) -> Phase:
        """What the honest ones see until this has come to its end."""
        phase, ending = Phase(name), asyncio.Event()
        acting = asyncio.create_task(client.act(phase, ending))
        waiting = asyncio.ensure_future(until)
        await asyncio.wait({acting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        ending.set()
        if not waiting.done():
            waiting.cancel()
        await acting
        await waiting
        arrived = self._arrived.at
        await in_patience(_until(lambda: phase.reported.keys() <= arrived.keys()), "all deliveries to arrive")
        self.summary.arrivals[name] = [arrived[id_] - sent for id_, sent in phase.reported.items()]
        return phase

    async def _attack(self, order: Order, server: Server) -> None:
        """Let the attacker do its work, and say how far it is."""
        begun = said = self._clock.monotonic()
        before, before_at = 0, begun
        async with _attacking(order) as lines:
            async for line in lines:
                told = msgspec.json.decode(line)
                if "outcome" in told:
                    self.summary.outcome = msgspec.convert(told["outcome"], Outcome)
                    break
                progress = msgspec.convert(told, Progress)
                now = self._clock.monotonic()
                self.summary.volumes.append((now, (progress.requests - before) / (now - before_at)))
                before, before_at = progress.requests, now
                if server.died:
                    raise Broken(f"The server died by itself.\n{server.end_of_log()}")
                if now - said >= _PROGRESS_SECONDS:
                    said = now
                    self._say(
                        f"{progress.requests:,} of {order.requests:,} requests, {progress.connections} connections,"
                        f" {server.resident_mb:.0f} MB, findings {progress.findings}, refused {progress.refused}"
                    )
        self.summary.seconds = self._clock.monotonic() - begun
        if self.summary.outcome is None:
            raise Broken("The attacker ended without a word.")

    def _reckon(self, server: Server) -> None:
        summary = self.summary
        assert summary.outcome is not None
        log = server.log.read_text("utf-8", "replace")
        summary.log_bytes = len(log)
        if "Traceback" in log:
            summary.broken.append(f"The log has a traceback: {log[log.index('Traceback') - 300 :][:3000]}")
        findings = Counter(summary.outcome.findings).most_common()
        summary.broken += [f"{count} times {told} (bytes in {self._folder}/findings)" for told, count in findings]
        summary.late += out_of_bounds(summary)


@asynccontextmanager
async def _attacking(order: Order) -> AsyncIterator[asyncio.StreamReader]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.acceptance.hostile.attacker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        yield process.stdout
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _decided(api: Api, accepted: Accepted) -> None:
    """Return when every call that a phone system told of is an event. What is missing at last, is told elsewhere."""
    for _ in range(60):
        if accepted.by_marker.keys() <= {kept.marker for kept in await read_kept(api)}:
            return
        await real_seconds(1.0)


async def _until(fact: Callable[[], bool]) -> None:
    while not fact():
        await real_seconds(0.05)


def out_of_bounds(summary: Summary) -> Iterator[str]:
    """What honest clients saw, and what the server held."""
    before, beside, after = summary.phases
    for what, of in (("answer", _answers), ("arrival", lambda phase: summary.arrivals[phase.name])):
        usual = percentile(sorted([*of(before), *of(after)]), 0.99)
        attacked = percentile(sorted(of(beside)), 0.99)
        if attacked > MOST_SLOWER * usual:
            yield f"p99 of {what}s is {attacked * 1000:.1f} ms beside the attack, {usual * 1000:.1f} ms without it"
    if (most := max(phase.most_mb for phase in summary.phases)) > MOST_MB:
        yield f"memory came to {most:.0f} MB"
    if (longest := max(beside.health)) > LONGEST_STALL_SECONDS:
        yield f"/healthz once took {longest * 1000:.0f} ms"
    half = len(beside.memory_mb) // 2
    first, second = max(beside.memory_mb[:half], default=0.0), max(beside.memory_mb[half:], default=0.0)
    if second > first + TOLERANCE_MB:
        yield f"memory grew during the attack, from {first:.0f} MB in its first half to {second:.0f} MB"
    if summary.files[-1] > summary.files[0] + TOLERANCE_FILES:
        yield f"open files grew from {summary.files[0]} to {summary.files[-1]}"


def _answers(phase: Phase) -> Sequence[float]:
    return phase.answers


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which this share of them is; 0 when there are none."""
    return ordered[int((len(ordered) - 1) * share)] if ordered else 0.0


def spread(values: Sequence[float]) -> str:
    """Percentiles for people."""
    ordered = sorted(values)
    told = ((name, percentile(ordered, share)) for name, share in (("p50", 0.5), ("p99", 0.99), ("most", 1.0)))
    return ", ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in told) + f" of {len(ordered):,}"


def _by_volume(phase: Phase, volumes: Sequence[tuple[float, float]]) -> Iterator[str]:
    """How long honest reports took at which volume of hostile requests."""
    instants = [instant for instant, _ in volumes]
    by_step: dict[int, list[float]] = defaultdict(list)
    for sent_at, seconds in zip(phase.sent_at, phase.answers, strict=True):
        place = bisect_left(instants, sent_at)
        if place < len(volumes):
            by_step[int(volumes[place][1] // _VOLUME_STEP)].append(seconds)
    for step, answers in sorted(by_step.items()):
        yield f"  from {step * _VOLUME_STEP:,} hostile requests a second: report to 201 {spread(answers)}"


def _table(kinds: dict[str, int]) -> Iterator[str]:
    """How many of each family there were."""
    families: Counter[str] = Counter()
    for kind, count in kinds.items():
        families[kind.partition(":")[0]] += count
    yield "  " + ", ".join(f"{family} {count:,}" for family, count in families.most_common())


def run(
    requests: int,
    seed: int,
    folder: Path,
    say: Callable[[str], None],
    *,
    connections: int,
    rate: float,
    families: str = ",".join(FAMILIES),
    niceness: int = LOWEST_PRIORITY,
) -> Summary:
    """The whole run."""
    chosen = [each for each in FAMILIES if each in families.split(",")]
    hostile = HostileRun(
        folder,
        seed,
        say,
        requests=requests,
        connections=connections,
        rate=rate,
        families=chosen,
        niceness=niceness,
    )
    return asyncio.run(hostile.run())


def main() -> int:
    """The command."""
    return long_run(
        run,
        name="hostile",
        description="Hostile requests beside honest ones; the honest ones notice little.",
        amount="requests",
        default=_WHOLE_RUN,
        amount_help="how many hostile requests are sent",
        seed_help="what decides what is sent",
        more={
            "connections": (2_000, "how many connections are open at a time"),
            "rate": (1_200.0, "hostile requests a second, on average: half as many up to half more, in turns"),
            "families": (",".join(FAMILIES), "which attacks"),
            "niceness": (LOWEST_PRIORITY, "priority of the attacker, 0 to 19"),
        },
    )

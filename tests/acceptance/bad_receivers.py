"""Bad receivers beside a good one, under load: the good one notices nothing, and the server comes out as it went in.

    python -m tests.acceptance.bad_receivers --seconds 300

A real server; calls are reported to it at random instants. First it has a good receiver alone, which tells how fast
that one is served; then all of `bad_manners.py` join it, each with a webhook of its own for the same calls and a short
schedule, so that each gets many attempts. After a warm-up the memory is noted, and noted again when nothing is owed
any more. What has to be so then, is said by the functions at the end of this module.

The seed decides when calls are reported.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hookline.adapters.system_clock import SystemClock
from hookline.domain.webhooks import MAX_TIMEOUT_SECONDS
from tests.acceptance.bad_manners import MANNERS, TIME_LIMIT_SECONDS, Manner, all_of_them
from tests.acceptance.command import long_run
from tests.acceptance.load import Ledger
from tests.acceptance.record import DeliveryRow, Record, settled_record, until_nothing_is_owed
from tests.acceptance.serving import Api, Server, in_patience, real_seconds
from tests.fakes import Manner as Deed
from tests.fakes import Received, Subscriber, replying

CALLS_PER_SECOND: Final = 10
_SCHEDULE: Final = [0, 1]
#: Of `seconds`: how long the good one is alone, and how long all of them warm the server up.
_ALONE, _WARM_UP = 1 / 6, 1 / 6
_PROGRESS_SECONDS: Final = 15.0
_SETTLING_SECONDS: Final = 300.0
_MOST_TOLD: Final = 20

#: An attempt may be late to notice that its time is over: this machine runs the server and all receivers at once.
SLACK_MS: Final = 500.0
#: Half of the time limit of the bad ones: a good delivery that had to wait for one of theirs would be later than this.
LATE_SECONDS: Final = TIME_LIMIT_SECONDS / 2
#: What memory may have grown by from the end of the warm-up until all is settled. Allocator and SQLite keep what they
#: once took, and the largest answers come together only now and then; but 100 bytes left over from each of the more
#: than 100,000 attempts of a run of 300 s would be more than this.
TOLERANCE_MB: Final = 8.0
#: Connections to receivers that behave are kept for a while; those to bad ones are not.
TOLERANCE_FILES: Final = 32


@dataclass(slots=True)
class Summary:
    """What came of it."""

    seed: int
    calls: int = 0
    attempts: Counter[str] = field(default_factory=Counter)  # by the manner of the receiver
    alone_seconds: list[float] = field(default_factory=list)  # from the request to the arrival at the good one
    beside_seconds: list[float] = field(default_factory=list)  # the same, with the bad ones there
    memory_mb: list[float] = field(default_factory=list)  # after the warm-up, the most there was, at the end
    open_files: list[int] = field(default_factory=list)  # after the warm-up, at the end
    longest_ms: float = 0.0  # attempt at a bad one
    broken: list[str] = field(default_factory=list)  # promises, whatever the machine
    late: list[str] = field(default_factory=list)  # figures, which belong to a machine

    @property
    def is_broken(self) -> bool:
        """Whether a promise was broken."""
        return bool(self.broken or self.late)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"seed {self.seed}, calls {self.calls}, attempts at bad receivers {self.attempts.total()}:"
        yield from (f"  {count:7,}  {name}" for name, count in self.attempts.most_common())
        yield f"from request to arrival at the good one, alone:       {_spread(self.alone_seconds)}"
        yield f"from request to arrival at the good one, beside them: {_spread(self.beside_seconds)}"
        yield f"longest attempt at a bad one: {self.longest_ms:.0f} ms, time limit {TIME_LIMIT_SECONDS} s"
        began, most, ended = self.memory_mb
        yield f"memory after the warm-up {began:.1f} MB, at most {most:.1f} MB, at the end {ended:.1f} MB"
        yield f"open files after the warm-up {self.open_files[0]}, at the end {self.open_files[-1]}"
        yield f"broken promises: {len(self.broken)}; figures out of bounds: {len(self.late)}"
        yield from [*self.broken, *self.late][:_MOST_TOLD]


class BadReceivers:
    """One run: a server, a good receiver, all the bad ones."""

    def __init__(self, folder: Path, seconds: float, seed: int, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._seconds = seconds
        self._dice = random.Random(seed)
        self._say = say
        self._clock = SystemClock()
        self._arrived: dict[str, list[float]] = {}  # at the good one, by subject
        self._manners: dict[int, Manner] = {}  # of webhooks
        self._most_mb = 0.0
        self.summary = Summary(seed)

    async def run(self) -> Summary:
        """Alone, together, and the reckoning."""
        async with (
            Subscriber.running(self._greet) as good,
            Server.running(self._folder) as server,
            Api.to(server) as api,
            AsyncExitStack() as stack,
        ):
            good_id = await api.subscribe(good, timeoutSeconds=MAX_TIMEOUT_SECONDS)
            sent = await self._load(api, server, self._seconds * _ALONE, "alone")
            self.summary.alone_seconds = await self._waits(good, sent)
            urls = await stack.enter_async_context(all_of_them())
            for manner in MANNERS:
                await self._subscribe(api, manner, urls[manner.name])
            warm = await self._load(api, server, self._seconds * _WARM_UP, "warming up")
            began_mb, began_files = server.resident_mb, server.open_files
            beside = await self._load(api, server, self._seconds, "beside the bad ones")
            self.summary.beside_seconds = await self._waits(good, {**warm, **beside})
            self._say("waiting until nothing is owed")
            await in_patience(until_nothing_is_owed(api), "all to be settled", seconds=_SETTLING_SECONDS)
            self.summary.memory_mb = [began_mb, self._most_mb, server.resident_mb]
            self.summary.open_files = [began_files, server.open_files]
            record = await settled_record(api, Ledger(), seconds=_SETTLING_SECONDS)
            self._reckon(record, good, good_id, {**sent, **warm, **beside})
            if await server.stop():
                self.summary.broken.append("The server did not end well.")
            if "Traceback" in server.log.read_text("utf-8", "replace"):
                self.summary.broken.append(f"The log has a traceback: {server.log}")
        return self.summary

    def _greet(self, received: Received) -> Deed:
        self._arrived.setdefault(received.header("hookline-subject") or "", []).append(self._clock.monotonic())
        return replying(200)

    async def _subscribe(self, api: Api, manner: Manner, url: str) -> None:
        policy = {"scheduleSeconds": _SCHEDULE}
        wanted = {"url": url, "events": ["callFinished"], "retryPolicy": policy, "timeoutSeconds": TIME_LIMIT_SECONDS}
        self._manners[(await api.post("/v3/webhooks", wanted))["id"]] = manner

    async def _load(self, api: Api, server: Server, seconds: float, what: str) -> dict[str, float]:
        """Report calls at random instants for so long. Returns when each was sent, by its id."""
        sent: dict[str, float] = {}
        begun = told = due = self._clock.monotonic()
        under_way: list[asyncio.Task[None]] = []
        while due < begun + seconds:
            await real_seconds(max(0.0, due - self._clock.monotonic()))
            under_way.append(asyncio.create_task(self._report(api, sent)))
            due += self._dice.expovariate(CALLS_PER_SECOND)
            self._most_mb = max(self._most_mb, server.resident_mb)
            if self._clock.monotonic() >= told + _PROGRESS_SECONDS:
                told = self._clock.monotonic()
                self._say(f"{what}: {told - begun:.0f} of {seconds:.0f} s, {server.resident_mb:.1f} MB")
        await asyncio.gather(*under_way)
        return sent

    async def _report(self, api: Api, sent: dict[str, float]) -> None:
        moment = self._clock.monotonic()
        call = {"phone_line": "+441400800008", "phone_number": "+14002007868", "type": "missed"}
        sent[(await api.post("/v3/calls", call))["id"]] = moment

    async def _waits(self, good: Subscriber, sent: dict[str, float]) -> list[float]:
        """From the request to the arrival of each of these, once all have arrived."""
        everything = good.until(lambda: sent.keys() <= self._arrived.keys())
        await in_patience(everything, "all deliveries to the good receiver")
        return sorted(self._arrived[subject][0] - moment for subject, moment in sent.items())

    def _reckon(self, record: Record, good: Subscriber, good_id: int, sent: dict[str, float]) -> None:
        summary = self.summary
        summary.calls = len(sent)
        rows: dict[int, list[DeliveryRow]] = {}
        for row in record.deliveries:
            rows.setdefault(row.webhookId, []).append(row)
        summary.broken += of_the_good_one(self._arrived, good, rows[good_id], sent)
        for webhook_id, manner in self._manners.items():
            attempts = [attempt for row in rows[webhook_id] for attempt in row.attempts]
            summary.attempts[manner.name] = len(attempts)
            summary.longest_ms = max(summary.longest_ms, *(attempt.durationMs for attempt in attempts))
            summary.broken += of_a_bad_one(manner, rows[webhook_id])
        summary.late += out_of_bounds(summary)


def of_the_good_one(
    arrived: dict[str, list[float]], good: Subscriber, rows: Sequence[DeliveryRow], sent: dict[str, float]
) -> Iterator[str]:
    """Every call arrives there once, rightly signed, and stands in the record with one attempt."""
    if arrived.keys() != sent.keys():
        yield f"{len(sent)} calls were accepted, {len(arrived)} arrived at the good receiver"
    twice = sum(len(moments) > 1 for moments in arrived.values())
    if twice:
        yield f"{twice} calls arrived more than once at the good receiver"
    if {each.complaint for each in good.received} != {""}:
        yield "the good receiver got a request that is not rightly signed"
    if any([attempt.status for attempt in row.attempts] != [200] for row in rows):
        yield "the good receiver's deliveries are not on record with one attempt each"


def of_a_bad_one(manner: Manner, rows: Sequence[DeliveryRow]) -> Iterator[str]:
    """Every delivery is settled, every attempt has an outcome that can be read, and the right one was seen."""
    attempts = [attempt for row in rows for attempt in row.attempts]
    speechless = sum(not (each.error or "").endswith(".") and each.status is None for each in attempts)
    if speechless:
        yield f"{manner.name}: {speechless} of {len(attempts)} attempts have neither an answer nor a sentence"
    if not any(manner.is_told_rightly(each.status, each.error or "") for each in attempts):
        told = Counter((each.status, each.error) for each in attempts).most_common(3)
        yield f"{manner.name}: expected {manner.status} {' or '.join(manner.sentences)!r}, got {told}"
    for row in rows:
        settled = "delivered" if row.attempts[-1].error is None and row.attempts[-1].status == 200 else "dead"
        full = settled == "delivered" or len(row.attempts) == len(_SCHEDULE) + 1
        if row.status != settled or not full:
            yield f"{manner.name}: delivery {row.id} is {row.status} after {len(row.attempts)} attempts"


def out_of_bounds(summary: Summary) -> Iterator[str]:
    """The good one is not kept waiting, no attempt lasts beyond its limit, and memory ends where it began."""
    alone, beside = _percentile(summary.alone_seconds, 0.99), _percentile(summary.beside_seconds, 0.99)
    if beside > alone + LATE_SECONDS:
        yield f"p99 of the good one is {beside * 1000:.0f} ms beside the bad ones, {alone * 1000:.0f} ms without them"
    if summary.longest_ms > TIME_LIMIT_SECONDS * 1000 + SLACK_MS:
        yield f"an attempt lasted {summary.longest_ms:.0f} ms"
    began, _, ended = summary.memory_mb
    if ended > began + TOLERANCE_MB:
        yield f"memory grew from {began:.1f} MB to {ended:.1f} MB"
    if summary.open_files[-1] > summary.open_files[0] + TOLERANCE_FILES:
        yield f"open files grew from {summary.open_files[0]} to {summary.open_files[-1]}"


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[int((len(ordered) - 1) * share)]


def _spread(ordered: Sequence[float]) -> str:
    told = ((name, _percentile(ordered, share)) for name, share in (("p50", 0.5), ("p99", 0.99), ("most", 1.0)))
    return ", ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in told)


def run(seconds: float, seed: int, folder: Path, say: Callable[[str], None]) -> Summary:
    """The whole run."""
    return asyncio.run(BadReceivers(folder, seconds, seed, say).run())


def main() -> int:
    """The command."""
    return long_run(
        run,
        name="bad-receivers",
        description="Bad receivers beside a good one; the good one notices nothing.",
        amount="seconds",
        default=300.0,
        amount_help="how long all of them are there, after a warm-up",
        seed_help="what decides when calls are reported",
    )


if __name__ == "__main__":
    sys.exit(main())

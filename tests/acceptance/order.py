"""The order test: many events on ordered webhooks whose receivers fail again and again, and the order is never broken.

    python -m tests.acceptance.order --events 100000 --seed 1

Clients book, move and cancel meetings while two ordered subscribers of one server refuse one request in five; some of
their events are refused until they are dead. Whatever arrives must be the next of its subject: everything before it
was accepted, or refused for the last time. In the end everything has arrived, and nothing is owed any more.

The seed decides what is done and what is refused; how fast the machine is, decides the rest. Order through kills:
`kill.py`.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from hookline.adapters.system_clock import SystemClock
from hookline.domain.instants import wire_form
from tests.acceptance.command import long_run
from tests.acceptance.serving import Api, Server, in_patience
from tests.fakes import Manner, Received, Subscriber, Visit, replying, slowly

_CLIENTS: Final = 8
_EVENTS: Final = ["meetingBooked", "meetingCancelled"]
_MEETINGS_AT_ONCE: Final = 25
_MOST_MOVES: Final = 3
#: The fourth failure is the last: one event in six hundred dies, and must let the next one go.
_SCHEDULE: Final = [0, 0, 1]
#: The longest there is: what a subscriber accepted must not be repeated because the machine was too busy to read it.
_TIME_LIMIT_SECONDS: Final = 30
_FAILING: Final = 0.2
_HANGING_UP: Final = 0.002  # of all; each a second later, within the answer
_MOST_TOLD: Final = 20
#: Everything must have come to its end by then, however slow the machine.
_SETTLING_SECONDS: Final = 1800
_OK: Final = replying(200)
_FAILS: Final = replying(500)


async def _break_off(visit: Visit) -> None:
    """Close the connection within the answer. Without a byte of one, the sender would repeat the same attempt."""
    await visit.write(b"HTTP/1.1 ")
    visit.writer.close()


_HANGS_UP: Final = slowly(1.0, _break_off)


@dataclass(slots=True)
class Watch:
    """One ordered subscriber: what it answers, and whether everything comes in its turn."""

    name: str
    dice: random.Random
    latest: Counter[str] = field(default_factory=Counter)  # by subject: the sequence that was accepted or died last
    attempts: Counter[str] = field(default_factory=Counter)  # by subject: of the one behind it
    answers: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    ended: int = 0  # deliveries that were accepted or died

    def manner_for(self, received: Received) -> Manner:
        """Check that it is its turn, then take it or refuse it."""
        subject = received.header("hookline-subject") or ""
        sequence, attempt = (
            int(received.header("hookline-sequence") or 0),
            int(received.header("hookline-attempt") or 0),
        )
        self.attempts[subject] += 1
        place = f"{self.name}: {subject} {sequence}, attempt {attempt}"
        if received.message is None:
            self.broken.append(f"{place}, could not be verified: {received.complaint}")
        if (sequence, attempt) != (self.latest[subject] + 1, self.attempts[subject]):
            self.broken.append(f"{place}, came behind {self.latest[subject]}, as attempt {self.attempts[subject]}")
        answer, manner = self._mood()
        self.answers[answer] += 1
        if answer == "accepted" or attempt > len(_SCHEDULE):
            self.answers["dead"] += answer != "accepted"
            self.latest[subject], self.attempts[subject] = sequence, 0
            self.ended += 1
        return manner

    def _mood(self) -> tuple[str, Manner]:
        draw = self.dice.random()
        if draw < _HANGING_UP:
            return "hung up", _HANGS_UP
        return ("refused", _FAILS) if draw < _FAILING else ("accepted", _OK)


@dataclass(slots=True)
class Summary:
    """What came of it."""

    seed: int
    events: int = 0
    subjects: int = 0
    seconds: float = 0.0
    answers: dict[str, Counter[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        """Whether a promise was broken."""
        return bool(self.broken)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"seed {self.seed}, {self.events} events of {self.subjects} subjects, {self.seconds:.0f} s"
        for name, counts in self.answers.items():
            yield f"{name}: " + ", ".join(f"{answer} {count}" for answer, count in counts.most_common())
        yield f"broken promises: {len(self.broken)}"
        yield from self.broken[:_MOST_TOLD]


class OrderTest:
    """One run: a server, its subscribers, its clients."""

    def __init__(self, folder: Path, events: int, seed: int, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._wanted = events
        self._seed = seed
        self._say = say
        self._owed: Counter[str] = Counter()  # by subject: how many events there are
        self._watches = [Watch(name, random.Random(f"{seed} {name}")) for name in ("one", "two")]
        self.summary = Summary(seed)

    async def run(self) -> Summary:
        """From the first event to the reckoning."""
        clock = SystemClock()
        began = clock.monotonic()
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(Server.running(self._folder))
            api = await stack.enter_async_context(Api.to(server))
            subscribers = [await self._subscribe(stack, api, watch) for watch in self._watches]
            await asyncio.gather(*(self._act(api, number) for number in range(_CLIENTS)))
            self._tell()
            for watch, subscriber in zip(self._watches, subscribers, strict=True):
                everything = subscriber.until(lambda it=watch: it.broken or it.ended >= self._owed.total())  # type: ignore[misc]
                await in_patience(everything, f"all to reach subscriber {watch.name}", seconds=_SETTLING_SECONDS)
            await in_patience(_nothing_owed(api), "nothing to be owed")
        self._reckon()
        self.summary.seconds = clock.monotonic() - began
        return self.summary

    async def _subscribe(self, stack: AsyncExitStack, api: Api, watch: Watch) -> Subscriber:
        def manner_for(received: Received) -> Manner:
            subscriber.received.clear()  # so many are too many to remember
            return watch.manner_for(received)

        subscriber = await stack.enter_async_context(Subscriber.running(manner_for))
        policy = {"scheduleSeconds": _SCHEDULE}
        await api.subscribe(
            subscriber, events=_EVENTS, ordered=True, retryPolicy=policy, timeoutSeconds=_TIME_LIMIT_SECONDS
        )
        return subscriber

    async def _act(self, api: Api, number: int) -> None:
        """One client: books some meetings, moves them about, cancels them all."""
        dice = random.Random(f"{self._seed} client {number}")
        while self._owed.total() < self._wanted and not any(watch.broken for watch in self._watches):
            meetings = [_meeting(dice) for _ in range(_MEETINGS_AT_ONCE)]
            booked = (await api.post("/v3/meetings/batch", {"meetings": meetings}))["ids"]
            self._owed.update(booked)
            moves = [id_ for id_ in booked for _ in range(dice.randint(0, _MOST_MOVES))]
            dice.shuffle(moves)
            for id_ in moves:
                await api.post(f"/v3/meetings/{id_}/reschedule", _times(dice), status=200)
                self._owed[id_] += 2  # cancelled, and booked anew, in one commit
            for id_ in booked:
                await api.post(f"/v3/meetings/{id_}/cancel", {}, status=200)
                self._owed[id_] += 1
            if number == 0:
                self._tell()

    def _tell(self) -> None:
        ended = sum(watch.ended for watch in self._watches)
        self._say(f"{self._owed.total()} events, {ended} deliveries at their end")

    def _reckon(self) -> None:
        summary = self.summary
        summary.events, summary.subjects = self._owed.total(), len(self._owed)
        for watch in self._watches:
            summary.answers[watch.name] = watch.answers
            summary.broken += watch.broken
            for subject in {*self._owed, *watch.latest}:
                if self._owed[subject] != watch.latest[subject]:
                    summary.broken.append(
                        f"{watch.name}: {subject} has {self._owed[subject]} events, came to {watch.latest[subject]}"
                    )


async def _nothing_owed(api: Api) -> None:
    """Return when the server says so."""
    for status in ("sending", "pending"):
        while (await api.get(f"/v3/deliveries?limit=1&status={status}"))["deliveries"]:
            continue


def _meeting(dice: random.Random) -> dict[str, Any]:
    guest = {"EMAIL": "guest@example.com"}
    return {
        "account_email": "host@example.com",
        "event_participants": [guest],
        "meeting_name": "Order test",
        **_times(dice),
    }


def _times(dice: random.Random) -> dict[str, str]:
    """Far off: no start is reached while the test runs."""
    start = SystemClock().now() + timedelta(days=30, minutes=dice.randint(0, 100_000))
    end = start + timedelta(minutes=30)
    return {"meeting_start_timestamp": wire_form(start), "meeting_end_timestamp": wire_form(end)}


def run(events: int, seed: int, folder: Path, say: Callable[[str], None]) -> Summary:
    """The order test from the first event to the reckoning."""
    return asyncio.run(OrderTest(folder, events, seed, say).run())


def main() -> int:
    """The command."""
    return long_run(
        run,
        name="order",
        description="Send many events to ordered webhooks that fail; the order must hold.",
        amount="events",
        default=100_000,
        amount_help="how many there are, at least",
        seed_help="what decides what is done and what is refused",
    )


if __name__ == "__main__":
    sys.exit(main())

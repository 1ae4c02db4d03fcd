"""The webhooks of the kill test: what each wants, how its subscriber treats what arrives, and what it saw."""

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from hookline.adapters.system_clock import SystemClock
from tests.acceptance.load import HEAP_LINE, USUAL_LINE
from tests.acceptance.record import EventRow
from tests.fakes import Manner, Received, Subscriber, Visit, closing, hanging, replying, resetting, slowly

#: How a subscriber treated a request: what it answered, or `cut` when the connection ended without an answer.
ACCEPTED, REFUSED, CUT = "accepted", "refused", "cut"

MEETINGS: Final = ("meetingBooked", "meetingStarted", "meetingCancelled")
ALL: Final = ("callFinished", *MEETINGS)
_PATIENT: Final = (0, 0, 1, 1, 1, *[2] * 25)
_OK: Final = replying(200)
_FAILS: Final = replying(500)
_USUAL_CALLS: Final = {"phone_line": [USUAL_LINE]}
_OF_HEAP: Final = f'"{HEAP_LINE}"'.encode()

#: What a subscriber does, and the name under which it goes down in the books.
Deed = tuple[str, Manner]
_SWIFT: Final[Deed] = (ACCEPTED, _OK)
_REFUSES: Final[Deed] = (REFUSED, _FAILS)
_HANGS: Final[Deed] = ("hung", hanging)
_MOODS: Final[list[tuple[Callable[[random.Random], Deed], int]]] = [
    (lambda _: _SWIFT, 40),
    (lambda _: _REFUSES, 20),
    (lambda dice: (ACCEPTED, slowly(dice.uniform(0.0, 0.4), _OK)), 15),
    (lambda _: ("too late", slowly(1.5, _OK)), 4),
    (lambda _: _HANGS, 4),
    (lambda _: (CUT, resetting), 9),
    (lambda _: (CUT, closing), 8),
]


@dataclass(slots=True)
class Arrival:
    """One request at one webhook's subscriber."""

    received: Received
    life: int  # of the server that sent it
    manner: str  # the name of what the subscriber did
    at: datetime
    was_answered: bool = False  # while its sender was there

    @property
    def id(self) -> str:
        """Its `webhook-id`."""
        return self.received.header("webhook-id") or ""

    @property
    def attempt(self) -> int:
        """The number of the attempt that it is."""
        return int(self.received.header("hookline-attempt") or 0)


@dataclass(slots=True, kw_only=True)
class Hook:
    """A webhook, what it wants, what its subscriber saw, and what must become of its deliveries."""

    name: str
    events: Sequence[str]
    schedule: Sequence[int] = _PATIENT
    settles_as: str = "delivered"  # for those that ever answer 2xx, else "dead"
    takes_heaps: bool = False  # else its filter keeps the calls of heaps away
    batched: bool = False
    ordered: bool = False
    webhook_id: int = 0
    arrivals: list[Arrival] = field(default_factory=list)  # in the order in which they came
    by_id: dict[str, list[Arrival]] = field(default_factory=lambda: defaultdict(list))
    under_way: int = 0  # requests that its subscriber is answering

    def saw(self, arrival: Arrival) -> None:
        """Note a request."""
        self.arrivals.append(arrival)
        self.by_id[arrival.id].append(arrival)

    def answering(self, arrival: Arrival, manner: Manner) -> Manner:
        """The same manner, with notes of when it is busy and whether the answer was given."""

        async def noted(visit: Visit) -> None:
            self.under_way += 1
            try:
                await manner(visit)
                arrival.was_answered = arrival.manner in (ACCEPTED, REFUSED) and not visit.reader.at_eof()
            finally:
                self.under_way -= 1

        return noted

    def wants(self, event: EventRow) -> bool:
        """Whether this event has to be owed to it."""
        return event.event in self.events and (self.takes_heaps or _OF_HEAP not in bytes(event.payload))

    @property
    def settings(self) -> dict[str, Any]:
        """How it is asked for."""
        return {
            "events": self.events,
            "retryPolicy": {"scheduleSeconds": self.schedule},
            # a short bound: some subscribers hang or are late on purpose. The promises allow for an attempt whose
            # answer came too late, and the schedules for many of them.
            "timeoutSeconds": 1,
            **({"batched": True} if self.batched else {}),
            **({"ordered": True} if self.ordered else {}),
            **({} if self.takes_heaps or "callFinished" not in self.events else {"filter": _USUAL_CALLS}),
        }


#: What a subscriber does with a request for this webhook.
Temper = Callable[[Received, Hook], Deed]


@asynccontextmanager
async def listening(hook: Hook, temper: Temper, life: Callable[[], int]) -> AsyncIterator[Subscriber]:
    """A webhook's subscriber, until the block ends. Its books say what arrived, and in which life."""
    clock = SystemClock()

    def manner_for(received: Received) -> Manner:
        name, manner = temper(received, hook)
        arrival = Arrival(received, life(), name, clock.now())
        hook.saw(arrival)
        return hook.answering(arrival, manner)

    async with Subscriber.running(manner_for) as subscriber:
        yield subscriber


def hooks_of_every_temper(moods: random.Random) -> list[tuple[Hook, Temper]]:
    """Webhooks, and how their subscribers behave."""

    def swift(_: Received, __: Hook) -> Deed:
        return _SWIFT

    def refusing(_: Received, __: Hook) -> Deed:
        return _REFUSES

    def silent(_: Received, __: Hook) -> Deed:
        return _HANGS

    def late(received: Received, hook: Hook) -> Deed:
        refused = [each for each in hook.by_id[received.header("webhook-id") or ""] if each.manner == REFUSED]
        return _SWIFT if len(refused) >= 2 else _REFUSES

    def slow(_: Received, __: Hook) -> Deed:
        return ACCEPTED, slowly(moods.uniform(0, 0.4), _OK)

    def moody(_: Received, __: Hook) -> Deed:
        [mood] = moods.choices([mood for mood, _ in _MOODS], [weight for _, weight in _MOODS])
        return mood(moods)

    return [
        (Hook(name="steady", events=ALL), swift),
        (Hook(name="moody", events=ALL), moody),
        (Hook(name="late", events=ALL), late),
        (Hook(name="slow", events=MEETINGS), slow),
        (Hook(name="calls", events=("callFinished",)), swift),
        (Hook(name="hopeless", events=("meetingStarted",), schedule=(0, 1), settles_as="dead"), refusing),
        (Hook(name="silent", events=("meetingCancelled",), schedule=(), settles_as="dead"), silent),
        (Hook(name="batches", events=ALL, batched=True, takes_heaps=True), swift),
        (Hook(name="moody-batches", events=ALL, batched=True, takes_heaps=True), moody),
        (Hook(name="dead-batches", events=MEETINGS, schedule=(0,), settles_as="dead", batched=True), refusing),
        (Hook(name="moody-order", events=ALL, ordered=True), moody),
        (Hook(name="late-order", events=MEETINGS, ordered=True), late),
        (Hook(name="dead-order", events=MEETINGS, schedule=(0,), settles_as="dead", ordered=True), refusing),
    ]

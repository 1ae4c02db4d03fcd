"""Those who behave: a client that reports calls and meetings at a steady rate, a receiver, and probes of the server."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from hookline.adapters.system_clock import SystemClock
from hookline.receiver import Receiver, VerificationError
from tests.acceptance.hostile.attack import CALL_FINISHED, MEETING_BOOKED
from tests.acceptance.hostile.attacker import Booked
from tests.acceptance.load import USUAL_LINE, canonical
from tests.acceptance.serving import Api, Server, real_seconds
from tests.fakes import RawReceiver, Visit

_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_HEALTH_SECONDS: Final = 0.05
_READY_SECONDS: Final = 1.0
_MEMORY_SECONDS: Final = 0.2


@dataclass(slots=True)
class Arrived:
    """What arrived at the receiver."""

    at: dict[str, float] = field(default_factory=dict)  # first arrival of each subject, on the monotonic clock
    bodies: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # digests, by `webhook-id`
    complaints: Counter[str] = field(default_factory=Counter)


@asynccontextmanager
async def receiving(arrived: Arrived) -> AsyncIterator["TrustingReceiver"]:
    """A receiver that answers 200 at once and keeps digests, until the block ends."""
    receiver = TrustingReceiver(arrived)
    async with RawReceiver.running(receiver.serve) as receiver.door:
        yield receiver


class TrustingReceiver:
    """Checks the signature of everything that arrives once it was given the secret."""

    door: RawReceiver

    def __init__(self, arrived: Arrived) -> None:
        self._arrived = arrived
        self._clock = SystemClock()
        self._receiver: Receiver | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.door.port}/hook"

    def trust(self, secret: str) -> None:
        """Check signatures by this secret."""
        self._receiver = Receiver(secret)

    async def serve(self, visit: Visit) -> None:
        """All requests of one connection."""
        while request := await visit.request():
            visit.receiver.requests.clear()
            self._note(request)
            await visit.write(_ANSWER)

    def _note(self, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
        headers = {name.lower(): value.strip() for name, _, value in lines}
        self._arrived.at.setdefault(headers.get("hookline-subject", ""), self._clock.monotonic())
        self._arrived.bodies[headers.get("webhook-id", "")].append(sha256(body).hexdigest())
        try:
            assert self._receiver is not None
            self._receiver.verify(body, headers)
        except VerificationError as refusal:
            self._arrived.complaints[refusal.message] += 1


@dataclass(slots=True)
class Phase:
    """A part of a run, and what the honest ones saw in it."""

    name: str
    answers: list[float] = field(default_factory=list)  # seconds from a report to its 201
    sent_at: list[float] = field(default_factory=list)  # when each was sent, on the monotonic clock
    reported: dict[str, float] = field(default_factory=dict)  # id -> when its request was sent
    health: list[float] = field(default_factory=list)  # seconds from asking /healthz to the answer
    not_ready: Counter[str] = field(default_factory=Counter)
    memory_mb: list[float] = field(default_factory=list)  # of the server, every 0.2 s
    most_files: int = 0

    @property
    def most_mb(self) -> float:
        """The most memory that the server had."""
        return max(self.memory_mb, default=0.0)


class HonestClient:
    """Reports at random instants, so many a second on average, whatever happens around it."""

    def __init__(self, api: Api, server: Server, dice: random.Random, rate: float) -> None:
        self._api = api
        self._server = server
        self._dice = dice
        self._rate = rate
        self._clock = SystemClock()
        self._count = 0
        self.booked: list[Booked] = []

    async def act(self, phase: Phase, ending: asyncio.Event) -> None:
        """Report and probe until it is the end; then wait for the answers that are due."""
        probes = [
            asyncio.create_task(self._probe_health(phase, ending)),
            asyncio.create_task(self._probe_ready(phase, ending)),
            asyncio.create_task(self._watch(phase, ending)),
        ]
        under_way: set[asyncio.Task[None]] = set()
        due = self._clock.monotonic()
        try:
            while not ending.is_set():
                await real_seconds(max(0.0, due - self._clock.monotonic()))
                task = asyncio.create_task(self._report(phase))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                due += self._dice.expovariate(self._rate)
            await asyncio.gather(*under_way, *probes)
        finally:
            for each in (*under_way, *probes):
                each.cancel()

    async def _report(self, phase: Phase) -> None:
        self._count += 1
        marker = f"honest-{self._count}"
        is_call = self._dice.random() < 0.8
        path, kind = ("/v3/calls", CALL_FINISHED) if is_call else ("/v3/meetings", MEETING_BOOKED)
        payload = _call(marker) if is_call else _meeting(marker)
        sent_at = self._clock.monotonic()
        id_ = (await self._api.ask("POST", path, payload, key=marker)).of(201)["id"]
        phase.answers.append(self._clock.monotonic() - sent_at)
        phase.sent_at.append(sent_at)
        phase.reported[id_] = sent_at
        self.booked.append(Booked(id_, marker, kind, sha256(canonical(payload)).hexdigest()))

    async def _probe_health(self, phase: Phase, ending: asyncio.Event) -> None:
        while not ending.is_set():
            asked_at = self._clock.monotonic()
            (await self._api.ask("GET", "/healthz")).of(200)
            phase.health.append(self._clock.monotonic() - asked_at)
            await real_seconds(_HEALTH_SECONDS)

    async def _probe_ready(self, phase: Phase, ending: asyncio.Event) -> None:
        while not ending.is_set():
            answer = await self._api.ask_once("GET", "/readyz")
            if answer.status != 200:
                phase.not_ready[answer.body[:200].decode("utf-8", "replace")] += 1
            await real_seconds(_READY_SECONDS)

    async def _watch(self, phase: Phase, ending: asyncio.Event) -> None:
        while not ending.is_set():
            phase.memory_mb.append(self._server.resident_mb)
            phase.most_files = max(phase.most_files, self._server.open_files)
            await real_seconds(_MEMORY_SECONDS)


def _call(marker: str) -> dict[str, Any]:
    return {
        "account_name": {"family_name": "Müller", "given_name": "Zoë"},
        "duration_seconds": 0,
        "is_forwarded": False,
        "phone_line": USUAL_LINE,
        "phone_line_name": marker,
        "phone_number": "+14002007868",
        "recording": False,
        "type": "missed",
    }


def _meeting(marker: str) -> dict[str, Any]:
    return {
        "account_email": "host@example.com",
        "currency": "EUR",
        "event_participants": [{"EMAIL": "guest@example.com", "FIRSTNAME": "Jörg", "LASTNAME": "Çelik"}],
        "meeting_address": "",
        "meeting_end_timestamp": "2099-06-10T08:00:00.000Z",
        "meeting_location": "https://meet.example.com/room?a=1&b=2",
        "meeting_name": marker,
        "meeting_notes": "",
        "meeting_start_timestamp": "2099-06-10T07:00:00.000Z",
        "price": 49.9,
        "questions_and_answers": [],
    }

"""Clients that book, move, edit and cancel meetings and report calls, and know exactly what must come of it.

Every request is repeated under its own idempotency key until it is answered, so what a client was told is what was
accepted. The `Ledger` holds the events that this owes to the world, with their bodies to the byte.
"""

import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from hookline.adapters.system_clock import SystemClock
from hookline.domain.instants import wire_form
from tests.acceptance.serving import Answer, Api, Broken

#: Most that one client has under its hands at a time.
_OPEN_MEETINGS: Final = 6
_REMEMBERED_REQUESTS: Final = 20
#: Lines of ours: the one that rings all day, and the one whose calls are reported hundreds at a time.
USUAL_LINE: Final = "+441400800008"
HEAP_LINE: Final = "+441400800009"
_LARGEST_HEAP: Final = 600  # more than go in one batch


def canonical(payload: Any) -> bytes:
    """The body that a payload has to have on the wire, made without the product."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Owed:
    """An event that has to exist."""

    kind: str
    body: bytes


@dataclass(slots=True)
class Subject:
    """A meeting or a call that was accepted, and its events in sequence."""

    id: str
    marker: str  # stands in its payload and in no other's
    events: list[Owed]


@dataclass(slots=True)
class Booked(Subject):
    """A meeting, as its client knows it."""

    payload: dict[str, Any]
    booked_body: bytes
    versions: list[tuple[str, bytes]]  # since its last booking: from when on ("" for always) it read how
    is_over: bool = False  # cancelled or started: nothing more comes of it

    @property
    def start(self) -> str:
        """When it starts, in wire form: such texts sort by time."""
        return str(self.payload["meeting_start_timestamp"])

    def body_at_start(self) -> bytes:
        """How it read when it started; who changed it behind the start, came too late."""
        return [body for since, body in self.versions if since < self.start][-1]


@dataclass(slots=True)
class Ledger:
    """All that was accepted, over all lives of the server."""

    subjects: dict[str, Subject] = field(default_factory=dict)
    answered: int = 0

    def add(self, subject: Subject) -> None:
        """An accepted subject."""
        if subject.id in self.subjects:
            raise Broken(f"The id {subject.id} was given to two subjects.")
        self.subjects[subject.id] = subject

    @property
    def events(self) -> int:
        """How many events are owed to the world."""
        return sum(len(subject.events) for subject in self.subjects.values())

    def latest_start(self) -> str:
        """When the last start is reached that is near."""
        return max((each.start for each in self.starting()), default="")

    def starting(self) -> list[Booked]:
        """The meetings that nobody cancelled and that start while the test looks on."""
        soon = wire_form(SystemClock().now() + timedelta(hours=1))
        meetings = [each for each in self.subjects.values() if isinstance(each, Booked)]
        return [each for each in meetings if each.start < soon and each.events[-1].kind == "meetingBooked"]

    def close(self) -> None:
        """Owe every start. Nothing may be changed any more."""
        for meeting in self.starting():
            meeting.events.append(Owed("meetingStarted", meeting.body_at_start()))


class Client:
    """One user of the API, who does one thing after another."""

    def __init__(self, name: str, api: Api, ledger: Ledger, dice: random.Random) -> None:
        self.name = name
        self._api = api
        self._ledger = ledger
        self._dice = dice
        self._count = 0
        self._open: list[Booked] = []
        self._done: list[tuple[str, Any, str, Answer]] = []
        self._acts: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self._report_call, 30),
            (self._report_calls, 4),
            (self._report_heap, 1),
            (self._book, 30),
            (self._book_many, 4),
            (self._cancel, 12),
            (self._reschedule, 10),
            (self._edit, 10),
            (self._repeat, 4),
        ]

    async def act(self) -> None:
        """Do something, whatever it is, until it is answered."""
        [act] = self._dice.choices([act for act, _ in self._acts], [weight for _, weight in self._acts])
        await act()

    async def _post(self, path: str, body: Any) -> Answer:
        key = self._next()
        answer = await self._api.ask("POST", path, body, key=key)
        self._ledger.answered += 1
        if answer.status < 300:  # refusals are not remembered: the same request may be accepted later
            self._done = [*self._done, (path, body, key, answer)][-_REMEMBERED_REQUESTS:]
        return answer

    async def _report_call(self) -> None:
        payload = self._call()
        self._reported((await self._post("/v3/calls", payload)).of(201)["id"], payload)

    async def _report_calls(self) -> None:
        await self._report_many([self._call() for _ in range(self._dice.randint(2, 6))])

    async def _report_heap(self) -> None:
        """As many as fill a batch, or nearly."""
        count = self._dice.randint(100, _LARGEST_HEAP)
        await self._report_many([self._call() | {"phone_line": HEAP_LINE} for _ in range(count)])

    async def _report_many(self, payloads: list[dict[str, Any]]) -> None:
        ids = (await self._post("/v3/calls/batch", {"calls": payloads})).of(201)["ids"]
        for id_, payload in zip(ids, payloads, strict=True):
            self._reported(id_, payload)

    async def _book(self) -> None:
        payload = self._meeting()
        self._booked((await self._post("/v3/meetings", payload)).of(201)["id"], payload)

    async def _book_many(self) -> None:
        payloads = [self._meeting() for _ in range(self._dice.randint(2, 6))]
        ids = (await self._post("/v3/meetings/batch", {"meetings": payloads})).of(201)["ids"]
        for id_, payload in zip(ids, payloads, strict=True):
            self._booked(id_, payload)

    async def _cancel(self) -> None:
        meeting = self._one_of_mine()
        if meeting is None:
            return
        was_over = meeting.is_over
        answer = await self._post(f"/v3/meetings/{meeting.id}/cancel", {"reason": "Kill test"})
        if self._has_started(meeting, answer):
            return
        if answer.of(200) != {"id": meeting.id, "status": "cancelled"}:
            raise Broken(f"Cancelling {meeting.id} was answered {answer.body!r}")
        if not was_over:
            meeting.is_over = True
            meeting.events.append(Owed("meetingCancelled", meeting.booked_body))

    async def _reschedule(self) -> None:
        meeting = self._one_of_mine()
        if meeting is None or meeting.is_over:
            return
        times = self._times()
        answer = await self._post(f"/v3/meetings/{meeting.id}/reschedule", times)
        if self._has_started(meeting, answer):
            return
        answer.of(200)
        meeting.payload = {**meeting.payload, **times}
        meeting.events.append(Owed("meetingCancelled", meeting.booked_body))
        meeting.booked_body = canonical(meeting.payload)
        meeting.events.append(Owed("meetingBooked", meeting.booked_body))
        meeting.versions = [("", meeting.booked_body)]

    async def _edit(self) -> None:
        meeting = self._one_of_mine()
        if meeting is None:
            return
        changes = {
            "meeting_notes": f"Edit {self._next()}: «{meeting.marker}»",
            "price": self._dice.choice([0, 7, 49.9]),
        }
        answer = await self._api.ask("PUT", f"/v3/meetings/{meeting.id}", changes)
        self._ledger.answered += 1
        if meeting.events[-1].kind == "meetingCancelled":
            self._refused(answer, "meeting_cancelled")
            return
        answer.of(204)
        meeting.payload = {**meeting.payload, **changes}
        seen = await self._api.get(f"/v3/meetings/{meeting.id}")
        if canonical(seen["meeting"]) != canonical(meeting.payload):
            raise Broken(f"{meeting.id} was edited and reads {seen['meeting']}")
        meeting.versions.append((seen["modifiedAt"], canonical(meeting.payload)))

    async def _repeat(self) -> None:
        """A request that was answered is answered the same again."""
        if not self._done:
            return
        path, body, key, before = self._dice.choice(self._done)
        again = await self._api.ask("POST", path, body, key=key)
        self._ledger.answered += 1
        if again != before:
            raise Broken(f"POST {path} under key {key} was answered {before}, then {again}")

    def _has_started(self, meeting: Booked, answer: Answer) -> bool:
        """Whether a change came too late, which only a start that is reached may cause."""
        if answer.status != 409:
            return False
        self._refused(answer, "meeting_already_started")
        if meeting.start > wire_form(SystemClock().now()):
            raise Broken(f"{meeting.id} is said to have started, but starts at {meeting.start}")
        meeting.is_over = True
        return True

    def _refused(self, answer: Answer, code: str) -> None:
        if answer.of(409)["code"] != code:
            raise Broken(f"Expected {code}, got {answer.body!r}")

    def _one_of_mine(self) -> Booked | None:
        return self._dice.choice(self._open) if self._open else None

    def _reported(self, id_: str, payload: dict[str, Any]) -> None:
        self._ledger.add(Subject(id_, payload["phone_line_name"], [Owed("callFinished", canonical(payload))]))

    def _booked(self, id_: str, payload: dict[str, Any]) -> None:
        body = canonical(payload)
        meeting = Booked(
            id=id_,
            marker=payload["meeting_name"],
            events=[Owed("meetingBooked", body)],
            payload=payload,
            booked_body=body,
            versions=[("", body)],
        )
        self._ledger.add(meeting)
        self._open = [*self._open, meeting][-_OPEN_MEETINGS:]

    def _next(self) -> str:
        self._count += 1
        return f"{self.name}-{self._count}"

    def _call(self) -> dict[str, Any]:
        is_talk = self._dice.random() < 0.5
        return {
            "account_name": {"family_name": "Müller", "given_name": "Zoë"},
            "duration_seconds": self._dice.randint(1, 3600) if is_talk else 0,
            "is_forwarded": self._dice.random() < 0.5,
            "phone_line": USUAL_LINE,
            "phone_line_name": f"call {self._next()}",
            "phone_number": "+14002007868",
            "recording": is_talk,
            "type": self._dice.choice(["answered", "connected"] if is_talk else ["missed", "not connected"]),
        }

    def _meeting(self) -> dict[str, Any]:
        return {
            "account_email": "host@example.com",
            "currency": "EUR",
            "event_participants": [{"EMAIL": "guest@example.com", "FIRSTNAME": "Jörg", "LASTNAME": "Çelik"}],
            "meeting_address": "",
            "meeting_location": "https://meet.example.com/room?a=1&b=2",
            "meeting_name": f"meeting {self._next()}",
            "meeting_notes": "",
            "price": 49.9,
            "questions_and_answers": [{"answer": "日本語", "question": "Which?"}],
            **self._times(),
        }

    def _times(self) -> dict[str, str]:
        """Mostly about to start; some far off, some started already."""
        wait_seconds = self._dice.choices(
            [self._dice.uniform(0.05, 2.0), self._dice.uniform(90_000, 100_000), -self._dice.uniform(1, 3000)],
            [75, 18, 7],
        )[0]
        start = SystemClock().now() + timedelta(seconds=wait_seconds)
        end = start + timedelta(minutes=self._dice.randint(0, 60))
        return {"meeting_start_timestamp": wire_form(start), "meeting_end_timestamp": wire_form(end)}

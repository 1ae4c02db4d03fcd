"""`hookline demo`: a server, a subscriber, meetings and calls; what is sent and what arrives, as it happens.

Nothing is pretended: the server is `hookline serve` in a process of its own on SQLite in a temporary folder, the
subscriber a real HTTP server that checks every signature as any receiver would.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import typer
import uvicorn
from rich.console import Console
from rich.table import Table

from hookline import bootstrap
from hookline.cli.asking import Told, ask
from hookline.domain.events import CallType, EventKind
from hookline.domain.instants import wire_form
from hookline.engine.bell import Bell
from hookline.errors import Unavailable
from hookline.ports.clock import Clock
from hookline.receiver import Message, Receiver, VerificationError

#: What a newcomer's first meeting needs to be seen starting.
STARTS_IN: Final = timedelta(seconds=5)
#: How long anything may take to arrive before the demo calls it lost.
PATIENCE: Final = timedelta(seconds=15)
_HOST: Final = "127.0.0.1"
_API_KEY: Final = "demo-key-for-this-folder-only"
_HEADERS: Final = ("webhook-id", "webhook-signature", "hookline-event", "hookline-subject", "hookline-sequence")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One webhook as the subscriber got it."""

    kind: str
    subject: str
    at: datetime
    headers: dict[str, str]
    body: bytes
    problem: str  # "" when the signature is right


@dataclass(slots=True)
class Expected:
    """One arrival that must come. `since` is the instant from which its milliseconds count."""

    label: str
    kind: EventKind
    subject: str
    since: datetime
    arrival: Arrival | None = field(default=None)

    @property
    def took_ms(self) -> float | None:
        """Milliseconds until it arrived."""
        return None if self.arrival is None else (self.arrival.at - self.since) / timedelta(milliseconds=1)


class Subscriber:
    """A receiver of webhooks: an ASGI application that verifies, remembers and answers 204."""

    def __init__(self, clock: Clock, bell: Bell) -> None:
        self._clock = clock
        self._bell = bell
        self.receiver: Receiver | None = None
        self.arrivals: list[Arrival] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Take one webhook."""
        at, body, more = self._clock.now(), b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self.arrivals.append(self._checked(headers, body, at))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        self._bell.ring()

    def _checked(self, headers: dict[str, str], body: bytes, at: datetime) -> Arrival:
        try:
            message: Message | None = self.receiver.verify(body, headers) if self.receiver else None
            problem = "" if message else "There was no secret yet."
        except VerificationError as refusal:
            message, problem = None, str(refusal)
        kind = message.event.value if message else headers.get("hookline-event", "?")
        return Arrival(kind, headers.get("hookline-subject", ""), at, headers, body, problem)


class Demo:
    """The story, told on a terminal."""

    def __init__(self, console: Console, clock: Clock, url: str, subscriber: Subscriber, bell: Bell) -> None:
        self._console = console
        self._clock = clock
        self._url = url
        self._subscriber = subscriber
        self._bell = bell
        self._expected: list[Expected] = []
        self._shown = 0

    async def play(self, subscriber_url: str) -> list[Expected]:
        """Do it all. Returns what was expected, with what arrived."""
        webhook = await self._post(
            "A webhook for all four events", "/v3/webhooks", {"url": subscriber_url, "events": list(EventKind)}
        )
        self._subscriber.receiver = Receiver(webhook.value["secret"])
        start_at = await self._book_one_that_starts()
        await self._book_one_and_cancel_it()
        await self._report_calls()
        await self._watch_start(start_at)
        return self._expected

    async def _book_one_that_starts(self) -> datetime:
        start_at = self._clock.now() + STARTS_IN
        asked_at = self._clock.now()
        meeting = await self._post(
            f"A meeting that starts in {STARTS_IN.seconds} s",
            "/v3/meetings",
            _meeting("Product tour", start_at, price=49.9, notes="Bring the 2nd screen – and cake."),
        )
        self._expect("meetingBooked", EventKind.MEETING_BOOKED, meeting.value["id"], asked_at)
        self._expect("meetingStarted", EventKind.MEETING_STARTED, meeting.value["id"], start_at)
        await self._show_what_arrived(all_but=1)
        return start_at

    async def _book_one_and_cancel_it(self) -> None:
        asked_at = self._clock.now()
        tomorrow = self._clock.now() + timedelta(days=1)
        meeting = await self._post(
            "Another one, for tomorrow", "/v3/meetings", _meeting("Second thoughts", tomorrow, price=0, notes="")
        )
        meeting_id = meeting.value["id"]
        self._expect("meetingBooked (another)", EventKind.MEETING_BOOKED, meeting_id, asked_at)
        await self._show_what_arrived(all_but=1)
        asked_at = self._clock.now()
        await self._post("... which is cancelled", f"/v3/meetings/{meeting_id}/cancel", {"reason": "Second thoughts."})
        self._expect("meetingCancelled", EventKind.MEETING_CANCELLED, meeting_id, asked_at)
        await self._show_what_arrived(all_but=1)

    async def _report_calls(self) -> None:
        for title, kind, seconds in (
            ("A call that was answered", CallType.ANSWERED, 123),
            ("A call that was missed", CallType.MISSED, 0),
        ):
            asked_at = self._clock.now()
            call = await self._post(title, "/v3/calls", _call(kind, seconds))
            self._expect(f"callFinished ({kind})", EventKind.CALL_FINISHED, call.value["id"], asked_at)
            await self._show_what_arrived(all_but=1)

    async def _watch_start(self, start_at: datetime) -> None:
        with self._console.status("") as status:
            while (left := (start_at - self._clock.now()) / timedelta(seconds=1)) > 0:
                status.update(f"The first meeting starts in {left:.0f} s ...")
                await self._bell.wait(until=min(start_at, self._clock.now() + timedelta(seconds=1)))
        await self._show_what_arrived(all_but=0)

    async def _post(self, title: str, path: str, body: dict[str, Any]) -> Told:
        began = self._clock.monotonic()
        told = await asyncio.to_thread(ask, self._url, _API_KEY, "POST", path, body)
        took_ms = (self._clock.monotonic() - began) * 1000
        self._console.print(f"\n[bold]{title}[/]")
        self._console.print(f"[cyan]→ POST {path}[/]  [dim]{told.status} in {took_ms:.1f} ms[/]", highlight=False)
        self._show_body(msgspec.json.encode(body))
        if not told.is_fine:
            raise Unavailable(told.message)
        return told

    def _expect(self, label: str, kind: EventKind, subject: str, since: datetime) -> None:
        self._expected.append(Expected(label, kind, subject, since))

    async def _show_what_arrived(self, *, all_but: int) -> None:
        """Show arrivals as they come, until only `all_but` of what is expected are missing, or patience ends."""
        give_up_at = self._clock.now() + PATIENCE
        while True:
            for arrival in self._subscriber.arrivals[self._shown :]:
                self._shown += 1
                self._show_arrival(arrival)
            missing = sum(expected.arrival is None for expected in self._expected)
            if missing <= all_but or self._clock.now() >= give_up_at:
                return
            await self._bell.wait(until=give_up_at)

    def _show_arrival(self, arrival: Arrival) -> None:
        for expected in self._expected:
            if expected.arrival is None and (expected.kind, expected.subject) == (arrival.kind, arrival.subject):
                expected.arrival = arrival
                took = f"{expected.took_ms:.1f} ms after " + (
                    "the scheduled start" if expected.kind is EventKind.MEETING_STARTED else "we asked"
                )
                break
        else:
            took = "which nobody expected"
        verdict = f"[red]{arrival.problem}[/]" if arrival.problem else "[green]signature verified[/]"
        self._console.print(f"[magenta]← {arrival.kind}[/]  [dim]{took}[/]  {verdict}", highlight=False)
        for name in _HEADERS:
            self._console.print(f"  [dim]{name}: {arrival.headers.get(name, '')}[/]", highlight=False)
        self._show_body(arrival.body)

    def _show_body(self, body: bytes) -> None:
        self._console.print(f"  {body.decode()}", style="dim", markup=False, highlight=False, soft_wrap=True)


def _meeting(name: str, start_at: datetime, *, price: float, notes: str) -> dict[str, Any]:
    return {
        "account_email": "john@example.com",
        "currency": "EUR",
        "event_participants": [{"EMAIL": "jane@example.com", "FIRSTNAME": "Jane", "LASTNAME": "Doe"}],
        "meeting_name": name,
        "meeting_location": "Meeting room 1",
        "meeting_notes": notes,
        "meeting_start_timestamp": wire_form(start_at),
        "meeting_end_timestamp": wire_form(start_at + timedelta(minutes=30)),
        "price": price,
    }


def _call(kind: CallType, seconds: int) -> dict[str, Any]:
    return {
        "account_name": {"given_name": "John", "family_name": "Doe"},
        "duration_seconds": seconds,
        "phone_line": "+44 1400 800008",
        "phone_line_name": "Reception",
        "phone_number": "+1 400 200 7868",
        "type": kind.value,
    }


@asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[str]:
    """`hookline serve` in a process of its own. Gives its URL."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hookline", "serve"),
        env=environment
        | {
            "HOOKLINE_DATABASE": f"sqlite:///{folder / 'demo.db'}",
            "HOOKLINE_LISTEN": f"{_HOST}:0",
            "HOOKLINE_API_KEY": _API_KEY,
            "HOOKLINE_ALLOW_NETWORKS": "127.0.0.0/8",
        },
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None  # it is a pipe
        words = (await process.stdout.readline()).decode().split()
        url = next((word for word in words if word.startswith("http://")), None)
        if url is None:
            raise Unavailable("The server did not start; what it said stands above.")
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def _listening(subscriber: Subscriber) -> AsyncIterator[str]:
    """The subscriber, listening. Gives its URL."""
    listening = bootstrap.listening_on(_HOST, 0)
    server = bootstrap.Server(uvicorn.Config(subscriber, lifespan="off", log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield f"http://{_HOST}:{listening.getsockname()[1]}/webhooks"
    finally:
        server.leave()
        await serving


def _summary(console: Console, expected: list[Expected]) -> bool:
    table = Table(title="\nWhat arrived", title_style="bold", title_justify="left")
    table.add_column("event")
    table.add_column("signature")
    table.add_column("ms", justify="right")
    for each in expected:
        verdict = "did not arrive" if each.arrival is None else each.arrival.problem or "verified"
        style = "green" if verdict == "verified" else "red"
        table.add_row(each.label, f"[{style}]{verdict}[/]", "" if each.took_ms is None else f"{each.took_ms:.1f}")
    console.print(table)
    fine = all(each.arrival is not None and not each.arrival.problem for each in expected)
    console.print(
        "[green]Everything arrived, signed and in time.[/]" if fine else "[red]Something is missing: see above.[/]"
    )
    return fine


NEXT_STEPS: Final = """
What to try next:
  make serve                        your own server on ./hookline.db; it prints your first API key
  export HOOKLINE_API_KEY=...       that key
  curl -H "api-key: $HOOKLINE_API_KEY" http://127.0.0.1:8000/v3/webhooks \\
    -d '{"url": "https://your.receiver/hooks", "events": ["meetingBooked", "callFinished"]}'
  .venv/bin/hookline trigger meetingBooked
  http://127.0.0.1:8000/docs        the reference
"""


async def _run(console: Console, folder: Path) -> bool:
    clock = bootstrap.system_clock()
    bell = Bell(clock)
    subscriber = Subscriber(clock, bell)
    async with _server(folder) as url, _listening(subscriber) as subscriber_url:
        console.print(f"[bold]Hookline[/] listens on {url}, a subscriber on {subscriber_url}.", highlight=False)
        expected = await Demo(console, clock, url, subscriber, bell).play(subscriber_url)
    return _summary(console, expected)


def demo() -> None:
    """Watch meetings and calls become signed webhooks, on this machine, in ten seconds."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="hookline-demo-") as folder:
        fine = asyncio.run(_run(console, Path(folder)))
    if not fine:
        raise typer.Exit(1)
    console.print(NEXT_STEPS, highlight=False, markup=False, soft_wrap=True)

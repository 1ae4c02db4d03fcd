"""`hookline demo`: a server, a subscriber, meetings and calls; what is sent and what arrives, as it happens.

Nothing is pretended: the server is `hookline serve` in a process of its own on SQLite in a temporary folder, the
subscriber a real HTTP server that checks every signature as any receiver would (`subscriber.py`). How it looks:
`screen.py`.
"""

import asyncio
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from hookline.bootstrap import parts
from hookline.cli.asking import NoServer, ask
from hookline.cli.failed import Failed
from hookline.cli.screen import Expected, Screen
from hookline.cli.subscriber import HOST, Arrival, Subscriber, listening
from hookline.domain.events import CallType, EventKind
from hookline.domain.instants import wire_form
from hookline.domain.keys import KEY_BYTES, new_key
from hookline.engine.bell import Bell
from hookline.ports.clock import Clock

T = TypeVar("T")

#: What a newcomer's first meeting needs to be seen starting.
STARTS_IN: Final = timedelta(seconds=5)
#: How long anything may take to arrive before it counts as lost. A busy machine takes its time.
PATIENCE: Final = timedelta(seconds=60)
#: Between two steps, for those who watch. All of it fits into the wait for the start.
_PACE: Final = timedelta(milliseconds=700)
_TICK: Final = timedelta(milliseconds=100)
_STOPPING_SECONDS: Final = 10

NEXT_STEPS: Final = """
What to try next:

1  Start a server that may send to this machine. It keeps all in ./hookline.db:

   export HOOKLINE_API_KEY={key}
   export HOOKLINE_ALLOW_NETWORKS=127.0.0.0/8
   {hookline} serve

2  In another terminal, after the same exports, say where webhooks go:

   curl http://127.0.0.1:8000/v3/webhooks -H "api-key: $HOOKLINE_API_KEY" \\
     -d '{{"url": "http://127.0.0.1:9000/hook", "events": ["meetingBooked"]}}'

3  Send the sample of an event there. While nobody listens, it says so:

   {hookline} trigger meetingBooked

A receiver of your own, step by step: docs/tutorial/first-webhook.md
Every route of the API: http://127.0.0.1:8000/docs
"""


def demo() -> None:
    """Watch meetings and calls become signed webhooks, on this machine, in ten seconds."""
    screen = Screen()
    try:
        with tempfile.TemporaryDirectory(prefix="hookline-demo-") as folder:
            expected = asyncio.run(_run(screen, Path(folder)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise Failed("Stopped. The server is stopped too, and its folder removed.") from None
    conclude(screen, expected)
    screen.closing(NEXT_STEPS.format(hookline=called_as(sys.argv[0]), key=new_key(parts.Dice().randbytes(KEY_BYTES))))


def conclude(screen: Screen, expected: Sequence[Expected]) -> None:
    """Show what came of everything.

    Raises:
        Failed: something did not arrive, or was not signed by our server.
    """
    screen.summary(expected)
    lost = [f"{each.label} ({each.outcome})" for each in expected if not each.is_fine]
    if lost:
        raise Failed(f"Not everything arrived as it must: {', '.join(lost)}.")


async def _run(screen: Screen, folder: Path) -> Sequence[Expected]:
    """Play the story between a server and a subscriber that live as long as it does."""
    clock = parts.system_clock()
    running = asyncio.current_task()
    assert running is not None  # asyncio.run made it
    for number in (signal.SIGTERM, signal.SIGHUP):  # these too shall leave nothing behind; asyncio.run sees to SIGINT
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    api_key = new_key(parts.Dice().randbytes(KEY_BYTES))
    story = Story(screen, clock, api_key)
    # The subscriber goes last: nothing that the server still sends shall find nobody there.
    async with listening(story.subscriber) as subscriber_url, _server(folder, clock, api_key) as (url, server):
        screen.opening(url, subscriber_url)
        return await _while_it_lives(server, story.play(url, subscriber_url))


async def _while_it_lives(server: asyncio.subprocess.Process, story: Coroutine[Any, Any, T]) -> T:
    """What the story comes to.

    Raises:
        Failed: the server died before that.
    """
    telling, dying = asyncio.ensure_future(story), asyncio.ensure_future(server.wait())
    try:
        await asyncio.wait((telling, dying), return_when=asyncio.FIRST_COMPLETED)
        if not telling.done() or isinstance(telling.exception(), NoServer):
            raise Failed("The server of the demo died; if it said why, that stands above.")
        return telling.result()
    finally:
        telling.cancel()
        dying.cancel()
        await asyncio.wait((telling, dying))


class Story:
    """What is done, and what has to arrive, each within `patience`."""

    def __init__(
        self,
        screen: Screen,
        clock: Clock,
        api_key: str,
        *,
        patience: timedelta = PATIENCE,
        subscriber: type[Subscriber] = Subscriber,
    ) -> None:
        self._screen = screen
        self._clock = clock
        self._patience = patience
        self._api_key = api_key
        self._url = ""
        self._bell = Bell(clock)
        self._arrivals: list[Arrival] = []
        self._expected: list[Expected] = []
        self._steps = 0
        self.subscriber = subscriber(clock, self._taken)

    async def play(self, url: str, subscriber_url: str) -> Sequence[Expected]:
        """Do it all against the server at `url`. Returns what had to arrive, each with what did.

        Raises:
            Failed: the server refused something.
        """
        self._url = url
        wanted = {"url": subscriber_url, "events": list(EventKind)}
        webhook = await self._post("Create a webhook for all four events", "/v3/webhooks", wanted)
        self.subscriber.trust(webhook["secret"])
        started = await self._book_one_that_starts()
        await self._book_one_and_cancel_it()
        await self._report_calls()
        await self._count_down(started)
        return self._expected

    async def _book_one_that_starts(self) -> Expected:
        start_at = _whole_milliseconds(self._clock.now() + STARTS_IN)
        meeting = await self._post(
            f"Book a meeting that starts in {STARTS_IN.seconds} s", "/v3/meetings", _meeting("Product tour", start_at)
        )
        await self._arrived(self._expect(EventKind.MEETING_BOOKED, meeting["id"]))
        return self._expect(EventKind.MEETING_STARTED, meeting["id"], starts_at=start_at)

    async def _book_one_and_cancel_it(self) -> None:
        await self._pause()
        tomorrow = _whole_milliseconds(self._clock.now() + timedelta(days=1))
        meeting = await self._post("Book another, for tomorrow", "/v3/meetings", _meeting("Second thoughts", tomorrow))
        await self._arrived(self._expect(EventKind.MEETING_BOOKED, meeting["id"], ", the other"))
        await self._pause()
        await self._post("Cancel it", f"/v3/meetings/{meeting['id']}/cancel", {"reason": "Second thoughts."})
        await self._arrived(self._expect(EventKind.MEETING_CANCELLED, meeting["id"]))

    async def _report_calls(self) -> None:
        for kind, seconds in ((CallType.ANSWERED, 123), (CallType.MISSED, 0)):
            await self._pause()
            call = await self._post(f"Report a call: {kind}", "/v3/calls", _call(kind, seconds))
            await self._arrived(self._expect(EventKind.CALL_FINISHED, call["id"], f", {kind}"))

    async def _count_down(self, started: Expected) -> None:
        start_at = started.starts_at
        assert start_at is not None  # it is what is waited for
        countdown = self._screen.countdown()
        try:
            left = 1.0
            while left > 0:
                left = max(0.0, (start_at - self._clock.now()) / timedelta(seconds=1))
                countdown.show(left)
                await self._clock.sleep_until(min(start_at, self._clock.now() + _TICK))
        finally:
            countdown.end()
        await self._arrived(started)

    async def _pause(self) -> None:
        if self._screen.is_watched:
            await self._clock.sleep_until(self._clock.now() + _PACE)

    async def _post(self, title: str, path: str, body: dict[str, Any]) -> Any:
        began = self._clock.monotonic()
        told = await asyncio.to_thread(ask, self._url, self._api_key, "POST", path, body)
        took_ms = (self._clock.monotonic() - began) * 1000
        self._steps += 1
        self._screen.request(self._steps, title, path, body, told.status, took_ms)
        return told.fine()

    def _expect(
        self, event: EventKind, subject: str, addition: str = "", *, starts_at: datetime | None = None
    ) -> Expected:
        expected = Expected(label=event + addition, event=event, subject=subject, starts_at=starts_at)
        self._expected.append(expected)
        return expected

    def _taken(self, arrival: Arrival) -> None:
        self._arrivals.append(arrival)
        self._bell.ring()

    async def _arrived(self, expected: Expected) -> None:
        """Show what arrives, until this has arrived, or patience ends."""
        give_up_at = self._clock.now() + self._patience
        while True:
            while self._arrivals:
                self._show(self._arrivals.pop(0))
            if expected.arrival is not None or self._clock.now() >= give_up_at:
                return
            await self._bell.wait(until=give_up_at)

    def _show(self, arrival: Arrival) -> None:
        fits = (
            each
            for each in self._expected
            if each.arrival is None and (each.event, each.subject) == (arrival.event, arrival.subject)
        )
        expected = next(fits, None)
        if expected is not None:
            expected.arrival = arrival
        self._screen.arrival(arrival, expected)


@asynccontextmanager
async def _server(folder: Path, clock: Clock, api_key: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """`hookline serve` in a process of its own. Gives its URL, and it.

    Raises:
        Failed: it did not start; what it said is on stderr.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hookline", "serve"),
        env=environment
        | {
            "HOOKLINE_DATABASE": f"sqlite:///{folder / 'demo.db'}",
            "HOOKLINE_LISTEN": f"{HOST}:0",
            "HOOKLINE_API_KEY": api_key,
            "HOOKLINE_ALLOW_NETWORKS": "127.0.0.0/8",
        },
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is ours: the server is stopped when the story has ended
    )
    try:
        assert process.stdout is not None  # it is a pipe
        words = (await process.stdout.readline()).decode().split()
        url = next((word for word in words if word.startswith("http://")), None)
        if url is None:
            raise Failed("The server of the demo did not start; what it said stands above.")
        yield url, process
    finally:
        await _stop(process, clock)


async def _stop(process: asyncio.subprocess.Process, clock: Clock) -> None:
    if process.returncode is not None:
        return
    hurry = clock.alarm(_STOPPING_SECONDS, lambda: _signal(process, signal.SIGKILL))
    _signal(process, signal.SIGTERM)
    await process.wait()
    hurry.cancel()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """`terminate` would wait for a process that has just died, and asyncio, which waits as well, would complain."""
    with suppress(ProcessLookupError):
        os.kill(process.pid, number)


def called_as(program: str) -> str:
    """The shell command that calls this program again: as it was called, or shorter where the shell finds its name."""
    called = Path(program)
    if called.name == "__main__.py":
        return shlex.join([sys.executable, "-m", "hookline"])
    found = shutil.which("hookline")
    return "hookline" if found and Path(found).resolve() == called.resolve() else shlex.quote(program)


def _whole_milliseconds(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _meeting(name: str, start_at: datetime) -> dict[str, Any]:
    return {
        "account_email": "grace@example.com",
        "currency": "EUR",
        "event_participants": [{"EMAIL": "ada@example.org", "FIRSTNAME": "Ada", "LASTNAME": "Lovelace"}],
        "meeting_end_timestamp": wire_form(start_at + timedelta(minutes=30)),
        "meeting_location": "Meeting room 1",
        "meeting_name": name,
        "meeting_start_timestamp": wire_form(start_at),
        "price": 49.9,
        "questions_and_answers": [{"answer": "Tea – and cake", "question": "What may we offer?"}],
    }


def _call(kind: CallType, seconds: int) -> dict[str, Any]:
    return {
        "account_name": {"family_name": "Hopper", "given_name": "Grace"},
        "duration_seconds": seconds,
        "phone_line": "+44 1400 800008",
        "phone_line_name": "Reception",
        "phone_number": "+1 400 200 7868",
        "type": kind.value,
    }

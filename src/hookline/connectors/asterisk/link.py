"""A link: one connection to a manager interface, from opening to closing. What is said on it is others' business."""

import asyncio
import ssl
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from hookline.connectors.asterisk.framing import Framing, Message
from hookline.connectors.asterisk.login import Login, Stage, action
from hookline.connectors.asterisk.settings import AsteriskSettings
from hookline.ports.clock import Clock

T = TypeVar("T")

#: How long opening may take, and then logging in.
PATIENCE_SECONDS: Final = 10.0
#: How often we ask whether somebody is there, and how long there may be nothing to hear.
BEAT_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 60.0
_PIECE_BYTES: Final = 64 * 1024
_BANNER: Final = "Asterisk Call Manager/"


class NoLink(Exception):
    """There is no link, or none any more. Its text is a sentence for people."""


class LoginRefused(NoLink):
    """Asterisk does not let us in."""


class Link:
    """A connection that is open."""

    def __init__(
        self, settings: AsteriskSettings, clock: Clock, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.framing = Framing()
        self._settings = settings
        self._clock = clock
        self._reader = reader
        self._writer = writer
        self._heard = clock.monotonic()
        self._early: list[Message] = []  # came with the answer to the login
        self._ended = ""  # why we ended it ourselves

    @classmethod
    async def opened(cls, settings: AsteriskSettings, clock: Clock) -> "Link":
        """Connect, and log in.

        Raises:
            LoginRefused: Asterisk does not let us in.
            NoLink: nobody is there, or nobody that speaks as Asterisk does.
        """
        link = cls(settings, clock, *await _connected(settings, clock))
        alarm = clock.alarm(PATIENCE_SECONDS, lambda: link.end("It did not answer the login in time."))
        try:
            await link._log_in()
        except BaseException:
            link.close()
            raise
        finally:
            alarm.cancel()
        return link

    @property
    def version(self) -> str:
        """Of the manager interface; "" when it was not told."""
        first = self.framing.first_line or ""
        return first.removeprefix(_BANNER) if first.startswith(_BANNER) else ""

    async def messages(self) -> list[Message]:
        """Those that come next. There may be none, when only a piece of one has come.

        Raises:
            NoLink: there will be none any more.
        """
        if self._early:
            early, self._early = self._early, []
            return early
        try:
            piece = await self._reader.read(_PIECE_BYTES)
        except OSError as problem:
            raise NoLink(self._ended or _why(problem)) from None
        if not piece or self._ended:
            raise NoLink(self._ended or "Asterisk closed the connection.")
        self._heard = self._clock.monotonic()
        return self.framing.feed(piece)

    def say(self, words: bytes) -> None:
        """Send an action."""
        if words and not self._writer.is_closing():
            self._writer.write(words)

    def beat(self) -> None:
        """See to it that there is something to hear; end it when there was nothing for too long."""
        if self._clock.monotonic() - self._heard >= SILENCE_SECONDS:
            self.end(f"Asterisk said nothing for {SILENCE_SECONDS:.0f} s.")
        else:
            self.say(action("Ping"))

    def end(self, why: str) -> None:
        """End it at once: whoever waits for messages learns why."""
        self._ended = self._ended or why
        self._writer.transport.abort()

    def close(self) -> None:
        """Say goodbye, and close."""
        self.say(action("Logoff"))
        self._writer.close()

    async def _log_in(self) -> None:
        await self._greeted()
        login = Login(self._settings)
        self.say(login.ask())
        unheard, self._early = self._early, []
        while True:
            for place, message in enumerate(unheard):
                self.say(login.hear(message))
                if login.stage is Stage.REFUSED:
                    raise LoginRefused(
                        f"Asterisk at {self._settings.place} refused the login of {self._settings.username!r}:"
                        f" {login.refusal.rstrip('.')}."
                    )
                if login.stage is Stage.IN:
                    self._early = unheard[place:]
                    return
            unheard = await self.messages()

    async def _greeted(self) -> None:
        """Nobody is told our secret who does not speak as Asterisk does."""
        while self.framing.first_line is None:
            self._early = await self.messages()
        first = self.framing.first_line
        if not first.startswith(_BANNER) and ": " not in first:
            raise NoLink(f"What answers at {self._settings.place} is no manager interface: it says {first[:60]!r}.")


async def _connected(settings: AsteriskSettings, clock: Clock) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    opening = asyncio.open_connection(settings.host, settings.port, ssl=_context(settings), limit=_PIECE_BYTES)
    try:
        return await _in_time(clock, opening)
    except TimeoutError:
        raise NoLink(f"{settings.place} did not answer within {PATIENCE_SECONDS:.0f} s.") from None
    except ssl.SSLCertVerificationError as problem:
        raise NoLink(f"The certificate of {settings.place} is not to be trusted: {problem.verify_message}.") from None
    except ssl.SSLError:
        raise NoLink(f"What answers at {settings.place} does not speak TLS as we do.") from None
    except (OSError, UnicodeError) as problem:
        raise NoLink(f"{settings.place} cannot be reached: {_why(problem)}") from None


def _context(settings: AsteriskSettings) -> ssl.SSLContext | None:
    if not settings.tls:
        return None
    context = ssl.create_default_context()
    if not settings.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _in_time(clock: Clock, coming: Coroutine[Any, Any, T]) -> T:
    """What comes within our patience.

    Raises:
        TimeoutError: it did not.
    """
    task = asyncio.ensure_future(coming)
    alarm = clock.alarm(PATIENCE_SECONDS, lambda: _cancel(task))
    try:
        await asyncio.wait({task})
    finally:
        alarm.cancel()
        task.cancel()
    if task.cancelled():
        raise TimeoutError
    return task.result()


def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()


def _why(problem: Exception) -> str:
    """A reason, as a sentence."""
    reason = (getattr(problem, "strerror", None) or str(problem) or type(problem).__name__).rstrip(".")
    return f"{reason[:1].upper()}{reason[1:]}."

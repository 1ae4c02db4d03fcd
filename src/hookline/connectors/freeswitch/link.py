"""A link: one connection to an event socket, from opening to closing. What is said on it is others' business."""

import asyncio
from typing import Final

from hookline.connectors.freeswitch.framing import Framing, Message, NoMessage
from hookline.connectors.freeswitch.settings import FreeSwitchSettings
from hookline.ports.clock import Clock

#: How long opening and authenticating may take.
PATIENCE_SECONDS: Final = 10.0
#: How often we ask whether somebody is there, and how long there may be nothing to hear.
BEAT_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 70.0
_PIECE_BYTES: Final = 64 * 1024
_PING: Final = b"api version\n\n"
#: What cannot be told by a leg's record. CUSTOM ends the list.
_SUBSCRIPTION: Final = b"event json RECORD_START RECORD_STOP CUSTOM vm::maintenance\n\n"


class NoLink(Exception):
    """There is no link, or none any more. Its text is a sentence for people."""


class Refused(NoLink):
    """FreeSWITCH does not let us in."""


class Link:
    """A connection that is open."""

    def __init__(self, place: str, clock: Clock) -> None:
        self._place = place
        self._clock = clock
        self._framing = Framing()
        self._early: list[Message] = []  # came with an answer that was waited for
        self._heard = clock.monotonic()
        self._ended = ""  # why we ended it ourselves
        self._reader = asyncio.StreamReader()
        self._writer: asyncio.StreamWriter | None = None

    @classmethod
    async def opened(cls, settings: FreeSwitchSettings, clock: Clock) -> "Link":
        """Connect, authenticate, and ask for events.

        Raises:
            Refused: FreeSWITCH does not let us in.
            NoLink: nobody is there, or nobody that speaks as FreeSWITCH does.
        """
        link = cls(settings.place, clock)
        opening = asyncio.create_task(link._open(settings))
        alarm = clock.alarm(PATIENCE_SECONDS, lambda: _stop(opening))
        try:
            await asyncio.wait([opening])
            if opening.cancelled():
                raise NoLink(f"FreeSWITCH at {settings.place} did not answer within {PATIENCE_SECONDS:.0f} s.")
            opening.result()
        except BaseException:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            link.close()
            raise
        finally:
            alarm.cancel()
        return link

    async def messages(self) -> list[Message]:
        """Those that come next. There may be none, when only a piece of one has come.

        Raises:
            NoLink: there will be none any more.
        """
        if self._early:
            early, self._early = self._early, []
            return early
        if why := self._why_ended():
            raise NoLink(why)
        try:
            piece = await self._reader.read(_PIECE_BYTES)
            messages = self._framing.feed(piece)
        except OSError as problem:
            raise NoLink(self._why_ended() or f"The connection to {self._place} broke: {problem}.") from None
        except NoMessage as problem:
            raise NoLink(f"{self._place}: {problem}") from None
        if not piece:
            raise NoLink(self._why_ended() or f"FreeSWITCH at {self._place} closed the connection.")
        if any(each.kind == "text/disconnect-notice" for each in messages):  # what came before it is still heard
            self._ended = f"FreeSWITCH at {self._place} said goodbye."
        self._heard = self._clock.monotonic()
        return messages

    async def ask(self, command: str) -> str:
        """What FreeSWITCH answers to a command of its console. Events that come meanwhile are dropped.

        Raises:
            NoLink: there is no answer any more.
        """
        self._say(b"api " + command.encode() + b"\n\n")
        while True:
            for message in await self.messages():
                if message.kind == "api/response":
                    return message.body.decode("utf-8", "replace")

    def beat(self) -> None:
        """See to it that there is something to hear; end it when there was nothing for too long."""
        if self._clock.monotonic() - self._heard >= SILENCE_SECONDS:
            self._ended = f"FreeSWITCH at {self._place} said nothing for {SILENCE_SECONDS:.0f} s."
            self.close()
            self._reader.feed_eof()
        else:
            self._say(_PING)

    def close(self) -> None:
        """Close it at once."""
        if self._writer is not None:
            self._writer.transport.abort()

    def _why_ended(self) -> str:
        """Why there is nothing more to hear, if that is known; it may become known while we wait."""
        return self._ended

    def _say(self, words: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(words)

    async def _open(self, settings: FreeSwitchSettings) -> None:
        try:
            self._reader, self._writer = await asyncio.open_connection(settings.esl_host, settings.esl_port)
        except OSError as problem:
            raise NoLink(f"Cannot connect to {self._place}: {problem.strerror or problem}.") from None
        await self._answer("auth/request")
        self._say(b"auth " + settings.esl_password.encode() + b"\n\n")
        reply = await self._answer("command/reply")
        if not reply.startswith("+OK"):
            raise Refused(f"FreeSWITCH at {self._place} refused the password: {reply or 'no reason given'}.")
        self._say(_SUBSCRIPTION)
        reply = await self._answer("command/reply")
        if not reply.startswith("+OK"):
            raise Refused(f"FreeSWITCH at {self._place} refused to tell events: {reply or 'no reason given'}.")

    async def _answer(self, kind: str) -> str:
        """Wait for a message of this kind. Returns what it says."""
        while True:
            messages = await self.messages()
            for place, message in enumerate(messages):
                if message.kind == kind:
                    self._early = messages[place + 1 :]
                    return message.head.get("reply-text", "")
                if message.kind == "text/rude-rejection":
                    raise Refused(f"FreeSWITCH at {self._place} does not take connections from here (its ACL).")


def _stop(opening: asyncio.Task[None]) -> None:
    opening.cancel()

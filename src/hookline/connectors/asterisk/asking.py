"""Questions to an Asterisk, one after another, on a connection of their own."""

from typing import Final

from hookline.connectors.asterisk.framing import Message
from hookline.connectors.asterisk.link import PATIENCE_SECONDS, Link
from hookline.connectors.asterisk.login import action, answers
from hookline.ports.clock import Clock

#: The event that greets who logs in: Asterisk writes it without a time, whatever `timestampevents` says.
_GREETING: Final = "FullyBooted"


class Asking:
    """Asks, and waits for the answer."""

    def __init__(self, link: Link, clock: Clock) -> None:
        self.has_times: bool | None = None
        self._link = link
        self._clock = clock

    async def answer(self, name: str, *, entry: str = "", **fields: str) -> list[Message] | None:
        """What it answers: the answer itself, or the entries of a list. None when the account may not ask.

        Raises:
            NoLink: it did not answer in time, or has gone.
        """
        self._link.say(action(name, **fields))
        alarm = self._clock.alarm(PATIENCE_SECONDS, lambda: self._link.end(f"Asterisk did not answer {name} in time."))
        entries: list[Message] = []
        try:
            while True:
                for message in await self._link.messages():
                    event = message.get("Event")
                    if event and not message.get("ActionID"):
                        if event != _GREETING:
                            self.has_times = bool(message.get("Timestamp"))
                    elif not answers(message, name) or not message.get("ActionID"):
                        continue
                    elif message.get("Response") == "Error":
                        return None
                    elif not entry:
                        return [message]
                    elif event == entry:
                        entries.append(message)
                    elif message.get("EventList") == "Complete":
                        return entries
        finally:
            alarm.cancel()

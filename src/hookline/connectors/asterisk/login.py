"""What we say to the manager interface, and how we get in.

A server that plays a recording at us answers without the ids of our actions, and answers what we did not ask: whatever
says that we are in is believed.
"""

from enum import StrEnum
from hashlib import md5

from hookline.connectors.asterisk.framing import Message
from hookline.connectors.asterisk.settings import AsteriskSettings


class Stage(StrEnum):
    """How far we have come."""

    ASKED = "asked"
    IN = "in"
    REFUSED = "refused"


def action(name: str, about: str = "", /, **fields: str) -> bytes:
    """The bytes of an action. Its ActionID is its name and what it is about: answers to it bear it too."""
    lines = [f"Action: {name}", f"ActionID: {action_id(name, about)}"]
    lines += [f"{key}: {value}" for key, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def action_id(name: str, about: str = "", /) -> str:
    """The ActionID of an action."""
    return f"hookline-{name}" + (f"-{about}" if about else "")


def answers(message: Message, name: str) -> bool:
    """Whether this belongs to the answer to an action, as far as it tells."""
    return message.get("ActionID") in ("", f"hookline-{name}")


class Login:
    """One login: `ask`, then show every message to `hear` until the stage is another."""

    def __init__(self, settings: AsteriskSettings) -> None:
        self.stage = Stage.ASKED
        self.refusal = ""  # what Asterisk said
        self._settings = settings

    def ask(self) -> bytes:
        """What to say first."""
        if self._settings.auth == "md5":
            return action("Challenge", AuthType="MD5")
        return action("Login", Username=self._settings.username, Secret=self._settings.secret)

    def hear(self, message: Message) -> bytes:
        """What to say next; nothing, most of the time."""
        response = message.get("Response")
        if response == "Error":
            self.stage, self.refusal = Stage.REFUSED, message.get("Message", "no reason given")
        elif challenge := message.get("Challenge"):
            return self._solve(challenge)
        elif response == "Success" or message.get("Event"):  # there are events for those who are in only
            self.stage = Stage.IN
        return b""

    def _solve(self, challenge: str) -> bytes:
        # MD5 is what Asterisk has. It keeps the secret from whoever listens; it is no match for whoever has time.
        key = md5((challenge + self._settings.secret).encode(), usedforsecurity=False).hexdigest()
        return action("Login", AuthType="MD5", Username=self._settings.username, Key=key)

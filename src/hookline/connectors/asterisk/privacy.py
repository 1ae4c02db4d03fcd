"""Privacy: whether a caller on a trunk withholds the number, which no event tells.

A trusted trunk (`trust_id_inbound`) brings the number of a caller who withholds it, with `Privacy: id` (RFC 3323 and
RFC 3325, section 9.3). Asterisk keeps that as the presentation of the number and says it when it is asked for the
function CALLERID(num-pres): https://docs.asterisk.org/Latest_API/API_Documentation/Dialplan_Functions/CALLERID/.
"""

from collections.abc import Sequence
from typing import Final

from hookline.connectors.asterisk.framing import Message
from hookline.connectors.asterisk.login import action, action_id

_ACTION: Final = "Getvar"
_FUNCTION: Final = "CALLERID(num-pres)"
#: How all presentations begin that forbid to show the number: `prohib`, `prohib_not_screened` and others.
_PROHIBITED: Final = "prohib"
_PREFIX: Final = action_id(_ACTION, "_")[:-1]


class Privacy:
    """Questions about callers, until the account turns out not to be allowed to ask them."""

    def __init__(self) -> None:
        self._may_ask = True
        self._questions: list[bytes] = []

    def ask(self, channel: str, uniqueid: str) -> None:
        """Ask about a channel that has come in."""
        if self._may_ask and (channel + uniqueid).isprintable():
            self._questions.append(action(_ACTION, uniqueid, Channel=channel, Variable=_FUNCTION))

    def questions(self) -> Sequence[bytes]:
        """What is to be said to Asterisk; each only once."""
        questions, self._questions = self._questions, []
        return questions

    def hear(self, answer: Message) -> str:
        """The Uniqueid of a channel whose number is withheld, if that is what an answer says; else nothing."""
        id_ = answer.get("ActionID")
        if not id_.startswith(_PREFIX):
            return ""
        if answer.get("Response") == "Error" and "ermission" in answer.get("Message"):
            self._may_ask = False
        return id_.removeprefix(_PREFIX) if answer.get("Value").startswith(_PROHIBITED) else ""

    def lost(self) -> None:
        """The connection has ended: questions on it stay unanswered, and what is allowed may change."""
        self._may_ask, self._questions = True, []

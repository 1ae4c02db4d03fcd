"""What the core asks of a connector: to put an outside phone system's words into facts about legs.

There are those whose system calls us (`Called`), at a URL with a token of its own, and those who hold a connection to
it (`Held`). A kind of connector is one room in `hookline/connectors`; rooms are strangers to one another.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from hookline.domain.legs import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one message, or one moment, of a phone system tells about one call."""

    call_key: str  # what the system calls the call, the same in all that is told about it, unless there are `names`
    facts: tuple[Fact, ...]
    complete: bool = False  # nothing more will come: what is said is decided on at once
    #: Of a system that has no name for a call: all legs and rooms that are named, `call_key` among them. Reports that
    #: share a name are about one call.
    names: Sequence[str] = ()
    #: How long after the last hang-up others may still tell that they were in the talk, as in a conference. It counts
    #: while nobody is known to have talked.
    others_follow: timedelta = timedelta(0)
    absorbed: frozenset[str] = frozenset()  # keys of other calls that turned out to be this one


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A request of a phone system that calls us, as it came."""

    method: str
    url: str  # as the system was told to call it: the public one, with the query as it came
    query: str  # raw
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    at: datetime  # when it came


class Connector(Protocol):
    """A kind of connector."""

    @property
    def kind(self) -> str:
        """Its name in the API, and as the source of its calls."""

    @property
    def secrets(self) -> frozenset[str]:
        """The names of those of its settings that are never given back."""

    @property
    def waits(self) -> timedelta:
        """How long after the last hang-up something may still come that changes what the call was."""

    def check(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings, complete.

        Raises:
            Invalid: one is missing, wrong or unknown; names it as `settings.name`.
        """


@runtime_checkable
class Called(Connector, Protocol):
    """A kind whose system calls us."""

    def read(self, posted: Posted, settings: Mapping[str, Any]) -> Sequence[Report]:
        """What it tells, once it is clear that it comes from whom it should. Nothing, when it tells nothing of use.

        Raises:
            Unauthorized: the signature or the credentials are missing or wrong, or too old.
            PermissionDenied: it is about another account.
            Invalid: it is not what this system sends.
        """


@runtime_checkable
class Repeating(Called, Protocol):
    """A kind whose system tells again whatever is refused: what can never be an event is not refused then."""

    @property
    def repeats_refusals(self) -> bool:
        """True."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """What a phone system wants to read when it has told something."""

    content_type: str
    body: bytes


@runtime_checkable
class Acknowledging(Called, Protocol):
    """A kind whose system wants to read something; all others get an empty 204."""

    @property
    def acknowledgement(self) -> Acknowledgement:
        """What is answered to all that was taken in."""


#: How a held connection stands: its state (`connecting`, `connected`, `failed`), and what went wrong, "" for nothing.
Stand = Callable[[str, str], Awaitable[None]]
#: Keeps what was told, on disk when it returns.
TakeIn = Callable[[Report], Awaitable[None]]
#: What was kept of this connector's calls that are not decided on, whoever told it.
Known = Callable[[], Awaitable[Sequence[Report]]]


@runtime_checkable
class Held(Connector, Protocol):
    """A kind that holds a connection to its system."""

    async def hold(self, settings: Mapping[str, Any], take_in: TakeIn, stand: Stand, known: Known) -> None:
        """Stay connected until cancelled, again and again with growing pauses, and report what is over.

        What is `known` at the beginning is what another process heard of calls that may still go on.
        """

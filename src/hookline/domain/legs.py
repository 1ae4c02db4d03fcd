"""Legs: what a phone system says about a call, in words of our own.

A call is a tree of legs, and no phone system sends "the call" ready made. A connector translates what its system says
into facts, each about one leg at one instant; nothing is decided there. Facts may come late, twice and in any order:
who reads them sorts them by their instants. What the call was, given its facts: `domain/finished_calls.py`. Which legs
are one call, where a system tells that bit by bit: `domain/calls_in_the_air.py`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class Side(StrEnum):
    """Where a leg leads to."""

    OUTSIDE = "outside"  # over a trunk or a carrier: the contact, or a number that the call was forwarded to
    OURS = "ours"  # to a phone of ours
    BY_PHONE_BOOK = "by phone book"  # ours if the phone book knows its address; which it is, is decided with the call
    WIRE = "wire"  # to nobody: half of a wire inside the system, whose other half leads on
    NOBODY = "nobody"  # to a machine, with which nobody talks: an announcer, a recorder

    @property
    def is_somebody(self) -> bool:
        """Whether a person may be at the end of such a leg."""
        return self not in (Side.WIRE, Side.NOBODY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something about one leg. The root of the family."""

    leg: str  # as the phone system names it, unique among all its legs
    at: datetime  # aware, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class LegStarted(Fact):
    """A leg came to be."""

    side: Side
    places: bool  # it came in and asks for a number; False: we call it
    dialled: str = ""  # the number that it asks for, or by which it is called; as spelt there
    shows: str = ""  # the caller's number on it, its own if it places the call; "" or a stand-in when withheld
    identity: str = ""  # what tells whose phone it is: a channel, an extension, an id at the provider, a mail address
    given_name: str = ""  # of its user, as the provider knows them; used where the phone book has no name
    family_name: str = ""
    called_for: str = ""  # the leg for which this one is called; "" when it came in, or a program called it
    is_hearsay: bool = False  # told by another leg: what the leg tells of itself counts instead, whenever it comes


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlaced(Fact):
    """A leg that had begun turns out to place a call. Told where a leg is announced before that is known."""

    dialled: str
    shows: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Redialled(Fact):
    """A leg asks for another number by now, or is known to be called by it."""

    dialled: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown(Fact):
    """Another number is shown on a leg."""

    shows: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified(Fact):
    """A leg leads to somebody else's phone by now: the call was picked up there."""

    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled(Fact):
    """A leg had the system dial for it; whether or not that led to another leg."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rang(Fact):
    """The far side of a leg is ringing, or answers with a tone of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Fact):
    """A leg was picked up, by a person or by a machine."""


#: Characters of the name of a queue that connectors keep.
MAX_QUEUE_NAME: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueJoined(Fact):
    """The caller on a leg began to wait in a queue."""

    queue: str  # as the phone system names it, up to `MAX_QUEUE_NAME` characters


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLeft(Fact):
    """The caller on a leg waits in a queue no longer: an agent answered, the caller gave up or the queue did."""

    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RangInVain(Fact):
    """A phone of ours was called and nobody answered there. `at` is when the leg started.

    Stands for all facts about such a leg, where a connector keeps no more of it: a queue may ring hundreds.
    """

    identity: str  # as in `LegStarted`
    dialled: str = ""
    rang_at: datetime | None = None
    ended_at: datetime
    sip: int | None = None  # as in `HungUp`
    q850: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded(Fact):
    """A leg sent its caller elsewhere instead of answering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp(Fact):
    """Whoever called this leg hung up before it answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired(Fact):
    """Two legs are the two ends of one wire inside the system: what one hears the other one says."""

    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined(Fact):
    """A leg came into a bridge. All who are in one hear one another."""

    bridge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Left(Fact):
    """A leg left a bridge."""

    bridge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverJoined(Fact):
    """The system says that a leg was never connected to the other party, whatever else is told of it.

    It outweighs every `Joined` of the leg: some systems report that a leg is over in the words of one that was taken.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLeft(Fact):
    """A message was stored in a mailbox by the caller on this leg."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStarted(Fact):
    """From now on what is said on this leg is recorded. A pause is no stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStopped(Fact):
    """What is said on this leg is recorded no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingKept(Fact):
    """The system says that a recording of the conversation on this leg exists. May be known long after the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HungUp(Fact):
    """A leg is over. Either cause may be unknown, and is None then; where both are known the SIP status counts."""

    heard: bool = True  # False: nobody heard the end, but the leg was found gone; `at` is its last sign of life
    sip: int | None = None  # the last status of its signalling, such as 486; RFC 3261, section 21
    q850: int | None = None  # the cause, such as 17; ITU-T Q.850, table 1
    is_hearsay: bool = False  # told by another leg, as in `LegStarted`


@dataclass(frozen=True, slots=True, kw_only=True)
class StillThere(Fact):
    """A sign of life of a call, by its first leg: had it ended before, that would have been heard. The last counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Together(Fact):
    """A leg belongs to this group of legs by now. Groups that share a leg are one call."""

    group: str


#: Every kind of fact, by the name under which it is kept.
KINDS: Final[dict[str, type[Fact]]] = {
    kind.__name__: kind
    for kind in (
        *(LegStarted, CallPlaced, Redialled, Shown, Identified, Dialled, Rang, Answered, Forwarded, GivenUp),
        *(
            Wired,
            Joined,
            Left,
            MessageLeft,
            RecordingStarted,
            RecordingStopped,
            RecordingKept,
            HungUp,
            StillThere,
            Together,
        ),
        *(QueueJoined, QueueLeft, RangInVain, NeverJoined),
    )
}

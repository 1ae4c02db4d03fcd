"""Asterisk's words become ours: events of its manager interface to facts about legs.

A channel is a leg, a Linkedid a group of them. Nothing is decided here. What the events and their fields mean, and what
they do not: https://docs.asterisk.org/Latest_API/API_Documentation/AMI_Events/, and the captures of our tests.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from re import compile as pattern
from typing import Final, Protocol

from hookline.connectors.asterisk.conferences import Conferences
from hookline.domain.legs import (
    MAX_QUEUE_NAME,
    Answered,
    CallPlaced,
    Dialled,
    Fact,
    Forwarded,
    GivenUp,
    HungUp,
    Identified,
    Joined,
    Left,
    LegStarted,
    MessageLeft,
    QueueJoined,
    QueueLeft,
    Rang,
    RecordingStarted,
    RecordingStopped,
    Redialled,
    Shown,
    Side,
    Together,
    Wired,
)
from hookline.domain.numbers import is_withheld

#: Channels behind which nobody sits: what plays or records for a bridge.
_MACHINES: Final = frozenset(
    {"Announcer", "CBAnn", "CBRec", "Recorder", "Message", "Surrogate", "Snoop", "AudioSocket", "UnicastRTP"}
)
#: A channel that asks for something. One that we call is Down at first.
_PLACING: Final = frozenset({"Ring", "Pre-ring", "Rsrvd", "OffHook"})
#: One that is in none of these states has been called, if it is not up.
_CALLED: Final = frozenset({"Down", "Ringing", "Dialing"})
#: A bridge in which music is played to each, and none hears another.
_HOLDING: Final = "holding_bridge"
#: A number in what is dialled, such as +442079460018@trunk, trunk/02079460018 or trunk/sip:02079460018@203.0.113.7.
_NUMBER: Final = pattern(r"(?<![\w.+])\+?\d{5,}(?![\w.])")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Channels that have gone and are remembered by their Uniqueid, since something about them may still be told.
_REMEMBERED: Final = 20_000
_MOST_CHANNELS: Final = 200_000


class Message(Protocol):
    """A message of the manager interface."""

    def get(self, key: str, default: str = "", /) -> str:
        """The first value of this key."""


Reader = Callable[["Words", Message, datetime], Iterator[Fact]]


class Words:
    """Translates one Asterisk's events, in their order."""

    def __init__(self, *, trunk_channel_prefixes: Collection[str], inbound_contexts: Collection[str]) -> None:
        self._trunks = tuple(trunk_channel_prefixes)
        self._inbound = frozenset(inbound_contexts)
        self._legs: OrderedDict[str, str] = OrderedDict()  # Uniqueid -> leg
        self._stamps: dict[str, str] = {}  # Uniqueid -> when it began, as Asterisk wrote it
        self._ended: deque[str] = deque()  # Uniqueids of channels that have gone
        self._halves: dict[str, str] = {}  # name of a Local channel's half -> leg
        self._announced: set[str] = set()  # Uniqueids of channels that may yet turn out to ask for something
        self._conferences = Conferences()
        self._holding: set[str] = set()  # bridges in which there is only music, of those that were shown

    def facts(self, message: Message, arrived_at: datetime) -> Sequence[Fact]:
        """What an event tells. Its own time counts; one without is of when it arrived."""
        reader = _READERS.get(message.get("Event"))
        return () if reader is None else tuple(reader(self, message, _stamp(message) or arrived_at))

    def leg(self, uniqueid: str) -> str:
        """The leg of a channel."""
        return self._legs.get(uniqueid, uniqueid)

    def restore(self, facts: Iterable[Fact]) -> None:
        """Know channels that another process heard of: what it called them, and which are halves of wires."""
        for fact in facts:
            if isinstance(fact, LegStarted):
                self._legs[fact.leg.partition("@")[0]] = fact.leg
                if fact.side is Side.WIRE:
                    self._halves[fact.identity] = fact.leg
            elif isinstance(fact, HungUp):
                self._ended.append(fact.leg.partition("@")[0])

    def leads_outside(self, message: Message) -> bool:
        """Whether the channel of a message is that of a trunk."""
        return self._side(message.get("Channel"), message.get("Context")) is Side.OUTSIDE

    # One reader for each kind of event

    def _new_channel(self, message: Message, at: datetime) -> Iterator[Fact]:
        """chan_sip and chan_dahdi announce a channel before they know what it asks for: `Ring` follows."""
        state = message.get("ChannelStateDesc")
        if state != "Ring":
            self._announced.add(message.get("Uniqueid"))
        yield from self._begin(message, at, places=state in _PLACING)

    def _begin(self, message: Message, at: datetime, *, places: bool) -> Iterator[Fact]:
        """A Uniqueid is unique unless Asterisk restarts within a second: then the time of its beginning tells.

        So another node that takes over, and is told only which channels there are, calls a leg by the same name.
        """
        name, uniqueid = message.get("Channel"), message.get("Uniqueid")
        stamp = message.get("Timestamp")
        is_again = self._stamps.get(uniqueid, stamp) != stamp
        leg = self._legs[uniqueid] = f"{uniqueid}@{stamp}" if is_again else uniqueid
        if stamp:
            self._stamps[uniqueid] = stamp
        if len(self._legs) > _MOST_CHANNELS:  # hang-ups are lost, or somebody plays with us
            self._forget(self._legs.popitem(last=False)[0])
        yield LegStarted(
            leg=leg,
            at=at,
            side=self._side(name, message.get("Context")),
            places=places,
            dialled=message.get("Exten") if places else "",
            shows=_number(message.get("CallerIDNum")) if places else "",
            identity=name,
        )
        yield from self._wire(name, leg, at)
        yield Together(leg=leg, at=at, group=self.leg(message.get("Linkedid")))

    def _wire(self, name: str, leg: str, at: datetime) -> Iterator[Fact]:
        """The halves of a Local channel are called alike but for their ends, ;1 and ;2."""
        if not name.startswith("Local/"):
            return
        self._halves[name] = leg
        other = self._halves.get(f"{name[:-1]}{'2' if name.endswith('1') else '1'}")
        if other is not None:
            yield Wired(leg=leg, at=at, to=other)

    def _side(self, name: str, context: str) -> Side:
        technology = name.partition("/")[0]
        if technology in _MACHINES:
            return Side.NOBODY
        if technology == "Local":
            return Side.WIRE
        is_trunk = name.startswith(self._trunks) if self._trunks else False
        return Side.OUTSIDE if is_trunk or context in self._inbound else Side.OURS

    def _state(self, message: Message, at: datetime) -> Iterator[Fact]:
        yield from self._group(message, at)
        match message.get("ChannelStateDesc"):
            case "Ringing":
                yield Rang(leg=self._of(message), at=at)
            case "Up":
                yield Answered(leg=self._of(message), at=at)
            case "Ring" if message.get("Uniqueid") in self._announced:
                self._announced.discard(message.get("Uniqueid"))
                shows = _number(message.get("CallerIDNum"))
                yield CallPlaced(leg=self._of(message), at=at, dialled=message.get("Exten"), shows=shows)

    def _group(self, message: Message, at: datetime) -> Iterator[Fact]:
        """Linkedids change, when calls are joined; the last one is right."""
        if linked := message.get("Linkedid"):
            yield Together(leg=self._of(message), at=at, group=self.leg(linked))

    def _caller_id(self, message: Message, at: datetime) -> Iterator[Fact]:
        yield from self._group(message, at)
        withheld = "Prohibited" in message.get("CID-CallingPres")
        number = "" if withheld else _number(message.get("CallerIDNum"))
        if number or withheld:
            yield Shown(leg=self._of(message), at=at, shows=number)
        if number and (asked := message.get("Exten")) and asked != "s":
            yield Redialled(leg=self._of(message), at=at, dialled=asked)

    def _dial_begin(self, message: Message, at: datetime) -> Iterator[Fact]:
        """What is dialled, and what is shown to whom it rings."""
        leg = self._of(message, "Dest")
        if linked := message.get("DestLinkedid"):
            yield Together(leg=leg, at=at, group=self.leg(linked))
        numbers = _NUMBER.findall(message.get("DialString"))
        yield Redialled(leg=leg, at=at, dialled=max(numbers, key=len, default=message.get("DestCallerIDNum")))
        yield Shown(leg=leg, at=at, shows=_number(message.get("DestConnectedLineNum")))
        if message.get("Uniqueid"):
            yield Dialled(leg=self._of(message), at=at)

    def _dial_state(self, message: Message, at: datetime) -> Iterator[Fact]:
        if message.get("DialStatus") in ("RINGING", "PROGRESS"):
            yield Rang(leg=self._of(message, "Dest"), at=at)

    def _dial_end(self, message: Message, at: datetime) -> Iterator[Fact]:
        if message.get("Forward"):
            yield Forwarded(leg=self._of(message, "Dest"), at=at)
        elif message.get("DialStatus") == "CANCEL":
            yield GivenUp(leg=self._of(message, "Dest"), at=at)

    def _bridge_enter(self, message: Message, at: datetime) -> Iterator[Fact]:
        """Whoever is in one bridge is in one call, also when Linkedids differ: in a conference they do. But in a
        holding bridge there is music, whoever else waits in it.
        """
        yield from self._group(message, at)
        if message.get("BridgeTechnology") != _HOLDING:
            yield from self._join(self._of(message), at, message.get("BridgeUniqueid"))

    def _bridge_leave(self, message: Message, at: datetime) -> Iterator[Fact]:
        yield from self._group(message, at)
        yield from self._leave(self._of(message), at, message.get("BridgeUniqueid"))

    def _join(self, leg: str, at: datetime, bridge: str) -> Iterator[Fact]:
        yield Joined(leg=leg, at=at, bridge=bridge)
        if self._conferences.joins(bridge, leg):
            yield RecordingStarted(leg=leg, at=at)

    def _leave(self, leg: str, at: datetime, bridge: str) -> Iterator[Fact]:
        yield Left(leg=leg, at=at, bridge=bridge)
        if self._conferences.leaves(bridge, leg):
            yield RecordingStopped(leg=leg, at=at)

    def _conference_recorded(self, message: Message, at: datetime) -> Iterator[Fact]:
        """ConfBridge records with a channel that no event tells of; who is in the conference is recorded."""
        for leg in self._conferences.record(message.get("BridgeUniqueid")):
            yield RecordingStarted(leg=leg, at=at)

    def _conference_not_recorded(self, message: Message, at: datetime) -> Iterator[Fact]:
        for leg in self._conferences.stop_recording(message.get("BridgeUniqueid")):
            yield RecordingStopped(leg=leg, at=at)

    def _bridge_end(self, message: Message, _: datetime) -> Iterator[Fact]:
        self._conferences.end(message.get("BridgeUniqueid"))
        self._holding.discard(message.get("BridgeUniqueid"))
        yield from ()

    def _meetme_join(self, message: Message, at: datetime) -> Iterator[Fact]:
        """MeetMe mixes in DAHDI, and makes no bridge."""
        leg = self._of(message)
        yield from self._join(leg, at, self._conferences.meeting(message.get("Meetme"), leg))

    def _meetme_leave(self, message: Message, at: datetime) -> Iterator[Fact]:
        leg = self._of(message)
        yield from self._leave(leg, at, self._conferences.meeting(message.get("Meetme"), leg))

    def _meetme_end(self, message: Message, _: datetime) -> Iterator[Fact]:
        self._conferences.end_meeting(message.get("Meetme"))
        yield from ()

    def _variable(self, message: Message, at: datetime) -> Iterator[Fact]:
        if not message.get("Value"):
            return
        kind = _VARIABLES.get(message.get("Variable"))
        if kind is not None:
            yield kind(leg=self._of(message), at=at)

    def _recording_started(self, message: Message, at: datetime) -> Iterator[Fact]:
        yield RecordingStarted(leg=self._of(message), at=at)

    def _recording_stopped(self, message: Message, at: datetime) -> Iterator[Fact]:
        yield RecordingStopped(leg=self._of(message), at=at)

    def _rename(self, message: Message, at: datetime) -> Iterator[Fact]:
        """A call that is picked up at another phone goes on in the same channel, under that phone's name."""
        if "<" not in message.get("Newname"):  # not on its way to be thrown away
            yield Identified(leg=self._of(message), at=at, identity=message.get("Newname"))

    def _hangup(self, message: Message, at: datetime) -> Iterator[Fact]:
        yield from self._group(message, at)
        leg = self._of(message)
        yield HungUp(leg=leg, at=at, sip=_code(message.get("TechCause")), q850=_code(message.get("Cause")))
        self._halves.pop(message.get("Channel"), None)
        self._ended.append(message.get("Uniqueid"))
        if len(self._ended) > _REMEMBERED:
            gone = self._ended.popleft()
            self._legs.pop(gone, None)
            self._forget(gone)

    def _shown_channel(self, message: Message, at: datetime) -> Iterator[Fact]:
        """A channel that is there: what we would know if we had seen it begin, as well as can be told.

        When those who are joined began to talk is not told: of a call that was heard before it is known, of another one
        it was a moment ago.
        """
        uniqueid, linked = message.get("Uniqueid"), message.get("Linkedid")
        if uniqueid not in self._legs:
            began = at - _duration(message.get("Duration"))
            state, is_first = message.get("ChannelStateDesc"), uniqueid == linked
            places = state in _PLACING or (is_first and state not in _CALLED)
            yield from self._begin(_Unstamped(message), began, places=places)
            if not places:
                yield Redialled(leg=self._of(message), at=began, dialled=_number(message.get("CallerIDNum")))
                yield Shown(leg=self._of(message), at=began, shows=_number(message.get("ConnectedLineNum")))
        yield from self._group(message, at)
        bridge = message.get("BridgeId")
        if bridge and bridge not in self._holding:
            yield Joined(leg=self._of(message), at=at, bridge=bridge)

    def _queue_joined(self, message: Message, at: datetime) -> Iterator[Fact]:
        """Heard by accounts with the class `agent` only."""
        yield QueueJoined(leg=self._of(message), at=at, queue=message.get("Queue")[:MAX_QUEUE_NAME])

    def _queue_left(self, message: Message, at: datetime) -> Iterator[Fact]:
        yield QueueLeft(leg=self._of(message), at=at, queue=message.get("Queue")[:MAX_QUEUE_NAME])

    def _shown_bridge(self, message: Message, _: datetime) -> Iterator[Fact]:
        """A bridge that is there: an entry of a channel does not tell of which kind its bridge is."""
        if message.get("BridgeTechnology") == _HOLDING:
            self._holding.add(message.get("BridgeUniqueid"))
        yield from ()

    def _forget(self, uniqueid: str) -> None:
        self._stamps.pop(uniqueid, None)
        self._announced.discard(uniqueid)

    def _of(self, message: Message, which: str = "") -> str:
        return self.leg(message.get(which + "Uniqueid"))


class _Unstamped:
    """A message whose time is not that of what it tells."""

    def __init__(self, message: Message) -> None:
        self._message = message

    def get(self, key: str, default: str = "", /) -> str:
        return default if key == "Timestamp" else self._message.get(key, default)


_VARIABLES: Final[Mapping[str, type[Dialled | MessageLeft | RecordingStarted]]] = {
    "DIALSTATUS": Dialled,
    "VM_MESSAGEFILE": MessageLeft,
    "MIXMONITOR_FILENAME": RecordingStarted,
}
_READERS: Final[Mapping[str, Reader]] = {
    "Newchannel": Words._new_channel,  # noqa: SLF001  the table of this class
    "Newstate": Words._state,  # noqa: SLF001
    "NewConnectedLine": Words._group,  # noqa: SLF001
    "NewCallerid": Words._caller_id,  # noqa: SLF001
    "DialBegin": Words._dial_begin,  # noqa: SLF001
    "DialState": Words._dial_state,  # noqa: SLF001
    "DialEnd": Words._dial_end,  # noqa: SLF001
    "BridgeEnter": Words._bridge_enter,  # noqa: SLF001
    "BridgeLeave": Words._bridge_leave,  # noqa: SLF001
    "MeetmeJoin": Words._meetme_join,  # noqa: SLF001
    "MeetmeLeave": Words._meetme_leave,  # noqa: SLF001
    "MeetmeEnd": Words._meetme_end,  # noqa: SLF001
    "ConfbridgeRecord": Words._conference_recorded,  # noqa: SLF001
    "ConfbridgeStopRecord": Words._conference_not_recorded,  # noqa: SLF001
    "BridgeDestroy": Words._bridge_end,  # noqa: SLF001
    "VarSet": Words._variable,  # noqa: SLF001
    "MixMonitorStart": Words._recording_started,  # noqa: SLF001
    "MixMonitorStop": Words._recording_stopped,  # noqa: SLF001
    "MonitorStart": Words._recording_started,  # noqa: SLF001
    "MonitorStop": Words._recording_stopped,  # noqa: SLF001
    "QueueCallerJoin": Words._queue_joined,  # noqa: SLF001
    "QueueCallerLeave": Words._queue_left,  # noqa: SLF001
    "Rename": Words._rename,  # noqa: SLF001
    "Hangup": Words._hangup,  # noqa: SLF001
    "BridgeListItem": Words._shown_bridge,  # noqa: SLF001
    "CoreShowChannel": Words._shown_channel,  # noqa: SLF001
}


def _number(spelling: str) -> str:
    return "" if is_withheld(spelling) else spelling


def _code(text: str) -> int | None:
    """A cause; 0 is none."""
    return int(text) or None if text.isascii() and text.isdigit() and len(text) <= 4 else None


def _stamp(message: Message) -> datetime | None:
    seconds, _, fraction = message.get("Timestamp").partition(".")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 11):
        return None
    micros = fraction[:6].ljust(6, "0")
    return _EPOCH + timedelta(
        seconds=int(seconds), microseconds=int(micros) if micros.isascii() and micros.isdigit() else 0
    )


def _duration(text: str) -> timedelta:
    """HH:MM:SS, hours without limit; nothing when it is something else."""
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 6 for part in parts):
        return timedelta(0)
    hours, minutes, seconds = map(int, parts)
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)

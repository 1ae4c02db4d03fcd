"""The product as one Asterisk sees it, without sockets: what is heard, written down and decided on, on a manual clock.

It does what `holding.py`, `engine/connections.py` and `engine/intake.py` do with a real connection: it asks which
channels there are at the beginning and now and then, and settles calls when their instant comes. The store is a real
one. `Running.kill` is `kill -9`, `Running.stop` is SIGTERM; after either, `start` is a new process.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

from hookline.adapters.sql.sqlite import SqliteStore
from hookline.connectors.asterisk import Asterisk, framing
from hookline.connectors.asterisk.hearing import Hearing
from hookline.connectors.asterisk.holding import BEATS_BETWEEN_LISTINGS, DOUBT_SECONDS
from hookline.connectors.asterisk.link import BEAT_SECONDS
from hookline.connectors.asterisk.settings import read_settings
from hookline.domain.ids import ConnectorId
from hookline.ports.connectors import Report
from hookline.ports.storage import Transaction
from hookline.services import intake
from tests.connectors.asterisk.captures import CaptureSet, Message, messages, plain
from tests.connectors.asterisk.channel_list import ChannelList
from tests.fakes import ManualAlarm, ManualClock

_NUMBERS: Final = count(1)
#: What comes within this is read from the connection at once.
_AT_A_TIME: Final = timedelta(milliseconds=5)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def set_up(tx: Transaction, captures: CaptureSet) -> None:
    """The lines and users of an office."""
    for line in captures.lines():
        tx.phonebook.keep_line(line)
    for user in captures.users():
        tx.phonebook.keep_user(user)


def events_with_times(captures: CaptureSet, name: str) -> list[tuple[datetime, Message]]:
    """The events of a capture, each with the instant at which it was sent."""
    heard = [each for each in messages(captures.stream(name)) if each.get("Event") not in ("", "FullyBooted")]
    at = next(_stamp(each) for each in heard if each.get("Timestamp"))
    timed = []
    for each in heard:
        at = max(at, _stamp(each)) if each.get("Timestamp") else at
        timed.append((at, each))
    return timed


def _stamp(message: Message) -> datetime:
    return _EPOCH + timedelta(microseconds=round(float(message["Timestamp"]) * 1_000_000))


class Running:
    """One connector to an Asterisk that plays a capture."""

    def __init__(
        self, store: SqliteStore, clock: ManualClock, captures: CaptureSet, presentation: str = "allowed_not_screened"
    ) -> None:
        """`presentation` is that of each caller's number."""
        self._presentation = presentation
        self._store = store
        self._clock = clock
        given = {"host": "pbx", "username": "u", "secret": "s", "region": "GB", **captures.settings()}
        self._settings = read_settings(given)
        waits = Asterisk(clock, lambda: 0.0).waits
        name = ConnectorId(f"con_{next(_NUMBERS)}")
        self._teller = intake.Teller(connector_id=name, kind="asterisk", region="GB", waits=waits)
        self._there = ChannelList()
        self._hearing: Hearing | None = None
        self._alarms: dict[str, ManualAlarm] = {}
        self._beats = 0
        self._due: datetime | None = None
        self.settled: list[intake.Settled] = []

    def start(self) -> None:
        """A new process is connected."""
        self._hearing = Hearing(self._settings)
        self._hearing.restore(self._store.read(intake.unsettled_of, self._teller.connector_id))
        self._ask()
        self._beat_later()

    def kill(self) -> None:
        """The process ends between two instructions."""
        for alarm in self._alarms.values():
            alarm.cancel()
        self._alarms.clear()
        self._hearing = None

    def stop(self) -> None:
        """The process ends, and writes down what it knows."""
        assert self._hearing is not None
        self._keep(self._hearing.lost())
        self.kill()

    def play(self, events: Iterable[tuple[datetime, Message]], *, at_its_pace: bool = True) -> None:
        """Let these happen. Whoever is connected hears them, and those of a few milliseconds at a time."""
        heard_at: datetime | None = None
        for at, event in events:
            if heard_at is not None and at - heard_at > _AT_A_TIME:
                self._note()
            heard_at = at
            if at_its_pace:
                self.pass_to(at)
            self._there.hear(event)
            if self._hearing is not None:
                self._hear(event)
        self._note()

    def _note(self) -> None:
        if self._hearing is not None:
            self._keep(self._hearing.outlines())

    def pass_to(self, instant: datetime) -> None:
        """Let time pass."""
        while self._due is not None and self._due <= instant:
            self._advance(self._due)
            self._settle()
        self._advance(instant)

    def finish(self) -> None:
        """Let time pass until all is decided on that soon will be."""
        for _ in range(90):
            self.pass_to(self._clock.now() + timedelta(seconds=1))

    def payloads(self) -> list[dict[str, Any]]:
        """The bodies of the events."""
        found = [self._store.read(_payload, each.call_id) for each in self.settled if each.call_id]
        return [plain(payload) for payload in found]

    def ends_are_estimated(self) -> list[bool]:
        """Of each event: whether it says that nobody heard the end."""
        return [self._store.read(_end_is_estimated, each.call_id) for each in self.settled if each.call_id]

    def _advance(self, instant: datetime) -> None:
        seconds = (instant - self._clock.now()).total_seconds()
        if seconds > 0:
            self._clock.advance(seconds=seconds)

    def _settle(self) -> None:
        self.settled += self._store.write(intake.settle_due, 100)
        self._due = self._store.read(intake.next_due_at)

    def _hear(self, message: Message) -> None:
        assert self._hearing is not None
        self._keep(self._hearing.hear(_framed(message), self._clock.now()))
        for question in self._hearing.questions():
            [asked] = messages(question[:-4])
            said = {"Response": "Success", "Variable": asked["Variable"], "Value": self._presentation}
            self._hear(Message({**said, "ActionID": asked["ActionID"]}))
        if self._hearing.is_in_doubt and "doubt" not in self._alarms:
            self._alarms["doubt"] = self._clock.alarm(DOUBT_SECONDS, self._ask)

    def _keep(self, reports: Sequence[Report]) -> None:
        if reports:
            last = {report.call_key: report for report in reports}
            self._store.write(intake.take_in_all, self._teller, tuple(last.values()))
            self._due = self._store.read(intake.next_due_at)

    def _beat_later(self) -> None:
        self._alarms["beat"] = self._clock.alarm(BEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        assert self._hearing is not None
        self._beat_later()
        self._beats += 1
        self._keep(self._hearing.beat(self._clock.now()))
        if self._beats % BEATS_BETWEEN_LISTINGS == 0:
            self._ask()

    def _ask(self) -> None:
        assert self._hearing is not None
        self._alarms.pop("doubt", None)
        self._hearing.is_in_doubt = False
        self._hearing.ask_for_channels()
        self._answer("BridgeList", "BridgeListItem", self._there.bridges())
        self._answer("CoreShowChannels", "CoreShowChannel", self._there.channels())

    def _answer(self, name: str, event: str, entries: Sequence[dict[str, str]]) -> None:
        tag = {"ActionID": f"hookline-{name}"}
        for entry in entries:
            self._hear(Message({"Event": event, **tag, **entry}))
        self._hear(Message({"Event": f"{name}Complete", **tag, "ListItems": str(len(entries))}))


def _payload(tx: Transaction, call_id: str) -> Any:
    call = tx.phone.call(call_id)
    assert call is not None
    return call.payload


def _end_is_estimated(tx: Transaction, call_id: str) -> bool:
    call = tx.phone.call(call_id)
    assert call is not None
    return call.times.end_is_estimated


def _framed(message: Message) -> framing.Message:
    """As the connection has it."""
    return framing.Message("\n".join(f"{key}: {value}" for key, value in message.items()).encode())

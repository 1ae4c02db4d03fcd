"""Captures of a live Asterisk's manager interface: what was sent, what was configured, and the right calls.

How they were made, and the rules behind what is right, is in `tests/fixtures/asterisk*/README.md`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from hookline.connectors.asterisk.words import Words
from hookline.domain.calls_in_the_air import CallsInTheAir
from hookline.domain.events import attributes_of
from hookline.domain.finished_calls import FinishedCall, finished_call
from hookline.domain.ids import PhoneLineId, UserId
from hookline.domain.legs import Fact
from hookline.domain.phonebook import Phonebook, PhoneLine, User

_FIXTURES: Final = Path(__file__).parents[2] / "fixtures"
_LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=UTC)
#: When messages come that bear no time of their own.
ARRIVAL: Final = datetime(2026, 11, 23, 9, tzinfo=UTC)


class Message(dict[str, str]):
    """A message, read by nobody's reader."""

    def get(self, key: str, default: str = "", /) -> str:  # type: ignore[override]  # a narrower one
        """What the reader under test gives as well: nothing is the empty text."""
        return super().get(key, default)


def messages(stream: bytes) -> list[Message]:
    """The messages of a stream, by the simplest reader that there can be."""
    blocks = stream.decode("utf-8", "replace").split("\r\n\r\n")
    return [Message(line.split(": ", 1) for line in block.split("\r\n") if ": " in line) for block in blocks]


class CaptureSet:
    """Captures of one office: a folder with `config.json`, `expected.json`, and a folder of each scenario."""

    def __init__(self, folder: str) -> None:
        self._folder = _FIXTURES / folder
        self.expected: Mapping[str, list[dict[str, Any]]] = self._json("expected.json")
        self.config: Mapping[str, Any] = self._json("config.json")
        self.names = sorted(self.expected)

    def stream(self, name: str) -> bytes:
        """All that the socket gave in this scenario."""
        return (self._folder / name / "ami.txt").read_bytes()

    def settings(self) -> dict[str, Any]:
        """The settings of the connector, but for where it is and who logs in."""
        trunks = self.config.get("trunk_channel_prefixes") or [self.config["trunk_channel_prefix"]]
        contexts = self.config.get("inbound_contexts") or [self.config["inbound_context"]]
        return {"trunkChannelPrefixes": list(trunks), "inboundContexts": list(contexts)}

    def lines(self) -> list[PhoneLine]:
        """The lines that were configured."""
        return [
            PhoneLine(
                id=PhoneLineId(number), number=number, name=given["name"], region="",
                owner_email=_email(given["owner"]), created_at=_LONG_AGO, modified_at=_LONG_AGO,
            )
            for number, given in self.config["lines"].items()
        ]  # fmt: skip

    def users(self) -> list[User]:
        """The users that were configured."""
        return [_user(extension, given) for extension, given in self.config["users"].items()]

    def phonebook(self) -> Phonebook:
        """The lines and users that were configured."""
        return Phonebook(self.lines(), self.users(), region="GB")

    def _json(self, name: str) -> Any:
        return json.loads((self._folder / name).read_text("utf-8"))


def _user(extension: str, given: Mapping[str, Any]) -> User:
    return User(
        id=UserId(extension), email=_email(extension), given_name=given["given_name"],
        family_name=given["family_name"], extension=extension, channel_prefixes=(given["channel_prefix"],),
        outbound_line=given["outbound_line"] or "", provider_ids=(), created_at=_LONG_AGO, modified_at=_LONG_AGO,
    )  # fmt: skip


def _email(extension: str) -> str:
    return f"{extension}@company.example"


def words(captures: CaptureSet, **other: list[str]) -> Words:
    """The translator of a captured Asterisk, with other settings where they are given."""
    settings = {**captures.settings(), **other}
    return Words(trunk_channel_prefixes=settings["trunkChannelPrefixes"], inbound_contexts=settings["inboundContexts"])


#: What Asterisk said of the callers of these captures when it was asked for CALLERID(num-pres). All others allow it.
PRESENTATIONS: Final[Mapping[str, str]] = {
    "caller_anonymous_pai": "prohib_not_screened",
    "caller_privacy_only": "prohib_not_screened",
}
#: Of an Asterisk 22.10.1.
FIRST: Final = CaptureSet("asterisk")
#: Of an Asterisk 23.4.1, and where the name says so 18.26.4.
LIVE: Final = CaptureSet("asterisk-live")
EXPECTED: Final = FIRST.expected
CONFIG: Final = FIRST.config
capture: Final = FIRST.stream
phonebook: Final = FIRST.phonebook


class Table:
    """What becomes of messages: the calls, each once, as the store would keep them."""

    def __init__(self, captures: CaptureSet = FIRST) -> None:
        self._captures = captures
        self.words = words(captures)
        self.air = CallsInTheAir()
        self.over: dict[str, list[Fact]] = {}

    def hear(self, these: Iterable[Message], arrived_at: Iterator[datetime] | None = None) -> "Table":
        """Read messages."""
        for message in these:
            at = next(arrived_at) if arrived_at is not None else ARRIVAL
            self.tell(self.words.facts(message, at))
        return self

    def tell(self, facts: Iterable[Fact]) -> None:
        """Hear facts."""
        for call in self.air.feed(facts):
            kept = self.over.setdefault(call.key, [])
            kept += [fact for fact in call.facts if fact not in kept]

    def payloads(self) -> list[dict[str, Any]]:
        """The bodies of the events, in no particular order."""
        found = [finished_call(facts, self._captures.phonebook()) for facts in self.over.values()]
        return [plain(call.payload) for call in found if isinstance(call, FinishedCall)]


def plain(value: Any) -> Any:
    """A payload as a dictionary."""
    names = attributes_of(value.__class__)
    return {name: plain(getattr(value, name)) for name in names} if names else value


def every(seconds: float, start: datetime = ARRIVAL) -> Iterator[datetime]:
    """Instants, one after another."""
    while True:
        yield start
        start += timedelta(seconds=seconds)


def assert_right(found: list[dict[str, Any]], expected: list[dict[str, Any]], *, seconds: int = 1) -> None:
    """The same calls in whatever order, with durations that differ by as much as told at most."""

    def order(payload: dict[str, Any]) -> str:
        return json.dumps({**payload, "duration_seconds": 0}, sort_keys=True)

    found, expected = sorted(found, key=order), sorted(expected, key=order)
    assert [order(each) for each in found] == [order(each) for each in expected]
    for is_, should in zip(found, expected, strict=True):
        assert abs(is_["duration_seconds"] - should["duration_seconds"]) <= seconds, (is_, should)

"""Captures of a live Asterisk's manager interface: what was sent, what was configured, and the right calls.

How they were made, and the rules behind what is right, is in `tests/fixtures/asterisk/README.md`.
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

FOLDER: Final = Path(__file__).parents[2] / "fixtures" / "asterisk"
EXPECTED: Final[Mapping[str, list[dict[str, Any]]]] = json.loads((FOLDER / "expected.json").read_text("utf-8"))
CONFIG: Final[Mapping[str, Any]] = json.loads((FOLDER / "config.json").read_text("utf-8"))
_LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=UTC)
#: When messages come that bear no time of their own.
ARRIVAL: Final = datetime(2026, 11, 23, 9, tzinfo=UTC)


class Message(dict[str, str]):
    """A message, read by nobody's reader."""

    def get(self, key: str, default: str = "", /) -> str:  # type: ignore[override]  # a narrower one
        """What the reader under test gives as well: nothing is the empty text."""
        return super().get(key, default)


def capture(name: str) -> bytes:
    """All that the socket gave."""
    return (FOLDER / name / "ami.txt").read_bytes()


def messages(stream: bytes) -> list[Message]:
    """The messages of a stream, by the simplest reader that there can be."""
    blocks = stream.decode("utf-8", "replace").split("\r\n\r\n")
    return [Message(line.split(": ", 1) for line in block.split("\r\n") if ": " in line) for block in blocks]


def words() -> Words:
    """The translator of the captured Asterisk."""
    return Words(trunk_channel_prefixes=[CONFIG["trunk_channel_prefix"]], inbound_contexts=[CONFIG["inbound_context"]])


def phonebook() -> Phonebook:
    """The lines and users that were configured."""
    users = [_user(extension, given) for extension, given in CONFIG["users"].items()]
    lines = [
        PhoneLine(
            id=PhoneLineId(number), number=number, name=given["name"], region="",
            owner_email=_email(given["owner"]), created_at=_LONG_AGO, modified_at=_LONG_AGO,
        )
        for number, given in CONFIG["lines"].items()
    ]  # fmt: skip
    return Phonebook(lines, users, region="GB")


def _user(extension: str, given: Mapping[str, Any]) -> User:
    return User(
        id=UserId(extension), email=_email(extension), given_name=given["given_name"],
        family_name=given["family_name"], extension=extension, channel_prefixes=(given["channel_prefix"],),
        outbound_line=given["outbound_line"] or "", provider_ids=(), created_at=_LONG_AGO, modified_at=_LONG_AGO,
    )  # fmt: skip


def _email(extension: str) -> str:
    return f"{extension}@company.example"


class Table:
    """What becomes of messages: the calls, each once, as the store would keep them."""

    def __init__(self) -> None:
        self.words = words()
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
        found = [finished_call(facts, phonebook()) for facts in self.over.values()]
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

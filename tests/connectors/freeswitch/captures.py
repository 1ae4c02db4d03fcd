"""Calls of a live FreeSWITCH 1.10.12, captured: what it posted and told, and what is right."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from hookline.connectors.freeswitch import FreeSwitch
from hookline.connectors.freeswitch.body import read_record
from hookline.connectors.freeswitch.framing import Framing
from hookline.connectors.freeswitch.hearing import hear
from hookline.domain.ids import ConnectorId, PhoneLineId, UserId
from hookline.domain.phonebook import PhoneLine, User
from hookline.ports.connectors import Report
from hookline.ports.storage import Transaction
from hookline.services.intake import Teller
from tests.connectors.freeswitch.switch import connector, posted
from tests.fakes import MONDAY

FOLDER: Final = Path(__file__).parents[2] / "fixtures" / "freeswitch-live"
CONFIG: Final[Mapping[str, Any]] = json.loads((FOLDER / "config.json").read_text("utf-8"))
NAMES: Final = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
_SETTINGS: Final = ("inboundContexts", "outboundContexts", "trunkChannelPrefixes", "region")
#: A record is posted when its leg is over; they are posted one after the other.
_BETWEEN: Final = timedelta(milliseconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was told at one instant."""

    at: datetime
    report: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One scenario."""

    records: Sequence[Said]  # in the order in which they were posted
    events: Sequence[Said]  # of the event socket
    expected: Sequence[Mapping[str, Any]]

    @property
    def all(self) -> Sequence[Said]:
        """Everything in the order in which it came."""
        return sorted((*self.events, *self.records), key=lambda said: said.at)


def capture(name: str) -> Capture:
    """A scenario by its name."""
    folder = FOLDER / name
    return Capture(
        records=tuple(_records(folder)),
        events=tuple(_events(folder / "esl.txt")),
        expected=json.loads((folder / "expected.json").read_text("utf-8")),
    )


def _records(folder: Path) -> Iterator[Said]:
    kind = connector()
    settings = kind.check({name: CONFIG[name] for name in _SETTINGS})
    at = datetime.min.replace(tzinfo=UTC)
    for path in sorted(folder.glob("*.body")):
        body = path.read_bytes()
        at = max(read_record(body).ended_at, at + _BETWEEN)
        yield from (Said(at=at, report=report) for report in kind.read(posted(body), settings))


def _events(path: Path) -> Iterator[Said]:
    for message in Framing().feed(path.read_bytes()):
        report = hear(message, MONDAY)
        if report is not None:
            at = int(msgspec.json.decode(message.body)["Event-Date-Timestamp"])
            yield Said(at=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at), report=report)


def teller(connector_id: str = "con_1") -> Teller:
    """The connector of the captures."""
    return Teller(connector_id=ConnectorId(connector_id), kind="freeswitch", region="GB", waits=FreeSwitch.waits)


def set_up(tx: Transaction) -> None:
    """The users and lines of the captures."""
    for extension, user in CONFIG["users"].items():
        tx.phonebook.keep_user(_user(extension, user))
    for place, (number, line) in enumerate(CONFIG["lines"].items()):
        tx.phonebook.keep_line(_line(f"line_{place}", number, line))


def _user(extension: str, user: Mapping[str, Any]) -> User:
    return User(
        id=UserId(f"usr_{extension}"),
        email=f"{extension}@company.example",
        given_name=user["given_name"],
        family_name=user["family_name"],
        extension=extension,
        channel_prefixes=(),
        outbound_line=user["outbound_line"] or "",
        provider_ids=(),
        created_at=MONDAY,
        modified_at=MONDAY,
    )


def _line(line_id: str, number: str, line: Mapping[str, Any]) -> PhoneLine:
    return PhoneLine(
        id=PhoneLineId(line_id),
        number=number,
        name=line["name"],
        owner_email=f"{line['owner']}@company.example",
        region="GB",
        created_at=MONDAY,
        modified_at=MONDAY,
    )


def same(got: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether two payloads are alike, seconds within 1."""
    seconds = abs(got["duration_seconds"] - expected["duration_seconds"])
    return seconds <= 1 and {**got, "duration_seconds": 0} == {**expected, "duration_seconds": 0}

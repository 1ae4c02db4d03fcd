"""A call as a phone system tells it, in facts: true as it stands, and a test changes what it is about."""

from datetime import datetime, timedelta
from typing import Final

from hookline.domain.ids import ConnectorId, PhoneLineId
from hookline.domain.legs import Fact, HungUp, Joined, LegStarted, RecordingKept, RecordingStarted, Side
from hookline.domain.phonebook import PhoneLine
from hookline.ports.connectors import Report
from hookline.ports.storage import Transaction
from hookline.services.intake import Teller
from tests.contract.stores import Store
from tests.fakes import MONDAY

LINE: Final = "+441400800008"
CALLER: Final = "+447700900103"
SECOND: Final = timedelta(seconds=1)
WAITS: Final = timedelta(seconds=30)
TELLER: Final = Teller(connector_id=ConnectorId("con_1"), kind="scripted", region="GB", waits=WAITS)


def comes_in(at: datetime = MONDAY, *, dialled: str = LINE, shows: str = "07700 900103") -> tuple[Fact, ...]:
    """The contact calls our line, and a phone of ours rings."""
    return (
        LegStarted(leg="contact", at=at, side=Side.OUTSIDE, places=True, dialled=dialled, shows=shows),
        LegStarted(leg="phone", at=at + SECOND, side=Side.OURS, places=False, identity="101"),
    )


def goes_out(at: datetime = MONDAY, *, shows: str = LINE) -> tuple[Fact, ...]:
    """A phone of ours calls the contact."""
    return (
        LegStarted(leg="phone", at=at, side=Side.OURS, places=True, dialled=CALLER, identity="101"),
        LegStarted(leg="contact", at=at + SECOND, side=Side.OUTSIDE, places=False, dialled=CALLER, shows=shows),
    )


def talk(at: datetime = MONDAY + 5 * SECOND) -> tuple[Fact, ...]:
    """The two talk from now on."""
    return tuple(Joined(leg=leg, at=at, bridge="talk") for leg in ("contact", "phone"))


def hangs_up(*legs: str, at: datetime = MONDAY + 66 * SECOND) -> tuple[Fact, ...]:
    """These legs end; without any, both."""
    return tuple(HungUp(leg=leg, at=at) for leg in legs or ("contact", "phone"))


def recorded(at: datetime = MONDAY + 5 * SECOND) -> tuple[Fact, ...]:
    """What is said is recorded; that it is kept is known later."""
    return (RecordingStarted(leg="contact", at=at), RecordingKept(leg="contact", at=at + 60 * SECOND))


def a_whole_call(at: datetime = MONDAY, *, shows: str = "07700 900103") -> tuple[Fact, ...]:
    """The contact calls, somebody of ours takes it, they talk for 61 seconds."""
    return (*comes_in(at, shows=shows), *talk(at + 5 * SECOND), *hangs_up(at=at + 66 * SECOND))


def report(*facts: Fact, key: str = "one", complete: bool = False) -> Report:
    """What a phone system tells of one call."""
    return Report(call_key=key, facts=facts, complete=complete)


def add_line(tx: Transaction, number: str) -> None:
    """A line of ours."""
    line = PhoneLine(
        id=PhoneLineId(f"line_{tx.ulid()}"),
        number=number,
        name="Front desk",
        owner_email="",
        region="",
        created_at=tx.now,
        modified_at=tx.now,
    )
    tx.phonebook.keep_line(line)


def unknown_lines(store: Store) -> dict[str, int]:
    """How often each number was called that no line has."""
    return {each.number: each.calls for each in store.read(lambda tx: tx.phonebook.unknown_lines())}

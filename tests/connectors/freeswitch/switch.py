"""A FreeSWITCH in tests: what it posts, and what becomes of it."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hookline.connectors.freeswitch import FreeSwitch
from hookline.domain.events import canonical_bytes
from hookline.domain.finished_calls import FinishedCall, finished_call, is_over
from hookline.domain.ids import PhoneLineId, UserId
from hookline.domain.legs import Fact
from hookline.domain.phonebook import Phonebook, PhoneLine, User
from hookline.ports.connectors import Posted, Report
from tests.fakes import ManualClock

FOLDER: Final = Path(__file__).parents[2] / "fixtures" / "freeswitch"
CALLS: Final[Mapping[str, Mapping[str, Any]]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))
}
LIVE: Final = Path(__file__).parents[2] / "fixtures" / "freeswitch-live"
_LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=UTC)


def connector() -> FreeSwitch:
    """The connector, whose clock stands still and whose dice always fall on nothing."""
    return FreeSwitch(ManualClock(), lambda: 0.0)


def posted(body: bytes, **headers: str) -> Posted:
    """A request of mod_json_cdr."""
    return Posted(
        method="POST",
        url="https://hooks.example/in/freeswitch/t0ken?uuid=1",
        query="uuid=1",
        headers={"content-type": "application/x-www-form-urlencoded", **headers},
        body=body,
        at=_LONG_AGO,
    )


def live(name: str) -> list[dict[str, Any]]:
    """The legs that a live FreeSWITCH posted for one call, as JSON."""
    return [json.loads(path.read_text("utf-8")) for path in sorted((LIVE / name).glob("*.body"))]


def live_payloads(name: str) -> list[dict[str, Any]]:
    """What is right for such a call."""
    right: list[dict[str, Any]] = json.loads((LIVE / name / "expected.json").read_text("utf-8"))
    return right


def reports(legs: Iterable[Mapping[str, Any]], **settings: Any) -> list[Report]:
    """What is told when these legs are posted one after the other."""
    kind = connector()
    checked = kind.check(settings)
    return [each for leg in legs for each in kind.read(posted(json.dumps(leg).encode()), checked)]


def phonebook() -> Phonebook:
    """The line and users of the fixtures."""
    users = [_user("1001", "Ada", "Lovelace"), _user("1002", "Bob", "Burns")]
    return Phonebook([_line("Front desk", "ada@company.example")], users, region="GB")


def live_phonebook(number: str = "+441400800008") -> Phonebook:
    """A line and the first two users of the live calls."""
    users = [_user("101", "John", "Doe"), _user("102", "Jane", "Roe")]
    return Phonebook([_line("My number", "john@company.example", number)], users, region="GB")


def _line(name: str, owner_email: str, number: str = "+441400800008") -> PhoneLine:
    return PhoneLine(
        id=PhoneLineId("line_1"),
        number=number,
        name=name,
        owner_email=owner_email,
        region="GB",
        created_at=_LONG_AGO,
        modified_at=_LONG_AGO,
    )


def _user(extension: str, given: str, family: str) -> User:
    return User(
        id=UserId(f"usr_{extension}"),
        email=f"{given.lower()}@company.example",
        given_name=given,
        family_name=family,
        extension=extension,
        channel_prefixes=(),
        outbound_line="+441400800008",
        provider_ids=(),
        created_at=_LONG_AGO,
        modified_at=_LONG_AGO,
    )


def calls(told: Iterable[Report]) -> list[list[Fact]]:
    """Facts by call, each once: reports that share a name are about one call."""
    found: list[tuple[set[str], dict[Fact, None]]] = []
    for report in told:
        names, facts = set(report.names), dict.fromkeys(report.facts)
        for one in [each for each in found if each[0] & names]:
            found.remove(one)
            names, facts = one[0] | names, one[1] | facts
        found.append((names, facts))
    return [list(facts) for _, facts in found]


def payloads(told: Iterable[Report], book: Phonebook | None = None) -> list[dict[str, Any]]:
    """The events that these reports become once all is told."""
    outcomes = [finished_call(facts, book or phonebook()) for facts in calls(told) if is_over(facts)]
    return [json.loads(canonical_bytes(each.payload)) for each in outcomes if isinstance(each, FinishedCall)]

"""What tests of connectors whose system calls us have in common: a phone book, callbacks, and what becomes of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from hookline.domain.events import CallPayload, attributes_of
from hookline.domain.finished_calls import FinishedCall, NoCall, finished_call, is_over
from hookline.domain.ids import PhoneLineId, UserId
from hookline.domain.legs import Fact
from hookline.domain.phonebook import Phonebook, PhoneLine, User
from hookline.ports.connectors import Called, Posted, Report

NOW: Final = datetime(2026, 11, 25, 9, tzinfo=UTC)
URL: Final = "https://hookline.company.example/in/kind/token"
#: What is right in most of the calls here.
LINE: Final = "+441400800008"
CONTACT: Final = "+14002007868"
_LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=UTC)


def _user(
    email: str, given: str, family: str, *, extension: str = "", outbound_line: str = "",
    provider_ids: tuple[str, ...] = (),
) -> User:  # fmt: skip
    return User(
        id=UserId(email), email=email, given_name=given, family_name=family, extension=extension, channel_prefixes=(),
        outbound_line=outbound_line, provider_ids=provider_ids, created_at=_LONG_AGO, modified_at=_LONG_AGO,
    )  # fmt: skip


def phonebook(*, are_named: bool = True, outbound_line: str = "") -> Phonebook:
    """One line, whose owner is Olga; John has extension 101 and an outbound line, and Mary is 456 at the provider.

    Users that are not named are known by their phones and addresses, but have no name.
    """
    line = PhoneLine(
        id=PhoneLineId("line"), number=LINE, name="Front desk", owner_email="olga@company.example", region="",
        created_at=_LONG_AGO, modified_at=_LONG_AGO,
    )  # fmt: skip
    users = [
        _user("olga@company.example", "Olga", "Owner"),
        _user("john@company.example", "John", "Doe", extension="101", outbound_line=outbound_line),
        _user("mary@company.example", "Mary", "Major", provider_ids=("456",)),
    ]
    return Phonebook([line], users if are_named else [replace(user, given_name="", family_name="") for user in users])


def posted(
    body: bytes | Mapping[str, Any], *, headers: Mapping[str, str] | None = None, url: str = URL, at: datetime = NOW
) -> Posted:
    """A request as the phone system makes it."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Posted(method="POST", url=url, query="", headers=dict(headers or {}), body=content, at=at)


def reports(connector: Called, settings: Mapping[str, Any], posts: Iterable[Posted]) -> list[Report]:
    """All that is told."""
    complete = connector.check(settings)
    return [report for each in posts for report in connector.read(each, complete)]


def united(told: Sequence[Report]) -> list[Fact]:
    """The facts of one call, each once, in the order in which they came."""
    assert len({report.call_key for report in told}) == 1
    return list(dict.fromkeys(fact for report in told for fact in report.facts))


def finished(
    connector: Called, settings: Mapping[str, Any], posts: Iterable[Posted], book: Phonebook | None = None
) -> FinishedCall | NoCall:
    """What becomes of callbacks about one call."""
    facts = united(reports(connector, settings, posts))
    assert is_over(facts)
    return finished_call(facts, book or phonebook())


def payload(
    connector: Called, settings: Mapping[str, Any], posts: Iterable[Posted], book: Phonebook | None = None
) -> dict[str, Any]:
    """The body of the event."""
    call = finished(connector, settings, posts, book)
    assert isinstance(call, FinishedCall), call
    return plain(call.payload)


def plain(value: CallPayload) -> dict[str, Any]:
    """A payload as a dictionary."""
    found = {name: getattr(value, name) for name in attributes_of(CallPayload)}
    account = found["account_name"]
    return {**found, "type": str(value.type), "account_name": f"{account.given_name} {account.family_name}".strip()}


def right(kind: str, **different: Any) -> dict[str, Any]:
    """What is right: a call of this type between LINE and CONTACT, but for what is told to be different."""
    talked = kind in ("answered", "connected")
    usual = {
        "type": kind,
        "account_name": "Olga Owner" if kind.startswith("missed") else "John Doe",
        "duration_seconds": 123 if talked else 0,
        "is_forwarded": False,
        "phone_line": LINE,
        "phone_line_name": "Front desk",
        "phone_number": CONTACT,
        "recording": False,
    }
    assert different.keys() <= usual.keys()
    return usual | different

"""Intake: from what connectors tell of a call to one event, whatever comes late, twice or never.

Facts are kept, each once, until the call is over and nothing more is to be expected. Then it is decided on what it was,
it is published, and it is noted that it is settled: one commit. What comes after that changes nothing. Who translates
what phone systems say: `hookline/connectors`. What a call was: `domain/finished_calls.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from hookline.domain.call_legs import NO_LEGS, CallLegs, legs_of
from hookline.domain.calls import CallOrigin, CallTimes, require_possible
from hookline.domain.events import EventKind
from hookline.domain.finished_calls import (
    FinishedCall,
    NoCall,
    Reason,
    contact_has_gone,
    finished_call,
    has_talked,
    is_over,
    line_of,
    placed,
)
from hookline.domain.ids import CallId, ConnectorId
from hookline.domain.kept_facts import United, united
from hookline.domain.legs import Fact, HungUp, LegStarted, Side
from hookline.domain.phonebook import Connector, Phonebook
from hookline.domain.text import require_storable_text
from hookline.errors import Invalid
from hookline.ports.connectors import Report
from hookline.ports.intake import HeardCall
from hookline.ports.storage import Transaction
from hookline.services.calls import report_call
from hookline.services.decisions import note_decision
from hookline.services.joining import Share, shares_of
from hookline.services.notices import count_unknown_number
from hookline.services.publishing import events_per_commit

#: How long legs of ours may outlive the contact's, without a word, before they are taken for ended.
LINGERING: Final = timedelta(minutes=10)
#: How long nothing may be heard of a call that goes on.
SILENT: Final = timedelta(hours=24)
MOST_KEY: Final = 255
MOST_NUMBER: Final = 40

#: Kinds of connectors whose systems hand on what SIP trunks signal, with the plus or without. All others are cloud
#: services, each of which writes numbers in one way; those without a plus have it added where they are read.
TRUNK_KINDS: Final = frozenset({"asterisk", "freeswitch", "3cx"})

Books = Callable[[str], Phonebook]


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """A connector that tells."""

    connector_id: ConnectorId
    kind: str
    region: str  # in which its numbers without a country code are at home; "" when that is unknown
    waits: timedelta  # after the last hang-up, for what may still come


def teller_of(connector: Connector, waits: timedelta) -> Teller:
    """What of a connector counts here; `waits` is what its kind says."""
    region = str(connector.settings.get("region") or "")
    return Teller(connector_id=connector.id, kind=connector.kind, region=region, waits=waits)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """What came of a report."""

    unknown_line: str = ""  # the number of ours on which the call is, if no line has it: there will be no event
    dropped: int = 0  # facts that were more than one call may have


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A call that was decided on."""

    call: HeardCall  # as it was told
    call_id: str  # "" when it is no event
    reason: str  # why it is none
    line: str = ""  # the number that is no line, if that is why


def take_in(tx: Transaction, teller: Teller, report: Report) -> TakenIn:
    """Keep what is new in a report. Of a call that is settled nothing is.

    A call on a number that is no line of ours is counted, once, and becomes no event, unless somebody adds the line
    before it is over.

    Raises:
        Invalid: what the system calls the call cannot be kept.
    """
    _require_key(report.call_key)
    taken = [_take_share(tx, teller, report, share) for share in shares_of(tx, teller.connector_id, report)]
    return TakenIn(
        unknown_line=next((each.unknown_line for each in taken if each.unknown_line), ""),
        dropped=sum(each.dropped for each in taken),
    )


def _take_share(tx: Transaction, teller: Teller, report: Report, share: Share) -> TakenIn:
    before = share.before
    absorbed = _absorbed(tx, teller.connector_id, report)
    whole = united(before.facts if before is not None else (), (*absorbed, *share.facts))
    book = _book_for(teller.kind, tx.phonebook.book(teller.region))
    legs = placed(whole.facts, book)
    unknown_line = _unknown_line(legs, book)
    if unknown_line and (before is None or not before.reason):
        tx.phonebook.count_unknown_line(unknown_line)
    call = HeardCall(
        connector_id=teller.connector_id,
        call_key=share.call_key,
        kind=teller.kind,
        region=teller.region,
        facts=whole.facts,
        due_at=_due_at(before, whole, report, teller.waits, tx.now, legs),
        reason=Reason.UNKNOWN_LINE if unknown_line else "",
        updated_at=tx.now,
    )
    if before is None or share.is_joined or replace(call, updated_at=before.updated_at) != before:
        tx.intake.keep(call)
    return TakenIn(unknown_line=unknown_line, dropped=whole.dropped)


def _absorbed(tx: Transaction, connector_id: ConnectorId, report: Report) -> Sequence[Fact]:
    """What was kept of other calls that turned out to be this one, which are calls no longer."""
    facts: list[Fact] = []
    for key in sorted(report.absorbed - {report.call_key}):
        other = tx.intake.heard(connector_id, key)
        if other is not None and not other.is_settled:
            facts += other.facts
            tx.intake.keep(replace(other, facts=(), due_at=None, reason=Reason.PART_OF_ANOTHER, updated_at=tx.now))
    return facts


def unsettled_of(tx: Transaction, connector_id: ConnectorId) -> Sequence[Report]:
    """What is kept of a connector's calls that are not decided on."""
    return [
        Report(call_key=call.call_key, facts=call.facts)
        for call in tx.intake.unsettled()
        if call.connector_id == connector_id
    ]


def take_in_all(tx: Transaction, teller: Teller, reports: Sequence[Report]) -> Sequence[TakenIn]:
    """Take in what one message tells of several calls, or of none."""
    tx.phonebook.heard_from(teller.connector_id)
    return [take_in(tx, teller, report) for report in reports]


def _book_for(kind: str, book: Phonebook) -> Phonebook:
    return book if kind in TRUNK_KINDS else book.without_trunks()


def note_refusal(tx: Transaction, connector_id: ConnectorId, sentence: str) -> None:
    """Count what was refused at the connector's address, and keep it as the last error, with its time."""
    tx.phonebook.note_refusal(connector_id, f"{tx.now:%Y-%m-%d %H:%M:%S} UTC: {sentence}")


def _require_key(call_key: str) -> None:
    if not 1 <= len(call_key) <= MOST_KEY:
        raise Invalid(f"The id of a call may have 1 to {MOST_KEY} characters, got {len(call_key)}.")
    require_storable_text(call_key, "the id of a call")


def _due_at(
    before: HeardCall | None, whole: United, report: Report, waits: timedelta, now: datetime, legs: Sequence[Fact]
) -> datetime:
    """When it is decided on what the call was: what repeats others delays nothing, nor does what follows its end."""
    if report.complete:
        return now
    if before is not None and before.due_at is not None:
        ends = any(isinstance(fact, HungUp) for fact in whole.new)
        if not whole.new or before.due_at <= now or (is_over(before.facts) and is_over(whole.facts) and not ends):
            return before.due_at
    if is_over(whole.facts):
        return now + (waits if not report.others_follow or has_talked(legs) else max(waits, report.others_follow))
    return now + (LINGERING if contact_has_gone(legs) else SILENT)


def _unknown_line(facts: Sequence[Fact], book: Phonebook) -> str:
    """The number of ours on which the call is, as soon as it is clear that no line has it.

    What is shown on legs that we call may still change, and who called may yet be told; the number that a caller asks
    for is clear at once.
    """
    what = finished_call(facts, book)
    came_in = any(map(_comes_in, facts))
    if isinstance(what, NoCall) and what.reason is Reason.UNKNOWN_LINE and (came_in or is_over(facts)):
        return _printable(what.line)
    if isinstance(what, NoCall) and what.reason is Reason.UNFINISHED and came_in:
        line = line_of(facts, book)
        return _printable(line) if line and book.line(line) is None else ""
    return ""


def _printable(line: str) -> str:
    """A number as it is counted and told. Who dials may send anything for one."""
    return "".join(character for character in line if character.isprintable())[:MOST_NUMBER] or "?"


def _comes_in(fact: Fact) -> bool:
    return isinstance(fact, LegStarted) and fact.side is Side.OUTSIDE and fact.places


def next_due_at(tx: Transaction) -> datetime | None:
    """The earliest instant at which there is something to settle."""
    return tx.intake.next_due_at()


def settle_due(tx: Transaction, limit: int) -> Sequence[Settled]:
    """Decide on up to `limit` calls whose instant is reached, and publish those that are events. There are fewer where
    many webhooks want them.
    """
    limit = min(limit, events_per_commit(tx, EventKind.CALL_FINISHED, rows=4))
    books = cache(tx.phonebook.book)
    return [_settle(tx, call, books) for call in tx.intake.due(limit)]


def first_due(tx: Transaction) -> HeardCall | None:
    """The call whose instant was reached first."""
    return next(iter(tx.intake.due(1)), None)


def settle_this(tx: Transaction, connector_id: ConnectorId, call_key: str) -> Sequence[Settled]:
    """Decide on one call that is due, unless somebody else did."""
    return [_settle(tx, call, tx.phonebook.book) for call in _if_due(tx, connector_id, call_key)]


def settle_without_legs(tx: Transaction, connector_id: ConnectorId, call_key: str) -> Sequence[Settled]:
    """As `settle_this`, where the legs cannot be told: they are for people to look at, and the event is worth more."""
    due = _if_due(tx, connector_id, call_key)
    return [_settle(tx, call, tx.phonebook.book, with_legs=False) for call in due]


def give_up(tx: Transaction, connector_id: ConnectorId, call_key: str, because: str) -> Sequence[Settled]:
    """Settle one call that is due as none, whatever it was: to decide on it fails."""
    return [_noted(tx, _without_event(tx, call, because), NO_LEGS) for call in _if_due(tx, connector_id, call_key)]


def _if_due(tx: Transaction, connector_id: ConnectorId, call_key: str) -> Sequence[HeardCall]:
    call = tx.intake.heard(connector_id, call_key)
    return () if call is None or call.due_at is None or call.due_at > tx.now else (call,)


def _settle(tx: Transaction, call: HeardCall, books: Books, *, with_legs: bool = True) -> Settled:
    book = _book_for(call.kind, books(call.region))
    legs = legs_of(call.facts, book) if with_legs else NO_LEGS
    return _noted(tx, _decide(tx, call, book, legs), legs)


def _noted(tx: Transaction, settled: Settled, legs: CallLegs) -> Settled:
    call_id = CallId(settled.call_id) if settled.call_id else None
    note_decision(tx, settled.call, legs, call_id=call_id, reason=settled.reason, line=settled.line)
    return settled


def _decide(tx: Transaction, call: HeardCall, book: Phonebook, legs: CallLegs) -> Settled:
    what = finished_call(call.facts, book)
    if isinstance(what, FinishedCall):
        require_possible(what.payload)
        if what.not_understood is not None:
            count_unknown_number(tx, call.connector_id, what.not_understood)
        origin = CallOrigin(connector_id=call.connector_id, external_id=call.call_key)
        call_id = report_call(tx, what.payload, source=call.kind, times=_times_of(what), origin=origin, legs=legs)
        tx.intake.keep(replace(call, facts=(), due_at=None, call_id=call_id, reason="", updated_at=tx.now))
        return Settled(call=call, call_id=call_id, reason="")
    if what.reason is Reason.UNKNOWN_LINE:
        return _on_no_line(tx, call, what.line)
    return _without_event(tx, call, what.reason)


def _times_of(what: FinishedCall) -> CallTimes:
    return CallTimes(
        started_at=what.started_at,
        answered_at=what.answered_at,
        ended_at=what.ended_at,
        end_is_estimated=what.end_is_estimated,
    )


def _without_event(tx: Transaction, call: HeardCall, because: str) -> Settled:
    tx.intake.keep(replace(call, facts=(), due_at=None, reason=because, updated_at=tx.now))
    return Settled(call=call, call_id="", reason=because)


def _on_no_line(tx: Transaction, call: HeardCall, line: str) -> Settled:
    """Whoever tells of it again once the line is there is heard."""
    if not call.reason:
        tx.phonebook.count_unknown_line(_printable(line))
    tx.intake.remove(call.connector_id, call.call_key)
    return Settled(call=call, call_id="", reason=Reason.UNKNOWN_LINE, line=_printable(line))

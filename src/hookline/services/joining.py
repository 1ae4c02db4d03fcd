"""Joining: which calls a report is about, where a phone system has no id for a call.

Such a report names legs and rooms. Reports that share a name are about one call, so two calls that were heard apart
become one as soon as a report names both: one keeps the facts and names of both, the other goes, in the transaction of
the report. Who calls from outside has a call of his own, though: of two callers in one conference each call has the
facts about everybody else there.

A settled call stays what it is. What its legs tell again, or late, changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hookline.domain.ids import ConnectorId
from hookline.domain.kept_facts import united
from hookline.domain.legs import Fact, HungUp, LegStarted, Side
from hookline.ports.connectors import Report
from hookline.ports.intake import HeardCall
from hookline.ports.storage import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a report tells of one call."""

    call_key: str
    before: HeardCall | None  # as it was heard until now, joined
    facts: tuple[Fact, ...]
    is_joined: bool = False  # `before` is of several calls that were kept apart, and is not kept yet


def shares_of(tx: Transaction, connector_id: ConnectorId, report: Report) -> Sequence[Share]:
    """The calls that a report is about, joined where it shows that they are one; none, when all are settled."""
    if not report.names:
        before = tx.intake.heard(connector_id, report.call_key)
        is_settled = before is not None and before.is_settled
        return () if is_settled else (Share(call_key=report.call_key, before=before, facts=report.facts),)
    known = tx.intake.named(connector_id, report.names)
    going_on = [call for call in known if not call.is_settled]
    if len(going_on) < len(known) and _is_decided_on(tx, connector_id, report, going_on):
        return ()
    shares = _shares(tx, report, going_on)
    for share in shares:
        tx.intake.name(connector_id, share.call_key, _names(report, share), told=_told(report))
    return shares


def _is_decided_on(tx: Transaction, connector_id: ConnectorId, report: Report, going_on: Sequence[HeardCall]) -> bool:
    """Whether a report about a settled call is about no other: it is told again, or of a leg beside the contact's."""
    leg = report.names[0]
    if tx.intake.has_told(connector_id, leg):
        return True
    return not going_on and leg not in _callers(report.facts)


def _shares(tx: Transaction, report: Report, going_on: Sequence[HeardCall]) -> Sequence[Share]:
    callers = _callers([*(fact for call in going_on for fact in call.facts), *report.facts])
    if len(callers) < 2:
        joined = _joined(tx, going_on)
        key = joined.call_key if joined is not None else report.call_key
        return (Share(call_key=key, before=joined, facts=report.facts, is_joined=len(going_on) > 1),)
    return _shared_among(tx, report, going_on, callers)


def _shared_among(
    tx: Transaction, report: Report, going_on: Sequence[HeardCall], callers: dict[str, None]
) -> Sequence[Share]:
    """A share for each who calls from outside."""
    calls = {leg: call for call in going_on for leg in _callers(call.facts)}
    nobodys = [call for call in going_on if call not in calls.values()]
    every_fact = [*(fact for call in going_on for fact in call.facts), *report.facts]
    told = [*(fact for call in nobodys for fact in call.facts), *report.facts]
    shares = []
    for leg in callers:
        others = callers.keys() - {leg}
        before = calls.get(leg)
        facts = tuple(_without(others, every_fact if before is None else told))
        key = before.call_key if before is not None else leg
        for call in nobodys:
            tx.intake.rename(call.connector_id, call.call_key, key)
        shares.append(Share(call_key=key, before=before, facts=facts))
    for call in nobodys:
        tx.intake.remove(call.connector_id, call.call_key)
    return shares


def _joined(tx: Transaction, calls: Sequence[HeardCall]) -> HeardCall | None:
    """One call with all that was heard of these. The one that began first keeps its key."""
    if len(calls) < 2:
        return next(iter(calls), None)
    first, *others = sorted(calls, key=_began)
    facts = first.facts
    for other in others:
        facts = united(facts, other.facts).facts
        tx.intake.rename(other.connector_id, other.call_key, first.call_key)
        tx.intake.remove(other.connector_id, other.call_key)
    due_at = max(filter(None, (call.due_at for call in calls)), default=None)
    reason = next((call.reason for call in calls if call.reason), "")
    return replace(first, facts=facts, due_at=due_at, reason=reason)


def _began(call: HeardCall) -> tuple[datetime, str]:
    return min((fact.at for fact in call.facts), default=call.updated_at), call.call_key


def _callers(facts: Iterable[Fact]) -> dict[str, None]:
    """Legs on which somebody calls from outside, the first one first. What a leg tells of itself counts."""
    starts: dict[str, LegStarted] = {}
    for fact in facts:
        if isinstance(fact, LegStarted) and (fact.leg not in starts or starts[fact.leg].is_hearsay):
            starts[fact.leg] = fact
    return dict.fromkeys(leg for leg, start in starts.items() if start.side is Side.OUTSIDE and start.places)


def _without(callers: Iterable[str], facts: Sequence[Fact]) -> Iterable[Fact]:
    """The facts, but for those about these callers and about legs that were called for them."""
    gone = set(callers)
    called_for = {fact.leg: fact.called_for for fact in facts if isinstance(fact, LegStarted) and fact.called_for}
    while more := {leg for leg, caller in called_for.items() if caller in gone} - gone:
        gone |= more
    return [fact for fact in facts if fact.leg not in gone]


def _names(report: Report, share: Share) -> Sequence[str]:
    """Those of its names that are no other caller's: whoever calls by himself is never taken for another call."""
    facts = [*(share.before.facts if share.before is not None else ()), *share.facts]
    others = _callers(report.facts).keys() - _callers(facts).keys()
    return [name for name in report.names if name not in others]


def _told(report: Report) -> str:
    """The leg that tells of its own end."""
    leg = report.names[0]
    ends = (fact for fact in report.facts if isinstance(fact, HungUp) and not fact.is_hearsay)
    return leg if any(fact.leg == leg for fact in ends) else ""

"""Decisions on calls of connectors: each is noted with its legs, so that people see why a call is no event."""

from hookline.domain.call_legs import CallLegs, Party
from hookline.domain.decided_calls import CallOutcome, DecidedCall
from hookline.domain.ids import CallId, ConnectorId
from hookline.ports.intake import HeardCall
from hookline.ports.storage import Page, Transaction
from hookline.services.phonebook import read_connector


def note_decision(
    tx: Transaction, call: HeardCall, legs: CallLegs, *, call_id: CallId | None, reason: str, line: str
) -> None:
    """Note what became of a call; `call_id` is None when it is no event, and `reason` says why."""
    contacts = [leg for leg in legs.legs if leg.party is Party.CONTACT]
    ends = [leg.ended_at for leg in contacts or legs.legs]
    told = [at for at in ends if at is not None]
    is_over = call_id is None and bool(told) and len(told) == len(ends)
    tx.decisions.note(
        DecidedCall(
            connector_id=call.connector_id,
            external_id=call.call_key,
            decided_at=tx.now,
            ended_at=max(told) if is_over else None,
            call_id=call_id,
            reason=reason,
            line=line,
            legs=legs,
        )
    )


def list_decisions(
    tx: Transaction, connector_id: str, outcome: CallOutcome | None, *, limit: int, cursor: str | None
) -> Page[DecidedCall]:
    """Calls of a connector that were decided on, the latest first.

    Raises:
        NotFound: there is no such connector.
    """
    known: ConnectorId = read_connector(tx, connector_id).id
    items, behind = tx.decisions.decided(known, outcome, limit=limit, cursor=None if cursor is None else int(cursor))
    return Page(items=items, next_cursor=None if behind is None else str(behind))

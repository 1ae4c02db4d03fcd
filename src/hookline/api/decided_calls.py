"""What was decided on the calls of a connector, over HTTP: why a call is no event."""

from typing import Annotated

import msgspec

from hookline.api.call_legs import INSTANT_OR_NULL, LegView, leg_view
from hookline.api.routes import PAGING, READERS, Asked, Reply, Route, Work, doc, instant_or_null, listed
from hookline.domain.decided_calls import CallOutcome, DecidedCall
from hookline.ports.storage import Transaction
from hookline.services import decisions


class DecidedCallView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A call that was decided on."""

    externalId: Annotated[str, doc("What its phone system calls it.", examples=["1717.42"])]
    endedAt: Annotated[str | None, doc("When it ended; null when that was not heard.", **INSTANT_OR_NULL)]
    endedAtIsEstimated: Annotated[
        bool, doc("True, and there at all, when nobody heard the end: `endedAt` is the last sign of life.")
    ] = False
    outcome: Annotated[CallOutcome, doc("Whether it became an event.")]
    reason: Annotated[str | None, doc("Why it became none, as a sentence; null when it did.", examples=[None])]
    callId: Annotated[str | None, doc("Id of the call that it became; null when it became none.", examples=[None])]
    legs: Annotated[list[LegView], doc("Its legs, in the order in which they began; `[]` when none are known.")]
    legsOmitted: Annotated[int, doc("How many more legs there were; there at all when there were.")] = 0


class DecidedCallList(msgspec.Struct):
    """A page of decided calls, the latest decided first."""

    calls: Annotated[list[DecidedCallView], doc("The calls of this page.")]
    next: Annotated[str | None, doc("Cursor of the next page; null at the end.", examples=[None])]


def list_calls(asked: Asked) -> Work:
    outcome = asked.query.choice("outcome", CallOutcome)
    limit, cursor = asked.query.page(r"\d{1,18}")

    def work(tx: Transaction) -> Reply:
        page = decisions.list_decisions(tx, asked.path["id"], outcome, limit=limit, cursor=cursor)
        return listed("calls", page, _view)

    return work


def _view(decided: DecidedCall) -> DecidedCallView:
    return DecidedCallView(
        externalId=decided.external_id,
        endedAt=instant_or_null(decided.ended_at),
        endedAtIsEstimated=decided.end_is_estimated,
        outcome=decided.outcome,
        reason=decided.why or None,
        callId=decided.call_id,
        legs=[leg_view(leg) for leg in decided.legs.legs],
        legsOmitted=decided.legs.omitted,
    )


ROUTES = (
    Route(
        method="GET", path="/connectors/{id}/calls", handler=list_calls, scopes=READERS, status=200,
        summary="List the last 1,000 calls of a connector that were decided on, the latest first.",
        gives=DecidedCallList,
        query={
            "outcome": Annotated[CallOutcome, doc("`event`: those that became one; `none`: those that did not.")],
            **PAGING,
        },
    ),
)  # fmt: skip

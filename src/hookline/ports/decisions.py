"""What the core asks of a store for the calls of connectors that were decided on.

A part of `ports/storage.py`, and tested like it: `tests/contract/test_storage_decisions.py`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from hookline.domain.call_legs import CallLegs
from hookline.domain.decided_calls import CallOutcome, DecidedCall
from hookline.domain.ids import ConnectorId


class Decisions(Protocol):
    """The last `MOST_DECIDED` calls of each connector that were decided on, and how many there were in all."""

    def note(self, decided: DecidedCall) -> None:
        """Keep and count a decision, in place of an earlier one on the same call, which is not counted twice.

        Nothing is kept when there is no such connector. End and legs of one that is an event are those of its call.
        """

    def decided(
        self, connector_id: ConnectorId, outcome: CallOutcome | None, *, limit: int, cursor: int | None
    ) -> tuple[Sequence[DecidedCall], int | None]:
        """Up to `limit` decisions, the latest first, and the cursor of those behind them; None at the end."""

    def forget_of(self, connector_id: ConnectorId) -> None:
        """Forget all decisions on calls of a connector."""

    def forget_before(self, instant: datetime, *, limit: int) -> int:
        """Forget up to `limit` decisions that were made before `instant`. Returns how many."""

    def mentioning(self, number: str) -> Sequence[DecidedCall]:
        """Decisions on calls that are no event, and in whose legs this number may stand."""

    def rewrite_legs(self, decided: DecidedCall, legs: CallLegs) -> None:
        """Keep other legs of a call that is no event."""

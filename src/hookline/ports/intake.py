"""What the core asks of a store for calls that connectors tell of, until they are decided on.

A part of `ports/storage.py`, and tested like it: `tests/contract/test_storage_intake.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hookline.domain.ids import CallId, ConnectorId
from hookline.domain.legs import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardCall:
    """A call as a connector tells it, by what its system calls it."""

    connector_id: ConnectorId
    call_key: str
    kind: str  # of the connector
    region: str  # in which its numbers without a country code are at home; "" when that is unknown
    facts: tuple[Fact, ...]
    due_at: datetime | None  # when it is decided on what it was; None: it is settled
    call_id: CallId | None = None  # what it became; None: nothing, or nothing yet
    reason: str = ""  # why it became, or will become, nothing
    updated_at: datetime

    @property
    def is_settled(self) -> bool:
        """Whether it is decided on."""
        return self.due_at is None


class Intake(Protocol):
    """Calls that connectors tell of. What is settled stays for a time, so that what comes late or twice is known."""

    def heard(self, connector_id: ConnectorId, call_key: str) -> HeardCall | None:
        """What was heard of this call, or None. In a transaction that writes, nobody else changes it meanwhile."""

    def named(self, connector_id: ConnectorId, names: Sequence[str]) -> Sequence[HeardCall]:
        """The calls that have one of these names, or one of them as their key; ordered by key."""

    def name(self, connector_id: ConnectorId, call_key: str, names: Sequence[str], *, told: str = "") -> None:
        """Give a call these names too. `told` is the one of the leg that has told that it is over."""

    def has_told(self, connector_id: ConnectorId, name: str) -> bool:
        """Whether the leg of this name has told a settled call that it is over."""

    def rename(self, connector_id: ConnectorId, call_key: str, into: str) -> None:
        """Give all names of one call to another one as well."""

    def keep(self, call: HeardCall) -> None:
        """Keep a call, in place of what was heard of it before. The listener hears of one that is not settled."""

    def remove(self, connector_id: ConnectorId, call_key: str) -> None:
        """Forget a call, and its names, as if nothing had been heard of it."""

    def due(self, limit: int) -> Sequence[HeardCall]:
        """Up to `limit` calls whose instant is reached, the earliest first."""

    def next_due_at(self) -> datetime | None:
        """The earliest instant at which a call is decided on, or None when there is none."""

    def unsettled(self) -> Sequence[HeardCall]:
        """Every call that is not decided on."""

    def forget_before(self, instant: datetime, *, limit: int) -> int:
        """Forget up to `limit` settled calls that were last changed before `instant`. Returns how many."""

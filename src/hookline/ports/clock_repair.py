"""What the core asks of a store about instants that a wrong clock has planned.

A part of `ports/storage.py`, and tested like it: `tests/contract/test_storage_clock_repair.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from hookline.domain.ids import WebhookId


class ClockRepair(Protocol):
    """Finds what is planned further away than anything is ever planned, and plans it anew."""

    def furthest_due(self) -> Mapping[WebhookId, datetime]:
        """The latest instant for which anything owed to each webhook is planned, leases included."""

    def failures_beyond(self, webhook_id: WebhookId, beyond: datetime) -> Sequence[int]:
        """How often the deliveries have failed that are pending for this webhook beyond an instant; each count once."""

    def plan_retries(self, webhook_id: WebhookId, failures: int, *, beyond: datetime, due_at: datetime) -> int:
        """Make those of them that failed so often due at `due_at`. Returns how many."""

    def is_any_beyond(self, beyond: datetime) -> bool:
        """Whether a lease, a call to decide on, a process, a notification or an answer is dated beyond an instant."""

    def bring_back(self, beyond: datetime, lease: timedelta) -> int:
        """Let leases beyond an instant end after `lease`, make other work beyond it due now, and date answers beyond it
        now. Returns how many there were.
        """

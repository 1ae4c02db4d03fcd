"""Batches: events of one kind that go to one webhook together; when a batch is complete, and what its bytes are.

Which batch is open, and what is in it, is kept in `adapters/sql/batches.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from hookline.domain.ids import BatchId

#: How long a batch gathers after its first event.
GATHERING: Final = timedelta(minutes=5)
MAX_EVENTS: Final = 500
#: A batch is held in memory while it is sent, so large bodies end it before there are 500.
MAX_BYTES: Final = 1024 * 1024
#: Most batches to one webhook that a process holds: each may have `MAX_BYTES`.
MAX_HELD: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """A batch that still takes events."""

    id: BatchId
    closes_at: datetime
    size: int  # events in it
    body_bytes: int  # length of `batch_body` as it is now

    @property
    def is_full(self) -> bool:
        """Whether it has as many events as a batch may have."""
        return self.size >= MAX_EVENTS

    def has_place_for(self, body_bytes: int) -> bool:
        """Whether an event with a body of this many bytes can go in it too."""
        return not self.is_full and self._with(body_bytes) <= MAX_BYTES

    def joined_by(self, body_bytes: int) -> "Gathering":
        """It with one more event, whose body has this many bytes."""
        return replace(self, size=self.size + 1, body_bytes=self._with(body_bytes))

    def _with(self, body_bytes: int) -> int:
        return self.body_bytes + body_bytes + (1 if self.size else 0)


def new_gathering(batch_id: BatchId, now: datetime) -> Gathering:
    """A batch that begins to gather now. It takes its first event however large that is."""
    return Gathering(id=batch_id, closes_at=now + GATHERING, size=0, body_bytes=len(batch_body(())))


def batch_body(bodies: Iterable[bytes]) -> bytes:
    """The JSON array of these bodies, in the canonical form that each of them has."""
    return b"[" + b",".join(bodies) + b"]"

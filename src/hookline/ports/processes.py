"""What the core asks of a store for long work: the processes, and the walk through what was kept.

A part of `ports/storage.py`, and tested like it: `tests/contract/test_storage_processes.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from hookline.domain.deliveries import State
from hookline.domain.events import Event
from hookline.domain.exports import Recorded
from hookline.domain.filters import NO_FILTER, Filter
from hookline.domain.ids import DeliveryId, ProcessId, WebhookId
from hookline.domain.processes import Process, Span


class Processes(Protocol):
    """Long work, and the files that it makes."""

    def add(self, process: Process) -> Process:
        """Keep a new process under the next id; ids are never used again. The answer carries the id."""

    def process(self, process_id: int) -> Process | None:
        """The process as it is now, or None. In a transaction that writes, nobody else changes it until that ends."""

    def of_file(self, token: str) -> Process | None:
        """The process that makes the file with this token, or None."""

    def tokens_of_files(self) -> frozenset[str]:
        """The tokens of all processes that have a file, or will have one."""

    def processes(self, *, newest_first: bool, limit: int, offset: int) -> Sequence[Process]:
        """Some of the list of all, by creation."""

    def count(self) -> int:
        """How many there are."""

    def save(self, process: Process) -> None:
        """Keep a process that was changed."""

    def next_step(self) -> Process | None:
        """The process whose next step may be taken first, or None when all have ended."""

    def next_notification(self) -> Process | None:
        """The process of whose file somebody is to be told first, or None."""

    def add_part(self, process_id: ProcessId, body: bytes) -> None:
        """Write a piece of a file behind the others."""

    def part(self, process_id: ProcessId, number: int) -> bytes | None:
        """A piece of a file; 0 is the first. None behind the last."""

    def size(self, process_id: ProcessId) -> int:
        """Bytes of a file, so far."""

    def forget_before(self, instant: datetime, *, limit: int) -> int:
        """Forget up to `limit` processes that were begun before `instant`, have nothing more to do, and no file.

        Returns how many.
        """

    def forget_expired(self, *, limit: int) -> int:
        """Forget up to `limit` pieces of files whose time is over. Returns how many."""


class History(Protocol):
    """What was kept and what was owed of it, walked in the order of keeping, a few at a time.

    `after` is the id that the walk has come to; "" at its beginning. A clock that was set back by more than a day while
    a span was being kept may hide some of that span.
    """

    def events(self, span: Span, *, after: str, limit: int) -> Sequence[Event]:
        """The next events: fewer than `limit` at the end, and when their bodies come to `storage.READ_BYTES`."""

    def count_events(self, span: Span, wanted: Filter = NO_FILTER) -> int:
        """How many events there are that pass a filter, as `domain.filters.stopped_by` says, without reading them."""

    def undelivered(self, span: Span, webhook_id: WebhookId, *, after: str, limit: int) -> Sequence[DeliveryId]:
        """The next deliveries to this webhook that are dead or withdrawn, or wait after a failure."""

    def count_undelivered(self, span: Span, webhook_id: WebhookId) -> int:
        """How many of them there are now."""

    def states(self, delivery_ids: Sequence[DeliveryId]) -> Mapping[DeliveryId, State]:
        """Where these deliveries stand, those that there are."""

    def in_front(self, webhook_id: WebhookId, lease: timedelta, *, limit: int) -> int:
        """How many deliveries to this webhook are due or being sent under leases up to this long; at most `limit`."""

    def recorded(
        self, span: Span, webhook_id: WebhookId | None, *, after: str, newest_first: bool, limit: int
    ) -> Sequence[Recorded]:
        """The next deliveries, to this webhook or to all, with their attempts."""

    def count_recorded(self, span: Span, webhook_id: WebhookId | None) -> int:
        """How many of them there are now."""

"""What the core asks of a store for batches that are too large for one commit.

A part of `ports/storage.py`, and tested like it: `tests/contract/test_storage_staged_reports.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hookline.domain.calls import Call
from hookline.domain.meetings import Meeting


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedReport:
    """One meeting or call of a batch that was accepted, checked and with its final id, but not announced yet."""

    batch_id: str
    number: int  # 0, 1, 2 ... in the order of the request
    report: Meeting | Call
    is_silent: bool = False  # whether it is kept without an event
    rows: int  # how many rows it becomes, beside one for each webhook


class StagedReports(Protocol):
    """Reports that were accepted together and are applied in slices, each in a transaction of its own."""

    def add(self, staged: StagedReport) -> None:
        """Keep a report until it is applied. The listener of the store hears of it as of a process."""

    def next_of(self, batch_id: str, limit: int) -> Iterator[StagedReport]:
        """Up to `limit` reports of this batch, by number. What is not asked for costs little."""

    def remove(self, batch_id: str, up_to: int) -> None:
        """Forget the reports of this batch up to this number: they were applied."""

    def oldest(self) -> tuple[str, datetime] | None:
        """The batch that was accepted first, and when it was; None if all batches are applied."""

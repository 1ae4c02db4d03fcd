"""Batches: many meetings or calls are accepted all or none, and applied a few at a time.

A batch that fits is kept and announced in one commit. Of a larger one that commit keeps only the reports as they were
checked, with their final ids: from then on the batch is accepted, and nothing in it can be refused any more. Slices of
it are then kept and announced in commits of their own, in the order of the request, and other commits get in between.
A slice and what is left of the batch are one commit, so whoever applies the next one, after whatever crash and on
whatever node, goes on exactly where the last one ended, and two who do so at once do no harm.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import repeat
from typing import Final

from hookline.domain.calls import NO_TIMES, Call, CallTimes
from hookline.domain.events import CallPayload, EventKind
from hookline.domain.meetings import Meeting, MeetingDetails
from hookline.ports.staged_reports import StagedReport
from hookline.ports.storage import Transaction
from hookline.services.booking import keep_booked, new_meeting
from hookline.services.calls import keep_reported, new_call
from hookline.services.publishing import ROWS_PER_COMMIT

#: Rows of a call: itself and its event. Of a meeting: itself, its event and its timer, beside its participants.
_ROWS_OF_A_CALL: Final = 2
_ROWS_OF_A_MEETING: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A batch that is on disk with this commit."""

    ids: Sequence[str]  # of the meetings or calls, in the order of the request
    is_staged: bool  # whether it is still to be applied


def batch_id_of(ids: Sequence[str]) -> str:
    """What a staged batch is called, from the ids of its reports."""
    return ids[0]


def accept_meetings(tx: Transaction, many: Sequence[MeetingDetails]) -> Accepted:
    """Accept meetings, at least one, all or none: keep and announce them now if they fit in one commit."""
    return _accept(tx, [new_meeting(tx, details) for details in many])


def accept_calls(
    tx: Transaction,
    many: Sequence[CallPayload],
    bodies: Sequence[bytes],
    times: Sequence[CallTimes] | None = None,
    *,
    is_silent: bool = False,
) -> Accepted:
    """As `accept_meetings`, of calls, without events if they are `is_silent`. `bodies` are the `canonical_bytes` of
    each, `times` when it was.
    """
    reports = [
        new_call(tx, payload, body=body, times=known)
        for payload, body, known in zip(many, bodies, times or repeat(NO_TIMES, len(many)), strict=True)
    ]
    return _accept(tx, reports, is_silent=is_silent)


def apply_slice(tx: Transaction, batch_id: str) -> bool:
    """Keep and announce the next reports of a staged batch, as many as fit in one commit. Returns whether any is left.

    Harmless when none is.
    """
    fitting, is_all = _fitting(tx, tx.staged_reports.next_of(batch_id, ROWS_PER_COMMIT))
    if fitting:
        _keep(tx, fitting)
        tx.staged_reports.remove(batch_id, up_to=fitting[-1].number)
    return not is_all


def apply_slice_until(tx: Transaction, accepted_until: datetime) -> bool:
    """Apply a slice of the first batch that was accepted until this instant. Returns whether there was one."""
    oldest = tx.staged_reports.oldest()
    if oldest is None or accepted_until < oldest[1] <= tx.now:
        return False
    apply_slice(tx, oldest[0])
    return True


def left_until(tx: Transaction, left_for: timedelta) -> datetime | None:
    """Until when the oldest batch is left to the request that accepted it: so long after that. None if there is none.

    A batch from the future was accepted under a wrong clock; it is left to nobody.
    """
    oldest = tx.staged_reports.oldest()
    if oldest is None:
        return None
    return oldest[1] + left_for if oldest[1] <= tx.now else tx.now


def apply_left(tx: Transaction, left_for: timedelta) -> bool:
    """Apply a slice of a batch that was accepted so long ago that its request would have applied it.

    Returns whether there was one.
    """
    return apply_slice_until(tx, tx.now - left_for)


def _accept(tx: Transaction, reports: Sequence[Meeting | Call], *, is_silent: bool = False) -> Accepted:
    ids = [report.id for report in reports]
    staged = [
        StagedReport(
            batch_id=batch_id_of(ids), number=number, report=report, is_silent=is_silent, rows=_rows_of(report)
        )
        for number, report in enumerate(reports)
    ]
    _, fits = _fitting(tx, staged)
    if fits:
        _keep(tx, staged)
    else:
        for each in staged:
            tx.staged_reports.add(each)
    return Accepted(ids=ids, is_staged=not fits)


def _rows_of(report: Meeting | Call) -> int:
    if isinstance(report, Call):
        return _ROWS_OF_A_CALL
    return _ROWS_OF_A_MEETING + len(report.details.payload.event_participants)


def _fitting(tx: Transaction, staged: Iterable[StagedReport]) -> tuple[list[StagedReport], bool]:
    """The first of these, as many as one commit should keep, at least one; and whether these are all."""
    rows, fitting = 0, list[StagedReport]()
    for each in staged:
        kind = EventKind.CALL_FINISHED if isinstance(each.report, Call) else EventKind.MEETING_BOOKED
        rows += each.rows + (0 if each.is_silent else len(tx.webhooks.wanting(kind)))
        if fitting and rows > ROWS_PER_COMMIT:
            return fitting, False
        fitting.append(each)
    return fitting, True


def _keep(tx: Transaction, staged: Sequence[StagedReport]) -> None:
    keep_booked(tx, [each.report for each in staged if isinstance(each.report, Meeting)])
    for each in staged:
        if isinstance(each.report, Call):
            keep_reported(tx, each.report, is_silent=each.is_silent)

"""Reports of large batches in SQL until they are applied: what both databases share."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from hookline.adapters.sql.calendar import meeting_payload
from hookline.adapters.sql.phone import call_payload
from hookline.adapters.sql.session import Insert, Row, Session, first, instant, instant_or_none, micros, micros_or_none
from hookline.domain.calls import Call, CallTimes
from hookline.domain.ids import CallId, MeetingId
from hookline.domain.meetings import Meeting, MeetingDetails
from hookline.ports.staged_reports import StagedReport

_REPORT: Final = (
    *("report_id", "payload", "start_at", "end_at", "source", "started_at", "answered_at", "ended_at", "accepted_at"),
)
ADD_STAGED: Final = Insert("staged_report", ("batch_id", "number", "is_silent", "row_count", *_REPORT))
NEXT_OF_BATCH: Final = f"""
    SELECT batch_id, number, is_silent, row_count, {", ".join(_REPORT)}
    FROM staged_report WHERE batch_id = :batch_id ORDER BY number LIMIT :limit
"""
REMOVE_STAGED: Final = "DELETE FROM staged_report WHERE batch_id = :batch_id AND number <= :up_to"
OLDEST_BATCH: Final = "SELECT batch_id, accepted_at FROM staged_report ORDER BY accepted_at, batch_id LIMIT 1"


class SqlStagedReports:
    """`ports.staged_reports.StagedReports`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, staged: StagedReport) -> None:
        how = (staged.batch_id, staged.number, int(staged.is_silent), staged.rows)
        self._session.insert(ADD_STAGED, (*how, *_kept(staged.report)))
        self._session.doings.processes = True

    def next_of(self, batch_id: str, limit: int) -> Iterator[StagedReport]:
        for row in self._session.rows(NEXT_OF_BATCH, {"batch_id": batch_id, "limit": limit}):
            batch, number, is_silent, rows, *report = row
            yield StagedReport(
                batch_id=batch, number=number, report=_report(report), rows=rows, is_silent=bool(is_silent)
            )

    def remove(self, batch_id: str, up_to: int) -> None:
        self._session.run(REMOVE_STAGED, {"batch_id": batch_id, "up_to": up_to})

    def oldest(self) -> tuple[str, datetime] | None:
        row = first(self._session.rows(OLDEST_BATCH))
        return None if row is None else (row[0], instant(row[1]))


def _kept(report: Meeting | Call) -> Row:
    """The columns `_REPORT`. A call has a `source`, and a meeting has none."""
    accepted_at = micros(report.created_at)
    if isinstance(report, Call):
        times = report.times
        known = (micros_or_none(times.started_at), micros_or_none(times.answered_at), micros_or_none(times.ended_at))
        return (report.id, report.body.decode(), None, None, report.source, *known, accepted_at)
    details = report.details
    known = (micros(details.start_at), micros(details.end_at), None)
    return (report.id, details.body.decode(), *known, None, None, None, accepted_at)


def _report(columns: Sequence[Any]) -> Meeting | Call:
    report_id, payload, start_at, end_at, source, *times, accepted_at = columns
    body, created_at = payload.encode(), instant(accepted_at)
    if source is None:
        details = MeetingDetails(
            payload=meeting_payload(payload), body=body, start_at=instant(start_at), end_at=instant(end_at)
        )
        return Meeting.booked(MeetingId(report_id), details, created_at)
    started_at, answered_at, ended_at = map(instant_or_none, times)
    return Call(
        id=CallId(report_id),
        payload=call_payload(payload),
        body=body,
        source=source,
        created_at=created_at,
        times=CallTimes(started_at=started_at, answered_at=answered_at, ended_at=ended_at),
    )

"""Processes and the files that they make, in SQL: what both databases share."""

import json
from datetime import datetime
from typing import Any, Final

from hookline.adapters.sql.session import (
    Insert,
    Row,
    Session,
    first,
    instant,
    instant_or_none,
    micros,
    micros_or_none,
    to_json,
)
from hookline.domain.events import EventKind
from hookline.domain.ids import ProcessId, WebhookId
from hookline.domain.processes import Asked, Export, File, Notification, Only, Process, ProcessStatus, Replay, Span

_COLUMNS: Final = """
    id, name, parameters, status, cursor, total, done, error, due_at, created_at, completed_at, token, export_url,
    expires_at, notification_attempt, notification_due_at, notification_outcome
"""
ADD_PROCESS: Final = Insert("process", tuple(column.strip() for column in _COLUMNS.split(",")[1:]))
SAVE_PROCESS: Final = """
    UPDATE process SET status = :status, cursor = :cursor, total = :total, done = :done, error = :error,
        due_at = :due_at, completed_at = :completed_at, notification_attempt = :notification_attempt,
        notification_due_at = :notification_due_at, notification_outcome = :notification_outcome
    WHERE id = :id
"""
PROCESS: Final = f"SELECT {_COLUMNS} FROM process WHERE id = :id"
TOKENS_OF_FILES: Final = "SELECT token FROM process WHERE token IS NOT NULL"
PROCESS_OF_FILE: Final = f"SELECT {_COLUMNS} FROM process WHERE token = :token"
NEXT_STEP: Final = f"SELECT {_COLUMNS} FROM process WHERE due_at IS NOT NULL ORDER BY due_at, id LIMIT 1"
NEXT_NOTIFICATION: Final = (
    f"SELECT {_COLUMNS} FROM process WHERE notification_due_at IS NOT NULL ORDER BY notification_due_at, id LIMIT 1"
)
OLDEST_FIRST: Final = f"SELECT {_COLUMNS} FROM process ORDER BY id LIMIT :limit OFFSET :offset"
NEWEST_FIRST: Final = f"SELECT {_COLUMNS} FROM process ORDER BY id DESC LIMIT :limit OFFSET :offset"
COUNT: Final = "SELECT COUNT(*) FROM process"
ADD_PART: Final = """
    INSERT INTO export_part (process_id, number, body)
    SELECT :process_id, COUNT(*), :body FROM export_part WHERE process_id = :process_id
"""
PART: Final = "SELECT body FROM export_part WHERE process_id = :process_id AND number = :number"
SIZE: Final = "SELECT COALESCE(SUM(LENGTH(body)), 0) FROM export_part WHERE process_id = :process_id"
FORGET_PROCESSES: Final = """
    DELETE FROM process WHERE id IN (
        SELECT id FROM process
        WHERE created_at < :before AND due_at IS NULL AND notification_due_at IS NULL
            AND id NOT IN (SELECT process_id FROM export_part)
        ORDER BY id LIMIT :limit)
"""
FORGET_PARTS: Final = """
    DELETE FROM export_part WHERE (process_id, number) IN (
        SELECT e.process_id, e.number FROM export_part e JOIN process p ON p.id = e.process_id
        WHERE p.expires_at <= :now AND p.due_at IS NULL
        ORDER BY e.process_id, e.number LIMIT :limit)
"""


class SqlProcesses:
    """`ports.storage.Processes`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, process: Process) -> Process:
        values = _parameters(process)
        new_id = self._session.insert_returning_id(ADD_PROCESS, tuple(values[name] for name in ADD_PROCESS.columns))
        self._session.doings.processes = True
        return _process((new_id, *(values[name] for name in ADD_PROCESS.columns)))

    def process(self, process_id: int) -> Process | None:
        return self._one(PROCESS, id=process_id)

    def of_file(self, token: str) -> Process | None:
        return self._one(PROCESS_OF_FILE, token=token)

    def tokens_of_files(self) -> frozenset[str]:
        return frozenset(token for (token,) in self._session.rows(TOKENS_OF_FILES))

    def processes(self, *, newest_first: bool, limit: int, offset: int) -> list[Process]:
        statement = NEWEST_FIRST if newest_first else OLDEST_FIRST
        return [_process(row) for row in self._session.rows(statement, {"limit": limit, "offset": offset})]

    def count(self) -> int:
        [(count,)] = self._session.rows(COUNT)
        return int(count)

    def save(self, process: Process) -> None:
        self._session.run(SAVE_PROCESS, {**_parameters(process), "id": process.id})
        self._session.doings.processes |= process.notification.due_at is not None

    def next_step(self) -> Process | None:
        return self._one(NEXT_STEP)

    def next_notification(self) -> Process | None:
        return self._one(NEXT_NOTIFICATION)

    def add_part(self, process_id: ProcessId, body: bytes) -> None:
        self._session.run(ADD_PART, {"process_id": process_id, "body": body})

    def part(self, process_id: ProcessId, number: int) -> bytes | None:
        row = first(self._session.rows(PART, {"process_id": process_id, "number": number}))
        return None if row is None else bytes(row[0])

    def size(self, process_id: ProcessId) -> int:
        [(size,)] = self._session.rows(SIZE, {"process_id": process_id})
        return int(size)

    def forget_before(self, instant: datetime, *, limit: int) -> int:
        return self._session.run(FORGET_PROCESSES, {"before": micros(instant), "limit": limit})

    def forget_expired(self, *, limit: int) -> int:
        return self._session.run(FORGET_PARTS, {"now": micros(self._session.now), "limit": limit})

    def _one(self, statement: str, **parameters: Any) -> Process | None:
        row = first(self._session.rows(statement, parameters))
        return None if row is None else _process(row)


def _parameters(process: Process) -> dict[str, Any]:
    file, notification = process.file, process.notification
    return {
        "name": process.asked.NAME,
        "parameters": to_json(_kept(process.asked)),
        "status": process.status.value,
        "cursor": process.cursor,
        "total": process.total,
        "done": process.done,
        "error": process.error,
        "due_at": micros_or_none(process.due_at),
        "created_at": micros(process.created_at),
        "completed_at": micros_or_none(process.completed_at),
        "token": file and file.token,
        "export_url": file and file.url,
        "expires_at": file and micros(file.expires_at),
        "notification_attempt": notification.attempt,
        "notification_due_at": micros_or_none(notification.due_at),
        "notification_outcome": notification.outcome,
    }


def _kept(asked: Asked) -> dict[str, Any]:
    """What was asked for, as JSON's own kinds of value."""
    common = {
        "kinds": [kind.value for kind in asked.span.kinds],
        "since": micros(asked.span.since),
        "until": micros(asked.span.until),
        "webhook_id": asked.webhook_id,
    }
    if isinstance(asked, Replay):
        return {**common, "only": asked.only.value, "filter": asked.filter}
    return {**common, "newest_first": asked.newest_first, "notify_url": asked.notify_url}


def _asked(name: str, kept: dict[str, Any]) -> Asked:
    kinds = tuple(EventKind(kind) for kind in kept["kinds"])
    span = Span(kinds=kinds, since=instant(kept["since"]), until=instant(kept["until"]))
    if name == Replay.NAME:
        filter_ = tuple((attribute, tuple(values)) for attribute, values in kept["filter"])
        return Replay(span=span, webhook_id=WebhookId(kept["webhook_id"]), only=Only(kept["only"]), filter=filter_)
    return Export(
        span=span,
        webhook_id=kept["webhook_id"],
        newest_first=kept["newest_first"],
        notify_url=kept["notify_url"],
    )


def _process(row: Row) -> Process:
    (id_, name, parameters, status, cursor, total, done, error, due_at, created_at, completed_at, *rest) = row
    token, export_url, expires_at, notification_attempt, notification_due_at, notification_outcome = rest
    return Process(
        id=ProcessId(id_),
        asked=_asked(name, json.loads(parameters)),
        status=ProcessStatus(status),
        cursor=cursor,
        total=total,
        done=done,
        error=error,
        created_at=instant(created_at),
        due_at=instant_or_none(due_at),
        completed_at=instant_or_none(completed_at),
        file=None if token is None else File(token=token, url=export_url, expires_at=instant(expires_at)),
        notification=Notification(
            attempt=notification_attempt, due_at=instant_or_none(notification_due_at), outcome=notification_outcome
        ),
    )

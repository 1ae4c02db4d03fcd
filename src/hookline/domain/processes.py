"""Processes: long work that is done in small steps, over restarts, and what can be said of it at any time.

What a step does: `services/replays.py`, `services/exports.py`. Who takes the steps: `engine/processes.py`.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from hookline.domain.events import EventKind
from hookline.domain.filters import Filter
from hookline.domain.ids import ProcessId, WebhookId
from hookline.domain.instants import wire_form


class ProcessStatus(StrEnum):
    """How far a process is."""

    QUEUED = "queued"
    IN_PROCESS = "in_process"
    COMPLETED = "completed"
    FAILED = "failed"


class Only(StrEnum):
    """What of a range is replayed."""

    FAILED = "failed"  # what was not delivered
    ALL = "all"  # what the webhook wants, whatever became of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Events of these kinds that were kept from `since` on and before `until`; what was only sent as a test is none."""

    kinds: tuple[EventKind, ...]
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Send again, to one webhook, what is in `span`.

    Span and filter are those that it had when the replay was asked for, so that the set stays the same.
    """

    NAME: ClassVar = "replay"

    span: Span
    webhook_id: WebhookId
    only: Only
    filter: Filter


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Write down every attempt for what is in `span`, and tell `notify_url` where."""

    NAME: ClassVar = "export"

    span: Span
    webhook_id: WebhookId | None  # None: of all
    newest_first: bool
    notify_url: str


Asked = Replay | Export


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What an export makes: the link is the key to it."""

    token: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """How somebody is told of a file. `due_at` is when next; None when there is no more to do."""

    attempt: int = 0
    due_at: datetime | None = None
    outcome: str = ""  # a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A piece of long work, as it is kept. `due_at` is when its next step may be taken; None once it has ended."""

    id: ProcessId
    asked: Asked
    status: ProcessStatus
    cursor: str  # the id behind which the next step begins
    total: int  # deliveries
    done: int  # of them
    created_at: datetime
    due_at: datetime | None
    completed_at: datetime | None = None
    error: str = ""  # a sentence
    file: File | None = None
    notification: Notification = Notification()

    @property
    def info(self) -> str:
        """What can be said of it now, in sentences."""
        said = _replayed(self) if isinstance(self.asked, Replay) else _exported(self)
        return " ".join(part for part in (self.error, said, self.notification.outcome) if part)

    def went_on(self, cursor: str, done: int, *, next_at: datetime) -> "Process":
        """After a step that dealt with `done` more; the next may be taken at `next_at`."""
        so_far = self.done + done
        return replace(
            self,
            status=ProcessStatus.IN_PROCESS,
            cursor=cursor,
            done=so_far,
            total=max(self.total, so_far),
            due_at=next_at,
        )

    def waiting(self, until: datetime) -> "Process":
        """With no further step before `until`."""
        return replace(self, status=ProcessStatus.IN_PROCESS, due_at=until)

    def completed(self, now: datetime) -> "Process":
        """All is done."""
        return replace(self, status=ProcessStatus.COMPLETED, due_at=None, completed_at=now)

    def failed(self, error: str, now: datetime) -> "Process":
        """It cannot go on, for the reason in this sentence."""
        return replace(self, status=ProcessStatus.FAILED, due_at=None, completed_at=now, error=error)


def begun(asked: Asked, *, total: int, now: datetime, cursor: str = "", file: File | None = None) -> Process:
    """A process that waits for its first step. The store gives it its id."""
    return Process(
        id=ProcessId(0),
        asked=asked,
        status=ProcessStatus.QUEUED,
        cursor=cursor,
        total=total,
        done=0,
        created_at=now,
        due_at=now,
        file=file,
    )


def _replayed(process: Process) -> str:
    if process.status is ProcessStatus.FAILED:
        return f"{process.done} of {process.total} deliveries were due again by then."
    said = f"{process.done} of {process.total} deliveries are due again."
    left = process.total - process.done
    if process.status is ProcessStatus.COMPLETED and left:
        said += f" Passed over, since delivered or attempted meanwhile, or no longer kept: {left}."
    return said


def _exported(process: Process) -> str:
    if process.status is ProcessStatus.COMPLETED and process.file is not None:
        return f"{process.done} deliveries are in the file, which is kept until {wire_form(process.file.expires_at)}."
    return f"{process.done} of {process.total} deliveries are in the file."

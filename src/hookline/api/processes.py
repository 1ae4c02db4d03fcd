"""Long work over HTTP: a range is replayed, what was sent is exported, and how far it is can be asked."""

import re
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, UnsetType

from hookline.api.reading import DEFAULT_LIMIT, MAX_LIMIT
from hookline.api.routes import ADMIN_ONLY, READERS, Asked, Reply, Route, Work, doc, doc_instant
from hookline.api.webhooks import Sort
from hookline.domain.events import EventKind
from hookline.domain.ids import WebhookId
from hookline.domain.instants import parse_instant, wire_form
from hookline.domain.processes import Only, Process, ProcessStatus
from hookline.domain.webhooks import MAX_URL
from hookline.errors import Invalid
from hookline.ports.storage import Transaction
from hookline.services import exports, processes, replays

ALL_EVENTS: Final = "allEvents"
_EVENT_NAMES: Final = (ALL_EVENTS, *(kind.value for kind in EventKind))
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MAX_OFFSET: Final = 1_000_000
_LARGEST_ID: Final = 2**53

PROCESS_ID: Final = doc("Id of the process.", examples=[1])


class ReplayBody(msgspec.Struct, kw_only=True):
    """Which range to send again, by when its events were kept."""

    since: Annotated[str, doc_instant("From when on.")]
    until: Annotated[str | None, doc_instant("Before when; now if absent.")] = None
    only: Annotated[Only, doc("`failed`: what was not delivered. `all`: all that the webhook wants.")]
    dryRun: Annotated[bool, doc("Only count: nothing is sent again.")] = False


class ReplayBegun(msgspec.Struct):
    """The process that sends again, and what it begins with."""

    processId: Annotated[int, PROCESS_ID]
    count: Annotated[int, doc("How many deliveries.", examples=[480])]


class Counted(msgspec.Struct):
    """What a replay would begin with."""

    count: Annotated[int, doc("How many deliveries.", examples=[480])]


class ExportType(StrEnum):
    """Brevo's kinds of webhooks."""

    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"


class ExportBody(msgspec.Struct, kw_only=True):
    """What to export. What is null counts as absent; unknown keys are passed over."""

    LENIENT: ClassVar = True

    event: Annotated[str, doc("Name of an event, or `allEvents`.", enum=list(_EVENT_NAMES))]
    notifyURL: Annotated[
        str,
        doc("Who is told where the file lies: http or https.", format="uri", maxLength=MAX_URL),
    ]
    type: Annotated[ExportType, doc("`transactional`, as all webhooks are here; a file of `marketing` is empty.")]
    days: Annotated[int | UnsetType, doc("How many days, today included; 7 if no days are told.", minimum=1)] = UNSET
    startDate: Annotated[str | UnsetType, doc("The first day (UTC); with `endDate`.", format="date")] = UNSET
    endDate: Annotated[str | UnsetType, doc("The last day (UTC), included; with `startDate`.", format="date")] = UNSET
    webhookId: Annotated[int | UnsetType, doc("Only of this webhook.", minimum=1)] = UNSET
    sort: Annotated[Sort | UnsetType, doc("By time; `desc`, the newest first, if absent.")] = UNSET
    email: Annotated[Any, doc("Refused: this version cannot filter by it.")] = UNSET
    messageId: Annotated[Any, doc("Refused: this version cannot filter by it.")] = UNSET


class ExportBegun(msgspec.Struct):
    """The process that writes the file."""

    processId: Annotated[int, PROCESS_ID]


class ProcessView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """How far a piece of long work is."""

    id: Annotated[int, PROCESS_ID]
    name: Annotated[str, doc("`replay` or `export`.", examples=["replay"])]
    status: Annotated[ProcessStatus, doc("How far it is.", examples=["in_process"])]
    info: Annotated[str, doc("The same in sentences.", examples=["120 of 480 deliveries are due again."])]
    total: Annotated[int, doc("How many deliveries there are to deal with.", examples=[480])]
    done: Annotated[int, doc("How many of them it has dealt with.", examples=[120])]
    export_url: Annotated[
        str | UnsetType,
        doc("The link to the file, while it can be had.", examples=["https://hookline.example/file.csv"]),
    ] = UNSET
    created_at: Annotated[str, doc_instant("When it was begun.")]
    completed_at: Annotated[str | UnsetType, doc_instant("When it ended; absent until then.")] = UNSET


class ProcessList(msgspec.Struct):
    """Some of the processes."""

    processes: Annotated[list[ProcessView], doc("The processes.")]
    count: Annotated[int, doc("How many there are in all.")]


def replay(asked: Asked) -> Work:
    webhook_id, body = asked.number("id", "webhook"), asked.read(ReplayBody)
    since = parse_instant(body.since, "since")
    until = None if body.until is None else parse_instant(body.until, "until")

    def work(tx: Transaction) -> Reply:
        if body.dryRun:
            return Reply(200, Counted(replays.count_replay(tx, webhook_id, since, until, body.only)))
        process = replays.begin_replay(tx, webhook_id, since, until, body.only)
        return Reply(202, ReplayBegun(processId=process.id, count=process.total))

    return work


def export(asked: Asked) -> Work:
    wanted = _wanted(asked.read(ExportBody))
    return lambda tx: Reply(202, ExportBegun(exports.begin_export(tx, wanted, asked.limits).id))


def read(asked: Asked) -> Work:
    process_id = asked.number("id", "process")
    return lambda tx: Reply(200, _view(tx, processes.read_process(tx, process_id)))


def list_(asked: Asked) -> Work:
    query = asked.query
    newest_first = query.choice("sort", Sort) is not Sort.OLDEST_FIRST
    limit = query.whole("limit", 1, MAX_LIMIT) or DEFAULT_LIMIT
    offset = query.whole("offset", 0, _MAX_OFFSET) or 0

    def work(tx: Transaction) -> Reply:
        found, count = processes.list_processes(tx, newest_first=newest_first, limit=limit, offset=offset)
        return Reply(200, ProcessList([_view(tx, process) for process in found], count))

    return work


def _wanted(body: ExportBody) -> exports.NewExport:
    for name in ("email", "messageId"):
        if getattr(body, name) is not UNSET:
            raise Invalid.field(name, "this version cannot filter by it.")
    return exports.NewExport(
        kinds=_kinds(body),
        notify_url=body.notifyURL,
        days=_given(body.days, int),
        start=_given(body.startDate, lambda text: _day(text, "startDate")),
        end=_given(body.endDate, lambda text: _day(text, "endDate")),
        webhook_id=_given(body.webhookId, _webhook_id),
        newest_first=body.sort is not Sort.OLDEST_FIRST,
    )


def _kinds(body: ExportBody) -> tuple[EventKind, ...]:
    if body.event not in _EVENT_NAMES:
        raise Invalid.field("event", f"expected one of {', '.join(_EVENT_NAMES)}, got {body.event[:40]!r}.")
    if body.type is ExportType.MARKETING:
        return ()
    return tuple(EventKind) if body.event == ALL_EVENTS else (EventKind(body.event),)


def _given(value: Any, parse: Callable[[Any], Any]) -> Any:
    return None if value is UNSET else parse(value)


def _day(text: str, field: str) -> date:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        raise Invalid.field(field, f"there is no such day as {text[:40]!r}.") from None
    raise Invalid.field(field, f"expected a day such as 2025-06-10, got {text[:40]!r}.")


def _webhook_id(number: int) -> WebhookId:
    if not 1 <= number <= _LARGEST_ID:
        raise Invalid.field("webhookId", f"expected 1 to {_LARGEST_ID}, got {number}.", code="out_of_range")
    return WebhookId(number)


def _view(tx: Transaction, process: Process) -> ProcessView:
    return ProcessView(
        id=process.id,
        name=process.asked.NAME,
        status=process.status,
        info=process.info,
        total=process.total,
        done=process.done,
        export_url=exports.link_to(tx, process) or UNSET,
        created_at=wire_form(process.created_at),
        completed_at=UNSET if process.completed_at is None else wire_form(process.completed_at),
    )


ROUTES = (
    Route(
        method="POST", path="/webhooks/{id}/replay", handler=replay, scopes=ADMIN_ONLY, status=202,
        summary="Send a range of time again.", takes=ReplayBody, gives=ReplayBegun, also=(200, Counted),
    ),
    Route(
        method="POST", path="/webhooks/export", handler=export, scopes=ADMIN_ONLY, status=202,
        summary="Export what was sent, as a CSV file.", takes=ExportBody, gives=ExportBegun,
    ),
    Route(
        method="GET", path="/processes", handler=list_, scopes=READERS, status=200,
        summary="List processes.", gives=ProcessList,
        query={
            "sort": Annotated[Sort, doc("By creation.", default="desc")],
            "limit": Annotated[int, doc("How many at most.", minimum=1, maximum=MAX_LIMIT, default=DEFAULT_LIMIT)],
            "offset": Annotated[int, doc("How many to leave out before.", minimum=0, default=0)],
        },
    ),
    Route(
        method="GET", path="/processes/{id}", handler=read, scopes=READERS, status=200,
        summary="Read how far a process is.", gives=ProcessView,
    ),
)  # fmt: skip

"""What the server says afterwards: its feed of events, and its record of deliveries and attempts."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec

from hookline.adapters.system_clock import SystemClock
from hookline.domain.instants import parse_instant
from tests.acceptance.load import Ledger
from tests.acceptance.serving import Api, Broken, in_patience, real_seconds

T = TypeVar("T")

_PAGE: Final = 200
_LOOK_AGAIN_SECONDS: Final = 0.1


class EventRow(msgspec.Struct, frozen=True):
    """An event of the feed; `payload` byte for byte."""

    id: str
    event: str
    subject: str
    sequence: int
    occurredAt: str  # noqa: N815
    createdAt: datetime  # noqa: N815
    payload: msgspec.Raw


class AttemptRow(msgspec.Struct, frozen=True):
    """An attempt of the record."""

    number: int
    startedAt: datetime  # noqa: N815
    durationMs: float  # noqa: N815
    status: int | None
    error: str | None

    @property
    def ended_at(self) -> datetime:
        """When there was an answer, or no hope of one any more."""
        return self.startedAt + timedelta(milliseconds=self.durationMs)


class DeliveryRow(msgspec.Struct, frozen=True):
    """A delivery of the record."""

    id: str
    eventId: str  # noqa: N815
    webhookId: int  # noqa: N815
    batchId: str | None  # noqa: N815
    status: str
    createdAt: datetime  # noqa: N815
    attempts: list[AttemptRow]

    @property
    def sent_as(self) -> str:
        """The `webhook-id` under which it went at last."""
        return self.batchId or self.eventId


class ProcessRow(msgspec.Struct, frozen=True):
    """How far a process is."""

    id: int
    name: str
    status: str
    info: str
    total: int
    done: int


class _Processes(msgspec.Struct):
    processes: list[ProcessRow]
    count: int


class _Events(msgspec.Struct):
    events: list[EventRow]
    next: str | None


class _Deliveries(msgspec.Struct):
    deliveries: list[DeliveryRow]
    next: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """All of it."""

    events: list[EventRow]
    deliveries: list[DeliveryRow]
    processes: list[ProcessRow] = field(default_factory=list)


async def all_announced(api: Api, ledger: Ledger) -> None:
    """Return once every start that the clients know of was reached. The ledger is closed.

    Starts that are never announced are waited for in vain, but not for long, and not named here.
    """
    latest = ledger.latest_start()
    if latest:
        await SystemClock().sleep_until(parse_instant(latest, "start"))
    ledger.close()
    with suppress(Broken):
        await in_patience(_until_announced(api, ledger.events), "events")


async def settled_record(api: Api, ledger: Ledger, *, seconds: float = 120) -> Record:
    """The record, once all is announced and nothing is owed any more."""
    await all_announced(api, ledger)
    return await settled(api, seconds=seconds)


async def settled(api: Api, *, seconds: float) -> Record:
    """The record, once nothing is owed any more."""
    return await in_patience(_settled(api), "all to be settled", seconds=seconds)


async def ended_processes(api: Api, *, seconds: float) -> None:
    """Return once no process is under way any more."""

    async def ended() -> None:
        while any(each.status in ("queued", "in_process") for each in await read_processes(api)):
            await real_seconds(_LOOK_AGAIN_SECONDS)

    await in_patience(ended(), "all processes to end", seconds=seconds)


async def read_processes(api: Api) -> list[ProcessRow]:
    """All of them, by creation."""
    found: list[ProcessRow] = []
    while True:
        page = await _page(api, f"/v3/processes?sort=asc&limit={_PAGE}&offset={len(found)}", _Processes)
        found += page.processes
        if len(found) >= page.count:
            return found


async def read_events(api: Api) -> list[EventRow]:
    """The whole feed."""
    found: list[EventRow] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await _page(api, f"/v3/events?limit={_PAGE}&cursor={cursor}", _Events)
        found += page.events
        cursor = page.next
    return found


async def _until_announced(api: Api, events: int) -> None:
    while len(await read_events(api)) < events:
        await real_seconds(_LOOK_AGAIN_SECONDS)


async def until_nothing_is_owed(api: Api) -> None:
    """Return when no delivery is pending or being sent."""
    while await _is_owing(api):
        await real_seconds(_LOOK_AGAIN_SECONDS)


async def settled_deliveries(api: Api) -> list[DeliveryRow]:
    """All deliveries, once nothing is owed any more."""
    while True:
        await until_nothing_is_owed(api)
        deliveries = await _deliveries(api)
        if all(each.status not in ("pending", "sending") for each in deliveries):
            return deliveries


async def _settled(api: Api) -> Record:
    deliveries = await settled_deliveries(api)
    return Record(await read_events(api), deliveries, await read_processes(api))


async def _deliveries(api: Api) -> list[DeliveryRow]:
    found: list[DeliveryRow] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await _page(api, f"/v3/deliveries?limit={_PAGE}&cursor={cursor}", _Deliveries)
        found += page.deliveries
        cursor = page.next
    return found


async def _is_owing(api: Api) -> bool:
    pages = [
        await _page(api, f"/v3/deliveries?limit=1&status={status}", _Deliveries) for status in ("pending", "sending")
    ]
    return any(page.deliveries for page in pages)


async def _page(api: Api, path: str, shape: type[T]) -> T:
    answer = await api.ask("GET", path)
    answer.of(200)
    return msgspec.json.decode(answer.body, type=shape)

"""What the server says afterwards: its feed of events, and its record of deliveries and attempts."""

from contextlib import suppress
from dataclasses import dataclass
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
    payload: msgspec.Raw


class AttemptRow(msgspec.Struct, frozen=True):
    """An attempt of the record."""

    number: int
    status: int | None
    error: str | None
    durationMs: float  # noqa: N815


class DeliveryRow(msgspec.Struct, frozen=True):
    """A delivery of the record."""

    id: str
    eventId: str  # noqa: N815
    webhookId: int  # noqa: N815
    status: str
    attempts: list[AttemptRow]


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


async def settled_record(api: Api, ledger: Ledger, *, seconds: float = 120) -> Record:
    """The record, once every start that the clients know of was reached and nothing is owed any more.

    The ledger is closed. Starts that are never announced are waited for in vain, but not for long, and not named here.
    """
    latest = ledger.latest_start()
    if latest:
        await SystemClock().sleep_until(parse_instant(latest, "start"))
    ledger.close()
    with suppress(Broken):
        await in_patience(_until_announced(api, ledger.events), "events")
    return await in_patience(_settled(api), "all to be settled", seconds=seconds)


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


async def _settled(api: Api) -> Record:
    while True:
        await until_nothing_is_owed(api)
        deliveries = await _deliveries(api)
        if all(each.status not in ("pending", "sending") for each in deliveries):
            return Record(await read_events(api), deliveries)


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

"""At the end: everything accepted is stored once and was delivered once, to the byte; nothing else is there."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from tests.acceptance.hostile.attack import CALL_FINISHED
from tests.acceptance.hostile.attacker import Booked
from tests.acceptance.hostile.honest import Arrived
from tests.acceptance.record import DeliveryRow, EventRow
from tests.acceptance.serving import Api

_PAGE: Final = 200


class _Page(msgspec.Struct):
    events: list[EventRow]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An event that the server has. Bodies may have a megabyte, so only the digest is kept here."""

    id: str
    subject: str
    kind: str
    marker: str  # what its request called it
    digest: str
    start: bytes  # of its body


async def read_kept(api: Api) -> list[Kept]:
    """The whole feed."""
    found: list[Kept] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = await api.ask("GET", f"/v3/events?limit={_PAGE}&cursor={cursor}")
        answer.require(200)
        page = msgspec.json.decode(answer.body, type=_Page)
        found += [_kept(event) for event in page.events]
        cursor = page.next
    return found


def _kept(event: EventRow) -> Kept:
    body = bytes(event.payload)
    payload = json.loads(body)
    if event.event == CALL_FINISHED:
        name = str(payload["phone_line_name"])
        marker = name if name.startswith(("hostile-", "honest-")) else str(payload["phone_number"])
    else:
        marker = str(payload["meeting_name"])
    return Kept(
        id=event.id,
        subject=event.subject,
        kind=event.event,
        marker=marker,
        digest=sha256(body).hexdigest(),
        start=body[:300],
    )


@dataclass(slots=True)
class Accepted:
    """What has to exist, and what may."""

    by_id: dict[str, Booked] = field(default_factory=dict)
    by_marker: dict[str, Booked] = field(default_factory=dict)  # where the answer tells no id
    maybe: set[str] = field(default_factory=set)  # markers

    @classmethod
    def read(cls, honest: Sequence[Booked], ledger: Path) -> "Accepted":
        """From the honest client, and from the attacker's books."""
        accepted = cls()
        with ledger.open("rb") as lines:
            hostile = [msgspec.json.decode(line, type=Booked) for line in lines]
        for booked in (*honest, *hostile):
            if booked.id is None:
                accepted.maybe.add(booked.marker)
            elif booked.id:
                accepted.by_id[booked.id] = booked
            else:
                accepted.by_marker[booked.marker] = booked
        return accepted

    @property
    def total(self) -> int:
        """How many events have to exist."""
        return len(self.by_id) + len(self.by_marker)


def broken(
    accepted: Accepted, events: Sequence[Kept], deliveries: Sequence[DeliveryRow], arrived: Arrived
) -> Iterator[str]:
    """Every difference between what was accepted, what is stored, and what arrived."""
    yield from _of_store(accepted, events)
    yield from _of_deliveries(events, deliveries, arrived)
    yield from (f"{count} deliveries were not verified: {why}" for why, count in arrived.complaints.items())


def repeated(deliveries: Sequence[DeliveryRow]) -> int:
    """How many deliveries took more than one attempt: a busy machine may cost one, and no more is lost by it."""
    return sum(len(row.attempts) > 1 for row in deliveries)


def _of_store(accepted: Accepted, events: Sequence[Kept]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for event in events:
        marker = event.marker
        seen[marker] += 1
        booked = accepted.by_id.get(event.subject) or accepted.by_marker.get(marker)
        if booked is None:
            if marker not in accepted.maybe:
                yield f"{event.subject} was never accepted, and is kept: {event.start!r}"
        elif booked.marker != marker or booked.kind != event.kind:
            yield f"{event.subject} was the answer to {booked.marker}, and is {event.kind} of {marker}"
        elif booked.digest and event.digest != booked.digest:
            yield f"{event.subject} ({marker}) has another body: {event.start!r}"
    yield from (f"{marker} is there {count} times" for marker, count in seen.items() if count > 1)
    stored = {event.subject for event in events}
    for id_, booked in accepted.by_id.items():
        if id_ not in stored:
            yield f"{booked.marker} was accepted as {id_}, and is lost"
    yield from (f"{marker} was accepted, and is lost" for marker in accepted.by_marker if marker not in seen)


def _of_deliveries(events: Sequence[Kept], deliveries: Sequence[DeliveryRow], arrived: Arrived) -> Iterator[str]:
    rows: dict[str, list[DeliveryRow]] = defaultdict(list)
    for row in deliveries:
        rows[row.eventId].append(row)
    for event in events:
        found = rows.pop(event.id, [])
        if [row.status for row in found] != ["delivered"]:
            yield f"{event.id} of {event.subject} has deliveries {[row.status for row in found]}"
            continue
        attempts = [attempt.status for attempt in found[0].attempts]
        digests = arrived.bodies.get(event.id, [])
        if set(digests) != {event.digest}:
            yield f"{event.id} arrived with another body, or never"
        if not attempts.count(200) == 1 <= len(digests) <= len(attempts):
            yield f"{event.id} arrived {len(digests)} times, and its attempts are {attempts}"
    yield from (f"{len(rows[each])} deliveries of {each}, which is no event" for each in rows)
    strangers = arrived.bodies.keys() - {event.id for event in events}
    yield from (f"{each} arrived, and is no event" for each in strangers)

"""What the operator did, and whether it came to what it should: secrets sign while they are valid, replays are done.

Each check yields a sentence for everything that is broken; silence is success.
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from hookline.receiver import Receiver, VerificationError
from tests.acceptance.arrivals import Feed
from tests.acceptance.hooks import Arrival, Hook
from tests.acceptance.operating import Epoch, Journal, Replayed
from tests.acceptance.record import DeliveryRow, ProcessRow

_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Haste:
    """How soon things come about, however bad the day. What is given here is so for one server that is not paused."""

    #: How long a request may be on its way: longer, and any receiver would refuse it. A busy machine takes its time.
    arrived_in: timedelta = timedelta(minutes=5)
    #: What was answered that long ago is settled.
    settled_in: timedelta = timedelta(seconds=10)
    #: How long after a rotation is answered somebody may sign as before.
    rotated_in: timedelta = timedelta(0)


#: One server that is killed, and never paused.
AT_ONCE: Final = Haste()


def broken_signatures(hook: Hook, epochs: Sequence[Epoch], haste: Haste = AT_ONCE) -> Iterator[str]:
    """Each request is signed with all secrets that were valid when it was, and with no other."""
    for arrival in hook.arrivals:
        complaint = _of_signature(arrival, epochs, haste)
        if complaint:
            yield f"{hook.name}, {arrival.id}, attempt {arrival.attempt} in life {arrival.life}: {complaint}"


def _of_signature(arrival: Arrival, epochs: Sequence[Epoch], haste: Haste) -> str:
    received = arrival.received
    timestamp = received.header("webhook-timestamp") or ""
    signed_at = datetime.fromtimestamp(int(timestamp), UTC)
    if not signed_at <= arrival.at <= signed_at + _SECOND + haste.arrived_in:
        return f"signed at {signed_at}, arrived at {arrival.at}"
    signatures = (received.header("webhook-signature") or "").split(" ")
    content = f"{arrival.id}.{timestamp}.".encode() + received.body
    possible = list(_possible(signed_at, epochs, haste))
    for epoch in possible:
        made = {_signature(key.secret, content): key for key in epoch.keys}
        needed = {each for each, key in made.items() if key.ends_after >= signed_at + _SECOND}
        allowed = {each for each, key in made.items() if key.ends_before > signed_at}
        if needed <= set(signatures) <= allowed and len(set(signatures)) == len(signatures):
            return _of_receiver(arrival, [key.secret for key in epoch.keys])
    return f"signed at {signed_at} with other secrets than were valid ({len(signatures)}); epochs {possible}"


def _possible(signed_at: datetime, epochs: Sequence[Epoch], haste: Haste) -> Iterator[Epoch]:
    """The epochs in which this second may have been. A timestamp is cut to the second in which it was signed."""
    for epoch, following in zip(epochs, [*epochs[1:], None], strict=True):
        is_over = following is not None and following.answered_at + haste.rotated_in < signed_at
        if epoch.asked_at < signed_at + _SECOND and not is_over:
            yield epoch


def _of_receiver(arrival: Arrival, secrets: list[str]) -> str:
    """What our own receiver says of it."""
    headers = dict(arrival.received.headers)
    try:
        Receiver(secrets, now=arrival.at.timestamp).verify(arrival.received.body, headers)
    except VerificationError as refusal:
        return refusal.message
    return ""


def _signature(secret: str, content: bytes) -> str:
    """Standard Webhooks, made without the product."""
    key = b64decode(secret.removeprefix("whsec_"))
    return "v1," + b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def broken_replays(
    journal: Journal,
    hooks: Sequence[Hook],
    feed: Feed,
    kept: Mapping[tuple[str, int], DeliveryRow],
    processes: Sequence[ProcessRow],
    haste: Haste = AT_ONCE,
) -> Iterator[str]:
    """Each replay that was asked for, and no other, is completed, counted rightly, and all in it was attempted."""
    by_id = {each.id: each for each in processes}
    by_webhook = {each.webhook_id: each for each in hooks}
    for replay in journal.all_replays:
        process = by_id.pop(replay.process_id, None)
        if process is None:
            yield f"Process {replay.process_id} was begun and is not there"
            continue
        hook = by_webhook[replay.webhook_id]
        yield from _of_process(replay, process)
        yield from _of_count(replay, hook, feed)
        if replay.only == "all" or hook.settles_as == "dead":
            yield from _of_covered(replay, hook, feed, kept, haste.settled_in)
    yield from (f"Nobody asked for process {each}" for each in by_id.values())


def _of_process(replay: Replayed, process: ProcessRow) -> Iterator[str]:
    if (process.name, process.status) != ("replay", "completed"):
        yield f"Process {replay.process_id} should be a completed replay, and is {process}"
    # Of what failed, more may be there when its turn comes than there was at first.
    grown = max(replay.count, process.done) if replay.only == "failed" else replay.count
    if process.total != grown or process.done > process.total:
        yield f"Process {replay.process_id} began with {replay.count}, and says {process}"


def _of_count(replay: Replayed, hook: Hook, feed: Feed) -> Iterator[str]:
    wanted = [each for each in feed.events if hook.wants(each)]
    most = sum(replay.may_cover(each.createdAt) for each in wanted)
    least = sum(replay.covers(each.createdAt) for each in wanted) if replay.only == "all" else 0
    if not least <= replay.count <= most:
        yield f"{hook.name}: {replay} should have counted {least} to {most}"


def _of_covered(
    replay: Replayed,
    hook: Hook,
    feed: Feed,
    kept: Mapping[tuple[str, int], DeliveryRow],
    settled_in: timedelta,
) -> Iterator[str]:
    """All that the range covers was attempted again, or was under way."""
    for event in feed.events:
        if hook.wants(event) and replay.covers(event.createdAt):
            row = kept.get((event.id, hook.webhook_id))
            if row is not None and not any(each.ended_at >= replay.asked_at - settled_in for each in row.attempts):
                yield f"{hook.name}: {row.id} was not attempted again by {replay}; attempts {row.attempts[-3:]}"

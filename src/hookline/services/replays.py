"""Replays: what one webhook should have had of a range of time is owed to it once more, a little at a time.

Each step is one transaction: what it makes due and how far it has come are one commit, so a process that dies is
resumed where it was. Who takes the steps, and when: `engine/processes.py`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hookline.domain.deliveries import LEASE, State
from hookline.domain.events import Event, EventKind
from hookline.domain.filters import Filter, stopped_by
from hookline.domain.ids import delivery_id
from hookline.domain.instants import wire_form
from hookline.domain.processes import Only, Process, Replay, Span, begun
from hookline.domain.webhooks import Webhook
from hookline.errors import Invalid
from hookline.ports.storage import READ_BYTES, Transaction
from hookline.services.publishing import owe
from hookline.services.webhooks import read_webhook, require_active

#: Events read at once where a filter decides, of which few may pass.
_LOOKED_AT: Final = 500
#: Between two steps, also when a filter let nothing pass, so that others get their turn.
_BREATHER: Final = timedelta(milliseconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a replay may go."""

    step: int  # deliveries in one transaction
    per_second: float
    most_in_front: int  # with more than these due or being sent, the webhook gets no further ones
    look_again: timedelta  # how long to wait then


def begin_replay(tx: Transaction, webhook_id: int, since: datetime, until: datetime | None, only: Only) -> Process:
    """Begin to send again what was kept from `since` on and before `until` (now, if not told).

    Raises:
        NotFound: no such webhook.
        Invalid: it is disabled, or there is no time between the two.
    """
    replay = _replay(tx, webhook_id, since, until, only)
    return tx.processes.add(begun(replay, total=_count(tx, replay), now=tx.now))


def count_replay(tx: Transaction, webhook_id: int, since: datetime, until: datetime | None, only: Only) -> int:
    """How many deliveries `begin_replay` would begin with. It raises the same."""
    return _count(tx, _replay(tx, webhook_id, since, until, only))


def step_replay(tx: Transaction, process: Process, replay: Replay, pace: Pace) -> Process:
    """Make a few more deliveries due, unless enough of them wait. Returns the process as it is then."""
    webhook = tx.webhooks.webhook(replay.webhook_id)
    if webhook is None:
        return process.failed(f"Webhook {replay.webhook_id} was deleted.", tx.now)
    if not webhook.is_active:
        return process.failed(f"Webhook {webhook.id} was disabled: {webhook.disabled_reason}", tx.now)
    if webhook.rests_until is not None and tx.now < webhook.rests_until:
        return process.waiting(webhook.rests_until)
    if tx.history.in_front(webhook.id, LEASE, limit=pace.most_in_front + 1) > pace.most_in_front:
        return process.waiting(tx.now + pace.look_again)
    step = _replay_undelivered if replay.only is Only.FAILED else _replay_all
    cursor, done, is_over = step(tx, process, replay, webhook, pace.step)
    pause = max(timedelta(seconds=done / pace.per_second), _BREATHER)
    after = process.went_on(cursor, done, next_at=tx.now + pause)
    return after.completed(tx.now) if is_over else after


def _replay(tx: Transaction, webhook_id: int, since: datetime, until: datetime | None, only: Only) -> Replay:
    """What is asked for, in full: its end, and what of it the webhook wants, are fixed from now on."""
    webhook = require_active(read_webhook(tx, webhook_id))
    end = min(until or tx.now, tx.now)
    if since >= end:
        latest = "now" if until is None or tx.now < until else "until"
        raise Invalid.field("since", f"expected a time before {latest} ({wire_form(end)}), got {wire_form(since)}.")
    kinds = tuple(EventKind) if only is Only.FAILED else webhook.events
    span = Span(kinds=kinds, since=since, until=end)
    return Replay(span=span, webhook_id=webhook.id, only=only, filter=webhook.filter)


def _count(tx: Transaction, replay: Replay) -> int:
    if replay.only is Only.FAILED:
        return tx.history.count_undelivered(replay.span, replay.webhook_id)
    return tx.history.count_events(replay.span, replay.filter)


def _passes(wanted: Filter, event: Event) -> bool:
    return not wanted or stopped_by(wanted, json.loads(event.body)) is None


def _replay_undelivered(
    tx: Transaction, process: Process, replay: Replay, webhook: Webhook, limit: int
) -> tuple[str, int, bool]:
    """Where the walk has come to, how many deliveries are due by that, and whether it is over."""
    found = tx.history.undelivered(replay.span, webhook.id, after=process.cursor, limit=limit)
    tx.outbox.replay_together(found)
    return (found[-1] if found else process.cursor), len(found), len(found) < limit


def _replay_all(
    tx: Transaction, process: Process, replay: Replay, webhook: Webhook, limit: int
) -> tuple[str, int, bool]:
    """As `_replay_undelivered`, of every event that the webhook wants. What is being sent right now is passed over."""
    size = _LOOKED_AT if replay.filter else limit
    found = tx.history.events(replay.span, after=process.cursor, limit=size)
    wanted = [event for event in found if _passes(replay.filter, event)]
    taken = wanted[:limit]
    is_cut = len(wanted) > limit
    done = _owe_again(tx, taken, webhook)
    last = taken[-1] if is_cut else found[-1] if found else None
    is_end = len(found) < size and sum(len(event.body) for event in found) < READ_BYTES
    return (last.id if last else process.cursor), done, not is_cut and is_end


def _owe_again(tx: Transaction, events: Sequence[Event], webhook: Webhook) -> int:
    """Make what is owed or was owed due now, and owe the rest. Returns how many are due by that."""
    ids = [delivery_id(event.id, webhook.id) for event in events]
    states = tx.history.states(ids)
    for event, owed_id in zip(events, ids, strict=True):
        if owed_id not in states:
            owe(tx, event, webhook)
    kept = [owed_id for owed_id in ids if states.get(owed_id, State.SENDING) is not State.SENDING]
    tx.outbox.replay_together(kept)
    return len(events) - len(states) + len(kept)

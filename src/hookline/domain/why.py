"""Why: for each webhook, whether an event was sent to it, and why or why not, for a person at three in the morning.

Pure: what is told here was found by `services/explaining.py`. Publishing decides by the same rules as `_why_not` tells:
`services/publishing.py`.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, assert_never

from hookline.domain.deliveries import Attempt, State
from hookline.domain.events import Event, EventKind
from hookline.domain.filters import Filter, stopped_by
from hookline.domain.ids import DeliveryId, WebhookId
from hookline.domain.instants import spoken

_MOST_VALUES: Final = 10
_MOST_CHARACTERS: Final = 80


class Fortune(StrEnum):
    """What became of an event for one webhook: the state of its delivery, or that there is none."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    WITHDRAWN = "withdrawn"
    NOT_OWED = "not_owed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A webhook from one change to the next, in what decides whether an event is owed to it."""

    since: datetime
    events: tuple[EventKind, ...]
    filter: Filter
    is_active: bool
    disabled_reason: str
    is_removed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookThen:
    """A webhook as an event met it."""

    webhook_id: WebhookId
    made_at: datetime
    standing: Standing | None  # None: it was made after the event


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became so far of one delivery."""

    delivery_id: DeliveryId
    webhook_id: WebhookId
    state: State
    attempt: int  # number of the latest one, under way or not
    latest: Attempt | None  # of those that are on record
    due_at: datetime | None = None  # while it is sent: until when its lease lasts
    waits_for: int | None = None  # the sequence of the first before it in its line
    is_batched: bool = False
    settled_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an event was, or was not, sent to a webhook."""

    webhook_id: WebhookId
    delivery_id: DeliveryId | None
    fortune: Fortune
    why: str


def explain(
    event: Event, webhook: WebhookThen, fate: Fate | None, *, rests_until: datetime | None, now: datetime
) -> Explanation:
    """Why the event was, or was not, sent to the webhook, whose host rests until `rests_until`."""
    if fate is None:
        why, fortune = _why_not(event, webhook), Fortune.NOT_OWED
    else:
        why, fortune = _what_became(fate, rests_until, now), Fortune(fate.state.value)
    return Explanation(
        webhook_id=webhook.webhook_id, delivery_id=fate.delivery_id if fate else None, fortune=fortune, why=why
    )


def _why_not(event: Event, webhook: WebhookThen) -> str:
    """In the order in which publishing asks."""
    if event.is_test:
        return "It is a test, sent to one webhook alone."
    if webhook.standing is None:
        return f"The webhook was made at {_at(webhook.made_at)}, after this event."
    if webhook.standing.is_removed:
        return f"The webhook was deleted at {_at(webhook.standing.since)}, before this event."
    if not webhook.standing.is_active:
        return f"The webhook was disabled at that time: {_sentence(webhook.standing.disabled_reason)}"
    return _why_not_wanted(event, webhook.standing)


def _why_not_wanted(event: Event, then: Standing) -> str:
    if event.kind not in then.events:
        return f"Not subscribed to {event.kind} at that time, but to {', '.join(then.events)}."
    payload = json.loads(event.body)
    stopped = stopped_by(then.filter, payload)
    if stopped is not None:
        return _filtered(stopped, payload[stopped], dict(then.filter)[stopped])
    if then.filter:
        return "Filtered, by a value that is no longer in this event: it was erased since."
    return "There is no record of it: it is too old, or how the webhook was set at that time is not known."


def _filtered(attribute: str, value: Any, wanted: tuple[Any, ...]) -> str:
    shown = ", ".join(_value(each) for each in wanted[:_MOST_VALUES])
    more = f" or {len(wanted) - _MOST_VALUES} more" if len(wanted) > _MOST_VALUES else ""
    return f"Filtered: `{attribute}` was {_value(value)}, wanted {'one of ' * (len(wanted) > 1)}{shown}{more}."


def _what_became(fate: Fate, rests_until: datetime | None, now: datetime) -> str:
    match fate.state:
        case State.DELIVERED:
            return f"Delivered with {_attempt(fate)}."
        case State.DEAD:
            return f"Given up{_when(fate)}{_because(fate)}.{_last(fate)}"
        case State.WITHDRAWN:
            return f"Withdrawn{_when(fate)}{_because(fate)}.{_last(fate)}"
        case State.SENDING:
            return _sending(fate, now)
        case State.PENDING:
            return _pending(fate, rests_until, now)
        case _:
            assert_never(fate.state)


def _sending(fate: Fate, now: datetime) -> str:
    if fate.due_at is not None and fate.due_at <= now:
        return f"Attempt {fate.attempt} was begun, and nobody told what came of it; it is made again."
    return f"Attempt {fate.attempt} is under way, or about to be; it is known by {_at(fate.due_at)} what came of it."


def _pending(fate: Fate, rests_until: datetime | None, now: datetime) -> str:
    if fate.due_at is None:
        return f"{_held_back(fate)}.{_last(fate)}"
    if fate.due_at <= now:
        return f"Due since {_at(fate.due_at)}: it is its turn when there is room.{_last(fate)}"
    if fate.is_batched and not fate.attempt:
        return f"Gathers in a batch until {_at(fate.due_at)}."
    until = f"Waits until {_at(fate.due_at)}"
    if rests_until is not None and now < rests_until and fate.due_at <= rests_until:
        return f"{until}: its host does not answer, and rests until then.{_last(fate)}"
    if fate.latest is not None:
        return f"{until}, because attempt {fate.latest.number} got {fate.latest.in_words}."
    return f"{until}."


def _held_back(fate: Fate) -> str:
    if fate.waits_for is not None:
        return f"Waits for sequence {fate.waits_for} of this subject, since the webhook is ordered"
    return "Waits for the one before it"


def _attempt(fate: Fate) -> str:
    if fate.latest is None:
        return f"attempt {fate.attempt}"
    return f"attempt {fate.latest.number} at {_at(fate.latest.started_at)}, {fate.latest.in_words}"


def _last(fate: Fate) -> str:
    return f" Attempt {fate.latest.number} got {fate.latest.in_words}." if fate.latest else ""


def _when(fate: Fate) -> str:
    return f" at {_at(fate.settled_at)}" if fate.settled_at else ""


def _because(fate: Fate) -> str:
    return f" because {fate.reason}" if fate.reason else ""


def _at(instant: datetime | None) -> str:
    return "some time" if instant is None else spoken(instant, timespec="seconds")


def _value(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _MOST_CHARACTERS else f"{shown[:_MOST_CHARACTERS]}..."


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."

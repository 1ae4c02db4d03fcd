"""The operator: makes the webhooks, rotates their secrets, replays ranges and retries by hand, over all kills.

What was done by hand, and between which moments, is in the `Journal`. A request whose answer was lost is repeated under
its own idempotency key, so its effect came at some moment between the first time it was asked and its answer.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hookline.adapters.system_clock import SystemClock
from hookline.domain.instants import wire_form
from tests.acceptance.hooks import Hook
from tests.acceptance.serving import Api, Broken, real_seconds

#: Fewer than those that may sign at the same time.
_MOST_SECRETS: Final = 8
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_SOME: Final = 20


@dataclass(frozen=True, slots=True)
class Key:
    """A secret that signs; when it ends is known but for the time that a rotation took."""

    secret: str
    ends_after: datetime = _NEVER
    ends_before: datetime = _NEVER


@dataclass(frozen=True, slots=True)
class Epoch:
    """The secrets that sign from one rotation to the next, the latest first."""

    keys: tuple[Key, ...]
    asked_at: datetime
    answered_at: datetime

    def rotated(self, secret: str, overlap: timedelta, asked_at: datetime, answered_at: datetime) -> "Epoch":
        """The next one. Without any overlap all others end."""
        current, *earlier = self.keys
        leaving = replace(current, ends_after=asked_at + overlap, ends_before=answered_at + overlap)
        return Epoch((Key(secret), *((leaving, *earlier) if overlap else ())), asked_at, answered_at)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay that was asked for."""

    process_id: int
    webhook_id: int
    count: int
    only: str
    since: datetime
    until: datetime | None
    asked_at: datetime
    answered_at: datetime

    def covers(self, created_at: datetime) -> bool:
        """Whether this replay certainly covers what was kept then."""
        return self.since <= created_at < min(self.until or self.asked_at, self.asked_at)

    def may_cover(self, created_at: datetime) -> bool:
        """Whether this replay may cover what was kept then."""
        return self.since <= created_at < min(self.until or self.answered_at, self.answered_at)


@dataclass(slots=True)
class Journal:
    """All that was done by hand."""

    epochs: dict[int, list[Epoch]] = field(default_factory=dict)  # by webhook
    replays: dict[int, list[Replayed]] = field(default_factory=lambda: defaultdict(list))  # by webhook
    retries: Counter[str] = field(default_factory=Counter)  # by delivery
    closings: int = 0

    def hands_on(self, hook: Hook, delivery_id: str, created_at: datetime) -> int:
        """How often this delivery may have been begun anew by hand. Of those that are tried until they are delivered
        none ever fails for good, so a replay of what failed begins none of them anew.
        """
        replays = [each for each in self.replays[hook.webhook_id] if each.may_cover(created_at)]
        return self.retries[delivery_id] + sum(each.only == "all" or hook.settles_as == "dead" for each in replays)

    @property
    def all_replays(self) -> list[Replayed]:
        """Of every webhook, in the order in which they were asked for."""
        return sorted((each for of_one in self.replays.values() for each in of_one), key=lambda each: each.process_id)

    def summary(self) -> str:
        """What was done, counted."""
        rotations = sum(len(epochs) - 1 for epochs in self.epochs.values())
        return (
            f"rotations {rotations}, replays {len(self.all_replays)}, retries by hand {self.retries.total()},"
            f" batches closed by hand {self.closings}"
        )


class Operator:
    """Looks after the webhooks, one act after another."""

    def __init__(self, api: Api, hooks: Sequence[Hook], journal: Journal, dice: random.Random) -> None:
        self._api = api
        self._hooks = hooks
        self._journal = journal
        self._dice = dice
        self._count = 0
        self._acts: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self._rotate, 35),
            (self._retry, 25),
            (self._replay, 20),
            (self._close_batches, 10),
            (self._hurry_batch, 10),
        ]

    async def subscribe(self, hook: Hook, url: str) -> None:
        """Make a webhook."""
        asked_at, answer = _now(), await self._post("/v3/webhooks", {"url": url, **hook.settings})
        made = answer(201)
        hook.webhook_id = made["id"]
        self._journal.epochs[hook.webhook_id] = [Epoch((Key(made["secret"]),), asked_at, _now())]

    async def act(self) -> None:
        """Do something, whatever it is, until it is answered."""
        [act] = self._dice.choices([act for act, _ in self._acts], [weight for _, weight in self._acts])
        await act()

    async def close_everything(self) -> None:
        """Let no batch gather any more: whatever happens from now on goes one by one."""
        for hook in self._batched():
            (await self._api.ask("PUT", f"/v3/webhooks/{hook.webhook_id}", {"batched": False})).of(204)

    async def _rotate(self) -> None:
        hook = self._dice.choice(self._hooks)
        epochs = self._journal.epochs[hook.webhook_id]
        seconds = self._dice.choice([0, 0, self._dice.uniform(0.5, 4), 3600])
        if len(epochs[-1].keys) >= _MOST_SECRETS:
            seconds = 0
        asked_at, path = _now(), f"/v3/webhooks/{hook.webhook_id}/secret/rotate"
        secret = (await self._post(path, {"overlapHours": seconds / 3600}))(200)["secret"]
        epochs.append(epochs[-1].rotated(secret, timedelta(hours=seconds / 3600), asked_at, _now()))

    async def _retry(self) -> None:
        """Once more, whatever has become of it."""
        status = self._dice.choice(["pending", "delivered", "dead"])
        await self._retry_one(self._dice.choice(self._replayable()), status)

    async def _hurry_batch(self) -> None:
        """One that waits in a batch has all of it sent."""
        await self._retry_one(self._dice.choice(self._batched()), "pending")

    async def _retry_one(self, hook: Hook, status: str) -> None:
        path = f"/v3/deliveries?webhookId={hook.webhook_id}&status={status}&limit={_SOME}"
        found = (await self._api.get(path))["deliveries"]
        if found:
            id_ = self._dice.choice(found)["id"]
            self._journal.retries[id_] += 1
            (await self._post(f"/v3/deliveries/{id_}/retry", {}))(202)

    async def _replay(self) -> None:
        hook, only = self._dice.choice(self._replayable()), self._dice.choice(["all", "failed"])
        now = _now()
        since = now - timedelta(seconds=self._dice.uniform(0.5, 30))
        until = self._dice.choice([None, now, since + timedelta(seconds=self._dice.uniform(0.5, 4))])
        since, until = _in_ms(since), until and min(_in_ms(until), _in_ms(now))
        if until is not None and until <= since:
            return
        body = {"since": wire_form(since), "only": only} | ({"until": wire_form(until)} if until else {})
        begun = (await self._post(f"/v3/webhooks/{hook.webhook_id}/replay", body))(202)
        self._journal.replays[hook.webhook_id].append(
            Replayed(begun["processId"], hook.webhook_id, begun["count"], only, since, until, now, _now())
        )

    async def _close_batches(self) -> None:
        """What gathers goes at once, and anew; some of what happens between goes one by one."""
        path = f"/v3/webhooks/{self._dice.choice(self._batched()).webhook_id}"
        (await self._api.ask("PUT", path, {"batched": False})).of(204)
        await real_seconds(self._dice.choice([0, 0, 0.05]))
        (await self._api.ask("PUT", path, {"batched": True})).of(204)
        self._journal.closings += 1

    async def _post(self, path: str, body: Any) -> Callable[[int], Any]:
        """The answer, which is asked for by its status. Asked again under the same key, it is the same."""
        self._count += 1
        key = f"operator-{self._count}"
        answer = await self._api.ask("POST", path, body, key=key)
        if self._dice.random() < 0.1 and answer.status < 300:
            again = await self._api.ask("POST", path, body, key=key)
            if again != answer:
                raise Broken(f"POST {path} under key {key} was answered {answer}, then {again}")
        return answer.of

    def _batched(self) -> list[Hook]:
        return [hook for hook in self._hooks if hook.batched]

    def _replayable(self) -> list[Hook]:
        """On ordered webhooks a replay makes exceptions that would hide a broken order."""
        return [hook for hook in self._hooks if not hook.ordered]


def _now() -> datetime:
    return SystemClock().now()


def _in_ms(instant: datetime) -> datetime:
    """As the wire writes it."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)

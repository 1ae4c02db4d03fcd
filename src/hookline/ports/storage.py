"""What the core asks of a store. Every line here is tested on every store: `tests/contract/test_storage.py`.

A transaction is a plain function of `(tx, ...)`; nothing in it can wait for the network. It has one instant, `tx.now`.
All that it wrote is on disk when `Store.write` returns, and none of it when it raised. Changed things are whole values:
read one, make another, save it. Instants keep microseconds.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar

from hookline.domain.calls import Call
from hookline.domain.deliveries import Claim, Delivery, Outcome, State, Verdict
from hookline.domain.events import CallType, Event, EventKind, Participant
from hookline.domain.failing import Streak
from hookline.domain.ids import ConnectorId, DeliveryId, EventId, MeetingId, NoticeId, WebhookId
from hookline.domain.meetings import Meeting, MeetingStatus
from hookline.domain.notices import Notice
from hookline.domain.webhooks import Webhook
from hookline.domain.why import Fate, WebhookThen
from hookline.ports.clock_repair import ClockRepair
from hookline.ports.decisions import Decisions
from hookline.ports.erasure import Erasure
from hookline.ports.intake import Intake
from hookline.ports.keys import Keys
from hookline.ports.leases import Leases
from hookline.ports.phonebook import PhonebookStore
from hookline.ports.processes import History, Processes
from hookline.ports.staged_reports import StagedReports

T = TypeVar("T")
P = ParamSpec("P")

#: Bytes of bodies and answers at which a list that is read ends early, with the row that reaches them.
READ_BYTES: Final = 4 * 1024 * 1024
#: `Listener.has_room_for`.
Fits = Callable[[WebhookId, int, int, int], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some of a list. There are fewer than asked for at its end, and where they come to `READ_BYTES`. `next_cursor` is
    None at the end only.
    """

    items: Sequence[T]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingFilter:
    """Which meetings; None asks for all. `from_at` and `to_at` bound the start, the latter excluded."""

    status: MeetingStatus | None = None
    account_email: str | None = None
    participant: str | None = None
    includes_former: bool = False  # whether a `participant` who was taken out since counts as well
    from_at: datetime | None = None
    to_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls; None asks for all. `from_at` and `to_at` bound when they were reported, the latter excluded."""

    type: CallType | None = None
    phone_line: str | None = None
    phone_number: str | None = None
    mentions: str | None = None  # this number (E.164), as the contact's or of another party in the legs
    from_at: datetime | None = None
    to_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries; None asks for all. `since` and `until` bound their creation, the latter excluded."""

    webhook_id: WebhookId | None = None
    status: State | None = None
    event: EventKind | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """Something to do at an instant, for one version of a meeting."""

    meeting_id: MeetingId
    version: int
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """What a request with an idempotency key was answered."""

    fingerprint: str  # of the request
    status: int
    body: bytes
    created_at: datetime


class Calendar(Protocol):
    """Meetings and their timers."""

    def add(self, meeting: Meeting) -> None:
        """Keep a new meeting."""

    def meeting(self, meeting_id: str) -> Meeting | None:
        """The meeting as it is now, or None."""

    def save(self, meeting: Meeting) -> None:
        """Keep a meeting that was changed."""

    def change_participants(
        self, meeting_id: MeetingId, before: Sequence[Participant], after: Sequence[Participant]
    ) -> None:
        """Have the meeting found by those of `after`. Those of `before` alone are former participants: events that
        were published name them, so erasure still finds the meeting.
        """

    def meetings_of(self, meeting_ids: Sequence[MeetingId]) -> Mapping[MeetingId, Meeting]:
        """Those of these meetings that there are, by id."""

    def count_event(self, meeting_ids: Sequence[MeetingId]) -> None:
        """One more event was published of each of these meetings: its sequence grows by one."""

    def meetings(self, wanted: MeetingFilter, *, limit: int, cursor: str | None) -> Page[Meeting]:
        """The latest made first."""

    def set_timer(self, timer: Timer) -> None:
        """Set the meeting's timer, in place of the one it had."""

    def clear_timers(self, meeting_ids: Sequence[MeetingId]) -> None:
        """Have no timer for these meetings. Harmless when there is none."""

    def has_timer(self, meeting_id: MeetingId) -> bool:
        """Whether the meeting's start is still to be announced."""

    def due_timers(self, limit: int) -> Sequence[Timer]:
        """Up to `limit` timers whose instant is not after tx.now, the earliest first. They stay set.

        There are fewer when their meetings come to `READ_BYTES`, and at least one if any is due.
        """

    def next_timer_at(self) -> datetime | None:
        """The earliest instant for which a timer is set."""


class Phone(Protocol):
    """Calls."""

    def add(self, call: Call) -> None:
        """Keep a finished call."""

    def call(self, call_id: str) -> Call | None:
        """The call, or None."""

    def calls(self, wanted: CallFilter, *, limit: int, cursor: str | None, oldest_first: bool = False) -> Page[Call]:
        """In the order in which they were reported: the latest first, or the oldest first."""


class Webhooks(Protocol):
    """Receivers."""

    def add(self, webhook: Webhook) -> Webhook:
        """Keep a new webhook under the next id; ids are never used again. The answer carries the id."""

    def webhook(self, webhook_id: int) -> Webhook | None:
        """The webhook as it is now, or None."""

    def all(self) -> Sequence[Webhook]:
        """Every webhook, by creation."""

    def wanting(self, kind: EventKind) -> Sequence[Webhook]:
        """The active webhooks that want this event, by creation."""

    def save(self, webhook: Webhook) -> None:
        """Keep a webhook that was changed."""

    def note_streak(self, webhook_id: WebhookId, streak: Streak) -> None:
        """Remember since when a webhook has been failing, or that it no longer is.

        Nothing that is sent to it changes by that: claims on it stay good, and it does not count as modified.
        """

    def remove(self, webhook_id: WebhookId) -> None:
        """Forget a webhook. Its deliveries remain."""


class Outbox(Protocol):
    """Events, and what is owed of them."""

    def add_event(self, event: Event) -> None:
        """Keep an event, after all that were kept before it in the order of the feed."""

    def event(self, event_id: str) -> Event | None:
        """The event, or None."""

    def events(
        self, *, kind: EventKind | None, subject: str | None, after: EventId | None, limit: int, cursor: str | None
    ) -> Page[Event]:
        """The feed: in the order in which events were kept, from the one behind `after` on. What is only sent as a test
        has not happened, and is not in it.

        An `after` that is no longer kept stands for its place in time.
        """

    def owe(self, event: Event, webhook: Webhook, *, due_at: datetime, give_up_at: datetime | None) -> DeliveryId:
        """Owe this event to this webhook from `due_at` on.

        One that is due at once may be born claimed, for the listener of the store, who then gets the claim as soon as
        it is committed, if the listener has room for the claim and its body. Of an ordered webhook, one whose subject
        has an earlier one that is still owed to it waits instead, and becomes due when nothing before it is owed any
        more: when all that was is settled or forgotten.
        Later ones that are pending already wait for it.

        To a batched webhook it is owed in a batch: the open one of its kind, or one that opens with it and is due when
        it has gathered for `GATHERING` (and not before `due_at`). A batch is open until then, and for as long as it was
        never claimed and the event fits (`domain.batches`); one that becomes full is due from `due_at` on. What is in a
        batch is in no other, in the order in which the events were kept. A test is a batch by itself.
        """

    def close_batches(self, webhook_id: WebhookId, due_at: datetime) -> None:
        """Let nothing more into the open batches of this webhook, which are then due from `due_at` on."""

    def claim_due(self, limit: int, lease: timedelta, room: Callable[[WebhookId], int]) -> Sequence[Claim]:
        """Take up to `limit` due deliveries of active webhooks: of each the oldest first, and at most its `room`. The
        first body of a webhook for which the listener of the store has no room (`Listener.has_room_for`) ends the
        claims on that webhook. All claims on one event with a large body share one `Event` for as long as one is held.

        Taken ones are ours until tx.now + lease; then anyone may take them again, and the attempt that nobody told the
        outcome of stands in the record. No delivery is in two live claims. Each claim carries a fresh token. What is of
        no use any more by now is settled as dead instead. What waits for an earlier one is not due.

        A batch is one claim, with the same bytes each time, and is of use as long as one of its events is. Those that
        are in it stand in the record with its state and its attempts.
        """

    def next_due_at(self, room: Callable[[WebhookId], int]) -> datetime | None:
        """When the next delivery of an active webhook with room is due, leases of others included."""

    def settle(self, verdicts: Sequence[tuple[Outcome, Verdict]]) -> Sequence[Claim]:
        """Keep attempts and what they lead to, each only while its claim's token still fits.

        The claims that had lost their lease are returned: their attempt is in the record, and changed nothing else.
        """

    def release(self, claims: Sequence[Claim]) -> None:
        """Give back claims under which nothing was attempted, as if they had not been taken; due again now, unless
        they have to wait for an earlier one.
        """

    def recover(self) -> int:
        """At the start of the only process that delivers: give back what a dead one held. Returns how many.

        Where several nodes deliver from one store none of them may ask for this; there, leases expire.
        """

    def withdraw_abandoned(self) -> int:
        """Settle as withdrawn what is owed to webhooks that have gone and that nobody holds any more: what a process
        that died was sending to them, once its lease is over. Returns how many.
        """

    def rest(self, webhook_ids: Sequence[WebhookId], until: datetime) -> None:
        """Let nothing pending for these webhooks be due before `until`."""

    def withdraw(self, webhook_id: WebhookId, *, because: str) -> int:
        """Settle as withdrawn all that is pending for this webhook. What is being sent goes on. Returns how many."""

    def replay(self, delivery_id: DeliveryId) -> None:
        """Make a delivery due now, settled or pending; one that was settled begins its schedule anew. One that is being
        sent is left alone, and so is one that waits for an earlier one. One that waits in a batch makes the batch due;
        one that was settled goes in a batch of its own, if its webhook gets batches now.

        Of an ordered webhook, one that was settled takes its place again: it waits for earlier ones, and later ones
        that are pending wait for it. Whoever holds claims on later ones hears of the webhook as changed.
        """

    def line_up(self, webhook_id: WebhookId) -> None:
        """Bring what is owed to this webhook into the order that the webhook asks for now. Is it ordered, then of the
        pending deliveries of each subject all but the first that is owed wait; is it not, then what waited is due.
        What is in a batch already goes with it, and later ones wait for that.
        """

    def replay_together(self, delivery_ids: Sequence[DeliveryId]) -> None:
        """`replay` each, in this order; of those that were settled and go in batches, those of one kind go in one, in
        the order in which the events were kept, as far as they fit.
        """

    def forget_before(self, instant: datetime, *, limit: int) -> int:
        """Forget events, deliveries and attempts made before `instant`, up to `limit` of each; nothing that is owed.
        What goes as a whole is left to `Database.tend`. Returns how many rows.
        """

    def delivery(self, delivery_id: str) -> Delivery | None:
        """The delivery with all its attempts, or None."""

    def deliveries(self, wanted: DeliveryFilter, *, limit: int, cursor: str | None) -> Page[Delivery]:
        """The latest made first, with all their attempts."""


class Answers(Protocol):
    """What requests with an idempotency key were answered. Of the key only a digest is kept."""

    def answer(self, owner: str, key: str) -> StoredAnswer | None:
        """What `owner` (an API key's id) was answered under this idempotency key, or None."""

    def keep(self, owner: str, key: str, answer: StoredAnswer) -> None:
        """Remember an answer, in place of any older one."""

    def forget_before(self, instant: datetime, *, limit: int) -> int:
        """Forget up to `limit` answers that were made before `instant`. Returns how many."""


class Past(Protocol):
    """What explains afterwards why an event was sent to whom. Webhooks keep their part of it themselves."""

    def webhooks_at(self, event: Event) -> Sequence[WebhookThen]:
        """Every webhook that there was since the oldest event still kept, by creation, each as publishing found it when
        this event was kept: with the changes of that transaction that came before, and without those that came after.
        """

    def fates(self, event_id: EventId) -> Mapping[WebhookId, Fate]:
        """What became so far of each delivery of this event."""

    def forget(self, limit: int) -> int:
        """Forget up to `limit` changes of webhooks that explain no event which is still kept. Returns how many."""


class Notices(Protocol):
    """What owners have to be told."""

    def add(self, notice: Notice) -> None:
        """Keep a notice. The listener of the store hears of it as soon as it is committed."""

    def count_unknown_number(self, notice_id: NoticeId, connector_id: ConnectorId, form: str) -> None:
        """Count a call whose contact's number has this form and was not understood; the first makes the notice."""

    def notices(self, *, limit: int, cursor: str | None) -> Page[Notice]:
        """The latest first."""


class Transaction(Protocol):
    """All that a service may touch."""

    @property
    def now(self) -> datetime:
        """The one instant of the transaction."""

    @property
    def calendar(self) -> Calendar:
        """Meetings and timers."""

    @property
    def phone(self) -> Phone:
        """Calls."""

    @property
    def phonebook(self) -> PhonebookStore:
        """Users, lines and connectors."""

    @property
    def webhooks(self) -> Webhooks:
        """Receivers."""

    @property
    def outbox(self) -> Outbox:
        """Events and what is owed of them."""

    @property
    def keys(self) -> Keys:
        """API keys."""

    @property
    def answers(self) -> Answers:
        """Answers of idempotent requests."""

    @property
    def processes(self) -> Processes:
        """Long work."""

    @property
    def history(self) -> History:
        """The walk through what was kept."""

    @property
    def past(self) -> Past:
        """What explains why an event was sent to whom."""

    @property
    def erasure(self) -> Erasure:
        """Taking somebody out of all that."""

    @property
    def notices(self) -> Notices:
        """What owners have to be told."""

    @property
    def leases(self) -> Leases:
        """What one node at a time does."""

    @property
    def clock_repair(self) -> ClockRepair:
        """What a clock that was wrong has left behind."""

    @property
    def intake(self) -> Intake:
        """Calls that connectors tell of, until they are decided on."""

    @property
    def decisions(self) -> Decisions:
        """What was decided on them."""

    @property
    def staged_reports(self) -> StagedReports:
        """Reports of large batches, until they are applied."""

    def ulid(self) -> str:
        """26 characters that sort after all that this store gave before in this process."""

    def draw(self) -> float:
        """A draw from [0, 1)."""

    def secret_bytes(self, count: int) -> bytes:
        """Bytes that nobody can guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a commit changed that somebody may be waiting for."""

    claims: Sequence[Claim] = ()  # born claimed: the listener holds them now
    webhooks: AbstractSet[WebhookId] = frozenset()  # changed, removed, put to rest or reordered: claims are outdated
    owed: bool = False  # something is owed that was not, or is due earlier, and the listener may have room for it
    timers: bool = False  # a timer was set or moved
    processes: bool = False  # a process was begun, or somebody is to be told of its file
    intake: bool = False  # a call that is to be decided on was heard of
    connectors: bool = False  # a connector was made, changed or removed
    notices: Sequence[Notice] = ()  # were made

    def __bool__(self) -> bool:
        """Whether there is any news."""
        told = self.owed or self.timers or self.processes or self.intake or self.connectors
        return bool(told or self.claims or self.webhooks or self.notices)


class Listener(Protocol):
    """The engine of this process, as the store sees it."""

    def room(self, webhook_id: WebhookId) -> int:
        """How many more claims on this webhook it can hold. Called by the thread that writes."""

    def has_room_for(self, webhook_id: WebhookId, size: int, for_it: int, in_all: int) -> bool:
        """Whether it can hold one more claim on this webhook with a large body of `size` bytes.

        `for_it` and `in_all` are the bytes of large bodies that the same commit has claimed already: for this webhook,
        and for all. Once this is False, `room` is 0 until there is room for such a body again. Called by the thread
        that writes.
        """

    def committed(self, news: News) -> None:
        """Something was committed. Called on the event loop."""


Write = Callable[Concatenate[Transaction, P], T]


class Database(Protocol):
    """A store for those who run on an event loop."""

    @property
    def refusals(self) -> int:
        """How many commits the store could not make since it was opened."""

    async def write(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(tx, ...)` in a transaction that is on disk when this returns.

        Raises:
            Unavailable: the store could not; nothing was kept.
        """

    async def read(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(tx, ...)` on one unchanging state of the store; it may change nothing."""

    async def tend(self, keep_for: timedelta) -> None:
        """Let the store do what it needs to do for itself now and then.

        One that keeps events, deliveries and attempts in parts by time has parts ready for what comes, and drops whole
        those of which everything is older than `keep_for` and nothing owed: until then, that is for at most a tenth of
        `keep_for` and not less than a day, what is in them outlives it.

        Raises:
            Unavailable: the store could not. What had to be done is done next time.
        """

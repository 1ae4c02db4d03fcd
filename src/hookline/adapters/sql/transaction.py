"""A transaction of `ports/storage.py` over one session. It lives as long as its connection; the session moves `now`."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from hookline.adapters.sql.batches import SqlBatches
from hookline.adapters.sql.bodies import EventBodies
from hookline.adapters.sql.calendar import SqlCalendar
from hookline.adapters.sql.clock_repair import SqlClockRepair
from hookline.adapters.sql.decisions import SqlDecisions
from hookline.adapters.sql.erasure import SqlErasure
from hookline.adapters.sql.history import SqlHistory
from hookline.adapters.sql.intake import SqlIntake
from hookline.adapters.sql.keys import SqlAnswers, SqlKeys
from hookline.adapters.sql.leases import SqlLeases
from hookline.adapters.sql.notices import SqlNotices
from hookline.adapters.sql.outbox import SqlOutbox
from hookline.adapters.sql.past import SqlPast
from hookline.adapters.sql.phone import SqlPhone
from hookline.adapters.sql.phonebook import SqlPhonebook
from hookline.adapters.sql.processes import SqlProcesses
from hookline.adapters.sql.session import Session
from hookline.adapters.sql.staged_reports import SqlStagedReports
from hookline.adapters.sql.webhooks import SqlWebhooks
from hookline.domain.ids import RANDOM_BITS, WebhookId, spell, ulid_number
from hookline.ports.storage import Fits


class SqlTransaction:
    """`ports.storage.Transaction`."""

    def __init__(
        self,
        session: Session,
        dice: random.Random,
        *,
        room: Callable[[WebhookId], int],
        fits: Fits,
        lease: timedelta,
    ) -> None:
        self._session = session
        self._dice = dice
        self._latest_ulid = 0
        self.calendar = SqlCalendar(session)
        self.phone = SqlPhone(session)
        self.phonebook = SqlPhonebook(session)
        self.webhooks = SqlWebhooks(session)
        self._batches = SqlBatches(session, self.ulid)
        self._bodies = EventBodies(session)
        self.outbox = SqlOutbox(session, self.webhooks, self._batches, self._bodies, room=room, fits=fits, lease=lease)
        self.keys = SqlKeys(session)
        self.answers = SqlAnswers(session)
        self.processes = SqlProcesses(session)
        self.history = SqlHistory(session, self._bodies)
        self.past = SqlPast(session)
        self.intake = SqlIntake(session)
        self.decisions = SqlDecisions(session)
        self.erasure = SqlErasure(session, self.calendar, self.phone, self.outbox, self.intake, self._bodies)
        self.notices = SqlNotices(session)
        self.leases = SqlLeases(session)
        self.clock_repair = SqlClockRepair(session)
        self.staged_reports = SqlStagedReports(session)

    def forget_held(self) -> None:
        """Read from the database again: somebody changed it, or what was held was rolled back."""
        self.webhooks.forget_held()
        self.phonebook.forget_held()
        self._batches.forget_held()

    def forget_all_but_webhooks(self) -> None:
        """Of what is held, read all but webhooks from the database again: somebody else wrote, but no webhook."""
        self.phonebook.forget_held()
        self._batches.forget_held()

    def forget_bodies(self) -> None:
        """Read bodies from the database again: another connection wrote, and may have erased somebody from them."""
        self._bodies.forget()

    @property
    def now(self) -> datetime:
        return self._session.now

    def ulid(self) -> str:
        drawn = ulid_number(self._session.now, self._dice.getrandbits(RANDOM_BITS))
        # Within a millisecond, and while the clock is set back, dice do not decide the order: counting on does.
        self._latest_ulid = max(drawn, self._latest_ulid + 1)
        return spell(self._latest_ulid)

    def draw(self) -> float:
        return self._dice.random()

    def secret_bytes(self, count: int) -> bytes:
        return self._dice.randbytes(count)

"""Chores: what is done now and then, in small steps that delay nobody.

One node at a time does them. Two at once would do no harm, since what is forgotten is forgotten once; but a node that
has a million rows to forget takes every other commit then, and each further one would take as much. So whoever tidies
has a lease, and every step renews it. When the holder dies, the lease ends, and the next node goes on.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from hookline.ports.clock import Clock
from hookline.ports.storage import Database, Transaction
from hookline.services import deliveries, idempotency, retention

EVERY: Final = timedelta(hours=1)
#: Rows of a table in one step.
STEP: Final = 500
#: Pieces of files in one step: they are far larger than rows.
PIECES: Final = 20
NAME: Final = "chores"
#: Far longer than a step takes. Who does not get it looks again after that.
LEASE: Final = timedelta(minutes=1)

Forget = Callable[[Transaction], int]


class Chores:
    """Tidies the store. Run `tidy_forever`."""

    def __init__(self, database: Database, clock: Clock, keep_for: timedelta) -> None:
        """Events older than `keep_for` are forgotten."""
        self._database = database
        self._clock = clock
        self._keep_for = keep_for
        self._all: tuple[Forget, ...] = (
            lambda tx: idempotency.forget_old_answers(tx, STEP),
            lambda tx: retention.forget_old_events(tx, keep_for, STEP),
            lambda tx: retention.forget_old_intake(tx, keep_for, STEP),
            lambda tx: retention.forget_old_files(tx, PIECES),
            lambda tx: retention.forget_old_processes(tx, keep_for, STEP),
        )

    async def tidy_forever(self) -> None:
        """Forget, each hour, what is too old, what nobody can ask for and what nobody will send any more."""
        while True:
            holder = await self._database.write(_take)
            if holder is not None:
                await self._database.write(_step, holder, deliveries.withdraw_abandoned)
                await self._database.tend(self._keep_for)
                for forget in self._all:
                    while await self._database.write(_step, holder, forget):
                        continue
                await self._database.write(_give_back, holder)
            await self._clock.pause((LEASE if holder is None else EVERY).total_seconds())


def _take(tx: Transaction) -> str | None:
    holder = tx.ulid()
    return holder if tx.leases.hold(NAME, holder, LEASE) else None


def _step(tx: Transaction, holder: str, forget: Forget) -> int:
    """A step, while it is ours to take. Returns how much was forgotten."""
    return forget(tx) if tx.leases.hold(NAME, holder, LEASE) else 0


def _give_back(tx: Transaction, holder: str) -> None:
    tx.leases.let_go(NAME, holder)

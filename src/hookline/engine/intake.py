"""The intake loop: sleeps until a call that connectors told of is due, and settles it, once.

As with timers each of several nodes has such a loop, and none of them leads: that a call is settled is in the commit
that publishes it, so whoever comes second finds nothing left.
"""

import logging
from collections.abc import Sequence
from typing import Final

from hookline.engine.bell import Bell
from hookline.errors import Unavailable
from hookline.ports.clock import Clock
from hookline.ports.storage import Database, News
from hookline.services import intake

#: Calls settled in one transaction: the first of many leave early, and others get in between.
BATCH: Final = 100

OUR_MISTAKE: Final = "Hookline itself failed when it decided what this call was; its log says more."

_log = logging.getLogger("hookline.intake")


class Intake:
    """Settles calls. Run `settle_forever`; hear the store's news through `committed`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._heard = Bell(clock)

    def committed(self, news: News) -> None:
        """Look again when something was heard of a call."""
        if news.intake:
            self._heard.ring()

    async def settle_forever(self) -> None:
        """Settle what is due, then sleep until something is. What became due while nothing ran is settled first.

        Whoever is woken for nothing only reads: several nodes wake one another, and the store has one writer.
        """
        while True:
            due_at = await self._database.read(intake.next_due_at)
            if due_at is not None and due_at <= self._clock.now():
                _tell(await self._settle())
            else:
                await self._heard.wait(until=due_at)

    async def _settle(self) -> Sequence[intake.Settled]:
        """Some calls, or one where deciding on one of them fails. A mistake of ours ends that call, and no other."""
        try:
            return await self._database.write(intake.settle_due, BATCH)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001  one of them is to blame, and it is told below which
            return await self._settle_one()

    async def _settle_one(self) -> Sequence[intake.Settled]:
        call = await self._database.read(intake.first_due)
        if call is None:
            return ()
        for settle in (intake.settle_this, intake.settle_without_legs):
            try:
                return await self._database.write(settle, call.connector_id, call.call_key)
            except Unavailable:
                raise
            except Exception:  # noqa: BLE001  whatever it is, it is told
                _log.exception("call.failed_here connector=%s key=%r", call.connector_id, call.call_key)
        return await self._database.write(intake.give_up, call.connector_id, call.call_key, OUR_MISTAKE)


def _tell(settled: Sequence[intake.Settled]) -> None:
    for each in settled:
        _log.info(
            "call.settled connector=%s kind=%s key=%r facts=%d call=%s reason=%r line=%r",
            *(each.call.connector_id, each.call.kind, each.call.call_key, len(each.call.facts)),
            *(each.call_id or "-", each.reason, each.line),
        )

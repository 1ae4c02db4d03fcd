"""Batches over HTTP: accepted in one commit, then applied in slices, and answered when all of it is applied.

The answer is kept under the idempotency key in the commit that accepts the batch. So who asks again, while it is being
applied or after a crash, gets the same answer. That comes when all is applied, too: whoever asks applies what is left.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from hookline.api.routes import Batch, Reply
from hookline.errors import Unavailable
from hookline.ports.storage import Database, Transaction
from hookline.services import report_batches

Answered = Callable[[Transaction], tuple[int, bytes]]
CREATED = 201

_log = logging.getLogger("hookline.api")


class _Made(msgspec.Struct):
    ids: list[str]


class Batches:
    """One slice at a time waits for a commit, of however many batches: so nobody waits for more than one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._one_slice = asyncio.Lock()

    async def done(self, batch: Batch, write: Callable[[Answered], Awaitable[tuple[int, bytes]]]) -> tuple[int, bytes]:
        """Accept a batch by `write`, unless it was accepted under the same key before, and have all of it applied."""
        is_staged = True  # for all that is known, when it is not this request that accepts it

        def accept(tx: Transaction) -> tuple[int, bytes]:
            nonlocal is_staged
            accepted = batch.accept(tx)
            is_staged = accepted.is_staged
            return CREATED, Reply(CREATED, batch.made(accepted.ids)).body()

        status, body = await write(accept)
        if is_staged:
            await self._apply(report_batches.batch_id_of(msgspec.json.decode(body, type=_Made).ids))
        return status, body

    async def _apply(self, batch_id: str) -> None:
        """Apply what is left of a batch. It is accepted, so a store that cannot go on now is no reason to refuse it:
        it would be sent again, and be there twice. The engine applies the rest once the store can.
        """
        is_more = True
        try:
            while is_more:
                async with self._one_slice:
                    is_more = await self._database.write(report_batches.apply_slice, batch_id)
        except Unavailable as problem:
            _log.warning("batch.left_staged id=%s error=%r", batch_id, problem.message)

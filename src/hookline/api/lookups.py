"""Few lookups of what strangers guess: keys, addresses of phone systems, links to files.

Those who guess cannot make the store busy: beyond `LOOKUPS` lookups in a second, a secret is looked up only if it is
among all there are, which are read at most once in that second. So a new one works at once, and during such a flood
within about a second.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from hookline.ports.clock import Clock
from hookline.ports.storage import Database, Transaction

#: Secrets that are looked up in `LOOKUPS_SECONDS`, whatever they are.
LOOKUPS: Final = 20
LOOKUPS_SECONDS: Final = 1.0


class Lookups:
    """Says which secrets of one kind are worth a lookup."""

    def __init__(self, database: Database, clock: Clock, all_of: Callable[[Transaction], frozenset[str]]) -> None:
        """`all_of` reads every secret of this kind, or whatever stands for it, such as its digest."""
        self._database = database
        self._clock = clock
        self._all_of = all_of
        self._lookups = 0  # since `_since`, in monotonic seconds
        self._since = -LOOKUPS_SECONDS
        self._all: asyncio.Task[frozenset[str]] | None = None  # read since then

    @property
    def is_flooded(self) -> bool:
        """Whether there were more than `LOOKUPS` in this second."""
        return self._lookups > LOOKUPS

    async def may_find(self, secret: str) -> bool:
        """Whether to look this secret up."""
        now = self._clock.monotonic()
        if now - self._since >= LOOKUPS_SECONDS:
            self._lookups, self._since, self._all = 0, now, None
        self._lookups += 1
        return not self.is_flooded or secret in await self._read_all()

    async def _read_all(self) -> frozenset[str]:
        """One read of the store serves all who ask meanwhile."""
        if self._all is None or (self._all.done() and self._all.exception() is not None):
            self._all = asyncio.create_task(self._read_now())
        return await asyncio.shield(self._all)

    async def _read_now(self) -> frozenset[str]:
        return await self._database.read(self._all_of)

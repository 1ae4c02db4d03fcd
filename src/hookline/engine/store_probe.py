"""The store probe: whether the store answers and takes writes, asked as often as anybody likes.

Readiness has to mean that a write succeeds, because a full disk still reads well. A probe costs one commit of one small
row. Everybody who asks within `fresh_seconds` of its end shares its result, and everybody who asks while it is under
way waits for that one. So a load balancer that asks once a second causes 0.2 commits a second.

A small row may fit where a request does not. Once any write was refused, good results are not fresh any more, and
probes are large until one succeeds.
"""

import asyncio
import logging
from typing import Final

from hookline.errors import HooklineError
from hookline.ports.clock import Clock
from hookline.ports.storage import Database
from hookline.services import readiness

#: Seconds for which a result answers.
FRESH_SECONDS: Final = 5.0
#: Seconds that a question waits for the store.
PATIENCE_SECONDS: Final = 5.0

_log = logging.getLogger("hookline.store")


class StoreProbe:
    """Asks the store, for everybody who wants to know."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        fresh_seconds: float = FRESH_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._fresh_seconds = fresh_seconds
        self._patience_seconds = patience_seconds
        self._asking: asyncio.Task[str] | None = None
        self._begun = self._ended = clock.monotonic()
        self._result: str | None = None  # None before the first probe has ended
        self._refusals = database.refusals  # as many as there were when the last probe ended
        self._is_wary = False  # whether a write was refused since the last probe that succeeded

    async def problem(self) -> str:
        """A sentence that says why the store does not answer or does not take writes; "" when all is well.

        It names no address and holds no password. It takes `patience_seconds` at most.
        """
        if self._asking is None and self._is_fresh():
            assert self._result is not None
            return self._result
        if self._asking is None:
            self._begun = self._clock.monotonic()
            self._asking = asyncio.create_task(self._ask(), name="store-probe")
        left = self._begun + self._patience_seconds - self._clock.monotonic()
        if await self._ends_within(self._asking, left):
            assert self._result is not None
            return self._result
        return f"The store did not answer within {self._patience_seconds:g} s."

    def _is_fresh(self) -> bool:
        is_recent = self._clock.monotonic() - self._ended < self._fresh_seconds
        is_outdated = self._result == "" and self._database.refusals != self._refusals
        return self._result is not None and is_recent and not is_outdated

    async def _ask(self) -> str:
        self._is_wary |= self._database.refusals != self._refusals
        try:
            await self._database.read(readiness.probe_reading)
            await self._database.write(readiness.probe_writing, readiness.LARGE_BYTES if self._is_wary else 0)
            self._result, self._is_wary = "", False
        except HooklineError as problem:
            self._result = problem.message
        except Exception as problem:  # noqa: BLE001  a mistake of ours is no reason to leave anybody without an answer
            _log.exception("store.probe_failed")
            self._result = f"The store failed with {type(problem).__name__}."
        finally:
            self._refusals = self._database.refusals
            self._ended = self._clock.monotonic()
            self._asking = None
        return self._result

    async def _ends_within(self, asking: "asyncio.Task[str]", seconds: float) -> bool:
        """Whether the probe ended in time. One that did not is left alone: it holds a place in the store's queue."""
        late = asyncio.Event()
        waiting = asyncio.create_task(late.wait())
        alarm = self._clock.alarm(seconds, late.set)
        try:
            await asyncio.wait({asking, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
            waiting.cancel()
        return asking.done() and not asking.cancelled()

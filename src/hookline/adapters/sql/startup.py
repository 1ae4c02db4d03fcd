"""Retries the steps of a start while the database cannot be reached.

A node often starts beside its database: in Compose, after a power cut, during a failover. A step that fails because the
database is away is tried again for a bounded time; a step that fails for any other reason ends the start at once.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

from hookline.errors import Unavailable
from hookline.ports.clock import Clock

T = TypeVar("T")

#: How long a start waits for a database that cannot be reached.
STARTUP_SECONDS: Final = 60.0
#: The wait between two attempts.
RETRY_SECONDS: Final = 1.0

_log = logging.getLogger("hookline.store")


class Unreachable(Unavailable):
    """The database cannot be reached now, and may be in a moment: it starts, fails over, or the network is down."""


async def retry_while_unreachable(
    attempt: Callable[[], Awaitable[T]], *, step: str, clock: Clock, patience_seconds: float = STARTUP_SECONDS
) -> T:
    """The result of `attempt`, called again every second while it raises `Unreachable`.

    `step` names in the log what the start waits for.

    Raises:
        Unreachable: `patience_seconds` have passed.
        HooklineError: any other failure, at once.
    """
    give_up_at = clock.monotonic() + patience_seconds
    has_waited = False
    while True:
        try:
            result = await attempt()
        except Unreachable as problem:
            left = give_up_at - clock.monotonic()
            if left <= 0:
                raise
            has_waited = True
            _log.warning("store.waiting step=%s gives_up_in_s=%.0f error=%r", step, left, problem.for_operator)
            await clock.sleep_until(clock.now() + timedelta(seconds=min(RETRY_SECONDS, left)))
        else:
            if has_waited:
                _log.info("store.reached step=%s", step)
            return result

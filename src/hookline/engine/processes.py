"""Processes: takes the steps of long work, one transaction each, at a pace that leaves live traffic alone.

On several nodes each takes the steps that it is first at, and no node has a process to itself: a step reads the process
again, and finds that it is not due when another node has taken that step. So pace and order are those of one node, and
nobody has to take anything over from a node that dies. Only who comes second leaves the next steps to the first for a
while: to be late costs a commit each time.
"""

import logging
from datetime import timedelta
from typing import Final

from hookline.engine.bell import Bell
from hookline.errors import Unavailable
from hookline.ports.clock import Clock
from hookline.ports.storage import Database, News
from hookline.services import processes
from hookline.services.replays import Pace

#: A receiver that was down is only just up again: a hundred a second is a small part of what this process can send, and
#: more than most receivers take beside their live events. Fifty at once are few milliseconds of everybody's writer.
#: Whoever is slower sets the pace: live events stand behind the few hundred in front at most.
PACE: Final = Pace(step=50, per_second=100, most_in_front=200, look_again=timedelta(seconds=1))

#: How long the steps are left to another node that was seen to take one.
AFTER_ANOTHER: Final = timedelta(seconds=1)

OUR_MISTAKE: Final = "Hookline itself failed in a step of it; its log says more."

_log = logging.getLogger("hookline.processes")


class Processes:
    """Takes steps. Run `step_forever`; hear the store's news through `committed`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._begun = Bell(clock)

    def committed(self, news: News) -> None:
        """Look again when a process was begun."""
        if news.processes:
            self._begun.ring()

    async def step_forever(self) -> None:
        """Take the step that may be taken first, then sleep until one may be."""
        while True:
            process = await self._database.read(processes.next_step)
            due_at = None if process is None else process.due_at
            if process is None or due_at is None or due_at > self._clock.now():
                await self._begun.wait(until=due_at)
            elif not await self._step(process.id):
                await self._begun.wait(until=self._clock.now() + AFTER_ANOTHER)

    async def _step(self, process_id: int) -> bool:
        """One step. False when another node has taken it. A mistake of ours ends this process, and not all others."""
        try:
            process = await self._database.write(processes.take_step, process_id, PACE)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001  whatever it is, it is told
            _log.exception("process.failed_here id=%d", process_id)
            await self._database.write(processes.fail_process, process_id, OUR_MISTAKE)
            return True
        if process is not None and process.due_at is None:
            _log.info(
                "process.ended id=%d name=%s status=%s done=%d of=%d",
                process.id,
                process.asked.NAME,
                process.status.value,
                process.done,
                process.total,
            )
        return process is not None

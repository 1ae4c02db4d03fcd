"""The notifier: tells the `notifyURL` of an export where its file lies, and tries again when it does not answer.

On several nodes whoever is first takes the notification, with a lease that is a row of the store: the others find that
it is not due, and one of them sends it when the lease ends and nobody has told what came of it.
"""

import json
import logging

from hookline.domain.processes import Export, Process
from hookline.domain.webhooks import DEFAULT_TIMEOUT_SECONDS, parse_url
from hookline.engine.bell import Bell
from hookline.engine.requests import ACCEPT_ENCODING, USER_AGENT
from hookline.ports.clock import Clock
from hookline.ports.sender import Post, Sender
from hookline.ports.storage import Database, News
from hookline.services import exports

_log = logging.getLogger("hookline.processes")


class Notifier:
    """Sends notifications, one after the other. Run `tell_forever`; hear the store's news through `committed`."""

    def __init__(self, database: Database, sender: Sender, clock: Clock) -> None:
        self._database = database
        self._sender = sender
        self._clock = clock
        self._finished = Bell(clock)

    def committed(self, news: News) -> None:
        """Look again when a file is finished."""
        if news.processes:
            self._finished.ring()

    async def tell_forever(self) -> None:
        """Send the notification that is due first, then sleep until one is."""
        while True:
            process = await self._database.read(exports.next_notification)
            due_at = None if process is None else process.notification.due_at
            if process is not None and due_at is not None and due_at <= self._clock.now():
                await self._tell(process.id)
            else:
                await self._finished.wait(until=due_at)

    async def _tell(self, process_id: int) -> None:
        told = await self._database.write(exports.begin_notification, process_id)
        if told is None or not isinstance(told.asked, Export):
            return
        answer = await self._sender.send(notification_of(told, told.asked))
        await self._database.write(exports.settle_notification, told, answer.status, answer.error)
        _log.info(
            "notification.settled id=%d attempt=%d status=%s error=%r",
            told.id,
            told.notification.attempt,
            answer.status,
            answer.error,
        )


def notification_of(process: Process, export: Export) -> Post:
    """The POST that tells of a file. Nobody's secret is known here, so it is not signed."""
    target = parse_url(export.notify_url)
    credentials = () if target.basic is None else (("Authorization", target.basic),)
    return Post(
        scheme=target.scheme,
        host=target.host,
        port=target.port,
        target=target.path,
        headers=(("Content-Type", "application/json"), ("User-Agent", USER_AGENT), ACCEPT_ENCODING, *credentials),
        body=json.dumps(exports.notification_body(process)).encode(),
        timeout_seconds=DEFAULT_TIMEOUT_SECONDS,
    )

"""Large bodies of events: all claims on one event share one copy, and a query for many rows reads none of them.

A process that holds claims of forty webhooks on an event of 1 MiB holds 1 MiB, not 40. The copy is found by the id of
its event for as long as anybody holds it.
"""

from collections.abc import Sequence
from typing import Any, Final
from weakref import WeakValueDictionary

from hookline.adapters.sql.records import event_of
from hookline.adapters.sql.session import Session
from hookline.domain.deliveries import SMALL_BODY
from hookline.domain.events import Event
from hookline.domain.ids import EventId

#: Bytes of a body up to which it comes with its row. Larger ones are read one by one, as long as they fit.
WITH_THE_ROW: Final = 32 * 1024
#: An event whose body comes only if it is short, then the length of its body in bytes. Of a batch, all are NULL.
BOUNDED_EVENT_COLUMNS: Final = f"""
    e.id, e.kind, e.subject, e.sequence, e.occurred_at, e.created_at,
    CASE WHEN LENGTH(e.body) <= {WITH_THE_ROW} THEN e.body END, e.is_test, LENGTH(e.body)
"""
BODY: Final = "SELECT body FROM event WHERE id = :id"


def body_bytes(event: Event) -> int:
    """How much of a list an event takes up."""
    return len(event.body)


class EventBodies:
    """The large bodies that this process holds, in one transaction after the other."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._shared: WeakValueDictionary[EventId, Event] = WeakValueDictionary()

    def forget(self) -> None:
        """Read from the database again: a body was changed, or may have been."""
        self._shared.clear()

    def share(self, event: Event) -> None:
        """Let later claims on this event have this copy, if its body is large."""
        if len(event.body) > SMALL_BODY:
            self._shared[event.id] = event

    def event_of(self, row: Sequence[Any]) -> Event:
        """The event in a row of `BOUNDED_EVENT_COLUMNS`, with its body."""
        *columns, size = row
        if size <= SMALL_BODY:
            return event_of(columns)
        event = self._shared.get(columns[0])
        if event is None:
            if size > WITH_THE_ROW:
                [(columns[-2],)] = self._session.rows(BODY, {"id": columns[0]})
            event = event_of(columns)
            self._shared[event.id] = event
        return event

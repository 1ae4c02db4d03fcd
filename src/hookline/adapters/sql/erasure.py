"""Erasure in SQL: what both databases share. The one place where an event's bytes are ever changed."""

from collections.abc import Iterator, Sequence
from typing import Final

from hookline.adapters.sql.bodies import BODY, EventBodies
from hookline.adapters.sql.calendar import SqlCalendar
from hookline.adapters.sql.intake import SqlIntake
from hookline.adapters.sql.outbox import SqlOutbox
from hookline.adapters.sql.phone import SqlPhone
from hookline.adapters.sql.session import Insert, Session, to_json
from hookline.domain.call_legs import CallLegs
from hookline.domain.calls import Call
from hookline.domain.deliveries import Claim
from hookline.domain.erasure import BECAUSE_ERASED
from hookline.domain.ids import CallId, DeliveryId, EventId, MeetingId, SubjectId, WebhookId
from hookline.domain.kept_legs import legs_to_text
from hookline.domain.meetings import Meeting
from hookline.ports.intake import HeardCall
from hookline.ports.storage import CallFilter, MeetingFilter

REWRITE_MEETING: Final = """
    UPDATE meeting SET payload = :payload, booked_body = :booked_body, cancel_reason = '' WHERE id = :id
"""
FORGET_PARTICIPANT: Final = "DELETE FROM meeting_participant WHERE email = :email AND meeting_id = :id"
ADD_PARTICIPANT: Final = Insert("meeting_participant", ("email", "meeting_id"), "DO NOTHING")
REWRITE_CALL: Final = "UPDATE call SET payload = :payload, phone_number = '' WHERE id = :id"
REWRITE_LEGS: Final = "UPDATE call SET legs = :legs WHERE id = :id"
FORGET_NUMBER: Final = "DELETE FROM call_number WHERE number = :number AND call_id = :call_id"
EVENTS_OF: Final = "SELECT id FROM event WHERE subject = :subject ORDER BY sequence"
REWRITE_EVENT: Final = "UPDATE event SET body = :body WHERE id = :id"
#: The deliveries of an event are a range of the primary key. Of what goes in a batch, the batch is being sent.
OWED_OF: Final = """
    SELECT d.id, d.webhook_id, COALESCE(b.token, d.token), d.batch_id
    FROM delivery d LEFT JOIN delivery b ON b.id = d.batch_id WHERE d.id > :first AND d.id < :behind
"""
FORGET_EMPTY_BATCH: Final = """
    DELETE FROM delivery WHERE id = :id AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.batch_id = :id)
"""
_EMPTY: Final = """
    UPDATE attempt SET response_headers = '[]', response_body = :nothing
    WHERE (response_headers <> '[]' OR LENGTH(response_body) > 0) AND
"""
EMPTY_ANSWERS: Final = f"{_EMPTY} delivery_id > :first AND delivery_id < :behind"
EMPTY_ANSWERS_OF_BATCHES: Final = f"""
    {_EMPTY} delivery_id IN (
        SELECT batch_id FROM settled_delivery WHERE id > :first AND id < :behind AND batch_id IS NOT NULL)
"""
_THESE: Final = "delivery_id IN (SELECT value FROM json_each(:ids))"
#: The reason is a literal, so that the partial index of what was erased from batches serves.
EMPTY_LATE_ANSWERS: Final = (
    f"{_EMPTY} {_THESE} AND delivery_id IN (SELECT id FROM settled_delivery WHERE reason = '{BECAUSE_ERASED}')",
    f"""
    {_EMPTY} {_THESE} AND EXISTS (
        SELECT 1 FROM settled_delivery s
        WHERE s.batch_id = attempt.delivery_id AND s.batch_id IS NOT NULL AND s.reason = '{BECAUSE_ERASED}'
            AND s.settled_at >= attempt.started_at)
    """,
)


class SqlErasure:
    """`ports.storage.Erasure`."""

    def __init__(
        self,
        session: Session,
        calendar: SqlCalendar,
        phone: SqlPhone,
        outbox: SqlOutbox,
        intake: SqlIntake,
        bodies: EventBodies,
    ) -> None:
        self._session = session
        self._calendar = calendar
        self._phone = phone
        self._outbox = outbox
        self._intake = intake
        self._bodies = bodies

    def meetings_with(self, participant: str, limit: int) -> Sequence[Meeting]:
        return self._calendar.meetings(
            MeetingFilter(participant=participant, includes_former=True), limit=limit, cursor=None
        ).items

    def calls_with(self, phone_number: str, limit: int) -> Sequence[Call]:
        return self._phone.calls(CallFilter(mentions=phone_number), limit=limit, cursor=None).items

    def rewrite_meeting(
        self, meeting_id: MeetingId, *, body: bytes, booked_body: bytes, participant: str, becomes: str
    ) -> None:
        self._session.doings.erased = True
        payload = {"payload": body.decode(), "booked_body": booked_body}
        self._session.run(REWRITE_MEETING, {"id": meeting_id, **payload})
        self._session.run(FORGET_PARTICIPANT, {"id": meeting_id, "email": participant.lower()})
        self._session.insert(ADD_PARTICIPANT, (becomes, meeting_id))

    def rewrite_call(self, call_id: CallId, body: bytes) -> None:
        self._session.doings.erased = True
        self._session.run(REWRITE_CALL, {"id": call_id, "payload": body.decode()})

    def rewrite_legs(self, call_id: CallId, legs: CallLegs, phone_number: str) -> None:
        self._session.doings.erased = True
        if legs.legs:
            self._session.run(REWRITE_LEGS, {"id": call_id, "legs": legs_to_text(legs)})
        self._session.run(FORGET_NUMBER, {"number": phone_number, "call_id": call_id})

    def rewrite_facts(self, call: HeardCall) -> None:
        self._session.doings.erased = True
        self._intake.keep(call)

    def bodies_of(self, subject: SubjectId) -> Iterator[tuple[EventId, bytes]]:
        for (event_id,) in self._session.rows(EVENTS_OF, {"subject": subject}):
            [(body,)] = self._session.rows(BODY, {"id": event_id})
            yield EventId(event_id), body

    def rewrite_event(self, event_id: EventId, body: bytes) -> None:
        self._session.run(REWRITE_EVENT, {"id": event_id, "body": body})
        self._bodies.forget()

    def withdraw(self, event_id: EventId, *, because: str) -> int:
        owed = self._session.rows(OWED_OF, _deliveries_of(event_id))
        if not owed:
            return 0
        self._outbox.withdraw_these([DeliveryId(row[0]) for row in owed], because=because)
        for _, webhook_id, token, batch_id in owed:
            if token is not None:
                self._session.doings.webhooks.add(WebhookId(webhook_id))  # who holds a claim holds the old bytes
            if batch_id is not None:
                self._session.run(FORGET_EMPTY_BATCH, {"id": batch_id})
        return len(owed)

    def empty_answers(self, event_id: EventId) -> int:
        parameters = {**_deliveries_of(event_id), "nothing": b""}
        return sum(self._session.run(sql, parameters) for sql in (EMPTY_ANSWERS, EMPTY_ANSWERS_OF_BATCHES))

    def empty_late_answers(self, claims: Sequence[Claim]) -> None:
        ids = to_json([claim.delivery_id for claim in claims])
        for sql in EMPTY_LATE_ANSWERS:
            self._session.run(sql, {"ids": ids, "nothing": b""})


def _deliveries_of(event_id: EventId) -> dict[str, str]:
    ulid = event_id.removeprefix("evt_")
    return {"first": f"dlv_{ulid}_", "behind": f"dlv_{ulid}`"}  # ` is the character after _

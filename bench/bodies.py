"""What is sent in every measurement: the same bodies and the same signature, so that only the machinery differs."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

SECRET: Final = b"24 bytes, known to both."
SIGNING_SECRET: Final = "whsec_" + base64.b64encode(SECRET).decode()
EVENT_NAME: Final = "callFinished"

#: So many different people call before the first one calls again: a cache of phone numbers earns what it would in life.
_CONTACTS: Final = 10_000


def call(number: int) -> dict[str, Any]:
    """The `number`th call, as it is reported to the API and as receivers get it."""
    return {
        "account_name": {"family_name": "doe", "given_name": "john"},
        "duration_seconds": 123,
        "is_forwarded": True,
        "phone_line": "+441400800008",
        "phone_line_name": "My number",
        "phone_number": f"+1400200{number % _CONTACTS:04d}",
        "recording": True,
        "type": "answered",
    }


def call_bodies(count: int) -> Sequence[bytes]:
    """The different bodies among `count` calls; the sender begins again when it reaches the end."""
    return [encoded(call(number)) for number in range(min(count, _CONTACTS))]


def meeting(number: int, start_at: datetime) -> dict[str, Any]:
    """The `number`th of many meetings that start together. Each has its own host, so none of them collide."""
    return {
        "account_email": f"host{number}@example.com",
        "currency": "EUR",
        "event_participants": [{"EMAIL": "john@example.com", "FIRSTNAME": "john", "LASTNAME": "doe"}],
        "meeting_address": "12345 CityAB",
        "meeting_end_timestamp": _wire(start_at + timedelta(minutes=30)),
        "meeting_location": "MeetingpointA",
        "meeting_name": "Testmeeting",
        "meeting_notes": "Meeting-notes",
        "meeting_start_timestamp": _wire(start_at),
        "price": 123,
        "questions_and_answers": [{"answer": "Answer to the question", "question": "What is the question?"}],
    }


def encoded(value: object) -> bytes:
    """Canonical JSON, as Hookline sends it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signed_headers(event_id: str, body: bytes) -> dict[str, str]:
    """The headers of one attempt, signed for this second. Source: Standard Webhooks."""
    timestamp = int(time.time())
    content = b"%b.%d.%b" % (event_id.encode(), timestamp, body)
    digest = hmac.digest(SECRET, content, hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        "hookline-event": EVENT_NAME,
    }


def _wire(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

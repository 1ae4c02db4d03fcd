"""Examples for the description of the API: bodies that this version accepts, and answers that it gives."""

from collections.abc import Mapping
from typing import Any, Final

from hookline.api.calls import CallBatch, CallReport
from hookline.api.connectors import ConnectorBody, NewConnectorBody
from hookline.api.meetings import Cancellation, MeetingBatch, MeetingEdit, Move
from hookline.api.phone_lines import NewPhoneLineBody, PhoneLineBody
from hookline.api.processes import ExportBody, ReplayBody
from hookline.api.users import NewUserBody, UserBody
from hookline.api.webhooks import NewWebhookBody, Rotation, TestSend, WebhookBody
from hookline.domain.events import SAMPLES, EventKind, MeetingPayload, plain

_MEETING: Final = plain(SAMPLES[EventKind.MEETING_BOOKED])
_CALL: Final = plain(SAMPLES[EventKind.CALL_FINISHED])

#: Shape of a body -> one.
BODIES: Final[Mapping[Any, Any]] = {
    NewWebhookBody: {
        "url": "https://example.com/hook",
        "events": ["meetingBooked", "meetingCancelled", "callFinished"],
        "description": "Our CRM",
    },
    WebhookBody: {"events": ["meetingBooked"], "retryPolicy": {"scheduleSeconds": [5, 60, 600]}},
    TestSend: {"event": "meetingBooked"},
    Rotation: {"overlapHours": 24},
    ReplayBody: {"since": "2025-06-10T06:00:00Z", "until": "2025-06-10T09:30:00Z", "only": "failed"},
    ExportBody: {"event": "allEvents", "notifyURL": "https://example.com/exported", "type": "transactional", "days": 7},
    MeetingPayload: _MEETING,
    MeetingBatch: {"meetings": [_MEETING]},
    MeetingEdit: {"meeting_location": "https://meet.example.com/john", "meeting_notes": "Ring twice."},
    Cancellation: {"reason": "Ill"},
    Move: {"meeting_start_timestamp": "2031-06-10T09:00:00+02:00"},
    CallReport: {**_CALL, "endedAt": "2025-06-10T09:09:01+02:00"},
    CallBatch: {"calls": [_CALL]},
    NewUserBody: {
        "email": "john.doe@company.example",
        "givenName": "John",
        "familyName": "Doe",
        "phone": {"extension": "101", "channelPrefixes": ["PJSIP/101-"], "outboundLine": "+441400800008"},
    },
    UserBody: {"phone": {"providerIds": ["client:john"]}},
    NewPhoneLineBody: {"number": "+441400800008", "name": "My number", "ownerEmail": "john.doe@company.example"},
    PhoneLineBody: {"name": "Reception"},
    NewConnectorBody: {
        "kind": "asterisk",
        "name": "Office",
        "settings": {"host": "pbx.example", "username": "hookline", "secret": "s3cret"},
    },
    ConnectorBody: {"settings": {"secret": "an0ther"}},
}


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Mapping[str, Any]]) -> Any:
    """A value that fits a schema of an answer, whose references lead to `schemas`."""
    if "$ref" in schema and "examples" not in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema and "examples" not in schema:
        return example_of(schema["anyOf"][0], schemas)
    match schema:
        case {"examples": [first, *_]} | {"enum": [first, *_]}:
            return first
        case {"properties": properties}:
            return {name: example_of(properties[name], schemas) for name in schema["required"]}
        case {"items": items}:
            return [example_of(items, schemas)]
    return {"integer": 1, "number": 1, "boolean": False}.get(schema["type"], "")

"""Values that many tests start from: each is true as it stands, and a test changes what it is about."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from hookline.domain.backoff import STANDARD
from hookline.domain.deliveries import Attempt, Claim, Outcome
from hookline.domain.events import CallPayload, CallType, EventKind, MeetingPayload, Participant
from hookline.domain.ids import WebhookId
from hookline.domain.instants import wire_form
from hookline.domain.meetings import MeetingDetails
from hookline.domain.networks import AllowedNetworks
from hookline.domain.webhooks import Secret, Webhook
from hookline.services.webhooks import Limits, NewWebhook
from tests.fakes import MONDAY

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
MICROSECOND: Final = timedelta(microseconds=1)
#: `whsec_` and the base64 of 24 bytes.
SECRET: Final = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
LIMITS: Final = Limits(max_webhooks=40, allowed_networks=AllowedNetworks())


def details(start_at: datetime = MONDAY + HOUR, length: timedelta = HOUR, **changes: Any) -> MeetingDetails:
    """A meeting of Anna's with Bo. `changes` are attributes of its payload."""
    end_at = start_at + length
    payload = MeetingPayload(
        account_email="anna@example.com",
        event_participants=(Participant(EMAIL="bo@example.com", FIRSTNAME="Bo"),),
        meeting_name="First talk",
        meeting_start_timestamp=wire_form(start_at),
        meeting_end_timestamp=wire_form(end_at),
    )
    return MeetingDetails.of(replace(payload, **changes), start_at, end_at)


def call_payload(**changes: Any) -> CallPayload:
    """A call that somebody answered, in its checked form."""
    answered = CallPayload(
        phone_line="+441400800008", phone_number="+14002007868", type=CallType.ANSWERED, duration_seconds=61
    )
    return replace(answered, **changes)


def webhook(url: str = "https://receiver.example/hook", **changes: Any) -> Webhook:
    """A webhook that wants every event. Its id is given by the store that it is added to."""
    made = Webhook(
        id=WebhookId(0),
        url=url,
        events=tuple(EventKind),
        description="",
        bearer_token=None,
        headers=(),
        retry_policy=STANDARD,
        timeout_seconds=15,
        secrets=(Secret(value=SECRET),),
        is_active=True,
        disabled_reason="",
        created_at=MONDAY,
        modified_at=MONDAY,
    )
    return replace(made, **changes)


def wanted(url: str = "https://receiver.example/hook", **changes: Any) -> NewWebhook:
    """A webhook as somebody asks for it, for every event."""
    asked = NewWebhook(
        url=url,
        events=tuple(EventKind),
        description="",
        bearer_token=None,
        headers=(),
        retry_policy=STANDARD,
        timeout_seconds=15,
    )
    return replace(asked, **changes)


def outcome(claim: Claim, status: int | None, *, error: str = "", retry_after: str | None = None) -> Outcome:
    """What came of a claim, five milliseconds after it began."""
    attempt = Attempt(
        number=claim.attempt,
        started_at=claim.lease_until - timedelta(seconds=60),
        duration_ms=5.0,
        status=status,
        error=error,
        response_headers=() if retry_after is None else (("Retry-After", retry_after),),
        response_body=b"" if status is None else f"answer {status}".encode(),
    )
    return Outcome(claim=claim, attempt=attempt)


def accepted(claim: Claim) -> Outcome:
    """The receiver took it."""
    return outcome(claim, 200)


def refused(claim: Claim, status: int = 500, *, retry_after: str | None = None) -> Outcome:
    """The receiver said no."""
    return outcome(claim, status, retry_after=retry_after)


def unanswered(claim: Claim) -> Outcome:
    """The receiver said nothing."""
    return outcome(claim, None, error="There was no answer.")

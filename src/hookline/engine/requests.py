"""What a claim looks like on the wire: its headers, credentials and signature. Source: Standard Webhooks."""

from datetime import datetime
from typing import Final

from hookline import __version__
from hookline.domain.backoff import STANDARD
from hookline.domain.deliveries import LEASE, Claim
from hookline.domain.events import SAMPLES, Event, EventKind, canonical_bytes
from hookline.domain.ids import CallId, EventId, MeetingId, WebhookId, delivery_id
from hookline.domain.instants import wire_form
from hookline.domain.signatures import Signer
from hookline.domain.webhooks import DEFAULT_TIMEOUT_SECONDS, Secret, Webhook
from hookline.ports.sender import Post

USER_AGENT: Final = f"Hookline/{__version__}"
#: Without it a receiver may answer in any coding (RFC 9110, 12.5.3), and nobody could read the record of the answer.
ACCEPT_ENCODING: Final = ("Accept-Encoding", "identity")


class RequestMaker:
    """Makes the POSTs of one webhook as it is now; what does not change from one to the next is made once."""

    def __init__(self, webhook: Webhook, now: datetime) -> None:
        """With the secrets that are valid at `now`."""
        self.webhook = webhook
        self._secrets = webhook.secrets_at(now)
        self._signer = Signer(self._secrets)
        self._constant = _constant_headers(webhook)

    def is_current(self, webhook: Webhook, now: datetime) -> bool:
        """Whether this maker still serves: same webhook, same secrets."""
        return webhook is self.webhook and (len(self._secrets) == 1 or webhook.secrets_at(now) == self._secrets)

    def request(self, claim: Claim, now: datetime) -> Post:
        """The POST of this attempt, signed at `now`."""
        event, target = claim.event, self.webhook.target
        timestamp = str(int(now.timestamp()))
        return Post(
            scheme=target.scheme,
            host=target.host,
            port=target.port,
            target=target.path,
            headers=(
                *self._constant,
                ("webhook-id", event.id),
                ("webhook-timestamp", timestamp),
                ("webhook-signature", self._signer.header(event.id, timestamp, event.body)),
                ("hookline-event", event.kind.value),
                *_facts(claim),
                ("hookline-attempt", str(claim.attempt)),
                *((("hookline-test", "true"),) if event.is_test else ()),
            ),
            body=event.body,
            timeout_seconds=self.webhook.timeout_seconds,
        )


def _facts(claim: Claim) -> tuple[tuple[str, str], ...]:
    """What the event is about; of a batch, which is about many, how many there are."""
    event = claim.event
    if claim.batch_size is not None:
        return (("hookline-batch-size", str(claim.batch_size)),)
    return (
        ("hookline-subject", event.subject),
        ("hookline-sequence", str(event.sequence)),
        ("hookline-occurred-at", wire_form(event.occurred_at)),
    )


def sample_claim(kind: EventKind, url: str, secret: str, new_ulid: str, now: datetime) -> Claim:
    """A claim on the page's sample of an event, for a webhook that nobody keeps."""
    webhook = Webhook(
        id=WebhookId(0),
        url=url,
        events=(kind,),
        description="",
        bearer_token=None,
        headers=(),
        retry_policy=STANDARD,
        timeout_seconds=DEFAULT_TIMEOUT_SECONDS,
        secrets=(Secret(value=secret),),
        is_active=True,
        disabled_reason="",
        created_at=now,
        modified_at=now,
    )
    event = Event(
        id=EventId(f"evt_{new_ulid}"),
        kind=kind,
        subject=CallId(f"call_{new_ulid}") if kind is EventKind.CALL_FINISHED else MeetingId(f"mtg_{new_ulid}"),
        sequence=1,
        occurred_at=now,
        created_at=now,
        body=canonical_bytes(SAMPLES[kind]),
        is_test=True,
    )
    return Claim(
        delivery_id=delivery_id(event.id, webhook.id),
        attempt=1,
        failures=0,
        lease_until=now + LEASE,
        token=0,
        give_up_at=None,
        event=event,
        webhook=webhook,
    )


def _constant_headers(webhook: Webhook) -> tuple[tuple[str, str], ...]:
    headers = [("Content-Type", "application/json"), ("User-Agent", USER_AGENT)]
    if all(header.key.lower() != "accept-encoding" for header in webhook.headers):
        headers.append(ACCEPT_ENCODING)
    if webhook.target.basic is not None:
        headers.append(("Authorization", webhook.target.basic))
    if webhook.bearer_token is not None:
        headers.append(("Authorization", f"Bearer {webhook.bearer_token}"))
    return (*headers, *((header.key, header.value) for header in webhook.headers))

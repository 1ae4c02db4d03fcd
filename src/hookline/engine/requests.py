"""What a claim looks like on the wire: its headers, credentials and signature. Source: Standard Webhooks."""

from datetime import datetime
from typing import Final

from hookline import __version__
from hookline.domain.deliveries import Claim
from hookline.domain.instants import wire_form
from hookline.domain.signatures import Signer
from hookline.domain.webhooks import Webhook
from hookline.ports.sender import Post

USER_AGENT: Final = f"Hookline/{__version__}"


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
                ("hookline-subject", event.subject),
                ("hookline-sequence", str(event.sequence)),
                ("hookline-occurred-at", wire_form(event.occurred_at)),
                ("hookline-attempt", str(claim.attempt)),
                *((("hookline-test", "true"),) if event.is_test else ()),
            ),
            body=event.body,
            timeout_seconds=self.webhook.timeout_seconds,
        )


def _constant_headers(webhook: Webhook) -> tuple[tuple[str, str], ...]:
    headers = [("Content-Type", "application/json"), ("User-Agent", USER_AGENT)]
    if webhook.target.basic is not None:
        headers.append(("Authorization", webhook.target.basic))
    if webhook.bearer_token is not None:
        headers.append(("Authorization", f"Bearer {webhook.bearer_token}"))
    return (*headers, *((header.key, header.value) for header in webhook.headers))

"""Webhooks over HTTP, in Brevo's shapes, so that its official SDKs work unchanged."""

import re
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec

from hookline.api.routes import ADMIN_ONLY, READERS, Asked, Reply, Route, Work, instant_or_null
from hookline.domain.backoff import (
    MAX_RETRIES,
    MAX_WAIT_SECONDS,
    NAMED,
    STANDARD,
    RetryPolicy,
    own_policy,
)
from hookline.domain.events import EventKind
from hookline.domain.text import require_storable_text
from hookline.domain.webhooks import (
    DEFAULT_TIMEOUT_SECONDS,
    MAX_DESCRIPTION,
    MAX_TIMEOUT_SECONDS,
    Header,
    Webhook,
    parse_events,
)
from hookline.errors import Invalid, MissingField
from hookline.ports.storage import Transaction
from hookline.services import webhooks

MAX_OVERLAP_HOURS: Final = 168
_HIDDEN: Final = "***"
_PASSWORD: Final = re.compile(r"(?<=//)[^/?#]*(?=@)")  # up to the last @ before the path

UNSET: Final = msgspec.UNSET


class Sort(StrEnum):
    """The order of webhooks, by creation."""

    OLDEST_FIRST = "asc"
    NEWEST_FIRST = "desc"


class Auth(msgspec.Struct):
    """Credentials to show to the receiver; `{}` means none."""

    type: str = ""
    token: str = ""


class HeaderItem(msgspec.Struct):
    """One header to send along."""

    key: str
    value: str


class OwnSchedule(msgspec.Struct):
    """The waits before the second attempt, the third, and so on, in seconds."""

    scheduleSeconds: list[int]
    retry4xx: bool = True


class WebhookBody(msgspec.Struct, kw_only=True):
    """A webhook as somebody writes it; in an update, what is absent stays."""

    url: str | msgspec.UnsetType = UNSET
    events: list[str] | msgspec.UnsetType = UNSET
    description: str | msgspec.UnsetType = UNSET
    type: str | msgspec.UnsetType = UNSET
    channel: str | msgspec.UnsetType = UNSET
    batched: bool | msgspec.UnsetType = UNSET
    auth: Auth | msgspec.UnsetType = UNSET
    headers: list[HeaderItem] | msgspec.UnsetType = UNSET
    retryPolicy: str | OwnSchedule | msgspec.UnsetType = UNSET
    timeoutSeconds: int | msgspec.UnsetType = UNSET
    rateLimitPerSecond: float | msgspec.UnsetType = UNSET
    ordered: bool | msgspec.UnsetType = UNSET
    filter: dict[str, list[Any]] | msgspec.UnsetType = UNSET
    isActive: bool | msgspec.UnsetType = UNSET


class WebhookMade(msgspec.Struct):
    """The id of a new webhook, and what its requests are signed with."""

    id: int
    secret: str


class WebhookView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A webhook as it is kept. Tokens and header values are shown to admin keys only."""

    id: int
    url: str
    description: str
    events: list[EventKind]
    type: str
    createdAt: str
    modifiedAt: str
    batched: bool
    auth: Auth | msgspec.UnsetType = UNSET
    headers: list[HeaderItem]
    isActive: bool
    disabledReason: str | None
    retryPolicy: str | OwnSchedule
    timeoutSeconds: int
    rateLimitPerSecond: float | None
    ordered: bool
    filter: dict[str, list[Any]] | None


class WebhookList(msgspec.Struct):
    """Every webhook."""

    webhooks: list[WebhookView]


class TestSend(msgspec.Struct):
    """Which event's sample to send."""

    event: EventKind


class TestSent(msgspec.Struct):
    """The delivery to look at for what came of it."""

    deliveryId: str


class SecretView(msgspec.Struct):
    """What requests are signed with."""

    secret: str


class Rotation(msgspec.Struct):
    """How long the old secret signs beside the new one."""

    overlapHours: float = 24


def create(asked: Asked) -> Work:
    body = asked.read(WebhookBody, lenient=True)
    for name in ("url", "events"):
        if getattr(body, name) is UNSET:
            raise MissingField(name)
    changes = _changes(body)
    changes.pop("is_active", None)
    wanted = webhooks.NewWebhook(
        **{
            "description": "",
            "bearer_token": None,
            "headers": (),
            "retry_policy": STANDARD,
            "timeout_seconds": DEFAULT_TIMEOUT_SECONDS,
            **changes,
        }
    )

    def work(tx: Transaction) -> Reply:
        webhook = webhooks.create_webhook(tx, wanted, asked.limits)
        return Reply(201, WebhookMade(id=webhook.id, secret=webhook.secrets[0].value))

    return work


def list_(asked: Asked) -> Work:
    newest_first = asked.query.choice("sort", Sort) is not Sort.OLDEST_FIRST

    def work(tx: Transaction) -> Reply:
        shown = [_view(webhook, asked) for webhook in webhooks.list_webhooks(tx)]
        return Reply(200, WebhookList(shown[::-1] if newest_first else shown))

    return work


def read(asked: Asked) -> Work:
    webhook_id = asked.number("id", "webhook")
    return lambda tx: Reply(200, _view(webhooks.read_webhook(tx, webhook_id), asked))


def update(asked: Asked) -> Work:
    webhook_id = asked.number("id", "webhook")
    changes = _changes(asked.read(WebhookBody, lenient=True))

    def work(tx: Transaction) -> Reply:
        webhooks.update_webhook(tx, webhook_id, changes, asked.limits)
        return Reply(204)

    return work


def delete(asked: Asked) -> Work:
    webhook_id = asked.number("id", "webhook")

    def work(tx: Transaction) -> Reply:
        webhooks.delete_webhook(tx, webhook_id)
        return Reply(204)

    return work


def send_test(asked: Asked) -> Work:
    webhook_id, kind = asked.number("id", "webhook"), asked.read(TestSend).event
    return lambda tx: Reply(202, TestSent(webhooks.send_test(tx, webhook_id, kind)))


def secret(asked: Asked) -> Work:
    webhook_id = asked.number("id", "webhook")
    return lambda tx: Reply(200, SecretView(webhooks.read_webhook(tx, webhook_id).secrets[0].value))


def rotate(asked: Asked) -> Work:
    webhook_id, hours = asked.number("id", "webhook"), asked.read(Rotation).overlapHours
    if not 0 <= hours <= MAX_OVERLAP_HOURS:
        raise Invalid.field("overlapHours", f"expected 0 to {MAX_OVERLAP_HOURS}, got {hours:g}.", code="out_of_range")
    return lambda tx: Reply(200, SecretView(webhooks.rotate_secret(tx, webhook_id, timedelta(hours=hours))))


def _changes(body: WebhookBody) -> dict[str, Any]:
    """What the body says, as attributes of `domain.webhooks.Webhook`."""
    _refuse_what_is_not_offered(body)
    readers: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "url": ("url", str),
        "events": ("events", parse_events),
        "description": ("description", _description),
        "auth": ("bearer_token", _bearer_token),
        "headers": ("headers", lambda items: tuple(Header(key=item.key, value=item.value) for item in items)),
        "retryPolicy": ("retry_policy", _retry_policy),
        "timeoutSeconds": ("timeout_seconds", _timeout),
        "isActive": ("is_active", bool),
    }
    return {
        attribute: read(getattr(body, name))
        for name, (attribute, read) in readers.items()
        if getattr(body, name) is not UNSET
    }


def _refuse_what_is_not_offered(body: WebhookBody) -> None:
    """Nobody may believe that a setting works which this version does not know: refused, never kept silently."""
    for name in ("batched", "ordered", "rateLimitPerSecond", "filter"):
        value = getattr(body, name)
        if value is not UNSET and value not in (False, 0, {}):
            raise Invalid.field(name, "this version cannot do that.")


def _description(text: str) -> str:
    require_storable_text(text, "description")
    if len(text) > MAX_DESCRIPTION:
        raise Invalid.field("description", f"expected at most {MAX_DESCRIPTION} characters.", code="out_of_range")
    return text


def _bearer_token(auth: Auth) -> str | None:
    if auth == Auth():
        return None
    if auth.type != "bearer":
        raise Invalid.field("auth.type", f"expected bearer, got {auth.type[:40]!r}.")
    if not auth.token:
        raise MissingField("auth.token")
    return auth.token


def _retry_policy(policy: str | OwnSchedule) -> RetryPolicy:
    if isinstance(policy, str):
        if policy not in NAMED:
            raise Invalid.field(
                "retryPolicy", f"expected {', '.join(NAMED)} or a schedule of your own, got {policy[:40]!r}."
            )
        return NAMED[policy]
    waits = policy.scheduleSeconds
    if len(waits) > MAX_RETRIES:
        raise Invalid.field(
            "retryPolicy.scheduleSeconds", f"expected 0 to {MAX_RETRIES} waits, got {len(waits)}.", code="out_of_range"
        )
    for index, wait in enumerate(waits):
        if not 0 <= wait <= MAX_WAIT_SECONDS:
            raise Invalid.field(
                f"retryPolicy.scheduleSeconds[{index}]",
                f"expected 0 to {MAX_WAIT_SECONDS} seconds.",
                code="out_of_range",
            )
    return own_policy(tuple(waits), retry_4xx=policy.retry4xx)


def _timeout(seconds: int) -> int:
    if not 1 <= seconds <= MAX_TIMEOUT_SECONDS:
        raise Invalid.field("timeoutSeconds", f"expected 1 to {MAX_TIMEOUT_SECONDS}.", code="out_of_range")
    return seconds


def _view(webhook: Webhook, asked: Asked) -> WebhookView:
    shown = asked.sees_secrets
    policy = webhook.retry_policy
    token = webhook.bearer_token
    return WebhookView(
        id=webhook.id,
        url=webhook.url if shown else _PASSWORD.sub(_HIDDEN, webhook.url),
        description=webhook.description,
        events=list(webhook.events),
        type="transactional",
        createdAt=str(instant_or_null(webhook.created_at)),
        modifiedAt=str(instant_or_null(webhook.modified_at)),
        batched=False,
        auth=UNSET if token is None else Auth(type="bearer", token=token if shown else _HIDDEN),
        headers=[HeaderItem(key=header.key, value=header.value if shown else _HIDDEN) for header in webhook.headers],
        isActive=webhook.is_active,
        disabledReason=webhook.disabled_reason or None,
        retryPolicy=policy.name if policy.name in NAMED else OwnSchedule(list(policy.waits_seconds), policy.retry_4xx),
        timeoutSeconds=webhook.timeout_seconds,
        rateLimitPerSecond=None,
        ordered=False,
        filter=None,
    )


ROUTES = (
    Route(
        method="POST", path="/webhooks", handler=create, scopes=ADMIN_ONLY, status=201,
        summary="Create a webhook.", takes=WebhookBody, gives=WebhookMade,
    ),
    Route(
        method="GET", path="/webhooks", handler=list_, scopes=READERS, status=200,
        summary="List every webhook.", gives=WebhookList,
        query={"type": "Kept for Brevo's SDKs; every webhook is transactional.", "sort": "asc or desc, by creation."},
    ),
    Route(
        method="GET", path="/webhooks/{id}", handler=read, scopes=READERS, status=200,
        summary="Read a webhook.", gives=WebhookView,
    ),
    Route(
        method="PUT", path="/webhooks/{id}", handler=update, scopes=ADMIN_ONLY, status=204,
        summary="Change some of a webhook.", takes=WebhookBody,
    ),
    Route(
        method="DELETE", path="/webhooks/{id}", handler=delete, scopes=ADMIN_ONLY, status=204,
        summary="Delete a webhook; what is pending for it is withdrawn.",
    ),
    Route(
        method="POST", path="/webhooks/{id}/test", handler=send_test, scopes=ADMIN_ONLY, status=202,
        summary="Send the page's sample of an event, marked hookline-test.", takes=TestSend, gives=TestSent,
    ),
    Route(
        method="GET", path="/webhooks/{id}/secret", handler=secret, scopes=ADMIN_ONLY, status=200,
        summary="Read the secret that requests are signed with.", gives=SecretView,
    ),
    Route(
        method="POST", path="/webhooks/{id}/secret/rotate", handler=rotate, scopes=ADMIN_ONLY, status=200,
        summary="Make a new secret; the old one signs beside it for a while.", takes=Rotation, gives=SecretView,
    ),
)  # fmt: skip

"""Webhooks over HTTP, in Brevo's shapes, so that its official SDKs work unchanged."""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, UnsetType

from hookline.api.routes import (
    ADMIN_ONLY,
    READERS,
    Asked,
    Reply,
    Route,
    Work,
    doc,
    doc_instant,
    instant_or_null,
)
from hookline.domain.backoff import (
    MAX_RETRIES,
    MAX_WAIT_SECONDS,
    NAMED,
    STANDARD,
    RetryPolicy,
    own_policy,
)
from hookline.domain.events import EventKind
from hookline.domain.filters import parse_filter
from hookline.domain.text import require_storable_text
from hookline.domain.webhooks import (
    DEFAULT_TIMEOUT_SECONDS,
    MASK,
    MAX_DESCRIPTION,
    MAX_HEADER_VALUE,
    MAX_HEADERS,
    MAX_RATE_PER_SECOND,
    MAX_TIMEOUT_SECONDS,
    MAX_URL,
    MIN_RATE_PER_SECOND,
    Header,
    Webhook,
    masked_url,
    parse_bearer_token,
    parse_events,
    parse_rate,
)
from hookline.errors import Invalid, MissingField
from hookline.ports.storage import Transaction
from hookline.services import webhooks

MAX_OVERLAP_HOURS: Final = 168

URL: Final = doc(
    "Where events go: http or https.", format="uri", maxLength=MAX_URL, examples=["https://example.com/hook"]
)
EVENTS: Final = doc("The events it wants.", minItems=1, uniqueItems=True)
SECRET: Final = doc("What requests are signed with.", examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


class Sort(StrEnum):
    """The order of webhooks, by creation."""

    OLDEST_FIRST = "asc"
    NEWEST_FIRST = "desc"


class WebhookType(StrEnum):
    """The kinds of webhooks in Brevo's API. Every webhook here is transactional."""

    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"
    INBOUND = "inbound"


class Auth(msgspec.Struct):
    """Credentials to show to the receiver; `{}` means none."""

    type: Annotated[str, doc("The only kind there is is `bearer`.", examples=["bearer"])] = ""
    token: Annotated[str, doc("Sent as `Authorization: Bearer ...`; the token alone, without spaces.")] = ""


class HeaderItem(msgspec.Struct):
    """One header to send along."""

    key: Annotated[str, doc("Its name; none that Hookline sets itself.", examples=["cf-secret"])]
    value: Annotated[str, doc("Its value, visible ASCII.", maxLength=MAX_HEADER_VALUE, examples=["s3cret"])]


class NoLimit(msgspec.Struct, forbid_unknown_fields=True):
    """`{}`: no limit."""


class OwnSchedule(msgspec.Struct):
    """The waits before the second attempt, the third, and so on, in seconds."""

    scheduleSeconds: Annotated[list[int], doc("0 to 30 waits of at most 48 h each.", maxItems=MAX_RETRIES)]
    retry4xx: Annotated[bool, doc("Whether a 4xx is tried again.")] = True


class WebhookBody(msgspec.Struct, kw_only=True):
    """Changes of a webhook. What is absent or null stays; unknown keys are passed over."""

    LENIENT: ClassVar = True

    url: Annotated[str | UnsetType, URL] = UNSET
    events: Annotated[list[EventKind] | UnsetType, EVENTS] = UNSET
    description: Annotated[str | UnsetType, doc("What it is for.", maxLength=MAX_DESCRIPTION)] = UNSET
    type: Annotated[str | UnsetType, doc("Taken for Brevo's SDKs; every webhook is transactional.")] = UNSET
    channel: Annotated[str | UnsetType, doc("Taken for Brevo's SDKs; means nothing here.")] = UNSET
    batched: Annotated[bool | UnsetType, doc("Whether events gather and go many in one request.")] = UNSET
    auth: Annotated[Auth | UnsetType, doc("A bearer token to show to the receiver; `{}` for none.")] = UNSET
    headers: Annotated[list[HeaderItem] | UnsetType, doc("Headers to send along.", maxItems=MAX_HEADERS)] = UNSET
    retryPolicy: Annotated[
        str | OwnSchedule | UnsetType, doc("`standard` (of a new webhook), `brevo`, or a schedule of your own.")
    ] = UNSET
    timeoutSeconds: Annotated[
        int | UnsetType,
        doc(
            f"How long an attempt may take; {DEFAULT_TIMEOUT_SECONDS} for a new webhook.",
            minimum=1,
            maximum=MAX_TIMEOUT_SECONDS,
        ),
    ] = UNSET
    rateLimitPerSecond: Annotated[
        float | NoLimit | UnsetType,
        doc(
            f"How many attempts may begin in a second, {MIN_RATE_PER_SECOND} to {MAX_RATE_PER_SECOND};"
            " 0 or `{}` for no limit.",
            examples=[5],
        ),
    ] = UNSET
    ordered: Annotated[
        bool | UnsetType, doc("Whether an event waits until the earlier ones of its subject are no longer owed.")
    ] = UNSET
    filter: Annotated[
        dict[str, list[Any]] | UnsetType,
        doc("Which values of which attributes are wanted; `{}`: all.", examples=[{"type": ["missed"]}]),
    ] = UNSET
    isActive: Annotated[bool | UnsetType, doc("False disables it and withdraws what is pending for it.")] = UNSET


class NewWebhookBody(WebhookBody, kw_only=True):
    """A webhook to make. What is null counts as absent; unknown keys are passed over."""

    url: Annotated[str, URL]
    events: Annotated[list[EventKind], EVENTS]


class WebhookMade(msgspec.Struct):
    """The id of a new webhook, and what its requests are signed with."""

    id: Annotated[int, doc("Id of the webhook.")]
    secret: Annotated[str, SECRET]


class WebhookView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A webhook as it is kept. Tokens and header values are shown to admin keys only."""

    id: Annotated[int, doc("Id of the webhook.")]
    url: Annotated[
        str,
        doc(
            "Where events go. Other keys than admin keys see `***` for all behind the host, such as `https://example.com/***`.",
            examples=["https://example.com/hook"],
        ),
    ]
    description: Annotated[str, doc("What it is for.")]
    events: Annotated[list[EventKind], doc("The events it wants, in the order given.", examples=[["meetingBooked"]])]
    type: Annotated[str, doc("Always `transactional`.", examples=["transactional"])]
    createdAt: Annotated[str, doc_instant("When it was made.")]
    modifiedAt: Annotated[str, doc_instant("When it was last changed.")]
    batched: Annotated[bool, doc("Whether events gather and go many in one request.")]
    auth: Annotated[Auth | UnsetType, doc("Absent when there is no token.")] = UNSET
    headers: Annotated[list[HeaderItem], doc("Headers that are sent along.")]
    isActive: Annotated[bool, doc("Whether events are sent to it.", examples=[True])]
    disabledReason: Annotated[str | None, doc("Why not; null while it is active.", examples=[None])]
    failingSince: Annotated[
        str | None,
        doc("Since when every attempt has failed; null when the latest did not.", format="date-time", examples=[None]),
    ]
    retryPolicy: Annotated[str | OwnSchedule, doc("When failures are tried again.", examples=["standard"])]
    timeoutSeconds: Annotated[int, doc("How long an attempt may take.", examples=[15])]
    rateLimitPerSecond: Annotated[
        float | None, doc("How many attempts may begin in a second; null: no limit.", examples=[None])
    ]
    ordered: Annotated[bool, doc("Whether events of one subject are attempted in their sequence.")]
    filter: Annotated[dict[str, list[Any]] | None, doc("Which values pass, by attribute; null: all.", examples=[None])]


class WebhookList(msgspec.Struct):
    """Every webhook."""

    webhooks: Annotated[list[WebhookView], doc("The webhooks.")]


class TestSend(msgspec.Struct):
    """Which event's sample to send."""

    event: Annotated[EventKind, doc("Name of the event.")]


class TestSent(msgspec.Struct):
    """The delivery to look at for what came of it."""

    deliveryId: Annotated[str, doc("Id of the delivery.", examples=["dlv_01k2j3q4r5s6t7v8w9x0y1z2a3_1"])]


class SecretView(msgspec.Struct):
    """What requests are signed with."""

    secret: Annotated[str, SECRET]


class Rotation(msgspec.Struct):
    """How long the old secret signs beside the new one."""

    overlapHours: Annotated[
        float,
        doc("Hours for which both secrets sign; 0 ends every earlier secret.", minimum=0, maximum=MAX_OVERLAP_HOURS),
    ] = 24


def create(asked: Asked) -> Work:
    changes = _changes(asked.read(NewWebhookBody))
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
    is_of_other_type = asked.query.choice("type", WebhookType) not in (None, WebhookType.TRANSACTIONAL)

    def work(tx: Transaction) -> Reply:
        shown = [] if is_of_other_type else [_view(webhook, asked) for webhook in webhooks.list_webhooks(tx)]
        return Reply(200, WebhookList(shown[::-1] if newest_first else shown))

    return work


def read(asked: Asked) -> Work:
    webhook_id = asked.number("id", "webhook")
    return lambda tx: Reply(200, _view(webhooks.read_webhook(tx, webhook_id), asked))


def update(asked: Asked) -> Work:
    webhook_id = asked.number("id", "webhook")
    changes = _changes(asked.read(WebhookBody))

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
    readers: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "url": ("url", str),
        "events": ("events", parse_events),
        "description": ("description", _description),
        "auth": ("bearer_token", _bearer_token),
        "headers": ("headers", lambda items: tuple(Header(key=item.key, value=item.value) for item in items)),
        "retryPolicy": ("retry_policy", _retry_policy),
        "timeoutSeconds": ("timeout_seconds", _timeout),
        "batched": ("batched", bool),
        "rateLimitPerSecond": ("rate_limit_per_second", _rate_limit),
        "ordered": ("ordered", bool),
        "filter": ("filter", parse_filter),
        "isActive": ("is_active", bool),
    }
    return {
        attribute: read(getattr(body, name))
        for name, (attribute, read) in readers.items()
        if getattr(body, name) is not UNSET
    }


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
    return parse_bearer_token(auth.token)


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


def _rate_limit(per_second: float | NoLimit) -> float | None:
    return None if isinstance(per_second, NoLimit) else parse_rate(per_second)


def _shown_rate(per_second: float | None) -> float | None:
    """As it was given: 5 is kept as 5.0."""
    return int(per_second) if per_second is not None and per_second.is_integer() else per_second


def _view(webhook: Webhook, asked: Asked) -> WebhookView:
    shown = asked.sees_secrets
    policy = webhook.retry_policy
    token = webhook.bearer_token
    return WebhookView(
        id=webhook.id,
        url=webhook.url if shown else masked_url(webhook.url),
        description=webhook.description,
        events=list(webhook.events),
        type="transactional",
        createdAt=str(instant_or_null(webhook.created_at)),
        modifiedAt=str(instant_or_null(webhook.modified_at)),
        batched=webhook.batched,
        auth=UNSET if token is None else Auth(type="bearer", token=token if shown else MASK),
        headers=[HeaderItem(key=header.key, value=header.value if shown else MASK) for header in webhook.headers],
        isActive=webhook.is_active,
        disabledReason=webhook.disabled_reason or None,
        failingSince=instant_or_null(webhook.failing_since),
        retryPolicy=policy.name if policy.name in NAMED else OwnSchedule(list(policy.waits_seconds), policy.retry_4xx),
        timeoutSeconds=webhook.timeout_seconds,
        rateLimitPerSecond=_shown_rate(webhook.rate_limit_per_second),
        ordered=webhook.ordered,
        filter={name: list(values) for name, values in webhook.filter} or None,
    )


ROUTES = (
    Route(
        method="POST", path="/webhooks", handler=create, scopes=ADMIN_ONLY, status=201,
        summary="Create a webhook.", takes=NewWebhookBody, gives=WebhookMade,
    ),
    Route(
        method="GET", path="/webhooks", handler=list_, scopes=READERS, status=200,
        summary="List every webhook.", gives=WebhookList,
        query={
            "type": Annotated[WebhookType, doc("Every webhook is `transactional`: there are none of the other types.")],
            "sort": Annotated[Sort, doc("By creation.", default="desc")],
        },
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

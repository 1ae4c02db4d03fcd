"""`hookline trigger`: the page's own sample of an event, sent to see what a receiver does with it."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Any, Final
from urllib.parse import quote, urlsplit

import msgspec
import typer

from hookline.bootstrap import parts, sending
from hookline.cli.asking import admin_key, ask
from hookline.cli.failed import Failed
from hookline.domain.events import EventKind
from hookline.domain.ids import RANDOM_BITS, ulid
from hookline.domain.networks import literal_address, plainly_refused
from hookline.domain.signatures import SECRET_BYTES, Signer, new_secret
from hookline.domain.webhooks import parse_url
from hookline.engine.requests import RequestMaker, sample_claim
from hookline.errors import Invalid
from hookline.ports.sender import Answer
from hookline.settings import Settings, load_settings

#: How long the outcome of a test may take: longer than any webhook's time limit.
PATIENCE: Final = timedelta(seconds=45)
_LOOK_EVERY: Final = timedelta(milliseconds=100)
_MOST_SHOWN: Final = 2000
_LOOPBACK: Final = "127.0.0.0/8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one test send."""

    url: str
    delivered: bool
    status: int | None
    error: str
    durationMs: float | None  # noqa: N815  as the API spells it
    webhookId: int | None = None  # noqa: N815
    deliveryId: str | None = None  # noqa: N815
    nextAttemptAt: str | None = None  # noqa: N815

    def __str__(self) -> str:
        """One line for people."""
        name = "" if self.webhookId is None else f"webhook {self.webhookId}  "
        answer = "no answer" if self.status is None else f"answered {self.status}"
        took = "" if self.durationMs is None else f" in {self.durationMs:.0f} ms"
        line = f"{'ok    ' if self.delivered else 'FAILED'}  {name}{self.url}  {answer}{took}"
        again = f"It is sent again at {self.nextAttemptAt}." if self.nextAttemptAt else ""
        return f"{line}  {' '.join(each for each in (self.error, again) if each)}".rstrip()


def trigger(
    event: Annotated[EventKind, typer.Argument(metavar="EVENT", help="Which event.")],
    *,
    to: Annotated[str | None, typer.Option(help="Send one signed POST straight to this URL, without a server.")] = None,
    secret: Annotated[str | None, typer.Option(help="With --to: sign with this secret (whsec_...).")] = None,
    api_key: Annotated[str | None, typer.Option(help="An admin key, if not that of HOOKLINE_API_KEY.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send the sample of EVENT, marked as a test, to every webhook that wants it, and show what came of it."""
    settings = load_settings(os.environ)
    if to is not None:
        fine = asyncio.run(_to_one(settings, event, _sendable(to, settings), _usable(secret), as_json=json))
    elif secret is not None:
        raise typer.BadParameter("a webhook has a secret of its own; --secret goes with --to.", param_hint="--secret")
    else:
        fine = asyncio.run(_to_all(settings, admin_key(api_key, settings), event, as_json=json))
    if not fine:
        raise typer.Exit(1)


def _sendable(url: str, settings: Settings) -> str:
    """The URL, if a POST may go there as far as can be seen without asking for the name."""
    try:
        host = parse_url(url).host
    except Invalid as problem:
        raise typer.BadParameter(problem.message.removeprefix("url: "), param_hint="--to") from None
    refusal = plainly_refused(host, settings.allowed_networks)
    if refusal is not None:
        address = literal_address(host)
        network = _LOOPBACK if address is None or address in ip_network(_LOOPBACK) else address
        raise Failed(refusal, hint=f"Allow it: HOOKLINE_ALLOW_NETWORKS={network} hookline trigger ...")
    return url


def _usable(secret: str | None) -> str | None:
    try:
        Signer([secret] if secret is not None else [new_secret(bytes(SECRET_BYTES))])
    except Invalid as refusal:
        raise typer.BadParameter(refusal.message.removeprefix("secret: "), param_hint="--secret") from None
    return secret


async def _to_one(settings: Settings, event: EventKind, url: str, secret: str | None, *, as_json: bool) -> bool:
    """One POST of our own, as the server would send it."""
    clock, dice = parts.system_clock(), parts.Dice()
    now = clock.now()
    used = secret or new_secret(dice.randbytes(SECRET_BYTES))
    claim = sample_claim(event, url, used, ulid(now, dice.getrandbits(RANDOM_BITS)), now)
    if secret is None and not as_json:
        typer.echo(f"Signed with a secret made for this request: {used}")
    async with sending.open_sender(settings) as sender:
        answer = await sender.send(RequestMaker(claim.webhook, now).request(claim, now))
    outcome = Outcome(
        url=_without_password(url),
        delivered=_is_success(answer),
        status=answer.status,
        error=answer.error,
        durationMs=round(answer.duration_ms, 3),
    )
    body = answer.body.decode("utf-8", "replace")
    if as_json:
        _print_json({"event": event, "secret": used, "outcome": outcome, "responseBody": body})
        return outcome.delivered
    typer.echo(outcome)
    if body.strip():
        typer.echo(body[:_MOST_SHOWN].rstrip())
    return outcome.delivered


async def _to_all(settings: Settings, key: str, event: EventKind, *, as_json: bool) -> bool:
    """Have the server send it to every webhook that wants it."""
    base = settings.base_url
    webhooks = ask(base, key, "GET", "/v3/webhooks?sort=asc").fine()["webhooks"]
    wanting = [each for each in webhooks if each["isActive"] and event in each["events"]]
    if not wanting:
        raise _nobody_wants(event, webhooks)
    owed = [
        (each, ask(base, key, "POST", f"/v3/webhooks/{each['id']}/test", {"event": event}).fine()["deliveryId"])
        for each in wanting
    ]
    outcomes = []
    async for outcome in _outcomes(base, key, owed):
        outcomes.append(outcome)
        if not as_json:
            typer.echo(outcome)
    if as_json:
        _print_json({"event": event, "outcomes": outcomes})
    return all(outcome.delivered for outcome in outcomes)


def _nobody_wants(event: EventKind, webhooks: list[dict[str, Any]]) -> Failed:
    """Why there is nobody to send to, and what to do: enable the one that is disabled, or make one."""
    disabled = [str(each["id"]) for each in webhooks if event in each["events"]]
    if not disabled:
        hint = "Make one with POST /v3/webhooks, or send it somewhere with --to URL."
        return Failed(f"No active webhook wants {event}.", hint=hint)
    which = f"webhook {disabled[0]} does" if len(disabled) == 1 else f"webhooks {', '.join(disabled)} do"
    hint = f'GET /v3/webhooks/{disabled[0]} says why, as `disabledReason`; PUT {{"isActive": true}} there to enable it.'
    return Failed(f"No active webhook wants {event}; disabled {which}.", hint=hint)


async def _outcomes(base: str, key: str, owed: list[tuple[dict[str, Any], str]]) -> AsyncIterator[Outcome]:
    """What came of each delivery, as it becomes known."""
    clock = parts.system_clock()
    give_up_at = clock.now() + PATIENCE
    while owed:
        unknown = []
        for webhook, delivery_id in owed:
            delivery = ask(base, key, "GET", f"/v3/deliveries/{quote(delivery_id)}").fine()
            if delivery["attempts"] or delivery["status"] in ("dead", "withdrawn"):
                yield _outcome(webhook, delivery)
            elif clock.now() >= give_up_at:
                yield _outcome(webhook, delivery, f"Nothing came of it within {PATIENCE.seconds} s.")
            else:
                unknown.append((webhook, delivery_id))
        owed = unknown
        if owed:
            await clock.sleep_until(clock.now() + _LOOK_EVERY)


def _outcome(webhook: dict[str, Any], delivery: dict[str, Any], error: str = "") -> Outcome:
    latest: dict[str, Any] = delivery["attempts"][-1] if delivery["attempts"] else {}
    return Outcome(
        url=_without_password(webhook["url"]),
        delivered=delivery["status"] == "delivered",
        status=latest.get("status"),
        error=error or latest.get("error") or "",
        durationMs=latest.get("durationMs"),
        webhookId=webhook["id"],
        deliveryId=delivery["id"],
        nextAttemptAt=delivery["nextAttemptAt"],
    )


def _is_success(answer: Answer) -> bool:
    return answer.status is not None and 200 <= answer.status < 300 and not answer.error


def _without_password(url: str) -> str:
    place = urlsplit(url).netloc
    return url.replace(place, place.rpartition("@")[2], 1)


def _print_json(value: Any) -> None:
    typer.echo(msgspec.json.encode(value))
